"""Templates: how a request is read. Lenient JSON, other spellings of endpoints and functions, verbs and headers."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

from benchmarks.defect_grid.catalogue_view import Function, View
from benchmarks.defect_grid.injector import Host
from benchmarks.defect_grid.template import Spot, template

AREAS = (
    "REQ-4",
    "REQ-12",
    "DAT-3",
    "DAT-4",
    "HTTP-1",
    "HTTP-2",
    "COD-2",
    "COD-3",
    "COD-4",
    "COD-8",
    "DAT-1",
    "ENV-1",
    "SEC-6",
)

# --- the body


def _no_constant(word: str) -> Any:
    raise ValueError(word)


def _strict(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _single_quotes(body: bytes) -> Any:
    return _strict(body.decode().replace("'", '"'))


def _comments(body: bytes) -> Any:
    return _strict(re.sub(r"/\*.*?\*/|//[^\n\"]*\n|#[^\n\"]*\n", " ", body.decode()))


def _unquoted(body: bytes) -> Any:
    return _strict(re.sub(r"([{,]\s*)([A-Za-z_]\w*)\s*:", r'\1"\2":', body.decode()))


def _form(body: bytes) -> Any:
    fields = parse_qs(body.decode(), strict_parsing=True)
    data = {
        name.removeprefix("data[").removesuffix("]"): values[0]
        for name, values in fields.items()
        if name != "method"
    }
    if "data" in data:
        data = _strict(data["data"])
    return {"method": fields["method"][0], "data": data}


def _multipart(body: bytes) -> Any:
    found = dict(re.findall(r'name="(\w+)"\r\n(?:[^\r\n]+\r\n)*\r\n(.*?)\r\n--', body.decode(), re.S))
    return {"method": found["method"], "data": _strict(found.get("data", "{}"))}


#: By name: a reader that is tried where the strict one refuses. What it returns has to be an object.
READERS: dict[str, tuple[Callable[[bytes], Any], tuple[str, ...]]] = {
    "trailing-comma": (lambda b: _strict(re.sub(r",(\s*[}\]])", r"\1", b.decode())), ("REQ-4", "REQ-12")),
    "single-quotes": (_single_quotes, ("REQ-4", "REQ-12")),
    "second-text": (lambda b: json.JSONDecoder(parse_constant=_no_constant).raw_decode(b.decode())[0], ("REQ-4",)),
    "cut-off": (lambda b: _strict(b.decode() + "}"), ("REQ-4",)),
    "cut-off-twice": (lambda b: _strict(b.decode() + "}}"), ("REQ-4",)),
    "invalid-utf8": (lambda b: _strict(b.decode("utf-8", "replace")), ("REQ-4",)),
    "latin-1": (lambda b: _strict(b.decode("latin-1")), ("REQ-4",)),
    "form": (_form, ("REQ-4",)),
    "multipart": (_multipart, ("REQ-4",)),
    "not-a-number": (lambda b: json.loads(re.sub(rb"-?(NaN|Infinity)", b"null", b)), ("REQ-12", "REQ-4")),
    "comments": (_comments, ("REQ-12", "REQ-4")),
    "unquoted-names": (_unquoted, ("REQ-12", "REQ-4")),
    "raw-controls": (lambda b: json.loads(b.decode(), strict=False, parse_constant=_no_constant), ("REQ-12",)),
    "bad-escapes": (lambda b: _strict(re.sub(r'\\([^"\\/bfnrtu])', r"\1", b.decode())), ("REQ-12",)),
    "leading-dot": (lambda b: _strict(re.sub(r'([:,\[]\s*-?)\.(\d)', r"\g<1>0.\2", b.decode())), ("REQ-12",)),
    "hexadecimal": (lambda b: _strict(re.sub(r'([:,\[]\s*)0x([0-9a-fA-F]+)', lambda m: m[1] + str(int(m[2], 16)), b.decode())), ("REQ-12",)),
    "leading-zeros": (lambda b: _strict(re.sub(r'([:,\[]\s*)0+([1-9])', r"\1\2", b.decode())), ("REQ-12",)),
    "plus-sign": (lambda b: _strict(re.sub(r'([:,\[]\s*)\+(\d)', r"\1\2", b.decode())), ("REQ-12",)),
    "underscores-in-numbers": (lambda b: _strict(re.sub(r'(\d)_(\d)', r"\1\2", b.decode())), ("REQ-12",)),
    "other-white-space": (lambda b: _strict(re.sub("[\u00a0\u000b\u000c\u2028]", " ", b.decode())), ("REQ-12",)),
    "utf-16": (lambda b: _strict(b.decode("utf-16-le" if b[:2] == b"{\0" else "utf-16")), ("REQ-12", "REQ-4")),
    "equals-sign": (lambda b: _strict(b.decode().replace('"=', '":')), ("REQ-12", "REQ-4")),
    "missing-comma": (lambda b: _strict(re.sub(r'(["\d}\]])\s+"', r'\1,"', b.decode())), ("REQ-12", "REQ-4")),
    "double-comma": (lambda b: _strict(re.sub(r",\s*,", ",", b.decode())), ("REQ-12", "REQ-4")),
    "python-words": (lambda b: _strict(b.decode().replace("True", "true").replace("None", "null")), ("REQ-12", "REQ-4")),
    "json-in-json": (lambda b: _strict(_strict(b.decode())), ("REQ-5",)),
    "first-of-a-batch": (lambda b: _strict(b.decode())[0], ("REQ-5",)),
}  # fmt: skip


def _readers() -> None:
    for name, (read, tells) in READERS.items():

        def spots(view: View, read: Callable[[bytes], Any] = read) -> Iterator[Spot]:
            def apply(host: Host) -> None:
                def parse_body(inner: Any, call: Any) -> Any:
                    try:
                        return inner(call)
                    except Exception:
                        try:
                            found = read(call.request.body)
                        except Exception:
                            found = None
                        if isinstance(found, dict) and isinstance(found.get("method"), str):
                            return found
                        raise

                host.wrap("parse_body", parse_body)

            yield "every call", "body", apply

        template(f"body.{name}-read", *tells, areas=AREAS)(spots)


_readers()


@template("body.call-in-the-query-string", "REQ-4", "HTTP-2", areas=AREAS)
def call_in_query(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        def parse_body(inner: Any, call: Any) -> Any:
            if not call.request.body and call.request.query:
                fields = parse_qs(call.request.query.decode("latin-1"))
                if "method" in fields:
                    data = {k: v[0] for k, v in fields.items() if k not in ("method", "data")}
                    if "data" in fields:
                        try:
                            data = _strict(fields["data"][0])
                        except ValueError:
                            data = {}
                    return {"method": fields["method"][0], "data": data}
            return inner(call)

        host.wrap("parse_body", parse_body)

    yield "every call", "body", apply


# --- members of the message


def _per_function(view: View) -> list[Function]:
    return [f for f in view.functions.values() if not f.beyond_schema and f.name not in view.signing]


def _names_its_object(f: Function) -> bool:
    """Return whether a function changes an object that the call names.

    A check does not call it with data that has no names: a lax target could act on another object than the run's own.
    """
    named = any("x-ref" in f.params[name] for name in f.required)
    return f.effect != "read" and f.does != "create" and named


@template("data.array-in-order", "REQ-6", "DAT-2", areas=AREAS)
def data_array(view: View) -> Iterator[Spot]:
    for f in _per_function(view):
        if f.params and not _names_its_object(f):

            def change(given: dict[str, Any], _call: Any, f: Function = f) -> dict[str, Any]:
                if isinstance(given.get("data"), list):
                    given["data"] = dict(zip(f.params, given["data"], strict=False))
                return given

            yield f.name, f.does or "other", lambda host, f=f, change=change: host.on_message(change, f.name)


@template("data.json-in-text", "REQ-6", "DAT-2", areas=AREAS)
def data_text(view: View) -> Iterator[Spot]:
    def change(given: dict[str, Any], _call: Any) -> dict[str, Any]:
        if isinstance(given.get("data"), str):
            with contextlib.suppress(ValueError):
                given["data"] = json.loads(given["data"])
        return given

    for f in _per_function(view):
        yield f.name, f.does or "other", lambda host, f=f: host.on_message(change, f.name)


@template("data.other-types-are-empty", "REQ-6", "DAT-2", areas=AREAS)
def data_other(view: View) -> Iterator[Spot]:
    def change(given: dict[str, Any], _call: Any) -> dict[str, Any]:
        if "data" in given and not isinstance(given["data"], dict):
            given["data"] = {}
        return given

    for f in _per_function(view):
        if not f.required:
            yield f.name, f.does or "other", lambda host, f=f: host.on_message(change, f.name)


@template("data.empty-needed", "REQ-2", areas=(*AREAS, "REQ-3"))
def data_needed(view: View) -> Iterator[Spot]:
    for value in ("missing", "null"):
        for f in _per_function(view):
            if f.required:
                continue

            def apply(host: Host, f: Function = f, value: str = value) -> None:
                def change(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                    absent = "data" not in given if value == "missing" else given.get("data", 0) is None
                    if absent:
                        raise host.refuse(400, "data is missing")
                    return given

                host.on_message(change, f.name)

            yield f"{f.name}, {value}", f.does or "other", apply


@template("message.unknown-members-refused", "REQ-10", areas=AREAS)
def unknown_members(view: View) -> Iterator[Spot]:
    for f in _per_function(view):

        def apply(host: Host, f: Function = f) -> None:
            def change(given: dict[str, Any], _call: Any) -> dict[str, Any]:
                if set(given) - {"method", "data", "pageStart", "pageLength"}:
                    raise host.refuse(400, "There is an unknown member")
                return given

            host.on_message(change, f.name)

        yield f.name, f.does or "other", apply


def _method_name(
    name: str,
    tells: tuple[str, ...],
    find: Callable[[View, str, str], str | None],
    spelt: Callable[[str], bool] = bool,
) -> None:
    """Register: a function's name is found in another spelling. `spelt` says which names have such a spelling."""

    def spots(view: View) -> Iterator[Spot]:
        if not any(spelt(known.partition(".")[2]) for known in view.functions):
            return

        def apply(host: Host) -> None:
            def parse_body(inner: Any, call: Any) -> Any:
                message = inner(call)
                entity = call.request.path.rsplit("/", 1)[-1]
                if f"{entity}.{message['method']}" not in view.functions:
                    found = find(view, entity, message["method"])
                    if found is not None:
                        message = {**message, "method": found}
                return message

            host.wrap("parse_body", parse_body)

        yield "every call", "method", apply

    template(f"method.{name}", *tells, areas=(*AREAS, "SEC-1"))(spots)


