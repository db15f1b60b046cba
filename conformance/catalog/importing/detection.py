"""The format of a document that is imported, by its content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from conformance.catalog.reader import read_lenient
from conformance.errors import UsageError
from conformance.schema.bundle import Json

__all__ = ["ACCEPTED", "Detected", "detect", "page_hint"]

ACCEPTED = (
    "OpenAPI 3.0 and 3.1, Swagger 2.0, Postman collections 2.1, OpenRPC, and documentation pages in HTML "
    "(JSON or YAML but for the last)"
)
_MAX_SHOWN = 6
#: Addresses of documents in pages that show them.
_SHOWN_DOCUMENT = re.compile(r"(?:\burl\s*:|spec-url\s*=)\s*[\"']([^\"'\s]+)[\"']")


@dataclass(frozen=True)
class Detected:
    """A document and its format: "page", "openapi", "swagger", "postman" or "openrpc".

    `document` is its value; None for a page.
    """

    format: str
    document: Mapping[str, Json] | None = None


def detect(text: str, where: str) -> Detected:
    """Return a document with its format.

    Raises:
        UsageError: it has none of the formats; the message says what was seen and what is accepted.

    """
    stripped = text.lstrip("\ufeff \t\r\n")
    if not stripped:
        raise _unknown(where, "is empty")
    if stripped.startswith("<"):
        if re.match(r"<(?:\?xml|[\w.-]+:)", stripped) and not re.search(r"<html\b", stripped[:4096], re.I):
            root = re.search(r"<([A-Za-z][\w.:-]*)", stripped)
            raise _unknown(where, f"is an XML document ({root[1] if root else 'without an element'})")
        return Detected("page")
    document = _value(stripped, where)
    if not isinstance(document, dict):
        if re.search(r"<\w+[^>]*\bclass\s*=", text):
            return Detected("page")
        raise _unknown(where, f"is {_described(document)}")
    # The interface of Postman wraps a collection.
    wrapped = document.get("collection")
    if isinstance(wrapped, dict) and "item" in wrapped:
        document = wrapped
    return Detected(_format(document, where), document)


def page_hint(html: str) -> str:
    """Return a hint where a page shows a document that can be imported; "" elsewhere."""
    if not re.search(r"swagger-ui|redoc|rapidoc|stoplight", html, re.IGNORECASE):
        return ""
    found = _SHOWN_DOCUMENT.search(html)
    shown = f" ({found[1][:120]})" if found else ""
    return f"; it shows an OpenAPI document: give the address of that{shown}"


def _value(text: str, where: str) -> Json:
    if text[0] in "{[":
        try:
            return json.loads(text, parse_constant=_no_constant)
        except json.JSONDecodeError as error:
            as_json = f"line {error.lineno}, column {error.colno}: is no JSON: {error.msg}"
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: cannot be read: {error or 'nested too deep'}") from None
    else:
        as_json = ""
    try:
        return read_lenient(text)
    except ValueError as error:
        raise UsageError(f"{where}: {as_json or error}") from None


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is not JSON")


def _format(document: Mapping[str, Json], where: str) -> str:
    openapi, swagger, openrpc = (document.get(key) for key in ("openapi", "swagger", "openrpc"))
    if openapi is not None:
        if not re.match(r"3\.\d", str(openapi)):
            raise _unknown(where, f"is an OpenAPI document of version {openapi}")
        return "openapi"
    if swagger is not None:
        if not str(swagger).startswith("2"):
            raise _unknown(where, f"is a Swagger document of version {swagger}")
        return "swagger"
    if openrpc is not None:
        if not isinstance(document.get("methods"), list):
            raise _unknown(where, "is an OpenRPC document without methods")
        return "openrpc"
    if isinstance(document.get("item"), list) and isinstance(document.get("info"), dict):
        return "postman"
    raise _unknown(where, _seen(document))


def _seen(document: Mapping[str, Json]) -> str:
    """Return what a document of no accepted format looks like."""
    if "requests" in document and ("order" in document or "folders" in document):
        return "is a Postman collection of format 1 (Postman exports it as Collection v2.1)"
    if isinstance(document.get("values"), list) and "_postman_variable_scope" in document:
        return "is a Postman environment, not a collection"
    log = document.get("log")
    if isinstance(log, dict) and "entries" in log:
        return "is a HAR capture (conform catalog learn reads it)"
    for key, name in (
        ("asyncapi", "an AsyncAPI document"),
        ("swaggerVersion", "a Swagger 1 document"),
        ("__schema", "a GraphQL schema"),
        ("$schema", "a JSON Schema"),
        ("methods", "a document with methods but without the member openrpc"),
        ("paths", "a document with paths but without the member openapi or swagger"),
    ):
        if key in document or (key == "__schema" and "__schema" in str(document.get("data"))[:40]):
            return f"is {name}"
    names = ", ".join(list(document)[:_MAX_SHOWN]) + (", …" if len(document) > _MAX_SHOWN else "")
    return f"is an object with {names or 'no members'}"


def _described(value: Json) -> str:
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return f"the value {json.dumps(value)}"


def _unknown(where: str, seen: str) -> UsageError:
    return UsageError(f"{where}: {seen}, which is not read here: give one of {ACCEPTED}")
