"""Export of a catalogue as an OpenAPI 3.1 description, for OpenAPI tools.

OpenAPI distinguishes operations by path and verb. In this protocol all functions of an entity share both, and `method`
in the body selects the function. Two forms of the description are valid, and neither needs a proxy between the
tool and the target:

by endpoint (the default)
    One operation for each endpoint, `POST /course`. Its body is one of the functions' requests, distinguished by the
    constant `method` (`oneOf` with a discriminator). Its success is any of the functions' successes. This form uses
    common features only, so it suits documentation pages, mocks and client generators.

by function (`per_function`)
    One operation for each function, at a path with a fragment: `POST /course#find`. A client never sends the fragment
    (RFC 3986, section 3.5; RFC 9110, section 4.1), so the target receives `POST /course` with the constant `method` in
    the body. A tool can call, count and filter single functions, and each has its own security and result. A tool that
    encodes `#` as `%23` cannot use this form.
    Only this form has links, from functions that create or list objects to functions that require nothing but the
    identifier of one. The body of a link contains a runtime expression inside a literal, which tools for stateful tests
    accept. OpenAPI itself mentions a body that is wholly a literal or wholly an expression.

The description states the promises of the rulebook's *must* rules, and with `strict` those of its *should* rules that a
schema can express (ENV-8, ENV-9, SEC-5). Where the rulebook allows a target to accept or refuse a value (a page length
of 0, a huge or null page start, `data: null` where nothing is required), the description allows the value.

The catalogue's members x-auth, x-effect, x-rows, x-object and x-beyond-schema are written, including their defaults, to
the request of each function and to its operation if it has one. The member x-ref stays in the schemas.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from conformance.catalog.model import Catalog, Method, refs
from conformance.schema.bundle import LISTS, MAPS, SINGLE, Json

__all__ = ["describe"]

#: The member of a request that selects the function of an endpoint.
_METHOD = "method"

#: The documented errors: status, name of the component, description.
_ERRORS = (
    ("400", "BadRequest", "The request or its data is invalid."),
    ("401", "Unauthorized", "There is no valid session, or the credentials are wrong."),
    ("403", "Forbidden", "Access for the current user is denied."),
    ("404", "NotFound", "There is no such endpoint, function or object."),
    ("500", "ServerError", "The server failed."),
)
_SESSION = "Token"
#: Members of a schema that are removed: OpenAPI would give them a meaning, or they refer to removed anchors.
_DROPPED = frozenset(
    {"$dynamicAnchor", "$recursiveAnchor", "$vocabulary", "discriminator", "xml", "externalDocs"}
)


def describe(
    catalog: Catalog,
    *,
    url: str | None = None,
    per_function: bool = False,
    strict: bool = False,
    envelope_extra: Collection[str] = (),
) -> dict[str, Json]:
    """Return the OpenAPI 3.1 document of a catalogue that was read from a document, as JSON values.

    `url` is the base URL of the endpoints; without it the document names no server.
    `envelope_extra` are the top-level members of a response that `strict` lets pass (ENV-9).
    """
    return _Writer(catalog, per_function, strict, sorted(envelope_extra)).document(url)


class _Components:
    """The schemas of the document by name; equal schemas share one entry, different ones get different names."""

    def __init__(self) -> None:
        self.schemas: dict[str, Json] = {}
        self._known: dict[tuple[str, str], str] = {}

    def add(self, name: str, schema: Json) -> str:
        """Add a schema under this name, or this name with a number, and return the reference to it."""
        free = self._free(name)
        self.schemas[free] = schema
        return _reference(free)

    def _free(self, name: str) -> str:
        free, number = name, 1
        while free in self.schemas:
            number += 1
            free = f"{name}{number}"
        return free

    def hoist(self, bundled: Json) -> Json:
        """Move the `$defs` of a bundled schema to the components, and return the schema."""
        definitions = bundled.get("$defs", {}) if isinstance(bundled, dict) else {}
        names: dict[str, str] = {}
        for name in definitions:
            # Two definitions are equal if everything that they refer to is equal, too.
            known = (name, json.dumps(_closure(name, definitions), sort_keys=True))
            if known not in self._known:
                self._known[known] = free = self._free(name)
                self.schemas[free] = None
            names[name] = self._known[known]

        def renamed(ref: str) -> str:
            return _reference(names[ref.removeprefix("#/$defs/")])

        for name, schema in definitions.items():
            self.schemas[names[name]] = _rewritten(schema, renamed)
        return _rewritten(bundled, renamed)


def _reference(name: str) -> str:
    return f"#/components/schemas/{name}"


def _closure(name: str, definitions: Mapping[str, Json]) -> dict[str, Json]:
    """Return a definition and everything that it refers to, directly or indirectly."""
    reached: dict[str, Json] = {}
    waiting = [name]

    def met(ref: str) -> str:
        waiting.append(ref.removeprefix("#/$defs/"))
        return ref

    while waiting:
        at = waiting.pop()
        if at not in reached:
            reached[at] = definitions[at]
            _rewritten(definitions[at], met)
    return reached


def _rewritten(schema: Json, renamed: Callable[[str], str]) -> Json:
    """Return a copy of a bundled schema with renamed references, but not of values that only look like one."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Json] = {}
    for key, value in schema.items():
        if key == "$defs" or key in _DROPPED:
            continue
        if key == "$ref":
            out[key] = renamed(value)
        elif key in SINGLE:
            out[key] = _rewritten(value, renamed)
        elif key in LISTS:
            out[key] = [_rewritten(item, renamed) for item in value]
        elif key in MAPS:
            out[key] = {name: _rewritten(item, renamed) for name, item in value.items()}
        else:
            out[key] = value
    return out