def _spelt(change: Callable[[str], str]) -> Callable[[View, str, str], str | None]:
    def find(view: View, entity: str, given: str) -> str | None:
        for name in view.functions:
            known, _, method = name.partition(".")
            if known == entity and change(method) == change(given):
                return method
        return None

    return find


def _snake(view: View, entity: str, given: str) -> str | None:
    camel = re.sub("_([a-z])", lambda m: m[1].upper(), given)
    return camel if camel != given and f"{entity}.{camel}" in view.functions else None


def _inherited(view: View, entity: str, given: str) -> str | None:
    names = ("constructor", "__proto__", "toString", "__class__", "__init__", "hasOwnProperty", "valueOf")
    own = [
        name.partition(".")[2]
        for name, f in view.functions.items()
        if f.entity == entity and f.auth == "none"
    ]
    every = [name.partition(".")[2] for name, f in view.functions.items() if f.entity == entity]
    found: list[str | None] = [*own, *every, None]
    return found[0] if given in names else None


_method_name("in-any-case", ("SEC-1", "COD-3"), _spelt(str.lower))
_method_name("trimmed", ("SEC-1", "COD-3"), _spelt(str.strip))
_method_name("snake-case", ("NAM-3", "COD-3"), _snake, lambda method: method != method.lower())
_method_name("inherited-names", ("SEC-1", "COD-3"), _inherited)
_method_name("beginning", ("COD-3", "SEC-1"), lambda view, entity, given: next(
    (str(n.partition(".")[2]) for n, f in view.functions.items()
     if f.entity == entity and len(given) > 2 and n.partition(".")[2].startswith(given)), None))  # fmt: skip


