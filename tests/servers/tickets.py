"""A support desk on asyncio streams: four functions, one role, every must obeyed, some shoulds broken.

There is no logout, no key login, no whoami; a ticket cannot be changed or deleted. The endpoints lie at the
root. The `data` of opening and showing a ticket is an array. A trailing slash and another case of an
endpoint are the same endpoint, undeclared members of `data` are ignored, the last of two equal member names
counts, 1.0 and null are taken for `pageStart` and `pageLength`, a ticket that is another's is 404, U+0000
and unpaired surrogates are stored. A PIN is digits only, so that another case of it is the same PIN.

Broken, and nothing else (`BREAKS`):

- HTTP-5: the refusal of another verb is sent as text/html, although it is JSON.
- ENV-8: on invalid data, `data` names the member that is at fault.
- ENV-9: each response has `took`, in milliseconds.
- COD-9: data is validated before the session.
- AUT-7: a public function with an unknown token is 403.
- AUT-12: an unknown user and a wrong PIN are distinguished.
- SEC-5: responses are cacheable, and without `nosniff`.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import signal
import sys
import time
from typing import Any

from tests.servers import launch

BREAKS = ("HTTP-5", "ENV-8", "ENV-9", "COD-9", "AUT-7", "AUT-12", "SEC-5")
PINS = {"olof": "480213", "petra": "917350"}
LIMIT = 3_000_000
PIN = re.compile(r"[0-9]{6}")
NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    505: "HTTP Version Not Supported",
}

CATALOG = """\
openrpc: 1.3.2
info:
  title: Support desk
  version: "1"
methods:
  - name: auth.enter
    x-auth: none
    params:
      - {name: name, required: true, schema: {type: string}}
      - name: pin
        required: true
        schema: {type: string, pattern: "^[0-9]{6}$"}
    result:
      name: data
      schema:
        type: object
        required: [sessionId]
        properties:
          sessionId: {type: string, minLength: 1}
        additionalProperties: false
  - name: ticket.open
    x-effect: write
    x-object: {kind: ticket, does: create, id: /0/ticketNo, at: /0}
    params:
      - {name: subject, required: true, schema: {type: string, minLength: 1}}
      - {name: priority, schema: {type: integer, minimum: 1, maximum: 5}}
    result: {name: data, schema: {$ref: "#/components/schemas/TicketOnly"}}
  - name: ticket.show
    x-effect: read
    x-object: {kind: ticket, does: read, id: ticketNo, at: /0}
    params:
      - name: ticketNo
        required: true
        schema: {type: integer, x-ref: ticket}
    result: {name: data, schema: {$ref: "#/components/schemas/TicketOnly"}}
  - name: ticket.queue
    x-effect: read
    x-rows: /queue
    x-object: {kind: ticket, does: list, id: /ticketNo}
    params: []
    result:
      name: data
      schema:
        type: object
        required: [queue]
        properties:
          queue: {type: array, items: {$ref: "#/components/schemas/Ticket"}}
        additionalProperties: false
components:
  schemas:
    Ticket:
      type: object
      required: [ticketNo, subject, priority]
      properties:
        ticketNo: {type: integer}
        subject: {type: string, minLength: 1}
        priority: {type: integer, minimum: 1, maximum: 5}
      additionalProperties: false
    TicketOnly:
      type: array
      minItems: 1
      maxItems: 1
      items: {$ref: "#/components/schemas/Ticket"}
"""

PROFILE = """\
[target]
url = "{url}"
environment = "test"
catalog = "{catalog}"

[auth]
login = {{ function = "auth.enter", user = "name", secret = "pin" }}

[users.olof]
user = "olof"
secret = "480213"

