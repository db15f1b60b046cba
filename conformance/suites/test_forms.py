"""REQ: forms with their own Content-Type, and calls in the query string, which are not JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from conformance.engine import budgets
from conformance.engine.context import TestContext
from conformance.engine.markers import each_endpoint, judges
from conformance.helpers.builtin_names import dealt
from conformance.helpers.probing import probing_status, valid_call

FORM = "application/x-www-form-urlencoded"
BOUNDARY = "conform5b1c"

#: The longest query string of a call.
MAX_QUERY_CHARACTERS = 4000


@judges("REQ-4")
@each_endpoint()
def test_calls_that_are_forms(ctx: TestContext, endpoint: str) -> None:
    """Send a valid call as a form, as multipart and in the query string: only JSON in the body is a call."""
    endpoint = endpoint or ctx.endpoint()
    call, _, ask = valid_call(ctx, endpoint)
    for what, body, options in dealt(ctx, list(forms(endpoint, call)), budgets.FORMS):
        kind = f"a call that is not JSON is not refused: {what}"
        if not ctx.seeks("REQ-4", kind):
            continue
        # A target that takes the query string for a part of the endpoint's name does not know that endpoint.
        accepted = {400, 404} if "target" in options else {400}
        probing_status(ctx, "REQ-4", ask(body, **options), accepted, endpoint=endpoint, kind=kind)


def forms(endpoint: str, call: bytes) -> Iterator[tuple[str, bytes, dict[str, Any]]]:
    """Yield (what, body, options): the call in forms that web frameworks read by themselves."""
    message = json.loads(call)
    arguments = {name: _text(value) for name, value in message["data"].items()}
    members = {"method": message["method"], "data": json.dumps(message["data"], separators=(",", ":"))}
    flat = {"method": message["method"], **arguments}
    nested = {"method": message["method"], **{f"data[{name}]": value for name, value in arguments.items()}}
    whole = {"json": call.decode()}
    for what, fields in (
        ("a form of the members", members),
        ("a form of the arguments", {**members, **flat}),
        ("a form with nested names", nested),
        ("a form with the JSON in a field", whole),
    ):
        yield what, urlencode(fields).encode(), {"content_type": FORM}
    for what, fields in (
        ("multipart of the members", members),
        ("multipart with nested names", nested),
        ("multipart with the JSON in a field", whole),
    ):
        yield what, _multipart(fields), {"content_type": f"multipart/form-data; boundary={BOUNDARY}"}
    for what, fields, content_type in (
        ("the call in the query string", {**members, **arguments}, "application/json"),
        ("the call in the query string, with a form's type", {**members, **arguments}, FORM),
        ("nested names in the query string", nested, None),
    ):
        query = urlencode(fields)
        if len(query) <= MAX_QUERY_CHARACTERS:
            yield what, b"", {"target": f"{endpoint}?{query}", "content_type": content_type}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _multipart(fields: dict[str, str]) -> bytes:
    """Return fields as multipart/form-data (RFC 7578)."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    return ("".join(parts) + f"--{BOUNDARY}--\r\n").encode()
