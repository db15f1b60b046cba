"""Text for people of a case's steps and values: what was sent, what came, and what differs."""

from __future__ import annotations

import base64
import json
from typing import Any

from conformance.cases.format import Step, symbol
from conformance.protocol.caller import OMIT
from conformance.text import cut

__all__ = ["MAX_SHOWN_CHARACTERS", "brief_text", "sent_text", "value_text"]

#: Characters of a step that are shown, and of a value within a sentence.
MAX_SHOWN_CHARACTERS = 400
MAX_BRIEF_CHARACTERS = 160

#: Bytes of a binary value that are shown.
MAX_SHOWN_BYTES = 200


def sent_text(step: Step) -> str:
    """Return what a step sends, in one line."""
    if step.raw is not None:
        return f"bytes that are no well-formed request: {_plain(step.raw)}"
    extra = "".join(f", {name}: {_plain(text)}" for name, text in step.headers)
    if step.token is not None:
        extra += f", {step.token_header}: {_plain(step.token)}"
    if step.content_type != "application/json":
        extra += f", Content-Type: {step.content_type}" if step.content_type else ", no Content-Type"
    extra += ", chunked" if step.chunked else ""
    verb = "" if step.verb == "POST" else f"{step.verb} "
    if step.body is not None:
        target = step.target if step.target is not None else (step.function or "").partition(".")[0]
        return f"{verb}{_plain(target)} with {_plain(step.body) or 'no bytes'} as its body{extra}"
    pages = "".join(
        f", {name} {value_text(value)}"
        for name, value in (("pageStart", step.page_start), ("pageLength", step.page_length))
        if value is not OMIT
    )
    data = "" if step.data is OMIT else f" {value_text(step.data)}"
    return f"{verb}{step.function}{data}{pages}{extra}"


def value_text(value: Any) -> str:
    """Return a value of a case as JSON, with descriptions in the places of symbols."""
    found = symbol(value)
    if found is not None:
        return _symbol_text(*found)
    if isinstance(value, dict):
        members = ", ".join(f"{json.dumps(name)}: {value_text(each)}" for name, each in value.items())
        return "{" + members + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(value_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _symbol_text(name: str, argument: Any) -> str:
    if name == "$object":
        return f"<{argument['name']} of {argument['of']}{', deleted' if 'state' in argument else ''}>"
    if name == "$text":
        return "".join(map(_plain, argument))
    if name == "$bytes":
        return repr(base64.b64decode(argument)[:MAX_SHOWN_BYTES])[2:-1]
    if name == "$secret":
        return f"<{argument if isinstance(argument, str) else argument['of'] + ', not quite'}>"
    if name == "$session":
        altered = bool(argument.keys() & {"from", "cut", "case"})
        return f"<session of {argument['of']}{', not quite' * altered}>"
    if name == "$token":
        return f"<a session of nobody, {argument} characters>"
    if name == "$escaped":
        return value_text(argument)
    return json.dumps(argument, ensure_ascii=False) if name == "$literal" else f"<{argument}>"


def _plain(value: Any) -> str:
    """Return a text as it is, and another value as JSON."""
    return value if isinstance(value, str) else value_text(value)


def brief_text(value: Any) -> str:
    """Return a value of a case, shortened so that it fits into a sentence."""
    try:
        return cut(value_text(value), MAX_BRIEF_CHARACTERS)
    except RecursionError:
        return "(nested too deep to show)"