[users.petra]
user = "petra"
secret = "917350"
"""


class Fault(Exception):  # noqa: N818
    """An error to answer, with the member that is at fault."""

    def __init__(self, status: int, message: str, member: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.member = member


class Desk:
    """Tickets, sessions and the four functions."""

    def __init__(self) -> None:
        self.sessions: dict[str, str] = {}
        self.tickets: list[tuple[str, dict[str, Any]]] = []
        self.public = {"auth": {"enter": self.enter}}
        self.protected = {"ticket": {"open": self.open, "show": self.show, "queue": self.queue}}
        self.rules = {
            "enter": self.check_enter,
            "open": self.check_open,
            "show": self.check_show,
            "queue": self.check_queue,
        }

    def run(self, path: str, token: str | None, raw: bytes) -> Any:
        """Answer one call."""
        entity = path[1:].removesuffix("/").lower()
        if path[:1] != "/" or (entity not in self.public and entity not in self.protected):
            raise Fault(404, "This endpoint does not exist")
        try:
            body = json.loads(raw.decode("utf-8"), parse_constant=self.no_constant)
        except (ValueError, RecursionError):
            raise Fault(400, "This is not JSON") from None
        if not isinstance(body, dict):
            raise Fault(400, "An object is asked for")
        method = body.get("method")
        if not isinstance(method, str) or not method:
            raise Fault(400, "A method is asked for", "method")
        public = entity in self.public
        functions = self.public[entity] if public else self.protected[entity]
        if method not in functions:
            raise Fault(404, "This function does not exist")
        user = None if token is None else self.sessions.get(token)
        data = body.get("data")
        data = {} if data is None else data
        if not isinstance(data, dict):
            if not public and user is None:
                raise Fault(401, "A session is asked for")
            raise Fault(400, "Data must be an object", "data")
        self.rules[method](data)
        start, length = self.rows(body, "pageStart"), self.rows(body, "pageLength")
        if public:
            if token is not None and user is None:
                raise Fault(403, "This session does not exist")
        elif user is None:
            raise Fault(401, "A session is asked for")
        result = functions[method](user or "", data)
        if method == "queue":
            rows = result["queue"][start or 0 :]
            result["queue"] = rows if length is None else rows[:length]
        return result

    @staticmethod
    def no_constant(text: str) -> Any:
        """Refuse NaN and Infinity."""
        raise ValueError(text)

    @staticmethod
    def rows(body: dict[str, Any], member: str) -> int | None:
        """A paging member: a whole number from 0 on."""
        value = body.get(member)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise Fault(400, "A number of rows is asked for", member)
        return value

    @staticmethod
    def whole(data: dict[str, Any], member: str) -> int:
        """An integer argument."""
        value = data[member]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Fault(400, "A whole number is asked for", member)
        return value

    @staticmethod
    def check_enter(data: dict[str, Any]) -> None:
        """A name, and six digits."""
        if not isinstance(data.get("name"), str):
            raise Fault(400, "A name is asked for", "name")
        pin = data.get("pin")
        if not isinstance(pin, str) or not PIN.fullmatch(pin):
            raise Fault(400, "Six digits are asked for", "pin")

    def check_open(self, data: dict[str, Any]) -> None:
        """A subject, and perhaps a priority."""
        subject = data.get("subject")
        if not isinstance(subject, str) or not subject:
            raise Fault(400, "A subject is asked for", "subject")
        if "priority" in data and not 1 <= self.whole(data, "priority") <= 5:
            raise Fault(400, "A priority from 1 to 5 is asked for", "priority")

    def check_show(self, data: dict[str, Any]) -> None:
        """A number."""
        if "ticketNo" not in data:
            raise Fault(400, "A ticket is asked for", "ticketNo")
        self.whole(data, "ticketNo")

    def check_queue(self, _data: dict[str, Any]) -> None:
        """Nothing is asked for."""

    def enter(self, _user: str, data: dict[str, Any]) -> Any:
        """Sign in."""
        if data["name"] not in PINS:
            raise Fault(401, "Nobody has this name")
        if PINS[data["name"]] != data["pin"]:
            raise Fault(401, "This is not the PIN")
        session = secrets.token_hex(20)
        self.sessions[session] = data["name"]
        return {"sessionId": session}

    def open(self, user: str, data: dict[str, Any]) -> Any:
        """Open a ticket."""
        priority = self.whole(data, "priority") if "priority" in data else 3
        ticket = {"ticketNo": len(self.tickets) + 1, "subject": data["subject"], "priority": priority}
        self.tickets.append((user, ticket))
        return [ticket]

    def show(self, user: str, data: dict[str, Any]) -> Any:
        """Show a ticket of one's own."""
        number = self.whole(data, "ticketNo")
        if not 1 <= number <= len(self.tickets) or self.tickets[number - 1][0] != user:
            raise Fault(404, "This ticket does not exist")
        return [self.tickets[number - 1][1]]

    def queue(self, user: str, _data: dict[str, Any]) -> Any:
        """One's own tickets, the newest first."""
        return {"queue": [ticket for owner, ticket in reversed(self.tickets) if owner == user]}


