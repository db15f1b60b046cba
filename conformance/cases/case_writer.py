"""Writes the steps of a case for an exchange."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from conformance.cases.format import Step, symbol
from conformance.cases.symbol_writer import SymbolWriter, in_case, is_deep
from conformance.protocol.caller import OMIT
from conformance.protocol.exchange import Exchange, field_bytes
from conformance.protocol.redaction import MASK, hide_secret_fields
from conformance.protocol.session import sign
from conformance.schema.pointer import assign

__all__ = ["CaseWriter"]

#: Characters of a response's data that a case includes.
MAX_RESPONSE_CHARACTERS = 600

#: Headers that every request has, or that follow from the rest of the request.
_ORDINARY_HEADERS = frozenset(
    {"host", "user-agent", "accept", "content-length", "content-type", "transfer-encoding"}
)


def _reject_constant(text: str) -> NoReturn:
    raise ValueError(text)


class CaseWriter(SymbolWriter):
    """Writes the steps of one case."""

    # -- steps -------------------------------------------------------------------------------------------------

    def steps(self, exchange: Exchange) -> list[Step]:
        """Return the step of an exchange, after the steps that it requires."""
        step = self._session(exchange, self._request(exchange))
        first: list[Step] = []
        token = exchange.request.header("Token")
        session = self.recorder.tokens.get(token or "")
        logout = self.profile.auth.logout
        if step.user is not None and step.function == logout:
            step = replace(step, session=1)
        if session is not None and session.ended is not None and session.ended < exchange.number:
            # The case is about a session that had ended.
            if logout is not None and step.user is not None:
                first = [Step(user=step.user, session=1, function=logout)]
                step = replace(step, session=1)
            else:
                step = replace(step, user=None, token={"$token": len(token or "")})
        login = self.profile.auth.login
        if token in self.recorder.offered and not exchange.login and login is not None:
            owner = self.recorder.offered[token]
            if owner is not None:
                # The case is about a session identifier that the client chose.
                right = {login.user: {"$user": owner}, login.secret: {"$secret": f"users.{owner}.secret"}}
                chosen = {"$token": len(token)}
                first = [Step(function=login.function, data=right, token=chosen)]
                step = replace(step, user=None, token=chosen)
        return [*first, replace(step, saw=self._saw(exchange, step))]

    def _session(self, exchange: Exchange, step: Step) -> Step:
        """Return the step with the session in which it was sent."""
        if step.raw is not None:
            return step
        headers = exchange.request.headers
        name, token = next(
            ((name, value) for name, value in headers if name.lower() == "token"), ("Token", None)
        )
        if token is None:
            return step
        session = self.recorder.tokens.get(token)
        owner = (session.owner if session is not None else None) or exchange.user
        step = replace(step, token_header=name)
        if session is not None and owner in self.profile.users:
            return replace(step, user=owner)
        return replace(step, token=self._token(token))

    def _token(self, token: str) -> Any:
        """Return a symbol for a token that no login returned: derived from a real session, or invented."""
        best: tuple[int, Any] = (5, None)
        for known, session in reversed(self.recorder.tokens.items()):
            if session.owner not in self.profile.users:
                continue
            of = {"of": session.owner}
            for letter_case in ("upper", "lower", "swap"):
                if token == in_case(known, letter_case):
                    return {"$session": of | {"case": letter_case}}
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
        # A text that cannot be a session identifier is written as it is.
        return {"$token": len(token)} if re.fullmatch(r"[\w.~+/=-]*", token, re.ASCII) else token

    def _request(self, exchange: Exchange) -> Step:
        """Return the step of a request, without its session."""
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
        """Return the text appended to the base URL; a leading slash must not make it an absolute path."""
        shown = self.text(target)
        if target == whole or not target.startswith("/"):
            return shown
        rest = shown["$text"] if isinstance(shown, dict) and "$text" in shown else [shown]
        return {"$text": [{"$base": "path"}, *rest]}

    def _plain(self, exchange: Exchange, target: str) -> Step | None:
        """Return the step if the request is a plain call of a function, or None."""
        body = exchange.request.body
        try:
            call = json.loads(body, parse_constant=_reject_constant)
        except (ValueError, RecursionError):
            return None
        if not isinstance(call, dict) or not isinstance(call.get("method"), str) or not call["method"]:
            return None
        name = f"{target}.{call['method']}"
        if re.fullmatch(r"[A-Za-z0-9_-]+", target) is None:
            return None
        members = {"data": OMIT, "pageStart": OMIT, "pageLength": OMIT} | call
        members.pop("method")
        if len(members) != 3 or is_deep(call):
            return None
        data, start, length = (members[each] for each in ("data", "pageStart", "pageLength"))
        if self.recorder.caller.body(name, data, page_start=start, page_length=length) != body:
            return None
        if data is not OMIT:
            login = self.profile.auth.login
            shown = self.value(data, self.recorder.method(name))
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
        """Return the headers that matter, with symbols."""
        common = {name.lower() for name in self.profile.headers}
        shown = exchange.record(limit=64).request.headers
        out: list[tuple[str, Any]] = []
        token = False
        for name, value in exchange.request.headers:
            lower = name.lower()
            if lower in _ORDINARY_HEADERS or lower in common:
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
        """Return the four values of a key login, from its headers or its data, or None."""
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
        """Return a key login that is signed again when it is replayed, as far as its signature was correct."""
        key = self.profile.auth.key_login
        assert key is not None
        right = sign(key, values["time"], values["random"])
        symbols: dict[str, Any] = {name: {"$secret": f"auth.key_login.{name}"} for name in right}
        if values["apikey"] != key.public:
            symbols["apikey"] = values["apikey"]
        of, sent = "auth.key_login.hmac", values["hmac"]
        same = next(
            (n for n, pair in enumerate(zip(sent, right["hmac"], strict=False)) if pair[0] != pair[1]),
            min(len(sent), len(right["hmac"])),
        )
        if sent == right["hmac"].upper():
            symbols["hmac"] = {"$secret": {"of": of, "case": "upper"}}
        elif same >= 8 and sent != right["hmac"]:
            symbols["hmac"] = {"$text": [{"$secret": {"of": of, "cut": same}}, sent[same:]]}
        elif sent != right["hmac"]:
            symbols = {**values, "apikey": symbols["apikey"], "hmac": {"$secret": "wrong"} if sent else sent}
        data = step.data
        if isinstance(data, dict):
            for name in symbols:
                if name in data:
                    data = assign(data, f"/{name}", symbols[name])
        headers = tuple(
            (name, symbols.get(name.lower().removeprefix("x-coursio-"), value))
            for name, value in step.headers
        )
        return replace(step, data=data, headers=headers)

    def _wire(self, raw: bytes) -> Any:
        """Return the bytes of a request as text, with symbols for the target's address."""
        address = self.recorder.caller.client.address
        shown = self.raw(
            hide_secret_fields(raw, [name.lower() for name in self.profile.headers], known=False)
        )
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
        """Return a summary of the response."""
        if exchange.failure is not None:
            return {"failure": self.for_people(f"{exchange.failure.kind}: {exchange.failure.detail}")[:200]}
        saw: dict[str, Any] = {"status": exchange.status}
        if exchange.envelope is None:
            return saw
        message = exchange.message
        saw["errMsg"] = self.for_people(message)[:200] if isinstance(message, str) else message
        if exchange.login or is_deep(saw["errMsg"]):
            saw = {"status": exchange.status}
        elif exchange.response is not None and len(exchange.response.body) < 4 * MAX_RESPONSE_CHARACTERS:
            shown = None if is_deep(exchange.data) else self._shown(exchange)
            if len(json.dumps(shown)) <= MAX_RESPONSE_CHARACTERS:
                saw["data"] = shown
        return saw

    def _shown(self, exchange: Exchange) -> Any:
        """Return the data of a response with symbols for every known identifier."""
        data = exchange.data
        method = self.recorder.method(exchange.function)
        role = method.object if method is not None else None
        places = []
        if role is not None and role.does == "create":
            places = [(tuple(role.id.split("/")[1:]), role.kind)]
        at, self.at = self.at, None
        try:
            return self._value(data, (), places)
        finally:
            self.at = at
