"""Correct servers that use the freedoms of the rulebook: a check must find nothing on any of them.

Run `python -m benchmarks.variants`. A variant changes one thing that the rulebook leaves open, on the reference
service, the clinic or the warehouse. `--together N` draws combinations of N variants. With `--rounds` every variant is
in one combination of each round. Prints the findings of each; nothing is asserted.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import re
import secrets
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.defect_grid import targets
from benchmarks.defect_grid.catalogue_view import View, at_pointer
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.targets import SERVERS

Apply = Callable[[Host], Any]

VARIANTS: dict[str, Apply] = {}

#: Variants that contradict each other: one of a group at most is in a combination.
GROUPS: dict[str, str] = {}

#: A text of this many bytes may be refused (DAT-5).
MAX_TEXT_BYTES = 60_000


def variant(name: str, group: str = "") -> Callable[[Apply], Apply]:
    """Register a variant."""

    def put(apply: Apply) -> Apply:
        VARIANTS[name] = apply
        GROUPS[name] = group or name
        return apply

    return put


# --- statuses


def _instead(name: str, before: int, after: int, when: Callable[[Any], bool], group: str) -> None:
    def apply(host: Host) -> None:
        def failure(inner: Any, call: Any, error: Any) -> Any:
            if error.status == before and when(call):
                error.status = after
            return inner(call, error)

        host.wrap("failure", failure)

    variant(name, group)(apply)


def _login(call: Any) -> bool:
    return call.function is not None and call.function.auth == "none" and call.user is None


def _object(call: Any) -> bool:
    return call.function is not None and call.user is not None


_instead("missing-objects-400", 404, 400, _object, "missing")
_instead("missing-objects-403", 404, 403, _object, "missing")
_instead("wrong-password-400", 401, 400, _login, "password")
_instead("wrong-password-403", 401, 403, _login, "password")
_instead("other-verbs-400", 405, 400, lambda call: True, "verbs")
_instead("other-verbs-404", 405, 404, lambda call: True, "verbs")


@variant("foreign-objects-403", "missing")
def foreign_403(host: Host) -> None:
    def load(inner: Any, call: Any, kind: str, identifier: Any) -> Any:
        found = inner(call, kind, identifier)
        if found is None and kind in host.view.kinds() and host.find(kind, identifier) is not None:
            raise host.refuse(403, "This belongs to another user")
        return found

    host.wrap("load", load)


@variant("empty-method-404")
def empty_method(host: Host) -> None:
    def parse_body(inner: Any, call: Any) -> Any:
        try:
            return inner(call)
        except Exception:
            try:
                message = json.loads(call.request.body)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict) and message.get("method") == "":
                raise host.refuse(404, "Function doesn't exist") from None
            raise

    host.wrap("parse_body", parse_body)


# It knows the tokens of the service itself, not those that other variants make of them.
@variant("public-functions-refuse-unknown-tokens", "token")
def public_refuses(host: Host) -> None:
    known: set[bytes] = set()

    def login(inner: Any, service: Any, call: Any) -> Any:
        data = inner(service, call)
        at_pointer(data, host.view.session, lambda token: known.update({token.encode()}) or token)
        return data

    names = {host.view.login.name} | ({host.view.key_login.name} if host.view.key_login else set())
    for name in names:
        host.on_handler(name, login)

    def authorise(inner: Any, call: Any) -> Any:
        given = call.request.header(b"token")
        if (
            call.function.auth == "none"
            and call.name not in names
            and given is not None
            and given not in known
        ):
            raise host.refuse(401, "The session is unknown")
        return inner(call)

    host.wrap("authorise", authorise)


# --- pages and undeclared members


def _page(name: str, refused: Callable[[Any], bool], member: str = "") -> None:
    def apply(host: Host) -> None:
        def row_number(inner: Any, call: Any, which: str) -> Any:
            value = call.message.get(which, 5)
            if refused(value) and (not member or which == member):
                raise host.refuse(400, f"{which} is not allowed")
            return inner(call, which)

        host.wrap("row_number", row_number)

    variant(name)(apply)


_page("page-of-zero-refused", lambda v: v == 0 and v is not False, "pageLength")
_page("page-null-refused", lambda v: v is None)
_page("page-whole-float-refused", lambda v: isinstance(v, float))
_page("page-huge-refused", lambda v: isinstance(v, int) and v >= 2**31 + 10**6)


@variant("undeclared-members-refused")
def undeclared_refused(host: Host) -> None:
    def change(message: dict[str, Any], call: Any) -> dict[str, Any]:
        data = message.get("data")
        if isinstance(data, dict) and set(data) - set(host.view.functions[call.name].params):
            raise host.refuse(400, "There is an unknown member")
        return message

    host.on_message(change)


@variant("members-twice-refused")
def twice_refused(host: Host) -> None:
    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(found)) != len(found):
            raise LookupError
        return dict(found)

    def parse_body(inner: Any, call: Any) -> Any:
        message = inner(call)
        try:
            json.loads(call.request.body, object_pairs_hook=pairs)
        except LookupError:
            raise host.refuse(400, "A member stands twice") from None
        return message

    host.wrap("parse_body", parse_body)


@variant("byte-order-mark-read")
def bom_read(host: Host) -> None:
    host.on_request(
        lambda request, _call: setattr(request, "body", request.body.removeprefix(b"\xef\xbb\xbf"))
    )


@variant("trailing-slash-is-the-same")
def trailing_slash(host: Host) -> None:
    def change(request: Any, _call: Any) -> None:
        if request.path.endswith("/") and not request.path.endswith("//"):
            request.path = request.path[:-1]

    host.on_request(change)


@variant("endpoints-in-any-case")
def any_case(host: Host) -> None:
    entities = {f.entity.lower(): f.entity for f in host.view.functions.values()}

    def change(request: Any, _call: Any) -> None:
        head, slash, last = request.path.rpartition("/")
        if last.lower() in entities:
            request.path = f"{head}{slash}{entities[last.lower()]}"

    host.on_request(change)


# --- answers


@variant("refusals-with-an-empty-object")
def empty_object(host: Host) -> None:
    host.wrap("failure", lambda inner, call, error: {**inner(call, error), "data": {}})


@variant("members-of-the-envelope-in-another-order")
def other_order(host: Host) -> None:
    for step in ("success", "failure"):
        host.wrap(step, lambda inner, call, value: dict(sorted(inner(call, value).items(), reverse=True)))


@variant("members-of-objects-in-another-order")
def members_reversed(host: Host) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: turned(part) for name, part in reversed(list(value.items()))}
        return [turned(part) for part in value] if isinstance(value, list) else value

    host.wrap("success", lambda inner, call, data: inner(call, turned(data)))


@variant("answers-in-ascii")
def in_ascii(host: Host) -> None:
    host.wrap("render", lambda inner, call, envelope: json.dumps(
        envelope, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode())  # fmt: skip


@variant("slashes-escaped")
def slashes(host: Host) -> None:
    host.wrap("render", lambda inner, call, envelope: inner(call, envelope).replace(b"/", b"\\/"))


def _fields(
    name: str, change: Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]], group: str = ""
) -> None:
    def apply(host: Host) -> None:
        host.on_reply(lambda answer, _call: setattr(answer, "headers", change(answer.headers)))

    variant(name, group)(apply)


def _replaced(name: bytes, value: bytes) -> Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]]:
    return lambda fields: [(n, value if n.lower() == name else v) for n, v in fields]


_fields("content-type-with-utf-8", _replaced(b"content-type", b"application/json; charset=utf-8"))
_fields("content-type-in-upper-case", _replaced(b"content-type", b"Application/JSON;charset=UTF-8"))
_fields("cache-control-private", _replaced(b"cache-control", b"private, no-cache"), "cache")
_fields(
    "cache-control-of-many-words",
    _replaced(b"cache-control", b"no-cache, no-store, must-revalidate, max-age=0"),
    "cache",
)
_fields("headers-in-upper-case", lambda fields: [(n.upper(), v) for n, v in fields], "case")
_fields("headers-in-lower-case", lambda fields: [(n.lower(), v) for n, v in fields], "case")
_fields("headers-of-frameworks", lambda fields: [*fields, (b"X-Request-Id", uuid.uuid4().hex.encode()),
                                                 (b"Vary", b"Origin"), (b"Access-Control-Allow-Origin", b"*"),
                                                 (b"Strict-Transport-Security", b"max-age=1")])  # fmt: skip
_fields("connection-closed-after-each-answer", lambda fields: [*fields, (b"Connection", b"close")])


def _message(name: str, text: Callable[[int], str]) -> None:
    def apply(host: Host) -> None:
        host.wrap("failure", lambda inner, call, error: {**inner(call, error), "errMsg": text(error.status)})

    variant(name, "message")(apply)


_message(
    "messages-in-another-language", lambda status: f"Fel {status}: begäran kan inte utföras – försök igen"
)
_message("messages-of-one-letter", lambda status: "x")
_message("messages-of-many-lines", lambda status: f"Refused.\n{status}\n" + "See the documentation. " * 40)


# --- sessions


def _tokens(name: str, make: Callable[[], str]) -> None:
    def apply(host: Host) -> None:
        real: dict[bytes, bytes] = {}

        def login(inner: Any, service: Any, call: Any) -> Any:
            made = make()
            data = inner(service, call)
            at_pointer(
                data, host.view.session, lambda token: real.update({made.encode(): token.encode()}) or token
            )
            return at_pointer(data, host.view.session, lambda _token: made)

        host.on_handler(host.view.login.name, login)
        if host.view.key_login is not None:
            host.on_handler(host.view.key_login.name, login)
        host.wrap(
            "token",
            lambda inner, call: real.get(inner(call) or b"", b"-") if inner(call) is not None else None,
        )

    variant(name, "token")(apply)


def _structured() -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": uuid.uuid4().hex, "iat": 1}, secrets.token_hex(16))
    return ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
    )


_tokens("tokens-are-uuids", lambda: str(uuid.uuid4()))
_tokens("tokens-are-structured", _structured)
_tokens("tokens-in-base64", lambda: base64.b64encode(secrets.token_bytes(30)).decode() + "==")
_tokens("tokens-of-digits", lambda: str(secrets.randbelow(10**40)).zfill(40))
_tokens("tokens-of-160-characters", lambda: secrets.token_hex(80))


# --- data


def _data(name: str, refused: Callable[[Any], bool]) -> None:
    """Register: values that DAT-5 or DAT-6 let a target refuse are refused with 400."""

    def apply(host: Host) -> None:
        def anywhere(value: Any) -> bool:
            heap = [value]
            while heap:
                item = heap.pop()
                if refused(item):
                    return True
                if isinstance(item, dict):
                    heap.extend(item)
                    heap.extend(item.values())
                elif isinstance(item, list):
                    heap.extend(item)
            return False

        def change(message: dict[str, Any], call: Any) -> dict[str, Any]:
            params = host.view.functions[call.name].params
            data = message.get("data")
            if isinstance(data, dict) and anywhere({n: v for n, v in data.items() if n in params}):
                raise host.refuse(400, "The value cannot be stored")
            return message

        host.on_message(change)

    variant(name)(apply)


_data("nul-refused", lambda v: isinstance(v, str) and "\0" in v)
_data("lone-surrogates-refused", lambda v: isinstance(v, str) and re.search("[\ud800-\udfff]", v) is not None)
_data(
    "long-texts-refused", lambda v: isinstance(v, str) and len(v.encode("utf-8", "replace")) > MAX_TEXT_BYTES
)
_data("numbers-past-2-53-refused", lambda v: isinstance(v, int | float) and abs(v) > 2**53)
_data("minus-zero-refused", lambda v: isinstance(v, float) and v == 0 and str(v).startswith("-"))


@variant("whole-floats-refused-for-integers")
def whole_floats(host: Host) -> None:
    def integers(schema: dict[str, Any], value: Any) -> bool:
        kinds = schema.get("type", [])
        if isinstance(value, float) and "integer" in kinds and "number" not in kinds:
            return True
        if isinstance(value, list):
            return any(integers(schema.get("items", {}), item) for item in value)
        if isinstance(value, dict):
            others = schema.get("additionalProperties")
            rest = others if isinstance(others, dict) else {}
            return any(integers(schema.get("properties", {}).get(n, rest), v) for n, v in value.items())
        return False

    def change(message: dict[str, Any], call: Any) -> dict[str, Any]:
        data = message.get("data")
        whole = {"type": "object", "properties": host.view.functions[call.name].params}
        if isinstance(data, dict) and integers(whole, data):
            raise host.refuse(400, "A whole number is expected")
        return message

    host.on_message(change)


@variant("open-members-kept")
def open_kept(host: Host) -> None:
    for function in host.service.functions.values():
        if hasattr(function, "shapers"):
            function.shapers = {}


@variant("lists-newest-first", "order")
def newest_first(host: Host) -> None:
    def list_rows(inner: Any, call: Any, query: Any) -> Any:
        if hasattr(query, "order"):
            query.order = "seq DESC"
            return inner(call, query)
        page, call.page = call.page, type(call.page)()
        rows, total = inner(call, query)
        call.page = page
        return host.service.cut(call, rows[::-1]), total

    host.wrap("list_rows", list_rows)


@variant("lists-in-the-order-of-identifiers", "order")
def by_identifier(host: Host) -> None:
    def list_rows(inner: Any, call: Any, query: Any) -> Any:
        if hasattr(query, "order"):
            query.order = "id DESC"
            return inner(call, query)
        page, call.page = call.page, type(call.page)()
        rows, total = inner(call, query)
        call.page = page
        name = host.service.kinds[query.kind].identifier
        return host.service.cut(call, sorted(rows, key=lambda body: str(body[name]))), total

    host.wrap("list_rows", list_rows)


@variant("revisions-in-leaps")
def leaps(host: Host) -> None:
    def change(inner: Any, call: Any, kind: str, body: Any, changes: Any) -> Any:
        if changes and isinstance(body.get("revision"), int):
            body = {**body, "revision": body["revision"] + 41}
        return inner(call, kind, body, changes)

    host.wrap("change_object", change)


@variant("deleted-identifiers-400")
def deleted_400(host: Host) -> None:
    gone: set[tuple[str, Any]] = set()

    def remove(inner: Any, call: Any, kind: str, identifier: Any) -> Any:
        gone.add((kind, identifier))
        return inner(call, kind, identifier)

    def load(inner: Any, call: Any, kind: str, identifier: Any) -> Any:
        if (kind, identifier) in gone:
            raise host.refuse(400, "This was deleted")
        return inner(call, kind, identifier)

    host.wrap("remove_object", remove)
    host.wrap("load", load)


@variant("numbers-spelt-with-exponents")
def exponents(host: Host) -> None:
    def render(inner: Any, call: Any, envelope: Any) -> bytes:
        text = inner(call, envelope)
        return re.sub(rb'(":)(\d)0{3}([,}])', rb"\1\2e3\3", text)

    host.wrap("render", render)


@variant("large-bodies-413")
def large_413(host: Host) -> None:
    def check_verb(inner: Any, call: Any) -> Any:
        inner(call)
        if len(call.request.body) > 1_048_576:
            raise host.refuse(413, "The body is too large")

    host.wrap("check_verb", check_verb)


# --- running


def applied(names: Sequence[str]) -> Apply:
    """Return what puts several variants into a host."""

    def apply(host: Host) -> None:
        for name in names:
            VARIANTS[name](host)

    return apply


def findings(
    names: Sequence[str], server: str, budget: str, seed: int, rules: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Check a server with these variants, and return its findings."""
    from tests.support import judging

    view: View = targets.view_of(server)
    with (
        tempfile.TemporaryDirectory() as folder,
        targets.serving(server, view, applied(names)) as (url, profile),
    ):
        assert Path(folder).is_dir()
        return judging.broken(
            judging.judge(target=url, profile=profile, rules=rules, budget=budget, seed=seed)
        )


