"""JSON is read by the letter, no secret gets into a record, and a curl line repeats its request."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from conformance.protocol.client import Client
from conformance.protocol.exchange import Exchange, Failure, Request, Response
from conformance.protocol.redaction import MASK, SecretRegistry
from conformance.protocol.strict_json import read_json
from tests.conformance.protocol.test_wire import always, answer, serving
from tests.support.events import json_of

# JSON


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"{}", {}),
        (b" \t\r\n[1]\n ", [1]),
        (b"null", None),
        (b'"\xc3\xa5\xf0\x9f\x98\x80"', "å😀"),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\ud800"', "\ud800"),
        (b'"\\udc00\\ud800"', "\udc00\ud800"),
        (b'"\\u0000\\/"', "\0/"),
        (b'"\x7f\xe2\x80\xa8"', "\x7f\u2028"),
        (b"-0", 0),
        (b"1e400", float("inf")),
        (b"1.0", 1.0),
        (b'{"a":{"a":1}}', {"a": {"a": 1}}),
        (b'{"":1," ":2}', {"": 1, " ": 2}),
        (b"9" * 4000, 10**4000 - 1),
    ],
)
def test_json(body: bytes, value: Any) -> None:
    read = read_json(body)
    assert read.error is None
    assert read.value == value


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b" ", "character"),
        (b"\xef\xbb\xbf{}", "byte-order mark"),
        ("{}".encode("utf-16"), "byte-order mark"),
        ("{}".encode("utf-16-le"), "character"),
        (b'"\xff"', "not UTF-8: byte 0xff at offset 1"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'"\xc0\xaf"', "not UTF-8"),
        (b'"\xc3', "not UTF-8"),
        (b"NaN", "NaN"),
        (b"[Infinity]", "Infinity"),
        (b"-Infinity", "Infinity"),
        (b'{"a":1,"a":1}', "'a' appears twice"),
        (b'{"a":1,"\\u0061":1}', "'a' appears twice"),
        (b'[{"b":{"a":1,"a":{}}}]', "'a' appears twice"),
        (b"{} {}", "Extra data"),
        (b"{}x", "Extra data"),
        (b"{}\0", "Extra data"),
        (b"\x0b{}", "character"),
        ("\u00a0{}".encode(), "character"),
        (b"{}\x0c", "Extra data"),
        (b"{'a':1}", "character"),
        (b'{"a":1,}', "character"),
        (b"[1,]", "character"),
        (b'{"a"}', "character"),
        (b'"\t"', "control character"),
        (b'"\\x41"', "escape"),
        (b'"\\ud8"', "escape"),
        (b"01", "Extra data"),
        (b"+1", "character"),
        (b".5", "character"),
        (b"1.", "Extra data"),
        ("١".encode(), "character"),
        ("1١".encode(), "Extra data"),
        (b"True", "character"),
        (b"nul", "character"),
        (b"// x\n{}", "character"),
        (b'"a', "Unterminated"),
        (b"[" * 200, "character"),
    ],
)
def test_not_json(body: bytes, why: str) -> None:
    read = read_json(body)
    assert read.error is not None
    assert why.lower() in read.error.lower()
    assert read.value is None


@pytest.mark.parametrize("digits", [4300, 4301, 10_000, 200_000])
@pytest.mark.parametrize("sign", [b"", b"-"])
def test_long_integers(digits: int, sign: bytes) -> None:
    begun = time.process_time()
    read = read_json(b'{"a":[' + sign + b"7" * digits + b"]}")
    assert read.error is None
    assert isinstance(read.value["a"][0], int | float)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "body", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000 + b"1" + b"}" * 100_000]
)
def test_depth(body: bytes) -> None:
    exchange = Exchange(Request("POST", "http://h/", (), b""), Response(200, (), body))
    assert exchange.json.error == "nested too deep to read"
    assert exchange.envelope is None
    assert json_of(exchange.record())["response"]["body"].startswith(("[[[", '{"a":{"a"'))


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
    told = json.dumps(json_of(exchange.record()))
    assert ("somebody" in told) is (size < 1_000_000)
    assert "x" * min(size, 4_096) not in told


def test_a_long_member_name_is_not_repeated_whole() -> None:
    name = b'"' + b"n" * 100_000 + b'":1'
    assert len(read_json(b"{" + name + b"," + name + b"}").error or "") < 200


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    read = read_json(body)
    if read.error is None:
        assert json.loads(body.decode()) == read.value or read.value != read.value


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(values, st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_is_json_is_read(value: Any, spaced: bool) -> None:
    body = json.dumps(value, indent=1 if spaced else None).encode()
    assert read_json(body).value == value
    assert read_json(body + b"!").error is not None


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
    held: dict[str, Any] = {
        "url": "http://h/api/x",
        "sent": b"{}",
        "came": b"{}",
        "in": "",
        "out": "",
        "why": "reset",
    }
    wire = whole.encode("utf-8", "surrogatepass")
    if place in ("sent", "came"):
        held[place] = wire
    elif place in ("in", "out"):
        held[place] = wire.decode("latin-1")
    elif place == "url":
        held["url"] += f"?{whole}"
    else:
        held["why"] = whole
    request = Request("POST", held["url"], (("X-Note", held["out"]),), held["sent"])
    response = Response(200, (("X-Note", held["in"]),), held["came"]) if place != "why" else None
    failure = Failure("closed", held["why"]) if place == "why" else None
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


# What a curl line does


curl = shutil.which("curl")
needs_curl = pytest.mark.skipif(curl is None, reason="repeating a request takes the command curl")
TOKEN = "s3cr3t-t0k3n"

REPEATED: list[tuple[str, dict[str, Any]]] = [
    ("plain", {"body": b'{"method":"read"}'}),
    ("with a token", {"body": b"{}", "headers": [("Token", TOKEN)]}),
    ("an empty token", {"body": b"{}", "headers": [("Token", "")]}),
    ("another case", {"body": b"{}", "headers": [("tOKEN", TOKEN)]}),
    ("no body", {"body": b""}),
    ("no content type", {"body": b"{}", "content_type": None}),
    ("no body, no content type", {"body": b"", "content_type": None}),
    ("another content type", {"body": b"a=b&c", "content_type": "application/x-www-form-urlencoded"}),
    ("at sign", {"body": b"@/etc/hostname"}),
    ("quotes", {"body": b"""{"a":"it's \\"quoted\\" `x` $HOME $(id) \\\\ !"}"""}),
    ("lines", {"body": b'{\r\n\t"a": 1\n}\n\n'}),
    ("percent", {"body": b"%s %n %% \\n \\x41"}),
    ("not ASCII", {"body": '{"a":"å😀"}'.encode()}),
    ("not UTF-8", {"body": b'{"a":"\xff\xfe%s\\\'x"}'}),
    ("NUL", {"body": b"a\0b%d\\0"}),
    ("other text", {"body": b"-d x"}),
    ("chunked", {"body": b'{"a":1}', "chunked": True}),
    ("get", {"verb": "GET"}),
    ("get with a body", {"verb": "GET", "body": b"{}"}),
    ("head", {"verb": "HEAD"}),
    ("put", {"verb": "PUT", "body": b"{}"}),
    ("delete without a body", {"verb": "DELETE"}),
    ("an odd verb", {"verb": "M-SEARCH", "body": b"{}"}),
    ("dots", {"target": "a/../b/./c", "body": b"{}"}),
    ("coded dots", {"target": "%2e%2e/b", "body": b"{}"}),
    ("slashes", {"target": "//x//", "body": b"{}"}),
    ("brackets", {"target": "x[1-3]{a,b}?q=[]", "body": b"{}"}),
    ("query", {"target": "x?a='b'&c=%20", "body": b"{}"}),
    ("quotes in a header", {"body": b"{}", "headers": [("X-Note", """a'b"c$d""")]}),
    ("large", {"body": b"x" * 16_000}),
]


