"""Change the content of a YAML document within its text, so that comments, order and quoting are preserved.

Only the differing entries are rewritten. A comment belongs to the entry that follows it, unless it is indented deeper
than that entry or follows something on its line; then it belongs to the preceding entry. A comment is removed together
with its entry, and the removed comments are returned. Round-trip parsers are not used, since they attach a comment to
the preceding entry: with them, removing a function also removes the comment above the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from conformance.schema.bundle import Json

__all__ = ["dump", "patched", "same"]

_WIDTH = 110
_COMMENT = re.compile(r"(?:(?<=\s)|^)#[^\n]*")


class _Dumper(yaml.SafeDumper):
    """Writes YAML with one meaning in YAML 1.1 and 1.2: a text that either version reads as a number is quoted."""


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z"),
    list("-+.0123456789"),
)


class _Indented(_Dumper):
    """The same dumper, which indents the items of a list."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


class _Fast(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """The same dumper based on libyaml, which is faster, if libyaml is installed."""


_Fast.yaml_implicit_resolvers = _Dumper.yaml_implicit_resolvers


def dump(value: Json, *, indented: bool = False) -> str:
    """Return a value as YAML in block style."""
    for dumper in (_Indented,) if indented else (_Fast, _Dumper):
        # libyaml refuses unpaired surrogates; the next dumper accepts them.
        with contextlib.suppress(UnicodeEncodeError):
            text = yaml.dump(
                value,
                Dumper=dumper,
                sort_keys=False,
                allow_unicode=True,
                width=_WIDTH,
                default_flow_style=False,
            )
            return str(text)
    raise ValueError("YAML cannot encode it")


def same(one: Json, other: Json) -> bool:
    """Return whether two values are equal as JSON: true is not 1, and the order of members is irrelevant."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def patched(text: str, old: Json, new: Json, read: Callable[[str], Json]) -> tuple[str, list[str]] | None:
    """Return the text of a document with the content `new`, and the comments that were removed.

    `old` is the present content, and `read` parses a text. Return None if the text cannot be patched.
    """
    windows = "\r\n" in text
    text = text.replace("\r\n", "\n")
    try:
        patch = _Patch(text)
        done = text if same(old, new) else patch.document(old, new)
        if not same(read(done), new):
            return None
    except (_UnpatchableError, yaml.YAMLError, ValueError, TypeError, RecursionError):
        return None
    return done.replace("\n", "\r\n") if windows else done, [comment for _, comment in sorted(patch.lost)]


class _UnpatchableError(Exception):
    """The text has a form that cannot be patched, for example an alias or several documents."""


@dataclass
class _Entry:
    """A member of a block mapping or an item of a block sequence: text[lead:end], with its value after `value`."""

    key: str
    node: yaml.Node
    old: Json
    start: int
    value: int
    content: int
    lead: int = 0
    end: int = 0


class _Patch:
    def __init__(self, text: str) -> None:
        self.text = text
        self.root: Any = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self.lost: list[tuple[int, str]] = []
        spans = sorted(set(_leaves(self.root)))
        self.comments: list[tuple[int, str]] = []
        at = 0
        for begin, end in [*spans, (len(text), len(text))]:
            self.comments += [(found.start(), found[0]) for found in _COMMENT.finditer(text, at, begin)]
            at = max(at, end)
        self.indented = _indented(self.root)

    def document(self, old: Json, new: Json) -> str:
        if not isinstance(self.root, yaml.MappingNode) or self.root.flow_style or not new:
            raise _UnpatchableError
        return self.collection(self.root, old, new, 0, len(self.text))

    # --- a collection in block style

    def collection(self, node: yaml.CollectionNode, old: Json, new: Json, begin: int, end: int) -> str:
        """Return text[begin:end], which consists of one collection, with the content `new`."""
        entries = self.entries(node, old, begin, end)
        known = {entry.key: entry for entry in entries}
        first = entries[0]
        column = self.column(first.start)
        within = bool(self.text[first.start - column : first.start].strip())
        wanted = list(new.items()) if isinstance(new, dict) else list(zip(_names(new), new, strict=True))
        names = {key for key, _ in wanted}
        parts: list[str] = []
        # The comment above a section of entries stays when the entry below it is removed.
        headings: dict[str, str] = {}
        waiting = ""
        for entry in entries:
            if entry.key in names:
                headings[entry.key], waiting = waiting, ""
            else:
                waiting += self.removed(entry)
        for key, value in wanted:
            if key in known:
                # A second item of the same content is new: the comments of the old one stay with the first.
                entry = known.pop(key)
                part = self.entry(entry, value, column)
                if within and entry is first:
                    part = " " * column + part
                parts.append(headings[key] + part)
            else:
                fresh = dump({key: value} if isinstance(new, dict) else [value], indented=self.indented)
                parts.append(_shifted(fresh, column))
        body = "".join(part if part.endswith("\n") else part + "\n" for part in [*parts, waiting] if part)
        head = self.text[begin : first.lead]
        if not within:
            return head + body
        return head + body[column:] if body[:column].isspace() else head.rstrip(" ") + "\n" + body

    def entries(self, node: yaml.CollectionNode, old: Json, begin: int, end: int) -> list[_Entry]:
        """Return the entries of a collection with the part of text[begin:end] that belongs to each."""
        found: list[_Entry] = []
        if isinstance(node, yaml.MappingNode):
            for (name, value), (key, was) in zip(node.value, old.items(), strict=True):
                colon = self.text.index(":", name.end_mark.index) + 1
                # A name may follow a question mark.
                before = self.text[begin : name.start_mark.index].rstrip(" ")
                start = begin + len(before) - 1 if before.endswith("?") else name.start_mark.index
                found.append(_Entry(key, value, was, start, colon, max(colon, self.last(value))))
        else:
            for key, item, was in zip(_names(old), node.value, old, strict=True):
                before = self.text[begin : item.start_mark.index].rstrip()
                dash = begin + len(before) - 1
                if not before.endswith("-"):
                    raise _UnpatchableError
                found.append(_Entry(key, item, was, dash, dash + 1, max(dash + 1, self.last(item))))
        at = begin
        for entry in found:
            if not at <= entry.start < entry.content <= end:
                raise _UnpatchableError
            entry.lead = self.lead(at, entry)
            at = entry.content
        if not found or len({entry.key for entry in found}) < len(found):
            raise _UnpatchableError
        for entry, following in itertools.pairwise(found):
            entry.end = following.lead
        found[-1].end = end
        return found

    def lead(self, at: int, entry: _Entry) -> int:
        """Return the offset of an entry with the comments above it; the preceding entry ends at `at`."""
        column = self.column(entry.start)
        line = entry.start - column
        if line < at or self.text[line : entry.start].strip():
            return entry.start
        begin = at if at == 0 or self.text[at - 1] == "\n" else self.text.index("\n", at) + 1
        above = begin
        while begin < line:
            after = self.text.index("\n", begin) + 1
            words = self.text[begin:after]
            if words.strip() and len(words) - len(words.lstrip()) > column:
                above = after
            begin = after
        return above

    def last(self, node: yaml.Node) -> int:
        """Return the offset of the end of a node."""
        while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            node = last[1] if isinstance(last, tuple) else last
        return int(node.end_mark.index)

    def column(self, at: int) -> int:
        return at - (self.text.rfind("\n", 0, at) + 1)

    # --- an entry

    def entry(self, entry: _Entry, new: Json, column: int) -> str:
        """Return the text of an entry with a new value."""
        if same(entry.old, new):
            return self.text[entry.lead : entry.end]
        node = entry.node
        if (
            isinstance(node, yaml.CollectionNode)
            and not node.flow_style
            and new
            and isinstance(new, dict | list)
            and isinstance(new, dict) is isinstance(node, yaml.MappingNode)
        ):
            before = len(self.lost)
            try:
                inner = self.collection(node, entry.old, new, entry.value, entry.end)
                return self.text[entry.lead : entry.value] + inner
            except _UnpatchableError:
                del self.lost[before:]
        return self.replaced(entry, new, column)

    def replaced(self, entry: _Entry, new: Json, column: int) -> str:
        """Return the text of an entry whose whole value is rewritten."""
        head, tail = self.text[entry.lead : entry.value], self.text[entry.content : entry.end]
        self.lose(entry.value, entry.content)
        if self.text[entry.content - 1] == "\n":
            tail = "\n" + tail
        node = entry.node
        was_flow = isinstance(node, yaml.CollectionNode) and bool(node.flow_style) and bool(node.value)
        if not new or not isinstance(new, dict | list) or was_flow:
            style = node.style if isinstance(node, yaml.ScalarNode) and node.style in ("'", '"') else None
            line = _inline(new, style if isinstance(new, str) else None)
            if column + len(line) < _WIDTH or not isinstance(new, dict | list):
                return f"{head} {line}{tail}"
        behind, _, rest = tail.partition("\n")
        return f"{head}{behind}\n" + _shifted(dump(new, indented=self.indented), column + 2) + rest

    def removed(self, entry: _Entry) -> str:
        """Record the comments that are removed with an entry; return the comment above its section, which stays."""
        above = self.text[entry.lead : entry.start]
        blank = max((found.end() for found in re.finditer(r"^[ ]*\n", above, re.MULTILINE)), default=0)
        heading = above[:blank] if "#" in above[:blank] else ""
        self.lose(entry.lead + len(heading), entry.end)
        return heading

    def lose(self, begin: int, end: int) -> None:
        """Record the comments of text[begin:end] as removed."""
        self.lost += [(at, comment) for at, comment in self.comments if begin <= at < end]


def _leaves(node: Any) -> Iterator[tuple[int, int]]:
    """Yield the offsets of the beginning and the end of each scalar."""
    stack = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, tuple):
            stack += each
        elif isinstance(each, yaml.CollectionNode):
            stack += each.value
        elif each is not None:
            yield each.start_mark.index, each.end_mark.index


def _indented(root: Any) -> bool:
    """Return whether the items of the document's lists are indented deeper than the name of the list."""
    return isinstance(root, yaml.MappingNode) and any(
        isinstance(value, yaml.SequenceNode)
        and not value.flow_style
        and value.start_mark.column > name.start_mark.column
        for name, value in root.value
    )


def _names(items: Sequence[Json]) -> list[str]:
    """Return a key for each item of a list: its `name`, else its JSON text."""
    names: list[str] = []
    for item in items:
        own = item.get("name") if isinstance(item, dict) else None
        names.append(f"name {own}" if isinstance(own, str) else json.dumps(item, sort_keys=True))
    return names


def _inline(value: Json, style: str | None) -> str:
    """Return a value on one line."""
    text = yaml.dump(
        [value],
        Dumper=_Dumper,
        default_flow_style=True,
        default_style=style,
        sort_keys=False,
        allow_unicode=True,
        width=10**9,
    )
    return str(text).strip()[1:-1]


def _shifted(text: str, column: int) -> str:
    return "".join(" " * column + line if line.strip() else line for line in text.splitlines(keepends=True))