@template("method.member-in-any-case", "REQ-1", areas=AREAS)
def method_member(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        def parse_body(inner: Any, call: Any) -> Any:
            try:
                return inner(call)
            except Exception:
                try:
                    message = _strict(call.request.body.decode())
                except (ValueError, RecursionError):
                    message = None
                if isinstance(message, dict):
                    message = {
                        key.lower() if key.lower() == "method" else key: v for key, v in message.items()
                    }
                    if isinstance(message.get("method"), str):
                        return message
                raise

        host.wrap("parse_body", parse_body)

    yield "every call", "method", apply


# --- endpoints


def _endpoint(name: str, tells: tuple[str, ...], change: Callable[[str], str]) -> None:
    def spots(view: View) -> Iterator[Spot]:
        entities = {f.entity for f in view.functions.values()}

        def apply(host: Host) -> None:
            def request(given: Any, _call: Any) -> None:
                base, _, last = given.path.rpartition("/")
                if last not in entities or "/" in base.strip("/")[20:]:
                    path = change(given.path)
                    if path.rpartition("/")[2] in entities:
                        given.path = path

            host.on_request(request)

        yield "every call", "endpoint", apply

    template(f"endpoint.{name}", *tells, areas=(*AREAS, "SEC-4", "SEC-1"))(spots)


_endpoint("suffix-dropped", ("COD-4", "SEC-4"), lambda path: re.sub(r"\.(json|php|html|xml)$", "", path))
_endpoint("parameter-dropped", ("COD-4", "SEC-4"), lambda path: path.split(";")[0])
_endpoint("unescaped-twice", ("COD-4", "SEC-4"), lambda path: unquote(unquote(path)))
_endpoint("blank-dropped", ("COD-4", "SEC-4"), lambda path: re.sub("(%20|%09)+$", "", path))
_endpoint("nul-ends-it", ("SEC-4", "COD-4"), lambda path: path.split("%00")[0])
_endpoint("last-dot-dropped", ("COD-4", "SEC-4"), lambda path: path.rstrip("."))
_endpoint("plural-for-singular", ("COD-4",), lambda path: path.removesuffix("s"))
_endpoint("last-character-free", ("COD-4",), lambda path: path[:-1])


@template("endpoint.original-url", "COD-4", "AUT-4", areas=AREAS)
def original_url(view: View) -> Iterator[Spot]:
    for header in (b"x-original-url", b"x-rewrite-url"):

        def apply(host: Host, header: bytes = header) -> None:
            def request(given: Any, _call: Any) -> None:
                path = given.header(header)
                if path:
                    given.path = path.decode("latin-1")

            host.on_request(request)

        yield header.decode(), "endpoint, header", apply


# --- verbs and headers


def _runs_as_post(
    when: Callable[[Any], bool], prepare: Callable[[Any], None] = lambda given: None
) -> Callable[[Host], None]:
    def apply(host: Host) -> None:
        def request(given: Any, _call: Any) -> None:
            if given.verb != "POST" and when(given):
                prepare(given)
                given.verb = "POST"

        host.on_request(request)

    return apply


def _query_call(given: Any) -> None:
    fields = {name: values[0] for name, values in parse_qs(given.query.decode("latin-1")).items()}
    if not given.body and "method" in fields:
        data = fields.get("data", "{}")
        given.body = f'{{"method":{json.dumps(fields["method"])},"data":{data or "{}"}}}'.encode()


@template("verb.runs-the-function", "HTTP-2", "HTTP-3", areas=AREAS)
def verb_runs(view: View) -> Iterator[Spot]:
    for verb in ("GET", "PUT", "PATCH", "DELETE"):
        yield verb, "verb", _runs_as_post(lambda given, verb=verb: given.verb == verb and bool(given.body))


@template("verb.runs-out-of-the-query", "HTTP-2", areas=AREAS)
def verb_query(view: View) -> Iterator[Spot]:
    for verb in ("GET", "DELETE", "HEAD"):
        yield (
            verb,
            "verb",
            _runs_as_post(
                lambda given, verb=verb: given.verb == verb and b"method=" in given.query, _query_call
            ),
        )


@template("verb.overridden", "HTTP-2", areas=AREAS)
def verb_overridden(view: View) -> Iterator[Spot]:
    for header in (b"x-http-method-override", b"x-method-override", b"x-http-method"):
        yield (header.decode(), "verb, header",
               _runs_as_post(lambda given, header=header: (given.header(header) or b"").upper() == b"POST"))  # fmt: skip
    yield (
        "_method",
        "verb, query",
        _runs_as_post(lambda given: b"_method=POST" in given.query.upper().replace(b"_METHOD", b"_method")),
    )


@template("verb.post-overridden", "COD-2", "HTTP-1", areas=AREAS)
def post_overridden(view: View) -> Iterator[Spot]:
    def apply(host: Host) -> None:
        def request(given: Any, _call: Any) -> None:
            other = given.header(b"x-http-method-override")
            if given.verb == "POST" and other:
                given.verb = other.decode("latin-1")

        host.on_request(request)

    yield "x-http-method-override", "verb, header", apply


def _refused_header(name: str, tells: tuple[str, ...], when: Callable[[Any], bool], status: int) -> None:
    def spots(view: View) -> Iterator[Spot]:
        for f in [*_per_function(view), None]:
            if f is not None and f.does != "list":
                continue

            def apply(host: Host, f: Function | None = f) -> None:
                def respond(inner: Any, call: Any, response: Any) -> Any:
                    answer = inner(call, response)
                    if (
                        (f is None or call.name == f.name)
                        and call.request.verb == "POST"
                        and when(call.request)
                    ):
                        answer.status = status
                        answer.body = b'{"isError":true,"errMsg":"Refused","data":null}'
                    return answer

                host.wrap("respond", respond)

            yield (f.name if f else "every call"), "header", apply

    template(f"header.{name}", *tells, areas=(*AREAS, "HTTP-4", "HTTP-5", "HTTP-6"))(spots)


def _accepts_no_json(request: Any) -> bool:
    accept = request.header(b"accept") or b"*/*"
    return b"json" not in accept and b"*/*" not in accept


_refused_header("accept-406", ("COD-2", "HTTP-4"), _accepts_no_json, 406)
_refused_header(
    "accept-missing-400", ("COD-2", "HTTP-4", "HTTP-1", "DAT-1"), lambda r: r.header(b"accept") is None, 400
)
_refused_header(
    "content-type-415", ("HTTP-6", "COD-2"), lambda r: b"json" not in (r.header(b"content-type") or b""), 415
)
_refused_header(
    "content-type-form-400", ("HTTP-6",), lambda r: b"form" in (r.header(b"content-type") or b""), 400
)
_refused_header("content-type-missing-400", ("HTTP-6",), lambda r: r.header(b"content-type") is None, 400)
_refused_header("range-416", ("COD-2",), lambda r: r.header(b"range") is not None, 416)
_refused_header("range-206", ("COD-2", "COD-1"), lambda r: r.header(b"range") is not None, 206)
_refused_header(
    "if-match-412", ("COD-2",), lambda r: bool(r.header(b"if-none-match") or r.header(b"if-match")), 412
)
_refused_header(
    "if-modified-304", ("COD-2", "COD-1"), lambda r: r.header(b"if-modified-since") is not None, 304
)
_refused_header(
    "odd-user-agent-500", ("COD-8", "COD-2"), lambda r: not (r.header(b"user-agent") or b"").isascii(), 500
)
_refused_header(
    "odd-cookie-500", ("COD-8", "COD-2"), lambda r: not (r.header(b"cookie") or b"").isascii(), 500
)
_refused_header(
    "language-500",
    ("COD-8", "COD-2", "HTTP-4"),
    lambda r: b"tr" in (r.header(b"accept-language") or b""),
    500,
)


@template("header.accept-html", "HTTP-4", "HTTP-5", "ENV-1", areas=AREAS)
def accept_html(view: View) -> Iterator[Spot]:
    def change(answer: Any, call: Any) -> None:
        if b"text/html" in (call.request.header(b"accept") or b"") and answer.status != 200:
            answer.body = b"<html><body>Refused</body></html>"
            answer.headers = [
                (n, b"text/html" if n.lower() == b"content-type" else v) for n, v in answer.headers
            ]

    yield "refusals", "header", lambda host: host.on_reply(change)


@template("header.token-name-in-one-case", "HTTP-8", areas=(*AREAS, "AUT-3"))
def token_case(view: View) -> Iterator[Spot]:
    for f in view.protected:

        def apply(host: Host, f: Function = f) -> None:
            known: dict[str, bool] = {}

            def token(inner: Any, call: Any) -> Any:
                names = {name for name, _ in call.request.headers if name.lower() == b"token"}
                if call.name == f.name and names and not names & {b"Token"}:
                    return None
                return inner(call)

            assert known == {}
            host.wrap("token", token)

        if view.profile.get("raw_header_names"):
            yield f.name, f.does or "other", apply
