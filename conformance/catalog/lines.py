"""Line numbers of JSON pointers in the text of a JSON or YAML document, for error messages."""

from __future__ import annotations

import re
from json.decoder import JSONDecoder
from typing import Any

import yaml

__all__ = ["line_of"]

_SPACE = re.compile(r"[ \t\r\n]*")


def line_of(text: str, pointer: str, *, is_json: bool) -> int:
    """Return the line number, from 1 on, of the value at a pointer; for a member, that of its name.

    If there is no such value, return the line number of its last ancestor that exists.
    """
    tokens = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    try:
        return text.count("\n", 0, _in_json(text, tokens)) + 1 if is_json else _in_yaml(text, tokens)
    except (ValueError, IndexError, RecursionError, yaml.YAMLError):
        return 1


def _skip(text: str, at: int) -> int:
    """Return the offset after any white space."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _in_json(text: str, tokens: list[str]) -> int:
    """Return the offset of the value at a pointer in a JSON text."""
    at = _skip(text, 0)
    decoder = JSONDecoder(strict=False)
    shown = at
    for token in tokens:
        if text[at] == "{":
            found = _member(text, at, token, decoder)
        elif text[at] == "[" and token.isdecimal():
            found = _item(text, at, int(token), decoder)
        else:
            found = None
        if found is None:
            return shown
        shown, at = found
    return shown


def _member(text: str, at: int, name: str, decoder: JSONDecoder) -> tuple[int, int] | None:
    """Return the offsets of a member's name and value, or None."""
    at = _skip(text, at + 1)
    while text[at] == '"':
        begin = at
        key, at = decoder.raw_decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        if key == name:
            return begin, value
        at = _skip(text, decoder.raw_decode(text, value)[1])
        if text[at] != ",":
            return None
        at = _skip(text, at + 1)
    return None


def _item(text: str, at: int, index: int, decoder: JSONDecoder) -> tuple[int, int] | None:
    """Return the offset of an item of an array, twice, or None."""
    at = _skip(text, at + 1)
    for _ in range(index):
        at = _skip(text, decoder.raw_decode(text, at)[1])
        if text[at] != ",":
            return None
        at = _skip(text, at + 1)
    return at, at


def _in_yaml(text: str, tokens: list[str]) -> int:
    """Return the line number of the value at a pointer in a YAML text."""
    node: Any = yaml.compose(text, yaml.SafeLoader)
    line = 0 if node is None else node.start_mark.line
    for token in tokens:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if str(pair[0].value) == token), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and token.isdecimal() and int(token) < len(node.value):
            node = node.value[int(token)]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1
