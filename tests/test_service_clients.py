"""The four public client wrappers sign in with a key and read the dashboard.

Each test sends what its wrapper sends and finds the session as its wrapper finds it: in the headers or in
data, with
the wrapper's own way to write the time, and its content type.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator

import pytest

from fixtures.service import Service
from tests.service_client import Client, Reply

PUBLIC = "owner-public-key-0001"
PRIVATE = "owner-private-key-4c1f9a"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def client() -> Iterator[Client]:
    service = Service()
    yield Client(service)
    service.close()


def sign(moment: str, random: str, public: str = PUBLIC, private: str = PRIVATE) -> dict[str, str]:
    text = (public + moment + random).encode()
    return {
        "apikey": public,
        "time": moment,
        "random": random,
        "hmac": hmac.new(private.encode(), text, hashlib.sha1).hexdigest(),
    }


def in_headers(values: dict[str, str], kind: str | None) -> dict[str, str | bytes]:
    headers: dict[str, str | bytes] = {f"X-Coursio-{name}": value for name, value in values.items()}
    return headers | ({"Content-Type": kind} if kind else {})


def reads_dashboard(client: Client, token: str, kind: str | None = None) -> None:
    headers: dict[str, str | bytes] = {"Token": token}
    reply = client.raw(
        "/api/dashboard", b'{"method":"read"}', headers | ({"Content-Type": kind} if kind else {})
    )
    assert reply.status == 200
    assert reply.data["user"]["email"] == "owner@example.com"


def found_as_text(reply: Reply) -> str:
    """Find the session as two of the wrappers do: by the text, without a JSON parser."""
    text = reply.body.decode()
    mark = '"sessionId":"'
    start = text.index(mark) + len(mark)
    token = text[start : text.index('"', start)]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    return token


def php_body(sent: str, signed: str) -> bytes:
    """Return the body of the PHP wrapper: the time is a JSON number, and its text as PHP writes it is signed."""
    values = sign(signed, "84723984")
    rest = json.dumps({name: value for name, value in values.items() if name != "time"})
    return f'{{"method":"loginHmac","data":{{"time":{sent},{rest[1:]}}}'.encode()


def test_the_php_wrapper(client: Client) -> None:
    """The four values in data, time a number of seconds with a fraction; curl adds the form type by itself."""
    reply = client.raw("/api/auth", php_body("1792761234.5678", "1792761234.5678"), {"Content-Type": FORM})
    reads_dashboard(client, json.loads(reply.body)["data"]["sessionId"], FORM)


def test_the_php_wrapper_from_php_7_1_on(client: Client) -> None:
    """With serialize_precision -1 the number that is sent has more digits than the text that was signed."""
    reply = client.raw("/api/auth", php_body("1792761234.567812", "1792761234.5678"), {"Content-Type": FORM})
    assert reply.status == 401


@pytest.mark.parametrize("moment", ["1792761234", "1792761234.50", "1.7e9", "-1", "1" * 40])
def test_a_number_as_the_time_counts_by_its_text(client: Client, moment: str) -> None:
    assert client.raw("/api/auth", php_body(moment, moment), {}).status == 200
    assert client.raw("/api/auth", php_body(moment, f"{moment}0"), {}).status == 401


def test_the_java_wrapper(client: Client) -> None:
    """The four values in headers and no data, time as yyyy-MM-dd HH:mm:ss.SSS, application/json; found as text."""
    values = sign("2026-11-23 09:07:12.345", "0.7311431")
    kind = "application/json"
    reply = client.raw("/api/auth", b'{"method":"loginHmac"}', in_headers(values, kind))
    reads_dashboard(client, found_as_text(reply), kind)


def test_the_csharp_wrapper(client: Client) -> None:
    """The four values in headers, time as MM/dd/yyyy hh:mm, application/json; found as text."""
    values = sign("11/23/2026 09:07", "1804289383")
    kind = "application/json"
    reply = client.raw("/api/auth", b'{"method": "loginHmac"}', in_headers(values, kind))
    reads_dashboard(client, found_as_text(reply), kind)


def test_the_python_wrapper(client: Client) -> None:
    """The four values in headers, time in milliseconds, the form type of the HTTP library.

    Its call of dashboard.read has `"data":"null"`, a text, which REQ-6 refuses: without `data` the session works.
    """
    values = sign("1792761234567", "f3b9c1d2")
    reply = client.raw("/api/auth", b'{"method": "loginHmac"}', in_headers(values, FORM))
    token = reply.data["sessionId"]
    sent = b'{"method": "read", "data": "null"}'
    assert client.raw("/api/dashboard", sent, {"Token": token, "Content-Type": FORM}).status == 400
    reads_dashboard(client, token, FORM)


@pytest.mark.parametrize(
    "moment", ["1792761234567", "1792761234.5678", "11/23/2026 09:07", "2026-11-23 09:07:12.345", "å\u2028"]
)
def test_the_time_is_opaque(client: Client, moment: str) -> None:
    reply = client.call("auth.loginHmac", sign(moment, "1"))
    assert reply.status == 200
    reads_dashboard(client, reply.data["sessionId"])


def test_an_upper_case_signature_is_the_same_number(client: Client) -> None:
    values = sign("1", "2")
    assert client.call("auth.loginHmac", values | {"hmac": values["hmac"].upper()}).status == 200


@pytest.mark.parametrize("missing", ["apikey", "time", "random", "hmac"])
def test_a_value_left_out(client: Client, missing: str) -> None:
    """AUT-16, in data and in headers; the two ways are not mixed."""
    values = sign("1", "2")
    left = {name: value for name, value in values.items() if name != missing}
    assert client.call("auth.loginHmac", left).status == 400
    assert client.raw("/api/auth", b'{"method":"loginHmac"}', in_headers(left, None)).status == 400
    other: dict[str, str | bytes] = {f"X-Coursio-{missing}": values[missing]}
    body = json.dumps({"method": "loginHmac", "data": left}).encode()
    assert client.raw("/api/auth", body, other).status == 400


@pytest.mark.parametrize(
    "change",
    [
        {"hmac": "0" * 40},
        {"hmac": "x"},
        {"hmac": "é"},
        {"time": "3"},
        {"random": "3"},
        {"apikey": "peer-public-key-0002"},
        {"apikey": "unknown"},
        {"apikey": "' OR 1=1 --"},
    ],
)
def test_wrong_signatures(client: Client, change: dict[str, str]) -> None:
    """AUT-16."""
    reply = client.call("auth.loginHmac", sign("1", "2") | change)
    assert reply.status == 401
    assert b"sessionId" not in reply.body


def test_the_private_key_of_another_user(client: Client) -> None:
    assert client.call("auth.loginHmac", sign("1", "2", private="peer-private-key-77d20b")).status == 401


def test_an_unknown_key_cannot_be_signed_for(client: Client) -> None:
    """What stands in for a missing private key must not open anything."""
    values = sign("1", "2", public="unknown", private="no such key")
    assert client.call("auth.loginHmac", values).status == 401


def test_nothing_sent_is_one_refusal(client: Client) -> None:
    """REQ-2."""
    assert client.call("auth.loginHmac").body == client.call("auth.loginHmac", {}).body
