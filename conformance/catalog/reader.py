"""Reads the document of a catalogue: JSON, or YAML that means the same as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from conformance.errors import UsageError
from conformance.schema.bundle import Json

__all__ = ["is_json", "parse_document", "read_document", "read_lenient", "read_text"]


class _NotJsonError(ValueError):
    """A text has a member name twice in one object, or a constant that JSON does not have."""


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    """Return the members of an object; reject a name that appears twice."""
    members: dict[str, Json] = {}
    for name, value in pairs:
        if name in members:
            raise _NotJsonError(f"the member name {name!r} stands twice in one object")
        members[name] = value
    return members


def _constant(text: str) -> NoReturn:
    """Reject NaN and Infinity."""
    raise _NotJsonError(f"{text} is not JSON")


class _JsonConstructor:
    """Constructs only YAML that means the same as JSON: the core types of YAML 1.2, and unique string keys."""

    construct_object: Any

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the members of a mapping."""
        members: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} is no string: put it in quotes",
                    problem_mark=key_node.start_mark,
                )
            if key in members:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark
                )
            members[key] = self.construct_object(value_node, deep=True)
        return members


class _Loader(_JsonConstructor, yaml.SafeLoader):
    """The loader in Python: slow, but with better error messages."""


class _QuickLoader(_JsonConstructor, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The loader in C (libyaml), if it is installed."""


def _construct_map(loader: Any, node: Any) -> dict[Any, Any]:
    members: dict[Any, Any] = loader.construct_mapping(node)
    return members


def _construct_int(loader: Any, node: Any) -> int:
    return int(str(loader.construct_scalar(node)))


def _construct_float(loader: Any, node: Any) -> float:
    return float(str(loader.construct_scalar(node)))


for _each in (_Loader, _QuickLoader):
    _each.yaml_implicit_resolvers = {}
    for _tag, _regex, _first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ):
        _each.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_regex})\Z"), _first)
    _each.add_constructor("tag:yaml.org,2002:map", _construct_map)
    _each.add_constructor("tag:yaml.org,2002:int", _construct_int)
    _each.add_constructor("tag:yaml.org,2002:float", _construct_float)


def is_json(path: Path, text: str) -> bool:
    """Return whether a catalogue is read as JSON: by the name of its file, else by its first character."""
    return path.suffix.lower() == ".json" or (
        path.suffix.lower() not in (".yaml", ".yml") and text.lstrip().startswith("{")
    )


def read_document(path: Path) -> Json:
    """Return the document of a catalogue without validation; raises UsageError if it cannot be read."""
    try:
        return parse_document(path.read_bytes(), path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None


def read_text(text: str) -> Json:
    """Return the value of a YAML text; raises yaml.YAMLError or ValueError if JSON cannot express it."""
    try:
        document = yaml.load(text, _QuickLoader)  # noqa: S506  (built on SafeLoader)
    except yaml.YAMLError:
        document = yaml.load(text, _Loader)  # noqa: S506  (built on SafeLoader)
    json.dumps(document)
    return document


def parse_document(content: bytes, path: Path) -> Json:
    """Return the document in the bytes of a file; raises UsageError if they are neither JSON nor YAML."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is not UTF-8: byte {content[error.start]:#04x} at {error.start}") from None
    try:
        if is_json(path, text):
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
        return read_text(text)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        why = f"{at}no YAML that can be read: {error.problem or error.context}"
    except (yaml.YAMLError, _NotJsonError) as error:
        why = " ".join(str(error).split())
    except RecursionError:
        why = "cannot be read: nested too deep"
    except (ValueError, TypeError) as error:
        why = f"holds what JSON cannot: {error}"
    raise UsageError(f"{path}: {why}")


class _LenientLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads YAML as other tools write it: keys such as 200 are texts, the last of two equal keys counts."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Return the members of a mapping, each with its key as it is written."""
        self.flatten_mapping(node)
        members: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is no text", problem_mark=key_node.start_mark)
            members[key_node.value] = self.construct_object(value_node, deep=True)
        return members


_LenientLoader.yaml_implicit_resolvers = {
    first: list(resolvers) for first, resolvers in _QuickLoader.yaml_implicit_resolvers.items()
}
_LenientLoader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"])
_LenientLoader.add_constructor("tag:yaml.org,2002:map", _construct_map)
_LenientLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_LenientLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def read_lenient(text: str) -> Json:
    """Return the value of a YAML text of another tool; raises ValueError, with one line, if it cannot be read."""
    try:
        document = yaml.load(text, _LenientLoader)  # noqa: S506  (built on SafeLoader)
        json.dumps(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{at}no YAML that can be read: {error.problem or error.context}") from None
    except (yaml.YAMLError, TypeError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    except RecursionError:
        raise ValueError("cannot be read: nested too deep") from None
    return document
