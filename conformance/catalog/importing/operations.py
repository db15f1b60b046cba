"""The operations of an OpenAPI or Swagger document: paths, bodies, answers and security."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conformance.catalog.importing.envelopes import Branch, data_of_answers
from conformance.catalog.importing.openrpc import server_of
from conformance.catalog.importing.schemas import SchemaReader
from conformance.schema.bundle import Json

__all__ = ["Operation", "Operations"]

VERBS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_SUCCESSES = ("200", "201", "2XX", "2xx", "202")
_JSON_TYPE = re.compile(r"(?:application|text)/(?:[\w.+-]*\+)?json\b", re.IGNORECASE)
#: Members of a Swagger parameter that are no keywords of its schema.
_NO_KEYWORDS = frozenset(
    {"name", "in", "required", "description", "collectionFormat", "allowEmptyValue", "x-example"}
)


@dataclass
class Operation:
    """An operation of a path."""

    path: str
    verb: str
    node: Mapping[str, Json]
    parameters: Sequence[Mapping[str, Json]]

    @property
    def label(self) -> str:
        """The verb and the path, for notes."""
        return f"{self.verb.upper()} {self.path}"


class Operations:
    """Reads the operations of a document; `notes` collects what was left out."""

    def __init__(self, document: Mapping[str, Json], notes: list[str]) -> None:
        self.document = document
        version = str(document.get("openapi") or document.get("swagger"))
        self.is_swagger = "openapi" not in document
        self.kind = f"{'a Swagger' if self.is_swagger else 'an OpenAPI'} {version} document"
        newer = not self.is_swagger and not version.startswith("3.0")
        self.schemas = SchemaReader(document, notes, siblings=newer)

    def operations(self) -> Iterator[Operation]:
        """Yield the operations in the order of the document."""
        paths = self.document.get("paths")
        for path, raw in paths.items() if isinstance(paths, dict) else ():
            item, _ = self.schemas.follow(raw)
            shared = item.get("parameters")
            for verb in VERBS:
                node = item.get(verb)
                if isinstance(node, dict):
                    own = node.get("parameters")
                    listed = [
                        *(shared if isinstance(shared, list) else ()),
                        *(own if isinstance(own, list) else ()),
                    ]
                    found = [self.schemas.follow(each)[0] for each in listed]
                    # A parameter of the operation takes the place of the path's.
                    unique = {(str(each.get("in")), str(each.get("name"))): each for each in found}
                    yield Operation(str(path), verb, node, list(unique.values()))

    def server(self, prefixes: set[str]) -> str | None:
        """Return the base URL of a document whose endpoints lie below one of these paths."""
        if self.is_swagger:
            host, base = self.document.get("host"), self.document.get("basePath", "/")
            schemes = self.document.get("schemes")
            scheme = schemes[0] if isinstance(schemes, list) and schemes else "https"
            url = f"{scheme}://{host}{base}" if isinstance(host, str) else None
        else:
            url = server_of(self.document.get("servers"))
        prefix = next(iter(prefixes)) if len(prefixes) == 1 else ""
        return None if url is None else f"{url.rstrip('/')}{prefix}/"

    def schema_of(self, param: Mapping[str, Json]) -> Json:
        """Return the schema of a parameter."""
        if "schema" in param:
            return param["schema"]
        content = param.get("content")
        if isinstance(content, dict):
            return next((each.get("schema", {}) for each in content.values() if isinstance(each, dict)), {})
        return {key: value for key, value in param.items() if key not in _NO_KEYWORDS}

    def content(self, operation: Operation) -> Mapping[str, Json]:
        """Return the media type object of an operation's body."""
        request, _ = self.schemas.follow(operation.node.get("requestBody"))
        return _json_content(request.get("content"))

    def body(self, operation: Operation) -> Json:
        """Return the schema of an operation's body; None without one."""
        if self.is_swagger:
            return next(
                (each.get("schema") for each in operation.parameters if each.get("in") == "body"), None
            )
        return self.content(operation).get("schema")

    def answers(self, operation: Operation) -> tuple[list[tuple[Branch, Json]], Json]:
        """Return the data of an operation's successes; the second value is the answer if it is no envelope."""
        responses = operation.node.get("responses")
        responses = responses if isinstance(responses, dict) else {}
        status = next((each for each in (*_SUCCESSES, "default") if each in responses), None)
        if status is None:
            return [], None
        answer, _ = self.schemas.follow(responses[status])
        schema = (
            answer.get("schema") if self.is_swagger else _json_content(answer.get("content")).get("schema")
        )
        if schema is None:
            return [], None
        found, is_envelope = data_of_answers(self.schemas, schema)
        return found, None if is_envelope or status == "default" else schema

    def auth(self, operation: Operation) -> str | None:
        """Return who may call an operation, by its security; None if that is not stated."""
        security = operation.node.get("security", self.document.get("security"))
        if not isinstance(security, list):
            return None
        if not security:
            return "none"
        if any(not each for each in security):
            # Some callers have a session and others not, which may be a matter of the function.
            return None
        named = [
            (name, scopes) for each in security if isinstance(each, dict) for name, scopes in each.items()
        ]
        if any(
            self._scheme(name).get("type") in ("oauth2", "openIdConnect") and scopes for name, scopes in named
        ):
            # Scopes of tokens are not roles of users.
            return None
        roles = [scope for _, scopes in named if isinstance(scopes, list) for scope in scopes]
        if not roles:
            return "session"
        return roles[0] if len(roles) == 1 and isinstance(roles[0], str) else None

    def _scheme(self, name: str) -> Mapping[str, Json]:
        """Return the security scheme of a name."""
        components = self.document.get("components")
        schemes = (
            self.document.get("securityDefinitions")
            if self.is_swagger
            else components.get("securitySchemes")
            if isinstance(components, dict)
            else None
        )
        return self.schemas.follow(schemes.get(name))[0] if isinstance(schemes, dict) else {}


def _json_content(content: Json) -> Mapping[str, Json]:
    """Return the media type object of JSON, or of any type."""
    if not isinstance(content, dict):
        return {}
    found = {str(name): about for name, about in content.items() if isinstance(about, dict)}
    for name, about in found.items():
        if _JSON_TYPE.match(name) or name == "*/*":
            return about
    # The body is JSON whatever its type is called; forms and multipart have schemas, too.
    plain = [about for name, about in found.items() if name.startswith(("text/", "application/octet"))]
    return plain[0] if len(plain) == 1 else {}