class _Writer:
    def __init__(self, catalog: Catalog, per_function: bool, strict: bool, extra: list[str]) -> None:
        self.catalog = catalog
        self.per_function = per_function
        self.strict = strict
        self.extra = extra
        self.components = _Components()
        self.requests: dict[str, str] = {}
        self.successes: dict[str, str] = {}

    def document(self, url: str | None) -> dict[str, Json]:
        for method in self.catalog:
            name = _capitals(method.name)
            self.requests[method.name] = self.components.add(f"{name}Request", self.request(method))
            self.successes[method.name] = self.components.add(f"{name}Success", self.success(method))
        failure = self.components.add("Failure", self.failure())
        paths = self.functions() if self.per_function else self.endpoints()
        return {
            "openapi": "3.1.0",
            "info": self.info(),
            **({} if url is None else {"servers": [{"url": _plain(url).rstrip("/") or "/"}]}),
            "tags": [{"name": entity} for entity in self.catalog.entities],
            "paths": paths,
            "components": {
                "schemas": self.components.schemas,
                "responses": {
                    name: {"description": description, "content": _json({"$ref": failure})}
                    for _, name, description in _ERRORS
                },
                "securitySchemes": {
                    _SESSION: {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Token",
                        "description": "The identifier of a login session.",
                    }
                },
            },
        }

    def info(self) -> dict[str, Json]:
        info = self.catalog.raw["info"]
        description = info.get("description")
        return {
            "title": info["title"],
            "version": info["version"],
            **({"description": description} if isinstance(description, str) else {}),
        }

    # --- schemas ------------------------------------------------------------------------------------------------

    def request(self, method: Method) -> Json:
        data = self.components.hoist(method.data_schema)
        for param in method.params:
            schema = data["properties"][param.name]
            if param.description and isinstance(schema, dict):
                schema.setdefault("description", param.description)
        required = [_METHOD]
        if any(param.required for param in method.params):
            required.append("data")
        else:
            data["type"] = ["object", "null"]  # REQ-2
        row = {"type": ["integer", "null"], "minimum": 0}
        paging = {
            "pageStart": {**row, "description": "Data output starting row."},
            "pageLength": {**row, "description": "Data output row limit; without one there is none."},
        }
        return {
            "type": "object",
            **({"description": method.description} if method.description else {}),
            "properties": {
                _METHOD: {"type": "string", "const": method.function},
                "data": data,
                **({} if method.rows is None else paging),
            },
            "required": required,
            **_extensions(method),
        }

    def success(self, method: Method) -> Json:
        data = {"type": "object"} if method.result_schema is None else method.result_schema
        return self.envelope(
            isError={"type": "boolean", "const": False},
            errMsg={"type": "null"},
            data=self.components.hoist(data),
        )

    def failure(self) -> Json:
        return self.envelope(
            isError={"type": "boolean", "const": True},
            errMsg={"type": "string", "pattern": r"\S"},
            data={"type": ["object", "null"], "maxProperties": 0} if self.strict else {},
        )

    def envelope(self, **members: Json) -> Json:
        return {
            "type": "object",
            "properties": {**({name: {} for name in self.extra} if self.strict else {}), **members},
            "required": list(members),
            **({"additionalProperties": False} if self.strict else {}),
        }

    # --- operations ---------------------------------------------------------------------------------------------

    def endpoints(self) -> dict[str, Json]:
        paths: dict[str, Json] = {}
        for entity in self.catalog.entities:
            methods = [method for method in self.catalog if method.entity == entity]
            choice = {
                "oneOf": [{"$ref": self.requests[method.name]} for method in methods],
                "discriminator": {
                    "propertyName": _METHOD,
                    "mapping": {method.function: self.requests[method.name] for method in methods},
                },
            }
            one = f"One of {', '.join(method.function for method in methods)}."
            # `anyOf`, not `oneOf`: the data of one function may also match the schema of another one.
            results = {"anyOf": [{"$ref": self.successes[method.name]} for method in methods]}
            inside = all(method.protected for method in methods)
            operation = self.operation(entity, entity, choice, results, inside=inside)
            paths[f"/{_path(entity)}"] = {
                "post": {**operation, "description": one, **_security_of({each.auth for each in methods})}
            }
        return paths

    def functions(self) -> dict[str, Json]:
        paths: dict[str, Json] = {}
        for method in self.catalog:
            operation = self.operation(
                method.name,
                method.entity,
                {"$ref": self.requests[method.name]},
                {"$ref": self.successes[method.name]},
                inside=bool(method.protected),
            )
            if method.description:
                operation["description"] = method.description
            if links := self.links(method):
                operation["responses"]["200"]["links"] = links
            operation |= {**_security_of({method.auth}), **_extensions(method)}
            paths[f"/{_path(method.entity)}#{_path(method.function)}"] = {"post": operation}
        return paths

    def operation(
        self, name: str, entity: str, request: Json, success: Json, *, inside: bool
    ) -> dict[str, Json]:
        answered: dict[str, Json] = {"description": "Done.", "content": _json(success)}
        if self.strict and inside:
            answered["headers"] = {  # SEC-5
                "Cache-Control": {
                    "required": True,
                    "schema": {"type": "string", "pattern": "[Nn][Oo]-[Ss][Tt][Oo]|[Pp][Rr][Ii][Vv][Aa]"},
                },
                "X-Content-Type-Options": {
                    "required": True,
                    "schema": {"type": "string", "pattern": "^[Nn][Oo][Ss][Nn][Ii][Ff][Ff]$"},
                },
            }
        failed = {status: {"$ref": f"#/components/responses/{name}"} for status, name, _ in _ERRORS}
        return {
            "operationId": name,
            "tags": [entity],
            "requestBody": {"required": True, "content": _json(request)},
            "responses": {"200": answered, **failed},
        }

    def links(self, method: Method) -> dict[str, Json]:
        """Return links to functions that take the identifier of an object that this function creates or lists."""
        role = method.object
        if role is None or role.does not in ("create", "list"):
            return {}
        row = "" if role.does == "create" else f"{method.rows or ''}/0"
        found: dict[str, Json] = {}
        for other in self.catalog:
            param = _asks_for(other, role.kind)
            if param is not None and other is not method:
                found[other.name] = {
                    "operationId": other.name,
                    "requestBody": {
                        _METHOD: other.function,
                        "data": {param: f"$response.body#/data{row}{role.id}"},
                    },
                }
        return found