class Wire:
    """HTTP/1.1 on two streams."""

    def __init__(self, desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.desk = desk
        self.reader = reader
        self.writer = writer

    async def serve(self) -> None:
        """Answer until the client has enough, or is not understood."""
        try:
            while await self.one():
                pass
            self.writer.write_eof()
            async with asyncio.timeout(3):
                while await self.reader.read(65536):
                    pass
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            self.writer.close()

    async def line(self) -> bytes | None:
        """A line without its end; None at the end of the stream."""
        try:
            line = await self.reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as end:
            if end.partial:
                raise Fault(400, "The request is cut off") from None
            return None
        except asyncio.LimitOverrunError:
            raise Fault(431, "The head is too large") from None
        if line[-2:] != b"\r\n" or b"\r" in line[:-2]:
            raise Fault(400, "Lines end with CR LF")
        return line[:-2]

    async def one(self) -> bool:
        """Answer one request; False when the connection is to end."""
        began = 0.0
        verb = b"POST"
        try:
            async with asyncio.timeout(300):
                first = await self.line()
                while first == b"":
                    first = await self.line()
            if first is None:
                return False
            began = time.perf_counter()
            parts = first.split(b" ")
            if len(parts) != 3 or not NAME.fullmatch(parts[0]) or not parts[1] or b"\0" in parts[1]:
                raise Fault(400, "The request line is malformed")
            verb, target, version = parts
            if version not in (b"HTTP/1.1", b"HTTP/1.0"):
                raise Fault(505 if version.startswith(b"HTTP/") else 400, "This version is not spoken here")
            async with asyncio.timeout(20):
                headers = await self.headers()
                body = await self.body(headers, version)
        except Fault as fault:
            await self.send(verb, fault.status, self.failure(fault, began), keep=False)
            return False
        except asyncio.IncompleteReadError:
            cut = Fault(400, "The request is cut off")
            await self.send(verb, 400, self.failure(cut, began), keep=False)
            return False
        except TimeoutError:
            if began:
                await self.send(verb, 408, self.failure(Fault(408, "This took too long"), began), keep=False)
            return False
        wish = b",".join(headers.get(b"connection", [])).lower()
        keep = b"close" not in wish and (version == b"HTTP/1.1" or b"keep-alive" in wish)
        try:
            if verb != b"POST":
                raise Fault(405, "POST is asked for")
            answer = self.answer(target, headers, body)
            status = 200
        except Fault as fault:
            status, answer = fault.status, self.failure(fault, began)
        else:
            answer = {**answer, "took": self.took(began)}
        await self.send(verb, status, answer, keep=keep)
        return keep

    def answer(self, target: bytes, headers: dict[bytes, list[bytes]], body: bytes) -> dict[str, Any]:
        """Run the call."""
        path = target.split(b"?")[0].decode("latin-1")
        if path.lower().startswith("http://"):
            path = "/" + path[7:].partition("/")[2]
        tokens = headers.get(b"token", [])
        token = tokens[-1].decode("latin-1") if tokens else None
        return {"isError": False, "errMsg": None, "data": self.desk.run(path, token, body)}

    @staticmethod
    def took(began: float) -> float:
        """Milliseconds since then."""
        return round((time.perf_counter() - began) * 1000, 3)

    def failure(self, fault: Fault, began: float) -> dict[str, Any]:
        """The envelope of an error."""
        data = None if fault.member is None else {"member": fault.member}
        return {"isError": True, "errMsg": fault.message, "data": data, "took": self.took(began)}

    async def headers(self) -> dict[bytes, list[bytes]]:
        """The headers, by lower-case name."""
        headers: dict[bytes, list[bytes]] = {}
        size = 0
        while True:
            line = await self.line()
            if line is None:
                raise Fault(400, "The request is cut off")
            if not line:
                return headers
            size += len(line)
            if size > 60_000:
                raise Fault(431, "The head is too large")
            name, colon, value = line.partition(b":")
            if not colon or not NAME.fullmatch(name) or b"\0" in value:
                raise Fault(400, "A header is malformed")
            headers.setdefault(name.lower(), []).append(value.strip(b" \t"))

    async def body(self, headers: dict[bytes, list[bytes]], version: bytes) -> bytes:
        """The body, however it is framed."""
        lengths, codings = headers.get(b"content-length", []), headers.get(b"transfer-encoding", [])
        hosts = headers.get(b"host", [])
        if len(hosts) > 1 or (version == b"HTTP/1.1" and not hosts):
            raise Fault(400, "One host is asked for")
        if (lengths and codings) or len(lengths) > 1:
            raise Fault(400, "One length is asked for")
        if lengths and not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise Fault(400, "The length is malformed")
        if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
            raise Fault(501, "Chunks are the only transfer coding here")
        length = int(lengths[0]) if lengths else 0
        if length > LIMIT:
            raise Fault(413, "The body is too large")
        if expected := headers.get(b"expect"):
            if expected[0].lower() != b"100-continue":
                raise Fault(417, "This cannot be expected")
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await (self.chunks() if codings else self.reader.readexactly(length))

    async def chunks(self) -> bytes:
        """A chunked body."""
        body = b""
        while True:
            size = ((await self.line()) or b"").partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size):
                raise Fault(400, "A chunk is malformed")
            if len(body) + int(size, 16) > LIMIT:
                raise Fault(413, "The body is too large")
            if int(size, 16) == 0:
                await self.headers()
                return body
            body += await self.reader.readexactly(int(size, 16))
            if await self.line() != b"":
                raise Fault(400, "A chunk is malformed")

    async def send(self, verb: bytes, status: int, envelope: dict[str, Any], *, keep: bool) -> None:
        """Send head and body in one."""
        text = json.dumps(envelope, separators=(",", ":"), ensure_ascii=False)
        try:
            body = text.encode()
        except UnicodeEncodeError:  # halves of surrogate pairs travel as escapes
            body = json.dumps(envelope, separators=(",", ":")).encode()
        kind = "text/html" if status == 405 else "application/json; charset=UTF-8"
        allow = "Allow: POST\r\n" if status == 405 else ""
        head = (
            f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            f"{allow}"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        self.writer.write(head.encode() + (b"" if verb == b"HEAD" else body))
        await self.writer.drain()


async def run(port: int, dir_: Any, *, parent: bool) -> None:
    """Serve until a signal ends it."""
    desk = Desk()
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Wire(desk, reader, writer).serve()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=65536, backlog=1024)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    place = launch.folder(dir_)
    catalog, profile = place / "tickets.openrpc.yaml", place / "conform.toml"
    catalog.write_text(CATALOG, encoding="utf-8")
    profile.write_text(PROFILE.format(url=url, catalog=catalog.name), encoding="utf-8")
    launch.end_with(lambda: None, parent=parent)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    launch.ready(url, profile, catalog)
    await done.wait()
    server.close()


def main() -> None:
    """Read the command line and serve."""
    arguments = launch.options("A support desk that keeps every must.").parse_args()
    asyncio.run(run(arguments.port, arguments.dir, parent=arguments.exit_with_parent))
    sys.exit(0)


if __name__ == "__main__":
    main()
