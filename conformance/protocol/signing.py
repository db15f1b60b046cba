"""Signing of requests by a function of the team (`[target] auth_hook`) that returns an `httpx.Auth`."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import httpx

from conformance.errors import UsageError
from conformance.protocol.exchange import Request, Response, field_bytes
from conformance.protocol.redaction import SecretRegistry

__all__ = ["SignedRequest", "load_auth"]

#: Further requests that a scheme with a challenge (such as Digest) may ask for.
MAX_ROUNDS = 2
_CODED = frozenset({"content-encoding", "content-length", "transfer-encoding"})


def load_auth(path: Path, name: str) -> httpx.Auth:
    """Return what the function of a file returns.

    Raises:
        UsageError: the file has no such function, fails, or returns something else.

    """
    where = f"[target] auth_hook: {path.name}:{name}"
    spec = importlib.util.spec_from_file_location(f"conform_auth_hook_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{where}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        function = getattr(module, name, None)
        if not callable(function):
            raise UsageError(f"{where}: the file has no function of this name")
        auth = function()
    except UsageError:
        raise
    except Exception as error:
        line = ""
        at = error.__traceback__
        while at is not None:
            if at.tb_frame.f_code.co_filename == str(path):
                line = f" in line {at.tb_lineno}"
            at = at.tb_next
        # The message may show a secret that the function has read.
        raise UsageError(f"{where}: fails{line} with {type(error).__name__}") from None
    if not isinstance(auth, httpx.Auth):
        raise UsageError(f"{where}: returns {type(auth).__name__}, not an httpx.Auth")
    return auth


class SignedRequest:
    """A request while it is signed: the headers that the scheme sets, and what it asks for after a response."""

    def __init__(self, auth: httpx.Auth, request: Request, registry: SecretRegistry) -> None:
        self._registry = registry
        self._original = request
        self._flow: Generator[httpx.Request, httpx.Response, None] = auth.sync_auth_flow(
            httpx.Request(
                request.verb,
                request.url,
                headers=[(field_bytes(name), field_bytes(value)) for name, value in request.headers],
                content=request.body,
            )
        )
        self._asked: httpx.Request | None = next(self._flow)
        self.request = self._with_headers(self._asked)
        self._rounds = 0

    def answered(self, response: Response | None) -> Request | None:
        """Return the request that the scheme asks for after this response; None if it asks for none."""
        if response is None or self._rounds >= MAX_ROUNDS:
            self._flow.close()
            return None
        headers = [pair for pair in response.headers if pair[0].lower() not in _CODED]
        answer = httpx.Response(response.status, headers=headers, content=response.body, request=self._asked)
        try:
            self._asked = self._flow.send(answer)
        except StopIteration:
            return None
        self._rounds += 1
        return self._with_headers(self._asked)

    def _with_headers(self, signed: httpx.Request) -> Request:
        """Return the original request with the headers that the scheme has added or changed."""
        request = self._original
        had = {(name.lower(), value) for name, value in request.headers}
        known = {name.lower() for name, _ in request.headers}
        changed = [
            (raw.decode("latin-1"), value.decode("latin-1"))
            for raw, value in signed.headers.raw
            if (raw.decode("latin-1").lower(), value.decode("latin-1")) not in had
            # httpx adds these by itself where they are missing.
            and not (
                raw.lower() in (b"host", b"content-length") and raw.decode("latin-1").lower() not in known
            )
        ]
        head, gap, rest = request.raw.partition(b"\r\n\r\n")
        headers = list(request.headers)
        for name, value in changed:
            self._registry.header(name)
            headers = [pair for pair in headers if pair[0].lower() != name.lower()]
            headers.append((name, value))
            head = re.sub(rb"(?im)\r\n" + re.escape(field_bytes(name)) + rb":[^\r\n]*", b"", head)
            head += b"\r\n" + field_bytes(f"{name}: {value}")
        return replace(request, headers=tuple(headers), raw=head + gap + rest)
