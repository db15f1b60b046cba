"""The test servers behave as they say."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import yaml

from tests.servers.library import Library
from tests.servers.library_defects import DEFECTS
from tests.servers.library_model import BASE
from tests.servers.library_wire import Server
from tests.servers.tickets import BREAKS
from tests.support.signalling import obeys_signals

ROOT = Path(__file__).parent.parent.parent
RULE = re.compile(r"(HTTP|REQ|ENV|COD|AUT|ACC|PAG|NAM|DAT|STA|SEC)-[0-9]{1,2}")


class Caller:
    """Calls functions, and keeps each answer against the catalogue."""

    def __init__(self, url: str, catalog: dict[str, Any] | None = None) -> None:
        self.url = url
        self.catalog = catalog
        self.http = httpx.Client(timeout=240, verify=False)  # certificates take 0.1 s to load

    def __call__(self, name: str, data: Any = None, token: str | None = None, **more: Any) -> httpx.Response:
        entity, _, method = name.partition(".")
        body = {"method": method, **more} if data is None else {"method": method, "data": data, **more}
        headers = {} if token is None else {"Token": token}
        response = self.http.post(self.url + entity, json=body, headers=headers)
        if self.catalog is not None:
            self.check(name, response)
        return response

    def check(self, name: str, response: httpx.Response) -> None:
        body = response.json()
        assert {"isError", "errMsg", "data"} <= body.keys()
        assert body["isError"] is (response.status_code != 200)
        assert response.status_code in (200, 400, 401, 403, 404)
        if response.status_code != 200:
            assert body["errMsg"].strip()
            return
        assert body["errMsg"] is None
        assert self.catalog is not None
        for method in self.catalog["methods"]:
            if method["name"] == name:
                declared = {**method["result"]["schema"], "components": self.catalog["components"]}
                jsonschema.validate(body["data"], declared, format_checker=jsonschema.FormatChecker())

    def raw(self, *pieces: bytes) -> bytes:
        """What comes back for these bytes until the server ends the connection."""
        address = httpx.URL(self.url)
        with socket.create_connection((address.host, address.port or 80), timeout=240) as connection:
            for piece in pieces:
                connection.sendall(piece)
            received = b""
            while part := connection.recv(65536):
                received += part
        return received


def start(module: str, *options: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    command = [sys.executable, "-m", f"tests.servers.{module}", "--port", "0", "--exit-with-parent", *options]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=obeys_signals(),
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def serve(module: str, *options: str) -> Iterator[dict[str, str]]:
    process, ready = start(module, *options)
    yield ready
    process.terminate()
    assert process.wait(300) == 0


@pytest.fixture(scope="module")
def library_ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    yield from serve("library", "--dir", str(tmp_path_factory.mktemp("library")))


@pytest.fixture(scope="module")
def library(library_ready: dict[str, str]) -> Caller:
    return Caller(library_ready["url"], json.loads(Path(library_ready["catalog"]).read_text()))


@pytest.fixture(scope="module")
def tickets_ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    yield from serve("tickets", "--dir", str(tmp_path_factory.mktemp("tickets")))


@pytest.fixture(scope="module")
def tickets(tickets_ready: dict[str, str]) -> Caller:
    return Caller(tickets_ready["url"], yaml.safe_load(Path(tickets_ready["catalog"]).read_text()))


PHRASES = {
    "marian": "Quiet Please, 1957",
    "Åsa_K": "lånekort?Blått!88",
    "head-of-house": "DeweyDecimal/025.431",
}


def visit(library: Caller, name: str = "marian") -> str:
    answer = library("session.open", {"userName": name, "passPhrase": PHRASES[name]})
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["data"]["ticket"]["id"]
    return token


# -- all ------------------------------------------------------------------------------------------------


def test_profiles_name_what_the_servers_have(
    library_ready: dict[str, str], tickets_ready: dict[str, str]
) -> None:
    for ready in (library_ready, tickets_ready):
        profile = tomllib.loads(Path(ready["profile"]).read_text())
        assert profile["target"]["url"] == ready["url"]
        catalog = Path(ready["profile"]).parent / profile["target"]["catalog"]
        assert catalog == Path(ready["catalog"])
        names = [method["name"] for method in yaml.safe_load(catalog.read_text())["methods"]]
        assert profile["auth"]["login"]["function"] in names


def test_a_server_ends_with_its_parent() -> None:
    process, _ = start("tickets")
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(300) == 0


@pytest.mark.parametrize("module", ["library", "tickets", "nojson"])
def test_a_server_ends_on_sigterm(module: str) -> None:
    process, _ = start(module)
    process.send_signal(signal.SIGTERM)
    assert process.wait(300) == 0


def test_a_page_server_has_no_json() -> None:
    for ready in serve("nojson"):
        with httpx.Client(verify=False) as http:
            for url, status in ((ready["url"], 200), (ready["url"] + "auth", 404)):
                response = http.post(url, json={"method": "login"})
                assert response.status_code == status
                assert response.headers["Content-Type"].startswith("text/html")
                assert response.text.startswith("<!doctype html>")


# -- the library ----------------------------------------------------------------------------------------


def test_sessions(library: Caller) -> None:
    first, second = visit(library), visit(library)
    assert first != second
    assert library("session.whoAmI", None, first).json()["data"]["reader"]["handle"] == "marian"
    assert library("session.close", {}, first).json()["data"] is None
    assert library("session.whoAmI", None, first).status_code == 401
    assert library("session.whoAmI", None, second).status_code == 200


@pytest.mark.parametrize(
    ("name", "phrase", "status"),
    [
        ("marian", "quiet please, 1957", 403),
        ("marian", "Quiet Please, 195", 403),
        ("marian", "Quiet Please, 1957 ", 403),
        ("nobody", "Quiet Please, 1957", 403),
        ("marian", "", 400),
        ("marian", None, 400),
        ("marian", {"$gt": ""}, 400),
    ],
)
def test_wrong_credentials(library: Caller, name: str, phrase: Any, status: int) -> None:
    response = library("session.open", {"userName": name, "passPhrase": phrase})
    assert response.status_code == status
    assert "ticket" not in response.text


def test_key_login(library: Caller) -> None:
    key, time, noise = "desk-terminal-1", "2026-01-01 10:00:00.000", "a1"
    sign = hmac.new(b"kY7-private-desk", (key + time + noise).encode(), hashlib.sha1).hexdigest()
    parts = {"apikey": key, "time": time, "random": noise, "hmac": sign}
    token = library("session.openKey", parts).json()["data"]["ticket"]["id"]
    assert library("session.whoAmI", None, token).status_code == 200
    headers = {f"X-Coursio-{name}": value for name, value in parts.items()}
    body = {"method": "openKey"}
    assert library.http.post(library.url + "session", json=body, headers=headers).status_code == 200
    assert library("session.openKey", {**parts, "hmac": sign[:-1] + "x"}).status_code == 403
    assert library("session.openKey", {**parts, "apikey": "none"}).status_code == 403
    assert library("session.openKey", {"apikey": key}).status_code == 400
    assert library("session.openKey").status_code == 400


@pytest.mark.parametrize("token", ["", "unknown", "x" * 4096, "' OR '1'='1"])
def test_unknown_tokens(library: Caller, token: str) -> None:
    assert library("book.list", None, token).status_code == 401
    assert library("desk.hours", None, token).status_code == 401


def test_token_outside_ascii(library: Caller) -> None:
    body = b'{"method":"list"}'
    head = f"POST {BASE}book HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    assert b" 401 " in library.raw(head.encode() + b"Token: \xff\xfe\xe5\r\n\r\n" + body)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b'{"method":"hours",}', 400),
        (b"{'method':'hours'}", 400),
        (b"method=hours", 400),
        (b'{"method":"\xff"}', 400),
        (b'{"method":"hours"}{}', 400),
        (b'\xef\xbb\xbf{"method":"hours"}', 400),
        (b'{"method":"hours","x":NaN}', 400),
        (b'{"method":"hours","method":"hours"}', 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{}", 400),
        (b'{"method":5}', 400),
        (b'{"method":""}', 404),
        (b'{"method":"nothing"}', 404),
        (b'{"method":"__class__"}', 404),
        (b'{"method":"Hours"}', 404),
        (b'{"method":"hours "}', 404),
        (b'{"method":"hours","data":[]}', 400),
        (b'{"method":"hours","data":false}', 400),
        (b'{"method":"hours","data":null}', 200),
        (b'{"method":"hours","other":{"a":1}}', 200),
        (b' { "data" : {} ,\n"m\\u0065thod":"\\u0068ours" } ', 200),
        (b"[" * 100_000, 400),
        (b'{"method":"hours","data":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, 400),
        (b'{"method":"hours","x":' + b"9" * 10_000 + b"}", 200),
    ],
)
def test_bodies(library: Caller, body: bytes, status: int) -> None:
    for kind in ({}, {"Content-Type": "application/x-www-form-urlencoded"}):
        response = library.http.post(library.url + "desk", content=body, headers=kind)
        assert response.status_code == status
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "no-store"
        library.check("desk.hours", response)


def test_chunked(library: Caller) -> None:
    response = library.http.post(library.url + "desk", content=iter([b'{"method":', b'"hours"}']))
    assert response.status_code == 200


def test_other_verbs(library: Caller) -> None:
    for verb in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
        response = library.http.request(verb, library.url + "desk", json={"method": "hours"})
        assert response.status_code == 405
        assert response.json()["isError"] is True
    head = library.http.head(library.url + "desk")
    assert (head.status_code, head.content) == (405, b"")


@pytest.mark.parametrize(
    "path", ["desk/", "Desk", "%64esk", "/desk", "x/../desk", "desk%00", "desk%2f", "nix"]
)
def test_other_endpoints(library: Caller, path: str) -> None:
    body = b'{"method":"hours"}'
    request = (
        f"POST {BASE}{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    assert library.raw(request.encode() + body).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /v2/rpc/desk HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
        (
            b"POST /v2/rpc/desk HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /v2/rpc/desk HTTP/1.1\nHost: a\nContent-Length: 2\n\n{}", 400),
        (b"POST /v2/rpc/desk HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /v2/rpc/desk HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /v2/rpc/desk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST /v2/rpc/desk HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"POST /v2/rpc/desk HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\r\n\r\n", 400),
    ],
)
@pytest.mark.parametrize("which", ["library", "tickets"])
def test_malformed_http(head: bytes, status: int, which: str, request: pytest.FixtureRequest) -> None:
    caller: Caller = request.getfixturevalue(which)
    received = caller.raw(head)
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert received.count(b"HTTP/1.1 ") == 1
    assert b'"isError":true' in received


@pytest.mark.parametrize("which", ["library", "tickets"])
def test_expectation_and_pipelining(which: str, request: pytest.FixtureRequest) -> None:
    caller: Caller = request.getfixturevalue(which)
    path = httpx.URL(caller.url).path + ("desk" if which == "library" else "auth")
    body = b'{"method":"none"}'
    lines = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    received = caller.raw(
        (lines + "Expect: 100-continue\r\n\r\n").encode(),
        body,
        (lines + "\r\n").encode() + body,
        (lines + "Connection: close\r\n\r\n").encode() + body,
    )
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 ")
    assert received.count(b"HTTP/1.1 404 ") == 3


def test_order_of_checks(library: Caller) -> None:
    assert library("book.get", {"bookId": 5}).status_code == 401
    assert library("book.get", [], pageStart=-1).status_code == 401
    assert library("reader.get", {"handle": 5}, visit(library)).status_code == 403
    assert library("loan.list", None, visit(library, "head-of-house")).status_code == 403
    assert library("reader.list", None, visit(library, "head-of-house")).status_code == 200


def test_a_book_from_create_to_destroy(library: Caller) -> None:
    token, other = visit(library), visit(library, "Åsa_K")
    shelf = library("shelf.create", {"label": "A\u0301\U0001f4da", "floor": 10**30}, token).json()["data"]
    assert (shelf["label"], shelf["floor"]) == ("A\u0301\U0001f4da", 10**30)
    given = {
        "title": "\U0001f4d6" * 200,
        "isbn": "9780000000001",
        "copies": 2.0,
        "price": 0.1,
        "tags": ["a", "b"],
        "labels": {"under_scored": "x"},
        "size": {"height": 1, "width": 2},
        "keeper": "a.b+c@example.org",
        "shelfId": shelf["shelfId"],
        "note": "n" * 65536,
    }
    ident = library("book.create", given, token).json()["data"]["book"]["bookId"]
    read = library("book.get", {"bookId": ident}, token).json()["data"]["book"]
    assert {name: read[name] for name in given} == given
    assert ident in library("book.list", None, token).text
    for name in ("book.get", "book.change", "book.destroy"):
        assert library(name, {"bookId": ident}, other).status_code == 403
        assert library(name, {"bookId": "none"}, token).status_code == 400
    changed = library("book.change", {"bookId": ident, "size": None}, token).json()["data"]["book"]
    assert {name for name in read if read[name] != changed[name]} == {"size", "revision", "changedAt"}
    loan = {"bookIds": [ident], "fromDay": "2026-02-01", "untilDay": "2026-02-28"}
    loan_id = library("loan.create", loan, token).json()["data"]["loanId"]
    assert library("loan.list", None, token).json()["data"]["loans"] == [loan_id]
    assert library("loan.get", {"loanId": loan_id}, other).status_code == 403
    assert library("loan.create", {**loan, "untilDay": "2026-01-31"}, token).status_code == 400
    assert library("loan.destroy", {"loanId": loan_id}, token).status_code == 200
    assert library("book.destroy", {"bookId": ident}, token).status_code == 200
    assert library("book.destroy", {"bookId": ident}, token).status_code == 403
    assert library("book.get", {"bookId": ident}, token).status_code == 400
    assert library("shelf.destroy", {"shelfId": shelf["shelfId"]}, token).status_code == 200
    again = library("shelf.create", {"label": "again"}, token).json()["data"]["shelfId"]
    assert again == shelf["shelfId"]
    assert library("shelf.destroy", {"shelfId": again}, token).status_code == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": None},
        {"title": "a\0b"},
        {"isbn": "97800000000011"},
        {"language": "fr"},
        {"copies": True},
        {"copies": "1"},
        {"copies": 1000},
        {"copies": 1.5},
        {"copies": None},
        {"price": -0.5},
        {"tags": ["a", "a"]},
        {"labels": {"a": 1}},
        {"size": {"height": 1}},
        {"size": {"height": 1, "width": 1, "depth": 1}},
        {"keeper": "a@@b.c"},
        {"keeper": "a@b"},
        {"shelfId": 0},
        {"shelfId": 999_999},
        {"undeclared": 1},
    ],
)
def test_invalid_books(library: Caller, wrong: dict[str, Any]) -> None:
    token = visit(library)
    status = 403 if wrong == {"shelfId": 999_999} else 400
    assert library("book.create", {"title": "x", **wrong}, token).status_code == status
    assert library("book.list", None, token).json()["data"]["result"]["total"] == 0


@pytest.mark.parametrize(
    "number", [b"1e400", b"1e99999999999999999999", b"0.12345678901234567890123", b"1e-400"]
)
def test_numbers_that_a_double_rounds(library: Caller, number: bytes) -> None:
    body = b'{"method":"create","data":{"title":"x","price":' + number + b"}}"
    headers = {"Token": visit(library)}
    response = library.http.post(library.url + "book", content=body, headers=headers)
    assert response.status_code == 400


def test_unpaired_surrogates_are_refused(library: Caller) -> None:
    body = b'{"method":"create","data":{"title":"\\ud800"}}'
    response = library.http.post(library.url + "book", content=body, headers={"Token": visit(library)})
    assert response.status_code == 400


def test_paging(library: Caller) -> None:
    whole = library("desk.news").json()["data"]["news"]
    for length in (1, 2, 5, 11, 12, 13, 10**30):
        pages: list[Any] = []
        while rows := library("desk.news", pageStart=len(pages), pageLength=length).json()["data"]["news"]:
            assert len(rows) <= length
            pages += rows
        assert pages == whole
    assert library("desk.news", pageStart=3).json()["data"]["news"] == whole[3:]
    assert library("desk.news", pageStart=2**31 - 1).json()["data"]["news"] == []
    assert library("desk.news", pageStart=None).json()["data"]["news"] == whole
    wrong: Any
    for wrong in (-1, 0.5, 1.0, True, "1", 2**31, 2**63, 10**30, [], {}):
        assert library("desk.news", pageStart=wrong).status_code == 400
    for wrong in (-1, 0, 0.5, 1.0, True, "1", None, [], {}):
        assert library("desk.news", pageLength=wrong).status_code == 400


def test_concurrent_creates(library: Caller) -> None:
    token = visit(library, "Åsa_K")

    def create(number: int) -> int:
        ident: int = library("shelf.create", {"label": f"s{number}"}, token).json()["data"]["shelfId"]
        return ident

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(create, range(40)))
    listed = [row["shelfId"] for row in library("shelf.list", None, token).json()["data"]]
    assert len(set(made)) == 40
    assert sorted(made) == listed
    for ident in made:
        assert library("shelf.destroy", {"shelfId": ident}, token).status_code == 200


# -- the tickets ----------------------------------------------------------------------------------------


def enter(tickets: Caller, name: str = "olof", pin: str = "480213") -> str:
    token: str = tickets("auth.enter", {"name": name, "pin": pin}).json()["data"]["sessionId"]
    return token


def test_tickets(tickets: Caller) -> None:
    olof, petra = enter(tickets), enter(tickets, "petra", "917350")
    before = tickets("ticket.queue", None, olof).json()["data"]["queue"]
    subject = "\ud800\0\U0001f39f"
    body = json.dumps({"method": "open", "data": {"subject": subject, "role": "x"}}).encode()
    response = tickets.http.post(tickets.url + "Ticket/", content=body, headers={"tOKEN": olof})
    made = response.json()["data"][0]
    assert made["subject"] == subject
    shown = tickets("ticket.show", {"ticketNo": float(made["ticketNo"])}, olof).json()["data"]
    assert shown == [made]
    assert tickets("ticket.show", {"ticketNo": made["ticketNo"]}, petra).status_code == 404
    assert tickets("ticket.show", {"ticketNo": made["ticketNo"]}).status_code == 401
    assert tickets("ticket.queue", None, olof).json()["data"]["queue"] == [made, *before]
    assert tickets("ticket.queue", None, olof, pageLength=0).json()["data"]["queue"] == []
    assert tickets("ticket.queue", None, olof, pageStart=1).json()["data"]["queue"] == before
    assert tickets("ticket.queue", None, olof, pageStart=10**30).json()["data"]["queue"] == []
    for wrong in (-1, 0.5, True, "1"):
        assert tickets("ticket.queue", None, olof, pageLength=wrong).status_code == 400
    data: Any
    for data in ({"subject": ""}, {"subject": 1}, {"subject": "x", "priority": 6}, {}, []):
        assert tickets("ticket.open", data, olof).status_code == 400
    assert tickets("ticket.close", {}, olof).status_code == 404
    assert tickets("nothing.open", {}, olof).status_code == 404


def test_what_tickets_break(tickets: Caller) -> None:
    assert set(BREAKS) == {"HTTP-5", "ENV-8", "ENV-9", "COD-9", "AUT-7", "AUT-12", "SEC-5"}
    refused = tickets.http.get(tickets.url + "ticket")
    assert (refused.status_code, refused.headers["Content-Type"]) == (405, "text/html")
    invalid = tickets("ticket.show", {"ticketNo": "x"})
    assert (invalid.status_code, invalid.json()["data"]) == (400, {"member": "ticketNo"})
    assert "took" in invalid.json()
    credentials = {"name": "olof", "pin": "480213"}
    assert tickets("auth.enter", credentials, "unknown").status_code == 403
    one, other = (tickets("auth.enter", {"name": name, "pin": "000000"}) for name in ("olof", "nobody"))
    assert one.json()["errMsg"] != other.json()["errMsg"]
    assert "Cache-Control" not in tickets("ticket.queue", None, enter(tickets)).headers


# -- the defects ----------------------------------------------------------------------------------------


def test_defects_name_rules() -> None:
    assert len(DEFECTS) >= 40
    for rules in DEFECTS.values():
        assert rules
        assert all(RULE.fullmatch(rule) for rule in rules)
    areas = {rule.split("-")[0] for rules in DEFECTS.values() for rule in rules}
    assert areas == {"HTTP", "REQ", "ENV", "COD", "AUT", "ACC", "PAG", "NAM", "DAT", "STA", "SEC"}


def test_a_defect_is_chosen_on_the_command_line() -> None:
    for ready in serve("library", "--defect", "unknown-function-400"):
        assert Caller(ready["url"])("desk.nothing").status_code == 400


@pytest.mark.parametrize("defect", sorted(DEFECTS))
def test_a_defect_starts_and_signs_in(defect: str) -> None:
    server = Server(0, Library(defect))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        caller = Caller(f"http://127.0.0.1:{server.server_port}{BASE}")
        response = caller("session.open", {"userName": "marian", "passPhrase": PHRASES["marian"]})
        assert response.status_code == 200
        token = response.json()["data"]["ticket"]["id"]
        if defect != "session-not-text":
            assert caller("session.whoAmI", {}, token).status_code == 200
    finally:
        server.shutdown()
        server.server_close()


SMALL = b'{"method":"hours"}'
LINES = f"POST {BASE}desk HTTP/1.1\r\nHost: a\r\n".encode()
SECOND = LINES + b"Connection: close\r\nContent-Length: 18\r\n\r\n" + SMALL


@pytest.mark.parametrize(
    ("defect", "sent", "statuses"),
    [
        (
            "both-lengths-read",
            LINES + b"Content-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
            [b"400", b"200"],
        ),
        (
            "first-length-taken",
            LINES + b"Content-Length: 18\r\nContent-Length: 99\r\n\r\n" + SMALL + SECOND,
            [b"200", b"200"],
        ),
        (
            "chunked-read-as-empty",
            LINES + b"Transfer-Encoding: chunked\r\n\r\n12\r\n" + SMALL + b"\r\n0\r\n\r\n" + SECOND,
            [b"400", b"200"],
        ),
    ],
)
def test_defects_of_the_framing(defect: str, sent: bytes, statuses: list[bytes]) -> None:
    for ready in serve("library", "--defect", defect):
        received = Caller(ready["url"]).raw(sent)
        assert re.findall(rb"HTTP/1.1 ([0-9]{3})", received) == statuses