def _asks_for(method: Method, kind: str) -> str | None:
    """Return the parameter that takes the identifier of an object of a kind, if no other parameter is required."""
    taking = [pointer[1:] for pointer, each in refs(method.data_schema) if each == kind]
    role = method.object
    if role is not None and role.kind == kind and role.does in ("read", "update", "delete"):
        taking.insert(0, role.id)
    required = {param.name for param in method.params if param.required}
    return next((name for name in taking if method.param(name) and required <= {name}), None)


def _extensions(method: Method) -> dict[str, Json]:
    role = method.object
    out: dict[str, Json] = {"x-effect": method.effect}
    if method.auth is not None:
        out["x-auth"] = method.auth
    if method.rows is not None:
        out["x-rows"] = method.rows
    if role is not None:
        out["x-object"] = {"kind": role.kind, "does": role.does, "id": role.id, "at": role.at}
    if method.beyond_schema:
        out["x-beyond-schema"] = True
    return out


def _security_of(auths: Collection[str | None]) -> dict[str, Any]:
    """Return the security of an operation whose functions have these values of `x-auth`."""
    if set(auths) == {"none"}:
        return {"security": []}
    if None in auths or "none" in auths:
        return {"security": [{}, {_SESSION: []}]}
    roles = sorted(auth for auth in auths if auth is not None and auth != "session")
    return {"security": [{_SESSION: roles if len(auths) == 1 else []}]}


def _json(schema: Json) -> dict[str, Json]:
    return {"application/json": {"schema": schema}}


def _plain(url: str) -> str:
    """Return a URL with its braces escaped, since OpenAPI reads them as variables."""
    return url.replace("{", "%7B").replace("}", "%7D")


def _path(name: str) -> str:
    return quote(name, safe="!$&'()*+,;=:@")


def _capitals(name: str) -> str:
    """Return a valid name of a component, for example CourseFind for course.find."""
    words = [word for word in re.split(r"[^A-Za-z0-9]+", name) if word]
    return "".join(word[0].upper() + word[1:] for word in words) or "Function"
