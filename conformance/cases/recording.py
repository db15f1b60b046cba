"""Makes case files out of findings: what was sent, with symbols for users, identifiers and secrets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from conformance import __version__
from conformance.cases.format import FOLDER, Case, Expect, Step, escaped, file_name, symbol, symbols
from conformance.catalog.model import Catalog, Method
from conformance.protocol.caller import OMIT, Caller
from conformance.protocol.exchange import Exchange, field_bytes
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import MASK, SecretRegistry
from conformance.protocol.session import Sessions, sign
from conformance.resources.registry import Resources
from conformance.rulebook import RULES
from conformance.rulebook.findings import Finding, Key
from conformance.schema.pointer import assign

__all__ = ["Recorder"]

#: Data nested deeper than this goes into a case as the text that was sent.
_DEPTH = 60

#: So many characters of an object's data, and of an answer's, a case takes along.
_WITH, _SAW = 4_000, 600

#: Headers that every request has, or that follow from the rest.
_USUAL = frozenset({"host", "user-agent", "accept", "content-length", "content-type", "transfer-encoding"})


@dataclass(eq=False)
class _Life:
    """One object from its making to its end, in numbers of exchanges."""

    kind: str
    id: Any
    owner: str
    method: Method | None
    sent: dict[str, Any]
    born: int = 0
    died: int | None = None


@dataclass(eq=False)
class _Session:
    owner: str
    ended: int | None = None


class Recorder:
    """Keeps account of a run's objects and sessions, and makes the case of a finding.

    It outlives resets of the target: what an identifier stood for is told by when it was sent.
    """

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        caller: Caller,
        sessions: Sessions,
        resources: Resources,
        secret_registry: SecretRegistry,
    ) -> None:
        self.profile = profile
        self.catalog = catalog
        self.caller = caller
        self.sessions = sessions
        self.resources = resources
        self.secret_registry = secret_registry
        self._lives: dict[tuple[str, str], list[_Life]] = {}
        self._tokens: dict[str, _Session] = {}
        self._offered: dict[str, str | None] = {}
        self._sizes: dict[Key, tuple[int, int]] = {}
        #: The kind that a member of this name identifies, wherever it stands.
        self.kinds: dict[str, str] = {}
        for method in catalog.methods.values():
            for pointer, kind in identified(method):
                name = pointer.rpartition("/")[2]
                if name and name != "*":
                    self.kinds.setdefault(name, kind)

    # -- keeping account ---------------------------------------------------------------------------------------

    def signed(self, exchange: Exchange) -> None:
        """Take note of a session that a login gave or that a logout ended."""
        if exchange.login:
            token = self.sessions.session_value(exchange)
            offered = exchange.request.header("Token")
            if offered and offered not in self._tokens and exchange.succeeded:
                # Whatever becomes of it, no login gave it.
                self._offered.setdefault(offered, exchange.user or self._named(exchange))
            if isinstance(token, str) and token and token != offered:
                owner = self.secret_registry.sessions().get(token)
                self._tokens[token] = _Session(owner or exchange.user or "")
        elif exchange.status == 200 and exchange.function == self.profile.auth.logout:
            token = exchange.request.header("Token")
            known = self._tokens.get(token or "")
            if known is not None and known.ended is None:
                known.ended = exchange.number

    def _named(self, exchange: Exchange) -> str | None:
        """Return the user of the profile whose name a login was sent with."""
        login = self.profile.auth.login
        body = exchange.request.body
        return next(
            (
                name
                for name, user in self.profile.users.items()
                if login is not None and exchange.function == login.function and user.user.encode() in body
            ),
            None,
        )

    def born(self, exchange: Exchange, method: Method, identifier: Any, owner: str, sent: Any) -> None:
        """Take note of an object that a call created."""
        assert method.object is not None
        lives = self._lives.setdefault((method.object.kind, str(identifier)), [])
        if not lives or lives[-1].died is not None:
            data = sent if isinstance(sent, dict) else {}
            lives.append(_Life(method.object.kind, identifier, owner, method, data, exchange.number))

    def died(self, exchange: Exchange, kind: str, identifier: Any) -> None:
        """Take note of an object that a call deleted."""
        lives = self._lives.get((kind, str(identifier)))
        if lives and lives[-1].died is None:
            lives[-1].died = exchange.number

    def life(self, kind: str, value: Any, at: int | None) -> _Life | None:
        """Return the object that an identifier stood for when exchange `at` was sent (None: now)."""
        if value is None or isinstance(value, bool | float | dict | list):
            return None
        for life in reversed(self._lives.get((kind, str(value)), ())):
            if at is None or life.born < at:
                return life
        owner = self.resources.finder(kind, value)
        return _Life(kind, value, owner, None, {}) if owner is not None else None

    # -- cases -------------------------------------------------------------------------------------------------

    def event(self, finding: Finding) -> dict[str, Any] | None:
        """Return the event that tells of a finding's case; None where it has none, or a smaller one was told before.

        "file" is where it belongs in the run's folder, "case" what belongs into that file.
        """
        mask = self.secret_registry.mask
        size = _size(finding)
        if size is None or self._sizes.get(finding.key, (size[0] + 1, 0)) <= size:
            return None
        self._sizes[finding.key] = size
        case = self.case(finding)
        if case is None:
            return None
        name = file_name(case.rule, case.function, case.kind)
        text = json.dumps(case.to_json(), ensure_ascii=False, allow_nan=False)
        masked = mask(text)
        content = case.to_json()
        if masked is not text:
            before, content = content["steps"], json.loads(masked)
            if content["steps"] != before:
                # What had to be masked cannot be sent again, so that nothing can be expected of the answer.
                for step in content["steps"]:
                    step.pop("expect", None)
        return {
            "event": "case",
            "rule": finding.rule,
            "function": finding.function,
            "kind": mask(finding.kind),
            "file": f"{FOLDER}/{name}",
            "case": content,
        }

    def case(self, finding: Finding) -> Case | None:
        """Return the case of a finding, or None where nothing was sent that shows it."""
        writer = _Writer(self, finding.exchange, symbolic=finding.case is not None)
        if finding.case is not None:
            given = [Step.from_json(step, f"steps[{number}]") for number, step in enumerate(finding.case)]
            steps = [
                replace(step, data=writer.value(step.data, self._method(step.function)))
                if step.data is not OMIT
                else step
                for step in given
            ]
        elif finding.exchange is not None:
            steps = writer.steps(finding.exchange)
        else:
            return None
        if not steps:
            return None
        if not any(step.expect for step in steps):
            steps[-1] = replace(steps[-1], expect=_expectation(finding))
        tell = writer.tell
        kind, message = tell(finding.kind), tell(finding.message)
        users = {step.user for step in steps}
        for _, argument in (each for step in steps for each in symbols(step.to_json())):
            of = argument.get("of") if isinstance(argument, dict) else argument
            users.add(of.removeprefix("users.").removesuffix(".secret") if isinstance(of, str) else None)
        return Case(
            finding.rule,
            finding.function,
            kind,
            message,
            tell(finding.expected),
            tell(finding.actual),
            tuple(steps),
            __version__,
            {name: user.roles for name, user in self.profile.users.items() if name in users},
        )

    def _method(self, function: str | None) -> Method | None:
        return self.catalog.methods.get(function or "")


def _size(finding: Finding) -> tuple[int, int] | None:
    """Return how large an example is: its steps, and the characters of its requests; None where there is none."""
    if finding.case is not None:
        return len(finding.case), len(json.dumps(finding.case, default=str))
    return (1, len(finding.exchange.request.body)) if finding.exchange is not None else None


def _expectation(finding: Finding) -> Expect:
    exchange = finding.exchange
    check = RULES[finding.rule].check
    if check is not None and exchange is not None and check(exchange).broken:
        return Expect(rule=finding.rule)
    if finding.accepted is not None:
        return Expect(status=tuple(sorted(finding.accepted)))
    return Expect()


def identified(method: Method) -> list[tuple[str, str]]:
    """Return where a function's data holds identifiers: (JSON pointer with `*`, kind) each."""
    places = list(method.refs)
    role = method.object
    if role is not None and role.does in ("read", "update", "delete"):
        places.append((f"/{role.id}", role.kind))
    return places


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEPTH):
        level = [
            below
            for each in level
            if isinstance(each, dict | list)
            for below in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


class _Writer:
    """Writes one case: which names its objects have, and what its secrets are."""

    def __init__(self, recorder: Recorder, exchange: Exchange | None, *, symbolic: bool) -> None:
        """With `symbolic` data may hold symbols already; otherwise what looks like one is data."""
        self.recorder = recorder
        self._symbolic = symbolic
        self.profile = recorder.profile
        self.at = exchange.number if exchange is not None else None
        self._names: dict[_Life, str] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._secrets: list[tuple[bytes, dict[str, Any]]] = []
        for name, user in self.profile.users.items():
            if len(user.secret) >= 3:
                self._secrets.append((user.secret.encode(), {"$secret": f"users.{name}.secret"}))
        key = self.profile.auth.key_login
        if key is not None:
            self._secrets.append((key.private.encode(), {"$secret": "wrong"}))
            self._secrets.append((key.public.encode(), {"$secret": "auth.key_login.public"}))
        tokens = dict(recorder.secret_registry.sessions())
        if exchange is not None and (sent := exchange.request.header("Token")):
            tokens.setdefault(sent, exchange.user)
        for token, owner in tokens.items():
            if len(token) >= 6:
                known = {"$session": {"of": owner}} if owner in self.profile.users else {"$token": len(token)}
                self._secrets.append((field_bytes(token), known))
        for secret, known in list(self._secrets):
            spelled = escaped(secret.decode("utf-8", "replace")).encode()
            self._secrets.append((spelled, {"$escaped": known}))
        self._secrets.sort(key=lambda pair: -len(pair[0]))

    # -- identifiers -------------------------------------------------------------------------------------------

    def _life(self, kind: str, value: Any) -> Any:
        """Return the symbol of an identifier, or the value where it is none."""
        life = self.recorder.life(kind, value, self.at)
        if life is None or life.owner not in self.profile.users:
            return value
        if type(value) is type(life.id):
            return {"$object": self._object(life)}
        # A number in a text is that identifier, too.
        return {"$text": [{"$object": self._object(life)}]} if isinstance(value, str) else value

    def _object(self, life: _Life) -> dict[str, Any]:
        first = life not in self._names
        if first:
            number = sum(known.kind == life.kind for known in self._names) + 1
            self._names[life] = f"{life.kind}{number}"
        told: dict[str, Any] = {"kind": life.kind, "of": life.owner, "name": self._names[life]}
        if life.died is not None and (self.at is None or life.died < self.at):
            told["state"] = "deleted"
        if first and life.method is not None and not _deep(life.sent):
            made = self.value(life.sent, life.method)
            if isinstance(made, dict) and symbol(made) is None and len(json.dumps(made)) <= _WITH:
                told["with"] = made
        return told

    def tell(self, text: str) -> str:
        """Return a text for people without secrets, and with names for the identifiers of this case."""
        for life, name in self._names.items():
            shown = re.escape(str(life.id))
            text = re.sub(rf"(?<!status )(?<![\w.-]){shown}(?![\w-])", f"<{name}>", text)
        return self.recorder.secret_registry.mask(text)

    # -- values ------------------------------------------------------------------------------------------------

    def value(self, value: Any, method: Method | None) -> Any:
        """Return data with symbols in it."""
        patterns = [(tuple(p.split("/")[1:]), kind) for p, kind in identified(method)] if method else []
        return self._value(value, (), patterns)

    def _value(
        self, value: Any, place: tuple[str, ...], patterns: Sequence[tuple[tuple[str, ...], str]]
    ) -> Any:
        if isinstance(value, dict):
            if symbol(value) is not None:
                return value if self._symbolic else {"$literal": value}
            return {name: self._value(each, (*place, name), patterns) for name, each in value.items()}
        if isinstance(value, list):
            return [self._value(each, (*place, str(i)), patterns) for i, each in enumerate(value)]
        if place and value is not None and not isinstance(value, bool | float):
            kind = next((kind for pattern, kind in patterns if _fits(pattern, place)), None)
            kind = kind or self.recorder.kinds.get(place[-1])
            if kind is not None:
                found = self._life(kind, value)
                if found is not value:
                    return found
        return self.text(value) if isinstance(value, str) else value

    def text(self, value: str) -> Any:
        """Return a text with symbols for the secrets and the users' names in it."""
        for name, user in self.profile.users.items():
            if value == user.user:
                return {"$user": name}
        parts = self._parts(value.encode("utf-8", "surrogatepass"))
        if not any(isinstance(part, dict) for part in parts):
            return value
        shown = [part if isinstance(part, dict) else part.decode("utf-8", "surrogatepass") for part in parts]
        return shown[0] if len(shown) == 1 else {"$text": shown}

    def _parts(self, data: bytes) -> list[bytes | dict[str, Any]]:
        parts: list[bytes | dict[str, Any]] = [data]
        for secret, known in self._secrets:
            if secret not in data:
                continue
            cut: list[bytes | dict[str, Any]] = []
            for part in parts:
                if isinstance(part, dict):
                    cut.append(part)
                    continue
                for number, piece in enumerate(part.split(secret)):
                    if number:
                        cut.append(known)
                    if piece:
                        cut.append(piece)
            parts = cut
        return parts

    def credential(self, value: Any) -> Any:
        """Return what a login was sent with as the secret: even one that nearly is it must not be told."""
        if not isinstance(value, str) or not value:
            return value
        shown = self.text(value)
        if shown != value:
            return shown
        for name, user in self.profile.users.items():
            of = f"users.{name}.secret"
            for way in ("upper", "lower", "swap"):
                if value == in_case(user.secret, way):
                    return {"$secret": {"of": of, "case": way}}
            if user.secret.startswith(value):
                return {"$secret": {"of": of, "cut": len(value)}}
        return {"$secret": "wrong"}

    def raw(self, data: bytes, *, login: bool = False) -> Any:
        """Return the bytes of a body, or of a whole request, as a text with symbols, or as bytes."""
        users: list[tuple[str, dict[str, Any]]]
        users = [(user.user, {"$user": name}) for name, user in self.profile.users.items() if user.user]
        names = [(text.encode(), known) for text, known in users]
        names += [(escaped(text).encode(), {"$escaped": known}) for text, known in users]
        parts = self._parts(data)
        for plain, known in [*names, *self._identifiers(data)]:
            parts = [
                piece
                for part in parts
                for piece in ([part] if isinstance(part, dict) else _split(part, plain, known))
            ]
        if login:
            parts = [each for part in parts for each in self._rest(part, last=part is parts[-1])]
        out: list[Any] = []
        for part in parts:
            if isinstance(part, dict):
                out.append(part)
                continue
            try:
                out.append(part.decode("utf-8"))
            except UnicodeDecodeError:
                out.append({"$bytes": base64.b64encode(part).decode()})
        return out[0] if len(out) == 1 else {"$text": out} if out else ""

    def _identifiers(self, data: bytes) -> list[tuple[bytes, dict[str, Any]]]:
        """Return the members of a JSON text, whole or damaged, whose value is an identifier: as written, and symbol."""
        found: dict[bytes, dict[str, Any]] = {}
        for name, kind in self.recorder.kinds.items():
            pattern = rb'("%s"\s*:\s*)("(?:[^"\\]|\\.)*(?:"|\Z)|-?[0-9]+)' % re.escape(name.encode())
            for match in re.finditer(pattern, data):
                written = match.group(2).removesuffix(b'"').removeprefix(b'"')
                try:
                    value = json.loads(b'"%s"' % written if match.group(2)[:1] == b'"' else written)
                except ValueError:
                    continue
                known = self._life(kind, value)
                if known is value:
                    continue
                quoted = isinstance(value, str)
                # Only so far as the value itself reaches: what stands around it may be what the case is about.
                head = match.group(1) + (b'"' if quoted else b"")
                found[head + written] = {"head": head, **known}
        return list(found.items())

    def _rest(self, part: bytes | dict[str, Any], *, last: bool) -> list[bytes | dict[str, Any]]:
        """Take what is left of a secret out of a piece of a login: cut short at the end, or nearly right."""
        login = self.profile.auth.login
        if isinstance(part, dict) or login is None:
            return [part]
        ends = rb'(?="|\Z)' if last else rb'(?=")'
        pattern = rb'("%s"\s*:\s*")((?:[^"\\]|\\.)+)%s' % (re.escape(login.secret.encode()), ends)
        match = re.search(pattern, part)
        if match is None:
            return [part]
        written = match.group(2)
        try:
            value = str(json.loads(b'"%s"' % written))
        except ValueError:
            value = written.decode("utf-8", "replace")
        known = self.credential(value)
        if not isinstance(known, dict):
            return [part]
        middle: list[Any] = known.get("$text", [known])
        if written == escaped(value).encode():
            middle = [escaped(each) if isinstance(each, str) else {"$escaped": each} for each in middle]
        return [
            part[: match.end(1)],
            *(each.encode() if isinstance(each, str) else each for each in middle),
            *([part[match.end() :]] if part[match.end() :] else []),
        ]

    # -- steps -------------------------------------------------------------------------------------------------

    def steps(self, exchange: Exchange) -> list[Step]:
        """Return the step that an exchange was, after those that it needs."""
        step = self._session(exchange, self._request(exchange))
        first: list[Step] = []
        token = exchange.request.header("Token")
        session = self.recorder._tokens.get(token or "")
        logout = self.profile.auth.logout
        if step.user is not None and step.function == logout:
            step = replace(step, session=1)
        if session is not None and session.ended is not None and session.ended < exchange.number:
            # It is about a session that had ended.
            if logout is not None and step.user is not None:
                first = [Step(user=step.user, session=1, function=logout)]
                step = replace(step, session=1)
            else:
                step = replace(step, user=None, token={"$token": len(token or "")})
        login = self.profile.auth.login
        if token in self.recorder._offered and not exchange.login and login is not None:
            owner = self.recorder._offered[token]
            if owner is not None:
                # It is about a session of the client's own choosing.
                right = {login.user: {"$user": owner}, login.secret: {"$secret": f"users.{owner}.secret"}}
                chosen = {"$token": len(token)}
                first = [Step(function=login.function, data=right, token=chosen)]
                step = replace(step, user=None, token=chosen)
        return [*first, replace(step, saw=self._saw(exchange, step))]

    def _session(self, exchange: Exchange, step: Step) -> Step:
        """Say in whose session it was sent."""
        if step.raw is not None:
            return step
        headers = exchange.request.headers
        name, token = next(
            ((name, value) for name, value in headers if name.lower() == "token"), ("Token", None)
        )
        if token is None:
            return step
        session = self.recorder._tokens.get(token)
        owner = (session.owner if session is not None else None) or exchange.user
        step = replace(step, token_header=name)
        if session is not None and owner in self.profile.users:
            return replace(step, user=owner)
        return replace(step, token=self._token(token))

    def _token(self, token: str) -> Any:
        """Return a session identifier that no login gave: made of one that a login gave, or made up."""
        best: tuple[int, Any] = (5, None)
        for known, session in reversed(self.recorder._tokens.items()):
            if session.owner not in self.profile.users:
                continue
            of = {"of": session.owner}
            for way in ("upper", "lower", "swap"):
                if token == in_case(known, way):
                    return {"$session": of | {"case": way}}
            most = min(len(token), len(known))
            head = next((n for n in range(most) if token[n] != known[n]), most)
            tail = next((n for n in range(most - head) if token[-1 - n] != known[-1 - n]), most - head)
            if head + tail > best[0]:
                middle = token[head : len(token) - tail]
                parts: list[Any] = [{"$session": of | {"cut": head}}] * bool(head)
                parts += [middle] * bool(middle)
                parts += [{"$session": of | {"from": len(known) - tail}}] * bool(tail)
                best = (head + tail, {"$text": parts})
        if best[1] is not None:
            return best[1]
        # What nobody would take for an identifier is told as it is.
        return {"$token": len(token)} if re.fullmatch(r"[\w.~+/=-]*", token, re.ASCII) else token

    def _request(self, exchange: Exchange) -> Step:
        request = exchange.request
        client = self.recorder.caller.client
        address = client.address
        path = request.url.partition("://")[2].partition("/")
        whole = f"/{path[2]}" if path[1] else ""
        target = whole[len(address.path) :] if whole.startswith(address.path) else whole
        head = field_bytes(
            f"{request.verb} {whole} HTTP/1.1\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in request.headers)
        )
        chunked = any(name.lower() == "transfer-encoding" for name, _ in request.headers)
        built = (
            not request.exact
            and request.raw.startswith(head + b"\r\n")
            and (chunked or request.raw == head + b"\r\n" + request.body)
        )
        if not built:
            return Step(function=exchange.function, raw=self._wire(request.raw))
        types = [value for name, value in request.headers if name.lower() == "content-type"]
        common: dict[str, Any] = {
            "verb": request.verb,
            "content_type": types[0] if types else None,
            "chunked": chunked,
            "headers": self._headers(exchange),
        }
        plain = self._plain(exchange, target)
        if plain is not None:
            plain = replace(plain, **common)
            signed = self._key_values(exchange)
            return plain if signed is None else self._key_login(signed, plain)
        entity = (exchange.function or "").partition(".")[0]
        return Step(
            function=exchange.function if "." in (exchange.function or "") else None,
            target=None
            if target == entity and "." in (exchange.function or "")
            else self._target(target, whole),
            body=self.raw(request.body, login=exchange.login),
            **common,
        )

    def _target(self, target: str, whole: str) -> Any:
        """Return what is appended to the base; a slash at its beginning must not make it a path of its own."""
        shown = self.text(target)
        if target == whole or not target.startswith("/"):
            return shown
        rest = shown["$text"] if isinstance(shown, dict) and "$text" in shown else [shown]
        return {"$text": [{"$base": "path"}, *rest]}

    def _plain(self, exchange: Exchange, target: str) -> Step | None:
        """Return the plain call that a request is, or None."""
        body = exchange.request.body
        try:
            call = json.loads(body, parse_constant=_no_number)
        except (ValueError, RecursionError):
            return None
        if not isinstance(call, dict) or not isinstance(call.get("method"), str) or not call["method"]:
            return None
        name = f"{target}.{call['method']}"
        if re.fullmatch(r"[A-Za-z0-9_-]+", target) is None:
            return None
        members = {"data": OMIT, "pageStart": OMIT, "pageLength": OMIT} | call
        members.pop("method")
        if len(members) != 3 or _deep(call):
            return None
        data, start, length = (members[each] for each in ("data", "pageStart", "pageLength"))
        if self.recorder.caller.body(name, data, page_start=start, page_length=length) != body:
            return None
        if data is not OMIT:
            login = self.profile.auth.login
            shown = self.value(data, self.recorder._method(name))
            if exchange.login and login is not None and isinstance(data, dict) and login.secret in data:
                shown = {**shown, login.secret: self.credential(data[login.secret])}
            data = shown
        return Step(
            function=name,
            data=data,
            page_start=OMIT if start is OMIT else self.value(start, None),
            page_length=OMIT if length is OMIT else self.value(length, None),
        )

    def _headers(self, exchange: Exchange) -> tuple[tuple[str, Any], ...]:
        common = {name.lower() for name in self.profile.headers}
        shown = exchange.record(limit=64)["request"]["headers"]
        out: list[tuple[str, Any]] = []
        token = False
        for name, value in exchange.request.headers:
            lower = name.lower()
            if lower in _USUAL or lower in common:
                continue
            if lower == "token" and not token:
                token = True
                continue
            text = self.text(value)
            if text == value and value and shown.get(name) == MASK:
                text = {"$token": len(value)}
            out.append((name, text))
        return tuple(out)

    def _key_values(self, exchange: Exchange) -> Mapping[str, str] | None:
        """Return the four values of a key login, from its headers or its data."""
        key = self.profile.auth.key_login
        if key is None or exchange.function != key.function:
            return None
        sent = {name.lower(): value for name, value in exchange.request.headers}
        values: dict[str, Any] = {}
        try:
            data = json.loads(exchange.request.body).get("data")
        except (ValueError, AttributeError, RecursionError):
            data = None
        for name in ("apikey", "time", "random", "hmac"):
            value = data.get(name) if isinstance(data, dict) else None
            value = value if value is not None else sent.get(f"x-coursio-{name}")
            if not isinstance(value, str):
                return None
            values[name] = value
        return values

    def _key_login(self, values: Mapping[str, str], step: Step) -> Step:
        """Return a key login that is signed anew, as far as its signature was right."""
        key = self.profile.auth.key_login
        assert key is not None
        right = sign(key, values["time"], values["random"])
        told: dict[str, Any] = {name: {"$secret": f"auth.key_login.{name}"} for name in right}
        if values["apikey"] != key.public:
            told["apikey"] = values["apikey"]
        of, sent = "auth.key_login.hmac", values["hmac"]
        same = next(
            (n for n, pair in enumerate(zip(sent, right["hmac"], strict=False)) if pair[0] != pair[1]),
            min(len(sent), len(right["hmac"])),
        )
        if sent == right["hmac"].upper():
            told["hmac"] = {"$secret": {"of": of, "case": "upper"}}
        elif same >= 8 and sent != right["hmac"]:
            told["hmac"] = {"$text": [{"$secret": {"of": of, "cut": same}}, sent[same:]]}
        elif sent != right["hmac"]:
            told = {**values, "apikey": told["apikey"], "hmac": {"$secret": "wrong"} if sent else sent}
        data = step.data
        if isinstance(data, dict):
            for name in told:
                if name in data:
                    data = assign(data, f"/{name}", told[name])
        headers = tuple(
            (name, told.get(name.lower().removeprefix("x-coursio-"), value)) for name, value in step.headers
        )
        return replace(step, data=data, headers=headers)

    def _wire(self, raw: bytes) -> Any:
        """Return a request as it went over the wire, with the target's address as symbols."""
        address = self.recorder.caller.client.address
        shown = self.raw(raw)
        parts = shown["$text"] if symbol(shown) and "$text" in shown else [shown]
        for plain, name in ((address.authority, "authority"), (address.path, "path")):
            cut: list[Any] = []
            for part in parts:
                if not isinstance(part, str) or len(plain) < 2:
                    cut.append(part)
                    continue
                for number, piece in enumerate(part.split(plain)):
                    if number:
                        cut.append({"$base": name})
                    if piece:
                        cut.append(piece)
            parts = cut
        return {"$text": parts}

    def _saw(self, exchange: Exchange, step: Step) -> dict[str, Any]:
        """Return what came, in short."""
        if exchange.failure is not None:
            return {"failure": self.tell(f"{exchange.failure.kind}: {exchange.failure.detail}")[:200]}
        saw: dict[str, Any] = {"status": exchange.status}
        if exchange.envelope is None:
            return saw
        message = exchange.message
        saw["errMsg"] = self.tell(message)[:200] if isinstance(message, str) else message
        if exchange.login or _deep(saw["errMsg"]):
            saw = {"status": exchange.status}
        elif exchange.response is not None and len(exchange.response.body) < 4 * _SAW:
            shown = None if _deep(exchange.data) else self._shown(exchange)
            if len(json.dumps(shown)) <= _SAW:
                saw["data"] = shown
        return saw

    def _shown(self, exchange: Exchange) -> Any:
        """Return an answer's data with symbols for every identifier that is known to be one."""
        data = exchange.data
        method = self.recorder._method(exchange.function)
        role = method.object if method is not None else None
        places = []
        if role is not None and role.does == "create":
            places = [(tuple(role.id.split("/")[1:]), role.kind)]
        at, self.at = self.at, None
        try:
            return self._value(data, (), places)
        finally:
            self.at = at


def _fits(pattern: Sequence[str], place: Sequence[str]) -> bool:
    return len(pattern) == len(place) and all(
        part in ("*", name) for part, name in zip(pattern, place, strict=True)
    )


def _split(part: bytes, plain: bytes, known: dict[str, Any]) -> Iterable[bytes | dict[str, Any]]:
    """Cut a piece at each place where something stands; "head" is what stays in front of the symbol."""
    head = known.get("head", b"")
    shown = {name: value for name, value in known.items() if name != "head"}
    # An identifier ends where its digits or letters do.
    ends = rb"(?![0-9A-Za-z])" if head else b""
    out: list[bytes | dict[str, Any]] = []
    for number, piece in enumerate(re.split(re.escape(plain) + ends, part)):
        if number:
            out += [each for each in (head, shown) if each]
        if piece:
            out.append(piece)
    merged: list[bytes | dict[str, Any]] = []
    for each in out:
        if merged and isinstance(each, bytes) and isinstance(merged[-1], bytes):
            merged[-1] += each
        else:
            merged.append(each)
    return merged


def in_case(text: str, way: str) -> str:
    """Return a text in upper, lower or swapped case."""
    return {"upper": text.upper, "lower": text.lower}.get(way, text.swapcase)()
