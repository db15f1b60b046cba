"""Which rule forbids a body that is not JSON: REQ-4, or REQ-12 where a lenient reader takes it for JSON (RFC 8259)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Literal

from conformance.protocol.strict_json import TOO_DEEP, read_json

__all__ = ["NotJsonRule", "rule_of"]

NotJsonRule = Literal["REQ-4", "REQ-12"]

_MARK = b"\xef\xbb\xbf"

#: Sequences that strict UTF-8 forbids and lenient decoders accept: surrogates, and overlong forms of 2, 3 and 4 bytes.
_LENIENT_UTF_8 = re.compile(
    rb"\xed[\xa0-\xbf][\x80-\xbf]|[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f][\x80-\xbf]|\xf0[\x80-\x8f][\x80-\xbf]{2}"
)

#: The tokens of a lenient reader. A string may have any escape and any control character in it.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\v\f\x85\xa0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff]+)
    |(?P<comment>/\*.*?(?:\*/|\Z)|//[^\r\n]*|\#[^\r\n]*)
    |(?P<string>"[^"\\]*+(?:\\.[^"\\]*+)*+")
    |(?P<colon>:|=>?)
    |(?P<comma>[,;])
    |(?P<open>[{\[])
    |(?P<close>[}\]])
    |(?P<word>[-+.\w$]+)""",
    re.DOTALL | re.VERBOSE,
)


def rule_of(body: bytes) -> NotJsonRule | None:
    """Return the rule that says that a body must be refused as not JSON.

    None stands for JSON, and for what no rule decides: a byte-order mark before JSON, a member twice, and depth. A
    body that a reader with all the leniences of REQ-12 takes for an object or an array is REQ-12's, any other REQ-4's.
    """
    while body.startswith(_MARK):
        body = body[len(_MARK) :]
    found = read_json(body)
    if found.error is None or found.error == TOO_DEEP:
        return None
    try:
        if _is_json(body.decode("utf-8")):
            return None
    except UnicodeDecodeError:
        pass
    text = _decoded(body)
    return "REQ-12" if text is not None and _is_lenient_json(text) else "REQ-4"


def _is_json(text: str) -> bool:
    """Return whether a text is JSON, if a member may be there twice."""

    def constant(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=constant, parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _decoded(body: bytes) -> str | None:
    """Return the text of a body as a lenient reader decodes it: UTF-8 with its forbidden forms, UTF-16 or UTF-32."""
    codec = json.detect_encoding(body)
    if codec.startswith("utf-8"):
        body = _LENIENT_UTF_8.sub(b"x", body)
    try:
        return body.decode(codec)
    except UnicodeDecodeError:
        return None


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield the kinds and texts of the tokens, without space and comments; the kind of any other character is ""."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            yield "", text[at]
            return
        at = match.end()
        if match.lastgroup not in ("space", "comment"):
            yield match.lastgroup or "", match.group()


#: The state of an object or array after a comma: "first" means that it is empty so far, and "commas" that a comma
#: stands where a strict reader wants a value.
_AFTER_COMMA = {"first": "commas", "value": "comma", "comma": "commas", "commas": "commas"}


def _is_lenient_json(text: str) -> bool:
    """Return whether a text is one object or array by a grammar with the leniences of REQ-12.

    Commas may be missing or doubled, `=` may stand for a colon, and any word for a name or a value. One comma after
    the last member or item is not allowed, since REQ-4 names it.
    """
    # The open brackets, and the state in each of them; the outermost state is that of the whole text.
    brackets = [""]
    states: list[str | None] = ["first"]
    for kind, token in _tokens(text):
        bracket, state = brackets[-1], states[-1]
        if not bracket and (kind != "open" or state == "value"):
            return False
        awaits_value = bracket != "{" or state == "colon"
        if kind == "open" and awaits_value:
            states[-1] = "value"
            brackets.append(token)
            states.append("first")
        elif kind == "close" and bracket + token in ("{}", "[]") and state in ("first", "value", "commas"):
            brackets.pop()
            states.pop()
        elif kind in ("string", "word") and state != "name":
            states[-1] = "value" if awaits_value else "name"
        elif kind == "comma":
            states[-1] = _AFTER_COMMA.get(state or "")
        elif kind == "colon" and state == "name":
            states[-1] = "colon"
        else:
            return False
        if states[-1] is None:
            return False
    return brackets == [""] and states == ["value"]
