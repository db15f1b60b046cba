"""Tours through logins, sessions, tokens and signed logins."""

from __future__ import annotations

import json
from typing import Any

from conformance.helpers.builtin_names import accented, same_java_hash, unsigned_tokens
from fixtures.service.security import signature
from tests.support.fault_bench import PASSWORDS, PRIVATE, PUBLIC, Bench


def sign_in(bench: Bench, identity: Any = "owner@example.com", **more: Any) -> None:
    bench.raw(*bench.request("auth.login", {"identity": identity, **more}))


def tour_passwords(bench: Bench) -> None:
    right = PASSWORDS["owner"]
    near = (f"{right}\0x", accented(right), same_java_hash(right), [right], 0, (right + "x" * 1000)[:1000])
    for credential in (right, right.upper(), right[:-1], right + "x", f" {right}", "", "wrong", *near):
        sign_in(bench, credential=credential)
    sign_in(bench, "constructor", credential="wrong")
    sign_in(bench, "%", credential=right)
    sign_in(bench)
    sign_in(bench, "nobody@example.com", credential="wrong")
    sign_in(bench, "admin@example.com", credential=PASSWORDS["admin"])


def tour_tokens(bench: Bench) -> None:
    token = bench.token()
    forged: list[str | bytes] = [
        token[:-1], token.swapcase(), token + "a", "_" + token[1:], "' OR '1'='1", "", b"\xe9\xff",
        "a" * 4096, "x", "constructor", "null", "0", "*", f"%{ord(token[0]):02x}{token[1:]}", f'"{token}"',
        f"./{token}", same_java_hash(token) or "x", (accented(token) or "x").encode("latin-1"), "owner@example.com",
        *unsigned_tokens(token, {"email": "owner@example.com"}).values(),
    ]  # fmt: skip
    for value in forged:
        for name in ("user.read", "sys.ping", "payment.methods"):
            bench.by(value, name)
        bench.raw(
            *bench.request(
                "auth.login", {"identity": "peer@example.com", "credential": PASSWORDS["peer"]}, value
            )
        )
        bench.by(value, "auth.status")
    for header in ((b"x-forwarded-user", b"owner@example.com"), (b"x-forwarded-for", b"127.0.0.1")):
        bench.raw("/api/auth", b'{"method":"status"}', dict([header]))
    for name in ("message.find", "payment.find", "course.add", "sys.ping", "course.catalog"):
        bench.by(None, name, {"title": "x"} if name == "course.add" else None)
    for name in ("dashboard.read", "auth.status", "user.read"):
        bench.by(token, name, client=("127.0.0.1", 5001))
        path, body, _ = bench.request(name)
        bench.raw(path, body, {}, query=f"token={token}".encode())
        bench.raw(path, body, {b"cookie": f"token={token}".encode()})
        bench.raw(path, body, {b"authorization": f"Bearer {token}".encode()})
        bench.raw(*bench.request(name, token=None, sessionId=token))
        bench.raw(*bench.request(name, {"sessionId": token}))


def tour_sessions(bench: Bench) -> None:
    tokens = [bench.login("peer") for _ in range(4)]
    bench.keep((len({*tokens}), (), b""))
    bench.keep((tokens[1][:4] == tokens[2][:4] == tokens[3][:4], (), b""))
    bench.keep((min(map(len, tokens)) >= 24, (), b""))
    for token in tokens:
        bench.by(token, "user.read")
    for ended in (tokens[1], tokens[2]):
        bench.by(ended, "auth.logout")
        for name in ("auth.status", "user.read", "user.update"):
            bench.by(ended, name)
    bench.by(tokens[0], "user.read")
    bench.by(tokens[3], "user.read")
    inside = bench.login("owner")
    bench.login("peer", {b"token": inside.encode()})
    bench.by(inside, "auth.status")
    for _ in range(22):
        bench.by(inside, "user.read")
    bench.together(*(bench.request("auth.status", token=bench.token(who)) for who in ("owner", "peer") * 4))
    for who in ("owner", "peer"):
        bench.call("auth.status", who=who)
    bench.by(bench.login("peer", {b"token": b"c" * 32}), "auth.status", client=("127.0.0.1", 5002))
    bench.by("c" * 32, "user.read")


def tour_keys(bench: Bench) -> None:
    for by_data in (True, False):
        values = {"apikey": PUBLIC.decode(), "time": "2026-11-23 10:03:20.123", "random": "r4nd0m"}
        mac = signature(PUBLIC, values["time"].encode(), b"r4nd0m", PRIVATE)
        for change in (
            {}, {"hmac": "0" * 40}, {"hmac": mac[:20]}, {"hmac": ""}, {"time": values["time"] + "1"},
            {"apikey": "unknown"},
        ):  # fmt: skip
            sent = {**values, "hmac": mac, **change}
            if by_data:
                bench.raw(*bench.request("auth.loginHmac", sent))
            else:
                bench.raw("/api/auth", b'{"method":"loginHmac"}', key_headers(sent))
        tour_unusual_keys(bench, {**values, "hmac": mac}, by_data)


def key_headers(values: dict[str, Any]) -> dict[bytes, bytes]:
    return {f"x-coursio-{name}".encode(): str(value).encode("latin-1") for name, value in values.items()}


def tour_unusual_keys(bench: Bench, right: dict[str, Any], by_data: bool) -> None:
    """Go through values left out, signed otherwise, of other types, and sessions that a key gives."""
    signed = {name: right[name].encode() for name in ("apikey", "time", "random")}
    sent: list[dict[str, Any]] = [right, {**right, "random": "other0"}]
    for order in (("apikey", "random"), ("random", "time"), ("time", "random", "apikey")):
        digest = signature(b"".join(signed[name] for name in order), b"", b"", PRIVATE)
        sent += [{**right, "hmac": digest}, {**{name: right[name] for name in order}, "hmac": digest}]
    unknown = signature(b"unknown", signed["time"], signed["random"], b"")
    sent += [{**right, "apikey": "unknown", "hmac": unknown}, {**right, "random": "\xe9"}]
    sent += [{**right, "random": "r" * 7000}, {**right, "hmac": True}, {**right, "hmac": []}]

    def send(values: dict[str, Any], token: str | None = None) -> str:
        more = {} if token is None else {b"token": token.encode()}
        call = {"method": "loginHmac", **({"data": values} if by_data else {})}
        headers = {**more, **({} if by_data else key_headers(values))}
        answer = bench.raw("/api/auth", json.dumps(call).encode(), headers)
        data = json.loads(answer[2])["data"]
        return str(data["sessionId"]) if data else "none"

    for values in sent:
        send(values)
    if not by_data:
        for first, second in ((right["hmac"], right["hmac"]), (right["hmac"][:20], right["hmac"][20:])):
            twice = {**key_headers({**right, "hmac": first}), b"X-Coursio-Hmac": second.encode()}
            bench.raw("/api/auth", b'{"method":"loginHmac"}', twice)
    bench.keep((send(right, "c" * 32) == "c" * 32, (), b""))
    for who in ("peer", "owner"):
        inside = bench.login(who)
        first, second = send(right, inside), send(right)
        bench.by(first, "auth.logout")
        for token in (first, second, inside):
            bench.by(token, "auth.status")


def tour_authentication(bench: Bench, seed: dict[str, str]) -> None:
    tour_passwords(bench)
    tour_tokens(bench)
    tour_sessions(bench)
    tour_keys(bench)
