"""Import of a Postman collection: its requests are calls, and the answers that are saved as examples are their results.

A collection has few samples of each call, and few samples give suggestions rather than constraints. The header Token,
or the authorization that a request inherits, shows who may call a function.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from conformance.catalog.importing.entries import EVIDENCE, QUESTIONS, Imported
from conformance.errors import UsageError
from conformance.learning.calls import (
    Call,
    Json,
    NotACallError,
    arguments_of,
    data_of,
    is_secret_name,
    page_of,
)
from conformance.learning.catalogue import learn
from conformance.learning.recorded import without_secrets
from conformance.protocol.redaction import MASK
from conformance.schema.bundle import point

__all__ = ["read_postman"]

_VARIABLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
#: What stands in for variables that Postman computes.
_DYNAMIC = {
    "$guid": "7f1c2f6e-3d0b-4c7f-9a55-2f6c1f0e8b11",
    "$randomUUID": "7f1c2f6e-3d0b-4c7f-9a55-2f6c1f0e8b11",
    "$timestamp": "1700000000",
    "$isoTimestamp": "2030-01-01T00:00:00.000Z",
    "$randomInt": "1",
    "$randomEmail": "someone@example.com",
}
#: What stands in for the value of an unknown variable outside of a text, as in {"id": {{courseId}}}.
_UNKNOWN_VALUE = "1"
_SOME_SESSION = "a session"
_SIGNS_IN = re.compile(r"(?:log|sign)_?(?:in|on)", re.IGNORECASE)
_ENDPOINT = re.compile(r"[^\s./{}:]+")
_MAX_SHOWN = 3


@dataclass
class _Request:
    """A request of a collection, with what it inherits from its folders."""

    name: str
    node: Mapping[str, Json]
    auth: Json
    examples: list[dict[str, Json]]


@dataclass
class _LearnedFunction:
    """A function as the calls of a collection show it."""

    name: str
    method: dict[str, Json]

    def entry(self, *, guess: bool = False, flat: bool = False) -> dict[str, Json]:
        """Return the function as a method of a catalogue; what the calls show is no guess from its name."""
        return dict(self.method)

    def notes(self) -> list[str]:
        """Return nothing: the evidence of each guess stands in the entry."""
        return []

    def to_json(self) -> Json:
        """Return None: digests of the values are stored."""
        return None


@dataclass
class _Collection:
    variables: dict[str, str]
    calls: list[Call] = field(default_factory=list)
    descriptions: dict[str, str] = field(default_factory=dict)
    servers: Counter[str] = field(default_factory=Counter)
    #: Requests of which only refusals are saved.
    refused: list[Call] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    left_names: dict[str, str] = field(default_factory=dict)
    #: Names of sessions by their tokens, which are secrets.
    sessions: dict[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str | None:
        """Return the value of a variable; None if it is unknown, or secret."""
        if name in _DYNAMIC:
            return _DYNAMIC[name]
        found = self.variables.get(name)
        return found if found and not is_secret_name(name) else None

    def filled(self, text: str) -> str:
        """Return a text with the values of variables; unknown ones stay."""
        return _VARIABLE.sub(lambda found: self.value(found[1]) or found[0], text)

    def pass_over(self, why: str, name: str) -> None:
        self.left[why] += 1
        self.left_names.setdefault(why, name)


def read_postman(document: Mapping[str, Json], where: str) -> Imported:
    """Return the functions of a collection.

    Raises:
        UsageError: no request is a call of the protocol.

    """
    info = document.get("info")
    title = info.get("name") if isinstance(info, dict) else None
    collection = _Collection(dict(_variables(document)))
    requests = list(_requests(document.get("item"), document.get("auth")))
    is_token_shown = any(_session_of(request, request.node, collection) for request in requests)
    for request in requests:
        _read(request, collection, is_token_shown=is_token_shown)
    succeeded = {call.function for call in collection.calls if call.succeeded}
    collection.calls += [call for call in collection.refused if call.function not in succeeded]
    out = Imported("a Postman collection", title if isinstance(title, str) and title else "API")
    out.server = next((server for server, _ in collection.servers.most_common(1)), None)
    out.notes += [
        f"requests left out since {why}: {number} (such as «{collection.left_names[why]}»)"
        for why, number in collection.left.most_common()
    ]
    if not collection.calls:
        raise UsageError(
            f"{where}: is a Postman collection with {len(requests)} requests, and none is a call: a POST whose raw "
            'body is {"method": …, "data": {…}}' + "".join(f"; {note}" for note in out.notes[:1])
        )
    if not is_token_shown:
        out.notes.append("no request carries a Token, so sessions are taken to be needed but for a login")
    learned = learn(collection.calls, title=out.title)
    out.notes += learned.notes
    answered = {call.function for call in collection.calls if call.has_result}
    for method in learned.document["methods"]:
        name = method["name"]
        if name not in answered:
            del method["result"]
            method[QUESTIONS] = [*method.get(QUESTIONS, []), "result"]
        method[EVIDENCE].pop("calls", None)
        if "x-rows" not in method and any(
            call.function == name and _is_paged(call) for call in collection.calls
        ):
            method |= _rows_of([call.result for call in collection.calls if call.function == name])
            method[QUESTIONS] = [*method.get(QUESTIONS, []), "x-rows"]
        about = collection.descriptions.get(name)
        described = {
            "name": name,
            **({"description": about} if about else {}),
            "tags": [{"name": name.partition(".")[0]}],
        }
        out.add(_LearnedFunction(name, {**described, **method}))
    return out


def _is_paged(call: Call) -> bool:
    return call.page_start is not None or call.page_length is not None


def _rows_of(results: list[Json]) -> dict[str, Json]:
    """Return the only array of results as `x-rows`; nothing if there is none, or more than one."""
    places = {
        "" if isinstance(result, list) else point("", name)
        for result in results
        for name, value in (result.items() if isinstance(result, dict) else [("", result)])
        if isinstance(value, list)
    }
    return {"x-rows": places.pop()} if len(places) == 1 else {}


def _variables(node: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    listed = node.get("variable")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and not each.get("disabled") and each.get("type") != "secret":
            key = each.get("key") or each.get("id")
            value = each.get("value")
            if isinstance(key, str) and isinstance(value, str | int | float):
                yield key, value if isinstance(value, str) else json.dumps(value)


def _requests(items: Json, auth: Json, folder: str = "") -> Iterator[_Request]:
    """Yield the requests of a collection and its folders."""
    for item in items if isinstance(items, list) else ():
        if not isinstance(item, dict):
            continue
        own = item.get("auth", auth)
        label = str(item.get("name") or "request")
        name = f"{folder} / {label}" if folder else label
        if isinstance(item.get("item"), list):
            yield from _requests(item["item"], own, name)
        request = item.get("request")
        if isinstance(request, str):
            request = {"method": "GET", "url": request}
        if isinstance(request, dict):
            examples = item.get("response")
            found = (
                [each for each in examples if isinstance(each, dict)] if isinstance(examples, list) else []
            )
            yield _Request(name, request, request.get("auth", own), found)


def _session_of(request: _Request, node: Mapping[str, Json], collection: _Collection) -> str | None:
    """Return the session of a request, by its header or its authorization; None without one."""
    headers = node.get("header")
    for header in headers if isinstance(headers, list) else ():
        if isinstance(header, dict) and not header.get("disabled"):
            key, value = header.get("key"), header.get("value")
            if isinstance(key, str) and key.lower() == "token" and value:
                known = collection.sessions
                return known.setdefault(str(value), f"session {len(known) + 1}")
    if isinstance(headers, str) and re.search(r"^token\s*:\s*\S", headers, re.IGNORECASE | re.MULTILINE):
        return _SOME_SESSION
    auth = request.auth
    kind = auth.get("type") if isinstance(auth, dict) else None
    return _SOME_SESSION if isinstance(kind, str) and kind != "noauth" else None


# --- one request ----------------------------------------------------------------------------------------------


def _read(request: _Request, collection: _Collection, *, is_token_shown: bool) -> None:
    """Add the calls of a request and of its examples."""
    try:
        asked = _asked(request, request.node, collection, is_token_shown=is_token_shown)
    except NotACallError as error:
        collection.pass_over(str(error), request.name)
        return
    about = request.node.get("description")
    about = about.get("content") if isinstance(about, dict) else about
    text = about if isinstance(about, str) and about.strip() else request.name.rpartition(" / ")[2]
    collection.descriptions.setdefault(asked.function, " ".join(text.split()))
    answers = []
    for example in request.examples:
        original = example.get("originalRequest")
        try:
            call = asked
            if isinstance(original, dict) and original.get("body"):
                call = _asked(request, original, collection, is_token_shown=is_token_shown)
            found = _answered(call, example)
        except NotACallError as error:
            collection.pass_over(f"{error} (example)", request.name)
            continue
        answers.append(found)
    collection.calls += answers
    if not answers:
        # Without an answer the request is taken to succeed.
        collection.calls.append(asked)
    elif not any(answer.succeeded for answer in answers):
        collection.refused.append(asked)


def _asked(
    request: _Request, node: Mapping[str, Json], collection: _Collection, *, is_token_shown: bool
) -> Call:
    """Return a request as a call that succeeded with an unknown result. Raises NotACallError."""
    if str(node.get("method", "GET")).upper() != "POST":
        raise NotACallError("the verb is not POST")
    body = node.get("body")
    mode = body.get("mode") if isinstance(body, dict) else None
    raw = body.get("raw") if isinstance(body, dict) else None
    if not isinstance(raw, str) or not raw.strip():
        raise NotACallError(
            f"the body is {mode}, not raw" if mode not in (None, "raw") else "there is no body"
        )
    method, arguments, others = arguments_of(_json_text(raw, collection))
    base, endpoint = _place(node.get("url"), collection)
    if endpoint is None:
        raise NotACallError("the path is that of no endpoint")
    if base is not None:
        collection.servers[base] += 1
    session = _session_of(request, node, collection)
    if not is_token_shown and not _SIGNS_IN.match(method):
        session = _SOME_SESSION
    start, length, invalid_page, has_more = page_of(others)
    return Call(
        function=f"{endpoint}.{method}",
        arguments=without_secrets(arguments, frozenset()),
        status=200,
        succeeded=True,
        session=session,
        page_start=start,
        page_length=length,
        invalid_page=invalid_page,
        label=request.name,
        is_ordinary=not invalid_page and not has_more,
    )


def _answered(call: Call, example: Mapping[str, Json]) -> Call:
    """Return a call with the answer of an example. Raises NotACallError."""
    text, code = example.get("body"), example.get("code")
    status = code if isinstance(code, int) and not isinstance(code, bool) else 200
    if not isinstance(text, str) or not text.strip():
        raise NotACallError("the answer has no body")
    succeeded, result = data_of(text)
    values = {
        **vars(call),
        "status": status,
        "succeeded": succeeded and status == 200,
        "result": without_secrets(result, frozenset()),
        "has_result": succeeded,
    }
    return Call(**values)


def _place(url: Json, collection: _Collection) -> tuple[str | None, str | None]:
    """Return the base URL of an address, and its endpoint; None for what is not known."""
    raw = url.get("raw") if isinstance(url, dict) else url
    if not isinstance(raw, str):
        raw = _written(url) if isinstance(url, dict) else ""
    variables = dict(_variables(url)) if isinstance(url, dict) else {}
    text = collection.filled(raw).partition("?")[0].partition("#")[0].rstrip("/")
    base, slash, last = text.rpartition("/")
    if last.startswith(":"):
        last = variables.get(last[1:], last)
    if not slash or not _ENDPOINT.fullmatch(unquote(last)) or base.endswith("/"):
        return None, None
    scheme = urlsplit(base).scheme
    known = "{{" not in base and not re.search(r"/:\w", base)
    server = base if scheme in ("http", "https") else f"http://{base}" if known and base else None
    return f"{server}/" if server and known else None, unquote(last)


def _written(url: Mapping[str, Json]) -> str:
    """Return an address that is given in parts."""
    host = "".join(_texts(url, "host", "."))
    if isinstance(url.get("protocol"), str):
        host = f"{url['protocol']}://{host}"
    if isinstance(url.get("port"), str | int) and url["port"]:
        host = f"{host}:{url['port']}"
    return "/".join([host, *_texts(url, "path", "/")])


def _texts(url: Mapping[str, Json], key: str, separator: str) -> list[str]:
    value = url.get(key)
    if isinstance(value, str):
        return [value]
    listed = value if isinstance(value, list) else []
    parts = [each.get("value") if isinstance(each, dict) else each for each in listed]
    text = separator.join(str(part) for part in parts)
    return [text] if text else []


def _json_text(raw: str, collection: _Collection) -> str:
    """Return the JSON of a raw body: without comments, with the values of variables."""
    out: list[str] = []
    at, inside = 0, False
    while at < len(raw):
        variable = _VARIABLE.match(raw, at)
        if variable is not None:
            value = collection.value(variable[1])
            if inside:
                out.append(json.dumps(value if value is not None else MASK)[1:-1])
            else:
                out.append(value if value is not None else _UNKNOWN_VALUE)
            at = variable.end()
            continue
        if not inside and raw.startswith("//", at):
            at = (raw.find("\n", at) + 1) or len(raw)
            continue
        if not inside and raw.startswith("/*", at):
            end = raw.find("*/", at)
            at = len(raw) if end < 0 else end + 2
            continue
        if inside and raw[at] == "\\":
            out.append(raw[at : at + 2])
            at += 2
            continue
        inside ^= raw[at] == '"'
        out.append(raw[at])
        at += 1
    return "".join(out)
