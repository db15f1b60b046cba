"""Import of an OpenRPC document of JSON-RPC, whose functions may have names without a dot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from conformance.catalog.importing.entries import Function, Imported, extensions_of
from conformance.catalog.importing.names import Parameter, function_name, without_separator
from conformance.catalog.importing.repair import repaired
from conformance.catalog.importing.schemas import SchemaReader
from conformance.schema.bundle import Json

__all__ = ["read_openrpc", "server_of"]

#: Members of a method that the catalogue has no use for.
_LEFT_OUT = ("errors", "examples", "links", "servers")
_SIMPLE = ("summary", "deprecated", "externalDocs")


def read_openrpc(document: Mapping[str, Json], where: str, separator: str | None) -> Imported:
    """Return the functions of an OpenRPC document.

    Raises:
        UsageError: no function names an entity.

    """
    info = document.get("info")
    title = info.get("title") if isinstance(info, dict) else None
    kind = f"an OpenRPC {document.get('openrpc')} document"
    out = Imported(kind, title if isinstance(title, str) and title else "API")
    out.server = server_of(document.get("servers"))
    reader = SchemaReader(document, out.notes, siblings=True, directions=False)
    methods = document.get("methods")
    names: list[str] = []
    left: Counter[str] = Counter()
    total = 0
    for at, raw in enumerate(methods if isinstance(methods, list) else ()):
        method, _ = reader.follow(raw)
        total += 1
        name = method.get("name")
        if not isinstance(name, str) or not name:
            out.notes.append(f"method {at + 1} has no name: left out")
            continue
        full = function_name(name, separator)
        if full is None:
            names.append(name)
            continue
        left.update(key for key in _LEFT_OUT if method.get(key))
        function = repaired(_function(full, method, reader, out.notes), out.notes)
        if function is not None:
            out.add(function)
    if names and not out.functions:
        raise without_separator(where, names, total, separator)
    if names:
        out.notes.append(f"names without an entity, left out: {', '.join(names)}")
    out.notes += [f"{key} of {number} functions are not part of a catalogue" for key, number in left.items()]
    return out


def server_of(servers: Json) -> str | None:
    """Return the URL of the first server of a document, with the default values of its variables."""
    first = servers[0] if isinstance(servers, list) and servers else servers
    url = first.get("url") if isinstance(first, dict) else None
    if not isinstance(url, str):
        return None
    variables = first.get("variables")
    for name, about in variables.items() if isinstance(variables, dict) else ():
        if isinstance(about, dict):
            url = url.replace(f"{{{name}}}", str(about.get("default", "")))
            url = url.replace(f"${{{name}}}", str(about.get("default", "")))
    return url


def _function(name: str, method: Mapping[str, Json], reader: SchemaReader, notes: list[str]) -> Function:
    stated = {**extensions_of(method), **{key: method[key] for key in _SIMPLE if key in method}}
    if method.get("paramStructure") == "by-position":
        notes.append(f"{name}: takes its parameters by position; they go by name here")
    tagged = method["tags"] if isinstance(method.get("tags"), list) else []
    tags = [reader.follow(tag)[0] for tag in tagged if isinstance(tag, dict)]
    if tags:
        stated["tags"] = [tag for tag in tags if tag]
    params: list[Parameter] = []
    listed = method.get("params")
    for at, raw in enumerate(listed if isinstance(listed, list) else ()):
        param, _ = reader.follow(raw)
        param_name = param.get("name")
        if not isinstance(param_name, str) or not param_name:
            notes.append(f"{name}: parameter {at + 1} has no name: left out")
            continue
        if any(each.name == param_name for each in params):
            notes.append(f"{name} {param_name}: is described twice: the first is taken")
            continue
        if "schema" not in param:
            notes.append(f"{name} {param_name}: has no schema, so any value stands in")
        schema = reader.read(param.get("schema", {}), f"{name} {param_name}")
        params.append(Parameter(param_name, schema, param.get("required") is True, _about(param)))
    result, _ = reader.follow(method.get("result"))
    if "schema" in result:
        label = result.get("name")
        schema = reader.read(result["schema"], f"{name} result", result=True)
        stated["result"] = {"name": label if isinstance(label, str) and label else "data", "schema": schema}
    return Function(name, _about(method), tuple(params), stated)


def _about(node: Mapping[str, Json]) -> str:
    """Return the description of a method or a parameter."""
    for key in ("description", "summary"):
        if isinstance(node.get(key), str) and node[key]:
            return str(node[key])
    return ""