@needs_curl
@pytest.mark.parametrize(("name", "options"), REPEATED, ids=[name for name, _ in REPEATED])
def test_curl_repeats_the_request(name: str, options: dict[str, Any], tmp_path: Path) -> None:
    secret_registry = secret_registry_with(TOKEN)
    reply = answer(b"", "Content-Length: 0", "Connection: close", length=False)
    with serving(always(reply)) as served:
        client = Client(served.url, secret_registry=secret_registry, timeout=5)
        exchange = client.send(**{"target": "course", **options})
        client.close()
        line = json_of(exchange.record())["curl"]
        assert TOKEN not in line
        command = line.replace(MASK, TOKEN)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        done = subprocess.run(
            ["sh", "-c", command],
            capture_output=True,
            timeout=10,
            cwd=tmp_path,
            env={**environment, "HOME": str(tmp_path)},
        )
    assert done.returncode == 0, done.stderr
    ours, theirs = (_parts(request) for request in served.requests)
    assert theirs == ours
    if b"\0" not in exchange.request.body and _is_text(exchange.request.body):
        words = shlex.split(line)
        assert words[:2] == ["curl", "-sS"]
        assert exchange.request.url in words


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parts(request: bytes) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return the first line, the headers but for those that each client sends in its own way, the body."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = [(name, value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    names = [name.lower() for name, _ in headers]
    if b"transfer-encoding" in names:
        data = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            data, body = data + body[: int(size, 16)], body[int(size, 16) + 2 :]
        body = data
    own = (b"user-agent", b"accept", b"host")
    return first, sorted(pair for pair in headers if pair[0].lower() not in own), body


