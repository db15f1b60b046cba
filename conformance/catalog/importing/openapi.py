"""Import of an OpenAPI 3.0 or 3.1 or Swagger 2.0 document.

An operation is a function, or several, if its body is a request of the protocol, or if it has `x-rpc`: "course.find",
an object with `entity` and `function`, or true, where its operationId is the name. The parameters of an operation with
`x-rpc` are those of its query, path and form, and the members of its body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote, urlsplit

from conformance.catalog.importing.entries import Function, Imported, extensions_of
from conformance.catalog.importing.envelopes import (
    Body,
    Branch,
    Flat,
    bodies,
    branches,
    flat,
    names_of,
)
from conformance.catalog.importing.names import FUNCTION_NAME, Parameter, function_name
from conformance.catalog.importing.operations import Operation, Operations
from conformance.catalog.importing.repair import repaired
from conformance.errors import UsageError
from conformance.schema.bundle import Json

__all__ = ["read_openapi"]

_MAX_SHOWN = 3


def read_openapi(document: Mapping[str, Json], where: str, separator: str | None) -> Imported:
    """Return the functions of an OpenAPI or Swagger document.

    Raises:
        UsageError: no operation is a function.

    """
    return _Reader(document, separator).read(where)


# One class, though it is long: one method for each construct of a document, which all resolve references in it.
class _Reader:
    def __init__(self, document: Mapping[str, Json], separator: str | None) -> None:
        self.separator = separator
        info = document.get("info")
        title = info.get("title") if isinstance(info, dict) else None
        self.out = Imported("", title if isinstance(title, str) and title else "API")
        self.source = Operations(document, self.out.notes)
        self.out.kind = self.source.kind
        self.schemas = self.source.schemas
        self.prefixes: set[str] = set()

    def read(self, where: str) -> Imported:
        others: list[str] = []
        total = 0
        for operation in self.source.operations():
            total += 1
            before = len(self.out.functions)
            if not self._functions(operation) and len(self.out.functions) == before:
                others.append(operation.label)
        shown = ", ".join(others[:_MAX_SHOWN]) + (", …" if len(others) > _MAX_SHOWN else "")
        if not self.out.functions:
            reasons = "".join(f"; {note}" for note in self.out.notes[:2])
            raise UsageError(
                f"{where}: is {self.out.kind} with {total} operations{f' ({shown})' if shown else ''}, and none is a "
                'function: a body with "method" and "data", or x-rpc: entity.function, makes one' + reasons
            )
        if others:
            self.out.notes.append(f"operations that are no functions, left out: {len(others)} ({shown})")
        self.out.server = self.source.server(self.prefixes)
        return self.out

    # --- functions ----------------------------------------------------------------------------------------------

    def _functions(self, operation: Operation) -> bool:
        """Add the functions of an operation; return whether it is, or claims to be, one."""
        schema = self.source.body(operation)
        given = operation.node.get("x-rpc")
        if given is None and operation.verb != "post":
            return False
        found = [] if schema is None else bodies(self.schemas, schema)
        if given not in (None, False):
            return self._named(operation, given, found, schema)
        if not found:
            return False
        entities = self._entities(operation)
        if not entities:
            self.out.notes.append(f"{operation.label}: names no endpoint, so it is left out")
        answers = self.source.answers(operation)
        for body in found:
            names = self._names(body, operation, len(found))
            if not names and entities:
                self.out.notes.append(f"{operation.label}: a request names no function in method: left out")
            for name in names:
                for entity in entities:
                    self._add(f"{entity}.{name}", body, operation, answers, len(found) * len(names))
        return True

    def _names(self, body: Body, operation: Operation, number: int) -> list[str]:
        """Return the functions of a request: those of its `method`, else of the path's fragment or the operationId."""
        if body.names:
            return body.names
        fragment = operation.path.partition("#")[2]
        if fragment:
            return [unquote(fragment)]
        # Examples of the body are of its functions.
        content = self.source.content(operation)
        examples = content.get("examples")
        values = [each.get("value") for each in examples.values()] if isinstance(examples, dict) else []
        values.append(content.get("example"))
        found = [
            each["method"]
            for each in values
            if isinstance(each, dict) and isinstance(each.get("method"), str)
        ]
        if found:
            return list(dict.fromkeys(found))
        name = operation.node.get("operationId")
        full = function_name(name, self.separator) if isinstance(name, str) and number == 1 else None
        return [full.partition(".")[2]] if full is not None else []

    def _entities(self, operation: Operation) -> list[str]:
        """Return the endpoints of a path: its last part, or the values of a parameter that stands for it."""
        path = urlsplit(operation.path).path.rstrip("/")
        prefix, _, last = path.rpartition("/")
        variable = re.fullmatch(r"\{(.+)\}", last)
        self.prefixes.add(prefix)
        if variable is None:
            name = unquote(last)
            return [name] if re.fullmatch(r"[^\s./{}]+", name) else []
        for param in operation.parameters:
            if param.get("name") == variable[1]:
                return names_of(self.schemas, self.source.schema_of(param))
        return []

    def _named(self, operation: Operation, given: Json, found: list[Body], schema: Json) -> bool:
        """Add the function that `x-rpc` names."""
        name = given if isinstance(given, str) else None
        extensions: dict[str, Json] = {}
        if given is True:
            name = operation.node.get("operationId")
        elif isinstance(given, dict):
            extensions = {
                f"x-{key}" if not key.startswith("x-") else key: value for key, value in given.items()
            }
            name = next((given[key] for key in ("name", "rpc") if isinstance(given.get(key), str)), None)
            function = next(
                (given[key] for key in ("function", "method") if isinstance(given.get(key), str)), ""
            )
            entity = given.get("entity")
            if not isinstance(entity, str) and "." not in function:
                entity = next(iter(self._entities(operation)), None)
            if function:
                name = f"{entity}.{function}" if entity and "." not in function else function
        full = function_name(name, self.separator) if isinstance(name, str) else None
        if full is None:
            self.out.notes.append(f"{operation.label}: x-rpc does not say entity.function, so it is left out")
            return True
        body = found[0] if found else Body([], schema, Flat(), Branch(schema))
        if not found:
            body.flat.extensions = {}
        body.flat.extensions = {**body.flat.extensions, **extensions}
        self._add(full, body, operation, self.source.answers(operation), 1, is_bare=not found)
        return True

    def _add(
        self,
        name: str,
        body: Body,
        operation: Operation,
        answers: tuple[list[tuple[Branch, Json]], Json],
        siblings: int,
        *,
        is_bare: bool = False,
    ) -> None:
        if not FUNCTION_NAME.fullmatch(name):
            self.out.notes.append(f"{operation.label}: {name!r} is no entity.function: left out")
            return
        params = list(self._members(name, body.data))
        if is_bare:
            params = [*self._listed(name, operation), *params]
        stated = self._stated(operation, body)
        questions = []
        if (data := self._result(body, answers, siblings)) is not None:
            schema = self.schemas.read(data, f"{name} result", result=True)
            stated["result"] = {"name": "data", "schema": schema}
        if (body.is_paged or (is_bare and _pages(operation))) and "x-rows" not in stated:
            rows = _rows(stated.get("result", {}).get("schema"))
            if rows is None:
                questions.append("x-rows")
            else:
                stated["x-rows"] = rows
        about = body.flat.description if siblings > 1 else ""
        about = about or _text(operation.node, "description", "summary") or body.flat.description
        unique = {param.name: param for param in reversed(params)}
        params = [param for param in params if unique.get(param.name) is param]
        function = repaired(Function(name, about, tuple(params), stated, tuple(questions)), self.out.notes)
        if function is not None:
            self.out.add(function)

    # --- parameters ---------------------------------------------------------------------------------------------

    def _members(self, name: str, data: Json) -> Iterator[Parameter]:
        """Yield the parameters that the schema of `data` describes."""
        if data is None:
            return
        found = [flat(self.schemas, branch.schema) for branch in branches(self.schemas, data)]
        objects = [each for each in found if each is not None]
        if not objects:
            node, _ = self.schemas.follow(data)
            if node.keys() - {"description", "title"}:
                self.out.notes.append(
                    f"{name}: its data is described as no object: its parameters are not known"
                )
            return
        if len(objects) > 1:
            self.out.notes.append(
                f"{name}: its data has {len(objects)} alternatives, which are taken together"
            )
        properties: dict[str, Json] = {}
        for each in objects:
            for member, schema in each.properties.items():
                own = properties.setdefault(member, schema)
                if own != schema:
                    options = own["anyOf"] if isinstance(own, dict) and own.keys() == {"anyOf"} else [own]
                    properties[member] = own if schema in options else {"anyOf": [*options, schema]}
        required = set(objects[0].required).intersection(*(each.required for each in objects[1:]))
        for member, schema in properties.items():
            target, _ = self.schemas.follow(schema)
            if target.get("readOnly") is True:
                continue
            about = target.get("description")
            read = self.schemas.read(schema, f"{name} {member}")
            if isinstance(read, dict) and isinstance(about, str) and read.get("description") == about:
                read = {key: value for key, value in read.items() if key != "description"}
            yield Parameter(member, read, member in required, about if isinstance(about, str) else "")

    def _listed(self, name: str, operation: Operation) -> Iterator[Parameter]:
        """Yield the parameters of the query, the path and the form of an operation."""
        for param in operation.parameters:
            own = param.get("name")
            if (
                param.get("in") not in ("query", "path", "formData")
                or not isinstance(own, str)
                or _is_page(own)
            ):
                continue
            schema = self.schemas.read(self.source.schema_of(param), f"{name} {own}")
            about = param.get("description")
            yield Parameter(
                own, schema, param.get("required") is True, about if isinstance(about, str) else ""
            )

    def _result(self, body: Body, answers: tuple[list[tuple[Branch, Json]], Json], siblings: int) -> Json:
        """Return the schema of a function's data among those of its operation; None if it is not known."""
        found, bare = answers
        if bare is not None:
            return bare if siblings == 1 else None
        if siblings == 1:
            schemas = [data for _, data in found if data is not None]
            return None if len(schemas) != len(found) or not schemas else _one_of(schemas)
        stems = [data for branch, data in found if branch.stem and branch.stem == body.branch.stem]
        return stems[0] if len(stems) == 1 else None

    # --- what else is stated ------------------------------------------------------------------------------------

    def _stated(self, operation: Operation, body: Body) -> dict[str, Json]:
        stated: dict[str, Json] = {}
        for extensions in (operation.node, body.flat.extensions):
            stated |= extensions_of(extensions)
        if "x-auth" not in stated and (auth := self.source.auth(operation)) is not None:
            stated["x-auth"] = auth
        if "x-effect" not in stated and operation.verb in ("get", "head", "delete"):
            stated["x-effect"] = "delete" if operation.verb == "delete" else "read"
        if operation.node.get("deprecated") is True:
            stated["deprecated"] = True
        return stated


def _text(node: Mapping[str, Json], *keys: str) -> str:
    return next((node[key] for key in keys if isinstance(node.get(key), str) and node[key]), "")


def _is_page(name: str) -> bool:
    return name in ("pageStart", "pageLength")


def _pages(operation: Operation) -> bool:
    return any(_is_page(str(each.get("name"))) for each in operation.parameters)


def _one_of(schemas: Sequence[Json]) -> Json:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def _rows(schema: Json) -> str | None:
    """Return the pointer to the only array of a result; None if there is none, or more than one."""
    if not isinstance(schema, dict):
        return None
    if schema.get("type") == "array":
        return ""
    properties = schema.get("properties")
    arrays = [
        name
        for name, node in (properties.items() if isinstance(properties, dict) else ())
        if isinstance(node, dict) and node.get("type") == "array"
    ]
    return f"/{arrays[0]}" if len(arrays) == 1 else None
