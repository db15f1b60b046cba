"""Redaction: no record of an exchange contains a secret, in any of the forms in which it may be written."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.redaction import MASK, SecretRegistry
from tests.support.events import json_of


@pytest.mark.parametrize("size", [30, 5_000, 1_000_000])
def test_a_password_of_any_size_is_masked_where_it_is_repeated(size: int) -> None:
    """One of a million equal letters was looked for from each of them on: hours."""
    word = "x" * size
    sent = json.dumps({"data": {"identity": "somebody", "credential": word}}).encode()
    came = json.dumps({"isError": True, "errMsg": f"not {word}!", "data": None}).encode()
    secret_registry = SecretRegistry()
    secret_registry.members = frozenset({b"credential"})
    exchange = Exchange(
        Request("POST", "http://h/auth", (), sent),
        Response(403, (), came),
        secret_registry=secret_registry,
        login=True,
    )
    reported = json.dumps(json_of(exchange.record()))
    assert ("somebody" in reported) is (size < 1_000_000)
    assert "x" * min(size, 4_096) not in reported


# Secrets


def base64_in(secret: str, before: str, after: str) -> str:
    return base64.b64encode((before + secret + after).encode("utf-8", "surrogatepass")).decode()


def escape_all(secret: str, upper: bool = False) -> str:
    units = secret.encode("utf-16-be", "surrogatepass").hex()
    units = units.upper() if upper else units
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def lowered(text: str) -> str:
    out, rest = "", text
    while "%" in rest:
        before, _, rest = rest.partition("%")
        out, rest = f"{out}{before}%{rest[:2].lower()}", rest[2:]
    return out + rest


def dumped(secret: str) -> str:
    return json.dumps(secret)[1:-1]


def raw_dumped(secret: str) -> str:
    return json.dumps(secret, ensure_ascii=False)[1:-1]


def octets(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")


#: The ways in which something may write a secret.
WAYS: dict[str, Callable[[str], str]] = {
    "plain": lambda s: s,
    "json": dumped,
    "json, not ASCII": raw_dumped,
    "json, slashes": lambda s: dumped(s).replace("/", "\\/"),
    "json, slashes, not ASCII": lambda s: raw_dumped(s).replace("/", "\\/"),
    "json, upper case": lambda s: re.sub(r"(?<=\\u)[0-9a-f]{4}", lambda m: m.group().upper(), dumped(s)),
    "json in json": lambda s: dumped(dumped(s)),
    "json in json in json": lambda s: dumped(dumped(dumped(s))),
    "escapes": escape_all,
    "escapes, upper case": lambda s: escape_all(s, upper=True),
    "escapes in json": lambda s: dumped(escape_all(s)),
    "url": lambda s: quote(octets(s), safe=""),
    "url, slashes": lambda s: quote(octets(s)),
    "url, lower case": lambda s: lowered(quote(octets(s), safe="")),
    "url, as in JavaScript": lambda s: quote(octets(s), safe="!'()*~"),
    "url, as in Java": lambda s: quote_plus(octets(s), safe="*").replace("~", "%7E"),
    "form": lambda s: quote_plus(octets(s)),
    "form, lower case": lambda s: lowered(quote_plus(octets(s))),
    "url, every byte": lambda s: "".join(f"%{byte:02X}" for byte in octets(s)),
    "url, every byte, lower case": lambda s: "".join(f"%{byte:02x}" for byte in octets(s)),
    "url twice": lambda s: quote(quote(octets(s), safe=""), safe=""),
    "html": html.escape,
    "html, double quotes alone": lambda s: html.escape(s, quote=False).replace('"', "&quot;"),
    "html, numbers": lambda s: re.sub("[^A-Za-z0-9]", lambda m: f"&#{ord(m.group())};", s),
    "html, hex numbers": lambda s: re.sub("[^A-Za-z0-9]", lambda m: f"&#x{ord(m.group()):X};", s),
    "hex": lambda s: octets(s).hex(),
    "hex, upper case": lambda s: octets(s).hex().upper(),
}  # fmt: skip


SECRETS = [
    "hunter2",
    "5f2c9a7e41d84b065f2c9a7e41d84b06",
    "Tr0ub4dor&3",
    'pa"ss\\wo/rd',
    "lösenord-é",
    "p@ss w+rd%41",
    "<b>'x'</b>~!*()",
    "密码是秘密",
    "😀emoji😀",
    "a/b+c=d/e+f==",
    "tab\tnew\nline",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_123",
    "\\\\\\\\x\\",
    "\ud800half",
    "Ab1",
]


def exchange_with(
    text: str,
    place: str,
    secret_registry: SecretRegistry,
    *,
    before: str = "",
    after: str = "",
    login: bool = False,
) -> Exchange:
    whole = f"{before}{text}{after}"
    registered: dict[str, Any] = {
        "url": "http://h/api/x",
        "sent": b"{}",
        "came": b"{}",
        "in": "",
        "out": "",
        "why": "reset",
    }
    wire = whole.encode("utf-8", "surrogatepass")
    if place in ("sent", "came"):
        registered[place] = wire
    elif place in ("in", "out"):
        registered[place] = wire.decode("latin-1")
    elif place == "url":
        registered["url"] += f"?{whole}"
    else:
        registered["why"] = whole
    request = Request("POST", registered["url"], (("X-Note", registered["out"]),), registered["sent"])
    response = Response(200, (("X-Note", registered["in"]),), registered["came"]) if place != "why" else None
    failure = Failure("closed", registered["why"]) if place == "why" else None
    return Exchange(request, response, failure, secret_registry=secret_registry, login=login)


PLACES = ["sent", "came", "in", "out", "url", "why"]


def secret_registry_with(*secrets: str) -> SecretRegistry:
    secret_registry = SecretRegistry()
    for secret in secrets:
        secret_registry.add(secret)
    return secret_registry


def texts(record: Any) -> list[str]:
    if isinstance(record, dict):
        return [text for value in record.values() for text in texts(value)]
    return [record] if isinstance(record, str) else []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_in_any_form(secret: str, way: str) -> None:
    secret_registry = secret_registry_with(secret)
    written = WAYS[way](secret)
    for place in PLACES:
        record = json_of(
            exchange_with(written, place, secret_registry, before="before ", after=" after").record()
        )
        said = texts(record)
        dump = json.dumps(record)
        assert MASK in dump, (place, written)
        assert "before *** after" in "\n".join(said).replace("before+", "before ").replace("%20", " "), (
            place,
            said,
        )
        for text in (written, secret):
            assert all(text not in each for each in said), (place, text)


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("secret", [secret for secret in SECRETS if len(octets(secret)) >= 6])
def test_no_secret_in_base64(secret: str, safe: bool) -> None:
    secret_registry = secret_registry_with(secret)
    for before in ("", "u", "us", "use", "user:"):
        for after in ("", "x", "xy", "xyz"):
            coded = base64_in(secret, before, after)
            if safe:
                coded = coded.replace("+", "-").replace("/", "_")
            shown = json_of(
                exchange_with(coded, "came", secret_registry, before='{"a":"', after='"}').record()
            )["response"]["body"]
            assert MASK in shown, (before, after)
            left = shown.replace('{"a":"', "").replace('"}', "").replace(MASK, "")
            # What is left holds what stood around, and a few bits of the secret's first and last byte.
            assert len(left) <= len(base64_in("", before, "")) + len(base64_in("", after, "")) + 4
            for form in (coded.replace("/", "\\/"), quote(coded, safe=""), lowered(quote(coded, safe=""))):
                assert MASK in json_of(exchange_with(form, "url", secret_registry).record())["request"]["url"]


def test_basic_authorization_is_masked_by_name_and_by_value() -> None:
    secret_registry = secret_registry_with("Tr0ub4dor&3")
    coded = base64.b64encode(b"owner@example.com:Tr0ub4dor&3").decode()
    record = json_of(exchange_with(coded, "why", secret_registry).record())
    assert coded[-12:-4] not in record["failure"]
    exchange = Exchange(Request("POST", "http://h/", (("Authorization", f"Basic {coded}"),), b""))
    assert json_of(exchange.record())["request"]["headers"] == {"Authorization": MASK}


def test_latin_1() -> None:
    secret_registry = secret_registry_with("lösenord")
    for place in ("sent", "came"):
        exchange = exchange_with("", place, secret_registry)
        wire = "x lösenord y".encode("latin-1")
        if place == "sent":
            exchange.request = Request("POST", "http://h/", (("X", wire.decode("latin-1")),), wire)
        else:
            exchange.response = Response(200, (("X", wire.decode("latin-1")),), wire)
        side = json_of(exchange.record())["request" if place == "sent" else "response"]
        assert side["body"] == "x *** y"
        assert side["headers"] == {"X": "x *** y"}


def test_mixed_spellings() -> None:
    secret_registry = secret_registry_with('a/b"c&d e')
    for text in (
        r"a\/b\"c&d e",
        r"a/b\u0022c\u0026d e",
        "a%2Fb%22c&d+e",
        "a/b&quot;c&amp;d e",
        r"a\u002Fb\"c&amp;d%20e",
    ):
        assert secret_registry.mask(f"[{text}]") == "[***]"


@pytest.mark.parametrize("secret", ["a-b c", "a-b\\", "-ab", "a\\b-c"])
def test_plain_and_other_spellings_in_one_text(secret: str) -> None:
    """The plain spelling is masked without the pattern of the others."""
    known = SecretRegistry()
    known.add(secret)
    others = [
        secret,
        json.dumps(secret)[1:-1],
        quote(secret),
        re.sub(r"\W", lambda found: f"&#{ord(found[0])};", secret),
    ]
    masked = known.mask(json.dumps(others))
    assert json.loads(masked) == [MASK] * len(others)
    assert known.mask(f"<{secret}>") == f"<{MASK}>"
    assert known.mask(secret[:-1]) == secret[:-1]


def test_the_longest_goes_first() -> None:
    secret_registry = secret_registry_with("abcdef", "abcdef/ghijkl", "ghijkl")
    assert secret_registry.mask("1 abcdef/ghijkl 2 abcdef 3 ghijkl 4") == "1 *** 2 *** 3 *** 4"
    assert secret_registry.mask("abcdefabcdef") == "******"


def test_text_without_secrets_is_the_same_text() -> None:
    secret_registry = secret_registry_with("hunter2")
    for text in ("", "plain", "å\ud800", "hunter", "hunter 2"):
        assert secret_registry.mask(text) is text
    assert secret_registry.mask_bytes(b"\xff\xfe") == b"\xff\xfe"
    assert SecretRegistry().mask("anything") == "anything"


def test_too_short_to_look_for() -> None:
    secret_registry = secret_registry_with("", "a", "ab")
    assert secret_registry.mask("a ab abc") == "a ab abc"


@given(
    secret=st.text(min_size=6, max_size=24).filter(lambda s: not set(s) <= set("*")),
    way=st.sampled_from(sorted(WAYS)),
    place=st.sampled_from(PLACES),
    before=st.text(alphabet="xyz&=:\"'{}[] ,%\\", max_size=6),
    after=st.text(alphabet="xyz&=:\"'{}[] ,%\\", max_size=6),
    login=st.booleans(),
)
@example(secret="secret\\", way="json", place="came", before="", after="\\", login=False)
@example(secret='"quoted"', way="json in json", place="came", before="\\", after="", login=True)
@example(secret="      ", way="form", place="url", before="", after="", login=False)
@settings(max_examples=300, deadline=None)
def test_no_record_holds_a_secret(
    secret: str, way: str, place: str, before: str, after: str, login: bool
) -> None:
    written = WAYS[way](secret)
    # A secret that could be part of what the record itself says shows nothing.
    empty = json_of(
        exchange_with("", place, SecretRegistry(), before=before, after=after, login=login).record()
    )
    forms = {WAYS[each](secret) for each in WAYS} | {written}
    said_anyway = [*texts(empty), "http://h/api/x?", f"{before}{MASK}{after}", json.dumps(empty)]
    assume(not any(form in text for form in forms for text in said_anyway))
    secret_registry = secret_registry_with(secret)
    record = json_of(
        exchange_with(written, place, secret_registry, before=before, after=after, login=login).record()
    )
    for text in texts(record):
        for form in forms:
            assert form not in text


@given(
    secret=st.binary(min_size=6, max_size=40).map(lambda raw: base64.b64encode(raw).decode()),
    before=st.text(max_size=8),
    after=st.text(max_size=8),
    safe=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_no_record_holds_a_secret_in_base64(secret: str, before: str, after: str, safe: bool) -> None:
    coded = base64_in(secret, before, after)
    if safe:
        coded = coded.replace("+", "-").replace("/", "_")
    shown = secret_registry_with(secret).mask(coded)
    assert MASK in shown
    around = len(coded) - len(base64.b64encode(octets(secret))) + 8
    assert len(shown.replace(MASK, "")) <= around


def test_masking_leaves_a_line_of_json() -> None:
    secret_registry = secret_registry_with('a"b\\c/d')
    body = json.dumps({"x": 'a"b\\c/d', "y": [1, 'z a"b\\c/d']})
    shown = json_of(exchange_with(body, "came", secret_registry).record())["response"]["body"]
    assert json.loads(shown) == {"x": MASK, "y": [1, f"z {MASK}"]}


# The sessions of a run


def test_only_the_latest_sessions_are_looked_for() -> None:
    secret_registry = SecretRegistry(keep=3)
    secret_registry.add("the-password")
    for number in range(6):
        secret_registry.session(f"session-number-{number}", "owner", lasting=number == 0)
    shown = [secret_registry.mask(f"session-number-{number}") == MASK for number in range(6)]
    assert shown == [True, False, False, True, True, True]
    assert secret_registry.mask("the-password") == MASK
    assert list(secret_registry.sessions()) == ["session-number-3", "session-number-4", "session-number-5"]


def test_a_session_seen_again_stays() -> None:
    secret_registry = SecretRegistry(keep=2)
    for name in ("session-a", "session-b", "session-a", "session-c"):
        secret_registry.session(name, None)
    assert [secret_registry.knows(f"session-{letter}") for letter in "abc"] == [True, False, True]
    secret_registry.session("session-a", None, lasting=True)
    for name in ("session-d", "session-e", "session-f"):
        secret_registry.session(name, None)
    assert secret_registry.knows("session-a")


def test_a_secret_that_comes_later_is_found() -> None:
    secret_registry = secret_registry_with("first-secret")
    assert secret_registry.mask("second-secret") == "second-secret"
    secret_registry.add("second-secret")
    assert secret_registry.mask("first-secret second-secret") == "*** ***"


def test_a_text_that_was_searched_in_vain_is_searched_again_for_new_secrets() -> None:
    secret_registry = SecretRegistry()
    secret_registry.session("c0ffee" * 5, "owner")
    text = '{"id":"decade' + "beef" * 6 + '"}'
    assert secret_registry.mask(text) == secret_registry.mask(text) == text
    secret_registry.session("decade" + "beef" * 6, "owner")
    assert secret_registry.mask(text) == '{"id":"***"}'


def test_a_token_that_nobody_knows() -> None:
    token = 'unknown"token/å'
    request = Request("POST", f"http://h/api/x?t={quote(token)}", (("tOKEN", token),), token.encode())
    response = Response(401, (("X-Echo", f"no {token}"),), json.dumps({"errMsg": f"no {token}"}).encode())
    record = json_of(Exchange(request, response, secret_registry=SecretRegistry()).record())
    assert "unknown" not in json.dumps(record)
    assert record["request"]["headers"] == {"tOKEN": MASK}


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("Token", "t", MASK),
        ("token", "no secret", MASK),
        ("Token", "", ""),
        ("COOKIE", "a=b", MASK),
        ("Set-Cookie", "a=b; Path=/", MASK),
        ("Authorization", "Basic eA==", MASK),
        ("Proxy-Authorization", "x", MASK),
        ("X-Auth-Token", "x", MASK),
        ("X-Session-Id", "x", MASK),
        ("X-Coursio-hmac", "0123", MASK),
        ("X-Coursio-apikey", "public", "public"),
        ("Content-Type", "application/json", "application/json"),
        ("X-Bytes", "\xe5\xff", "\\xe5\\xff"),
        ("X-Text", "\xc3\xa5", "å"),
        ("X-Wide", "\u20ac", "\u20ac"),
    ],
)
def test_headers(name: str, value: str, shown: str) -> None:
    headers = ((name, value),)
    record = json_of(
        Exchange(Request("POST", "http://h/", headers, b""), Response(200, headers, b"")).record()
    )
    assert record["request"]["headers"] == record["response"]["headers"] == {name: shown}


def test_headers_that_come_twice() -> None:
    headers = (("X-A", "1"), ("Token", "a"), ("X-A", "2"), ("Token", "b"))
    record = json_of(Exchange(Request("POST", "http://h/", headers, b"")).record())
    assert record["request"]["headers"] == {"X-A": "1, 2", "Token": "***, ***"}


NAMED: list[tuple[Any, Any]] = [
    ({"data": {"sessionId": "new one"}}, {"data": {"sessionId": MASK}}),
    ({"SESSION": "x", "ticket": "y", "note": "z"}, {"SESSION": MASK, "ticket": MASK, "note": "z"}),
    ({"accessToken": 12345, "ok": True}, {"accessToken": MASK, "ok": True}),
    (
        {"session": {"id": "x", "of": {"a": "y"}}, "n": 1},
        {"session": {"id": MASK, "of": {"a": MASK}}, "n": 1},
    ),
    ({"tokens": ["a", ["b"], {"c": "d"}], "e": "f"}, {"tokens": [MASK, [MASK], {"c": MASK}], "e": "f"}),
    (
        {"sessionId": None, "hasToken": False, "token": ""},
        {"sessionId": None, "hasToken": False, "token": ""},
    ),
    ({"credential": 'a"b\\', "identity": "o"}, {"credential": MASK, "identity": "o"}),
    ({"session": {}, "a": "b"}, {"session": {}, "a": "b"}),
    ([{"token": "a"}, "b"], [{"token": MASK}, "b"]),
    ({"key": "opaque", "KEY": "b"}, {"key": MASK, "KEY": MASK}),
]


@pytest.mark.parametrize(("body", "shown"), NAMED)
@pytest.mark.parametrize("spaced", [False, True])
def test_a_login_is_masked_by_name(body: Any, shown: Any, spaced: bool) -> None:
    text = json.dumps(body, indent=2 if spaced else None).encode()
    secret_registry = SecretRegistry()
    secret_registry.member("Key")
    request, response = Request("POST", "http://h/", (), text), Response(200, (), text)
    record = json_of(Exchange(request, response, secret_registry=secret_registry, login=True).record())
    assert json.loads(record["request"]["body"]) == json.loads(record["response"]["body"]) == shown
    other = json_of(Exchange(request, response, secret_registry=secret_registry).record())
    assert other["response"]["body"] == text.decode()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b'{"se\\u0073sionId":"x"}', '{"se\\u0073sionId":"***"}'),
        (b'{"token":"cut off', '{"token":"***"'),
        (b'{"token":"cut off\\', '{"token":"***"'),
        (b'{"token" \n: "a" , "b" : "c"}', '{"token" \n: "***" , "b" : "c"}'),
        (b"plain token text", "plain token text"),
        (b'}}]]:"token":"x"', '}}]]:"token":"***"'),
        (b'["token","x"]', '["token","x"]'),
        (b"", ""),
    ],
)
def test_a_login_that_is_hardly_json(body: bytes, shown: str) -> None:
    exchange = Exchange(Request("POST", "http://h/", (), b""), Response(200, (), body), login=True)
    assert json_of(exchange.record())["response"]["body"] == shown


@given(st.binary(max_size=60) | st.text(alphabet='{}[]:,"\\ tokenx1', max_size=40).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_a_login_of_any_bytes_is_recorded(body: bytes) -> None:
    exchange = Exchange(Request("POST", "http://h/", (), body), Response(200, (), body), login=True)
    json.dumps(json_of(exchange.record()))


def test_a_deep_login_is_recorded() -> None:
    body = b'{"token":' * 50_000
    exchange = Exchange(Request("POST", "http://h/", (), b""), Response(200, (), body), login=True)
    assert json_of(exchange.record(limit=1_000_000))["response"]["body"].startswith('{"token":{"token":')


# Long bodies


def test_long_bodies_are_cut() -> None:
    body = b"x" * 20_000
    record = json_of(Exchange(Request("POST", "http://h/", (), body), Response(200, (), body)).record())
    for side in ("request", "response"):
        assert record[side]["body"] == "x" * 16_384 + "… (20000 bytes in all)"
    assert (
        json_of(Exchange(Request("POST", "http://h/", (), b"x" * 16_384)).record())["request"]["body"]
        == "x" * 16_384
    )


@pytest.mark.parametrize("shift", range(-40, 44, 3))
@pytest.mark.parametrize("login", [False, True])
def test_a_cut_never_leaves_part_of_a_secret(shift: int, login: bool) -> None:
    secret = "5f2c9a7e41d84b065f2c9a7e41d84b06"
    secret_registry = secret_registry_with(secret, "lösenord")
    for repeat in (1, 30):
        body = b"-" * (1000 + shift - 35 * (repeat - 1)) + (secret.encode() + b"---") * repeat + b"-" * 5000
        response = Response(200, (), body)
        record = json_of(
            Exchange(
                Request("POST", "http://h/", (), body), response, secret_registry=secret_registry, login=login
            ).record(limit=1000)
        )
        for side in ("request", "response"):
            shown = record[side]["body"]
            assert secret[:4] not in shown
            assert secret[-4:] not in shown
            assert len(shown) < 1040


def test_a_huge_body_costs_little() -> None:
    secret_registry = secret_registry_with(*SECRETS)
    for number in range(48):
        secret_registry.session(f"{number:032x}", "owner")
    body = b'{"rows":[' + b'"abcdefghijklmnopqrstuvwxyz",' * 500_000
    exchange = Exchange(
        Request("POST", "http://h/", (), body), Response(200, (), body), secret_registry=secret_registry
    )
    begun = time.process_time()
    json_of(exchange.record())
    assert time.process_time() - begun < 0.5