@needs_curl
def test_curl_repeats_head_with_a_body() -> None:
    with serving(always(answer(b"", "Content-Length: 0", "Connection: close", length=False))) as served:
        client = Client(served.url, timeout=5)
        exchange = client.send("x", b'{"method":"remove"}', verb="HEAD")
        client.close()
        subprocess.run(["sh", "-c", json_of(exchange.record())["curl"]], capture_output=True, timeout=10)
    ours, theirs = (_parts(request) for request in served.requests)
    assert theirs == ours


def test_curl_of_a_hostile_request_is_one_command() -> None:
    request = Request(
        "X;id", "http://h/$(id)`id`'\";id", (("A';id;'", "b';id;'"), ("Token", ""), ("B", "$(id)")), b"';id;'"
    )
    words = shlex.split(json_of(Exchange(request).record())["curl"])
    assert words == [
        *("curl", "-sS", "-X", "X;id", "http://h/$(id)`id`'\";id", "-H", "A';id;': b';id;'", "-H", "Token;"),
        *("-H", "B: $(id)", "-H", "Content-Type:", "--data-raw", "';id;'"),
    ]


# The rest of a record


def test_a_record() -> None:
    request = Request("POST", "http://h/api/x", (("Token", "t"),), b"{}")
    response = Response(404, (("Content-Type", "application/json"),), b'{"errMsg":"No"}')
    exchange = Exchange(request, response, seconds=0.1234567, number=7, function="x.y", user="owner")
    assert json_of(exchange.record()) == {
        "number": 7,
        "function": "x.y",
        "user": "owner",
        "request": {"verb": "POST", "url": "http://h/api/x", "headers": {"Token": MASK}, "body": "{}"},
        "response": {
            "status": 404,
            "headers": {"Content-Type": "application/json"},
            "body": '{"errMsg":"No"}',
            "seconds": 0.123457,
        },
        "failure": None,
        "curl": "curl -sS http://h/api/x -H 'Token: ***' -H 'Content-Type:' --data-raw '{}'",
    }
    failed = Exchange(
        request, failure=Failure("timeout", "not a byte"), secret_registry=secret_registry_with("byte")
    )
    assert json_of(failed.record())["failure"] == "timeout: not a ***"
    assert json_of(failed.record())["response"] is None


def test_what_an_exchange_says() -> None:
    request = Request("POST", "http://h/", (), b"")

    def came(status: int, body: bytes) -> Exchange:
        return Exchange(request, Response(status, (), body))

    good = came(200, b'{"isError":false,"errMsg":null,"data":{"a":1}}')
    assert (good.status, good.data, good.message, good.succeeded, good.is_post) == (
        200,
        {"a": 1},
        None,
        True,
        True,
    )
    bad = came(400, b'{"isError":true,"errMsg":"No","data":null}')
    assert (bad.succeeded, bad.summary()) == (False, "status 400, errMsg 'No'")
    odd = came(200, b'{"isError":true}')
    assert (odd.succeeded, odd.data) == (False, None)
    page = came(200, b"<p>")
    assert (page.envelope, page.data, page.message, page.succeeded) == (None, None, None, True)
    none = Exchange(request, failure=Failure("closed", "gone"))
    assert (none.status, none.json.error, none.succeeded) == (None, "no response", False)
    assert none.summary() == "no answer: gone"
