"""Names of functions and members as a tie-breaker: what they usually mean."""

from __future__ import annotations

import re

__all__ = [
    "CREATES",
    "DELETES",
    "READS",
    "UPDATES",
    "WRITES",
    "is_identifier_name",
    "kind_of_member",
    "names_kind",
    "verb_of",
]

READS = frozenset(
    {
        *(
            "find",
            "read",
            "get",
            "list",
            "status",
            "search",
            "count",
            "show",
            "fetch",
            "view",
            "query",
            "lookup",
        ),
        *(
            "who",
            "whoami",
            "me",
            "stats",
            "totals",
            "ping",
            "browse",
            "export",
            "check",
            "info",
            "describe",
            "catalog",
        ),
        *("catalogue", "version", "health"),
    }
)
CREATES = frozenset(
    {"add", "create", "new", "make", "insert", "register", "open", "post", "book", "place", "upload", "start"}
)
UPDATES = frozenset(
    {"update", "change", "edit", "set", "modify", "rename", "save", "patch", "put", "replace", "amend"}
)
DELETES = frozenset({"delete", "remove", "destroy", "drop", "discard", "erase", "del", "rm", "unlink"})
#: Verbs of functions that change something, beside those of the objects' life.
WRITES = frozenset(
    {
        *CREATES,
        *UPDATES,
        *DELETES,
        *(
            "login",
            "logout",
            "log",
            "sign",
            "accept",
            "reject",
            "send",
            "cancel",
            "close",
            "move",
            "assign",
            "mark",
        ),
        *(
            "approve",
            "publish",
            "archive",
            "restore",
            "pay",
            "refund",
            "ship",
            "reset",
            "enable",
            "disable",
            "join",
        ),
        *(
            "leave",
            "invite",
            "revoke",
            "merge",
            "copy",
            "import",
            "submit",
            "complete",
            "confirm",
            "enrol",
            "apply",
        ),
    }
)

_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_IDENTIFIER = re.compile(
    r"(?:.*[a-z0-9_-])?(?:Ids?|IDs?|_ids?|-ids?|Uuids?|UUIDs?)|ids?|uuids?|guids?|slugs?"
)


def verb_of(function: str) -> str:
    """Return the first word of a function's name, in lower case."""
    name = function.partition(".")[2]
    found = _WORD.search(name)
    return (found[0] if found else name).lower()


def is_identifier_name(member: str) -> bool:
    """Return whether a member's name is that of an identifier, or of several."""
    return _IDENTIFIER.fullmatch(member) is not None


def kind_of_member(member: str, entity: str) -> str:
    """Return the kind of object that an identifier's name names; that of the endpoint where it names none."""
    base = re.sub(r"[_-]?(?:ids?|uuids?|guids?|slugs?)\Z", "", member, flags=re.IGNORECASE)
    return base[:1].lower() + base[1:] if base and is_identifier_name(member) else entity


def names_kind(member: str, kind: str) -> bool:
    """Return whether a member's name ends with the name of a kind, as `earlierVisitIds` does with visit."""
    base = re.sub(r"[_-]?(?:ids?|uuids?|guids?|slugs?)\Z", "", member, flags=re.IGNORECASE).lower()
    return base.endswith(kind.lower()) or base.rstrip("s").endswith(kind.lower())