def drawn(rng: random.Random, together: int) -> list[list[str]]:
    """Return combinations in which every variant stands once, and none of one group stand together."""
    names = sorted(VARIANTS)
    rng.shuffle(names)
    out: list[list[str]] = []
    for name in names:
        fits = (c for c in out if len(c) < together and GROUPS[name] not in {GROUPS[other] for other in c})
        home = next(fits, None)
        if home is None:
            out.append([name])
        else:
            home.append(name)
    return out


def main() -> None:
    """Check each variant or combination, and print what was found."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    options.add_argument("--variant", action="append", help="repeatable: these together, in one run")
    options.add_argument("--together", type=int, default=1)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--server", choices=SERVERS, default=None, help="default: each in turn")
    options.add_argument("--budget", choices=("quick", "standard", "deep"), default="quick")
    options.add_argument("--rule", action="append", default=[], help="repeatable; default: all")
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    rng = random.Random(given.seed)
    rounds = [[given.variant]] if given.variant else [drawn(rng, given.together) for _ in range(given.rounds)]
    runs = [combination for found in rounds for combination in found]
    accused = 0
    for number, names in enumerate(runs):
        server = given.server or SERVERS[(number + given.seed) % len(SERVERS)]
        began = time.monotonic()
        found = findings(names, server, given.budget, given.seed, given.rule)
        accused += bool(found)
        print(
            f"{'ACCUSED' if found else 'clean':<8} {server}: {' + '.join(names)}  {time.monotonic() - began:.0f} s",
            flush=True,
        )
        for rule, lines in found.items():
            for line in lines[:3]:
                print(f"    {rule} {line[:400]}", flush=True)
    print(f"\n{len(VARIANTS)} variants, {len(runs)} runs, {accused} with findings")


if __name__ == "__main__":
    main()
