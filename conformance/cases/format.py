"""Case files: the smallest example of a finding as JSON, which can be replayed on any target of the protocol.

A case contains no identifier, session or password of the run in which it was found. They are replaced by symbols,
objects with one member whose name begins with a dollar sign:

- `{"$object": {"kind": "course", "of": "owner", "name": "course1"}}`: the identifier of an object that this user of
  the profile created or found; the same name is the same object throughout a case. With `"state": "deleted"` it was
  created and deleted before; `"with"` is the data that it was created with.
- `{"$user": "owner"}`: the name with which this user signs in.
- `{"$secret": "users.owner.secret"}`: this user's password (`{"of": …, "cut": 5}`: its first five characters,
  `{"of": …, "case": "upper"|"lower"|"swap"}`: in another case); `"auth.key_login.public"`; `"auth.key_login.apikey"`,
  `"….time"`, `"….random"` and `"….hmac"`: the four values of a correct key login; `"wrong"`: a secret of no user.
- `{"$session": {"of": "owner", "session": 1}}`: the identifier of that session (`"cut"` and `"case"` as above;
  `"from"`: from that character on); `{"$token": 32}`: a token of this length that no login returned.
- `{"$text": ["a", symbol, …]}`: these pieces as one text; `{"$bytes": "…"}`: bytes, in base64.
- `{"$escaped": symbol}`: its text in JSON's escapes, `\\u0061` and so on.
- `{"$base": "authority"}` and `{"$base": "path"}`: the target's host with its port, and its base path.
- `{"$literal": …}`: a value that only looks like a symbol.

Everything else is sent unchanged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from conformance.protocol.caller import OMIT
from conformance.rulebook import RULES

__all__ = [
    "FOLDER",
    "FORMAT",
    "Case",
    "CaseError",
    "Expect",
    "Step",
    "escaped",
    "file_name",
    "load",
    "load_folder",
    "save",
    "symbol",
    "symbols",
]

FORMAT = 1

#: The folder of the case files within the run's folder.
FOLDER = "cases"

#: The maximum size of a case file: a request of ordinary size, with room for escapes.
MAX_CASE_BYTES = 16 * 1024 * 1024

_SYMBOLS = frozenset(
    {"$object", "$user", "$secret", "$session", "$token", "$text", "$bytes", "$escaped", "$base", "$literal"}
)
_KEY_VALUES = frozenset(f"auth.key_login.{name}" for name in ("public", "apikey", "time", "random", "hmac"))

_USERS = re.compile(r"users\..+\.secret")

T = TypeVar("T")


class CaseError(ValueError):
    """A file is not a valid case; the message says where and why, in one line."""


# --- symbols ---


def symbol(value: Any) -> tuple[str, Any] | None:
    """Return the name and the argument of a symbol, or None if the value is not a symbol."""
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        if name in _SYMBOLS:
            return name, argument
    return None


def symbols(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each symbol in a value, at any depth, as name and argument."""
    stack = [value]
    while stack:
        each = stack.pop()
        found = symbol(each)
        if found is not None:
            yield found
            if found[0] == "$text":
                stack += reversed(found[1]) if isinstance(found[1], list) else []
            elif found[0] == "$escaped":
                stack.append(found[1])
            elif found[0] == "$object" and isinstance(found[1], dict):
                stack.append(found[1].get("with"))
        elif isinstance(each, dict):
            stack += reversed(each.values())
        elif isinstance(each, list):
            stack += reversed(each)


def _check_symbols(value: Any, where: str) -> None:
    for name, argument in symbols(value):
        if not _SHAPES[name](argument):
            shown = json.dumps(argument, ensure_ascii=False, default=str)
            _wrong(where, f"{name} does not take {shown[:80]}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1_000_000


def _is_object(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"kind", "of", "name", "state", "with"}
        and all(isinstance(value.get(name), str) and value[name] for name in ("kind", "of", "name"))
        and value.get("state", "deleted") == "deleted"
        and isinstance(value.get("with", {}), dict)
    )


def _is_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return (
            value.keys() <= {"of", "cut", "case"}
            and (str(value.get("of")) in _KEY_VALUES or _USERS.fullmatch(str(value.get("of"))) is not None)
            and _is_count(value.get("cut", 0))
            and value.get("case", "swap") in ("upper", "lower", "swap")
        )
    return isinstance(value, str) and (
        value == "wrong" or value in _KEY_VALUES or _USERS.fullmatch(value) is not None
    )


def _is_session(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"of", "session", "from", "cut", "case"}
        and isinstance(value.get("of"), str)
        and all(_is_count(value.get(name, 0)) for name in ("session", "from", "cut"))
        and value.get("case", "swap") in ("upper", "lower", "swap")
    )


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


_SHAPES: Mapping[str, Callable[[Any], bool]] = {
    "$object": _is_object,
    "$user": lambda value: isinstance(value, str) and value != "",
    "$secret": _is_secret,
    "$session": _is_session,
    "$token": _is_count,
    "$text": lambda value: (
        isinstance(value, list) and all(isinstance(each, str) or symbol(each) is not None for each in value)
    ),
    "$bytes": _is_base64,
    "$escaped": lambda value: symbol(value) is not None,
    "$base": lambda value: value in ("authority", "path"),
    "$literal": lambda value: True,
}


# --- the format ---


@dataclass(frozen=True)
class Expect:
    """The expectation of a step's response; every given condition must hold.

    `status` lists the accepted codes. `rule` is a rule that is checked on one exchange. `equals` gives values by JSON
    pointers into `data`. `has` and `lacks` are identifiers of objects that must, or must not, be in a list's rows.
    """

    status: tuple[int, ...] = ()
    rule: str | None = None
    equals: Mapping[str, Any] = field(default_factory=dict)
    has: tuple[Any, ...] = ()
    lacks: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.status or self.rule or self.equals or self.has or self.lacks)

    def to_json(self) -> dict[str, Any]:
        """Return the expectation as JSON."""
        whole = {
            "status": list(self.status),
            "rule": self.rule,
            "equals": dict(self.equals),
            "has": list(self.has),
            "lacks": list(self.lacks),
        }
        return {name: value for name, value in whole.items() if value}

    @classmethod
    def from_json(cls, value: Any, where: str = "expect") -> Expect:
        """Read an expectation.

        Raises:
            CaseError: it is not valid.

        """
        members = _Members(value, where)
        status = members.take("status", list, [])
        if not all(_is_count(code) and 100 <= code <= 599 for code in status):
            _wrong(f"{where}.status", "takes a list of status codes")
        rule = members.take("rule", str, None)
        if rule is not None and (rule not in RULES or RULES[rule].check is None):
            _wrong(f"{where}.rule", f"{rule!r} is no rule that one exchange is enough to judge")
        equals = members.take("equals", dict, {})
        for pointer in equals:
            if pointer and not pointer.startswith("/"):
                _wrong(f"{where}.equals", f"{pointer!r} is no JSON pointer")
        has, lacks = members.take("has", list, []), members.take("lacks", list, [])
        members.end()
        _check_symbols([equals, has, lacks], where)
        return cls(tuple(status), rule, equals, tuple(has), tuple(lacks))


@dataclass(frozen=True)
class Step:
    """One request of a case, and the expectation of its response.

    `user` ("as" in a file) is a user of the profile, or None. `session` is the number of that user's session: 0 is the
    main session, others are created at their first use and never renewed. `function` with `data` (OMIT: left out),
    `page_start` and `page_length` is a plain call. Any other request has its whole `body` (a text, or a symbol `$text`
    or `$bytes`; "body64" in a file), its `verb`, and its `target` if that is not the endpoint of `function`: a text
    appended to the base URL, or a path that begins with a slash. `raw` holds the bytes of a malformed request.

    `headers` are those that matter. `content_type` None leaves out that header. `token` is a symbol for the value of
    the Token header if it is not a session of `user`. `opens` is the number of the session of `user` that this login
    creates; such a step is sent without a token. `gives` is the name of the object that this call creates. Consecutive
    steps with the same `together` are sent at the same time. `saw` summarizes the original response: "status", "errMsg"
    and perhaps "data", or "failure".
    """

    user: str | None = None
    session: int = 0
    function: str | None = None
    data: Any = OMIT
    page_start: Any = OMIT
    page_length: Any = OMIT
    verb: str = "POST"
    target: Any = None
    body: Any = None
    raw: Any = None
    headers: tuple[tuple[str, Any], ...] = ()
    content_type: str | None = "application/json"
    chunked: bool = False
    token: Any = None
    token_header: str = "Token"  # noqa: S105  (a header's name)
    opens: int | None = None
    gives: str | None = None
    together: int | None = None
    expect: Expect = field(default_factory=Expect)
    saw: Mapping[str, Any] | None = None

    @property
    def plain(self) -> bool:
        """Whether the step is a plain call, which is fully described by its function, data and paging."""
        return self.body is None and self.raw is None

    def to_json(self) -> dict[str, Any]:
        """Return the step as JSON, without members that have their default value."""
        out: dict[str, Any] = {"as": self.user}
        found = symbol(self.body)
        is_bytes = found is not None and found[0] == "$bytes"
        for name, value, usual in (
            ("session", self.session, 0),
            ("opens", self.opens, None),
            ("together", self.together, None),
            ("token", self.token, None),
            ("tokenHeader", self.token_header, "Token"),
            ("function", self.function, None),
            ("verb", self.verb, "POST"),
            ("target", self.target, None),
            ("headers", [list(pair) for pair in self.headers], []),
            ("contentType", self.content_type, "application/json"),
            ("chunked", self.chunked, False),
            ("data", self.data, OMIT),
            ("pageStart", self.page_start, OMIT),
            ("pageLength", self.page_length, OMIT),
            ("body", None if is_bytes else self.body, None),
            ("body64", found[1] if found and is_bytes else None, None),
            ("raw", self.raw, None),
            ("gives", self.gives, None),
            ("expect", self.expect.to_json(), {}),
            ("saw", dict(self.saw) if self.saw else None, None),
        ):
            # Types are compared, too: in Python 0 equals False, but pageStart may be either.
            if value is not usual and (type(value) is not type(usual) or value != usual):
                out[name] = value
        return out

    @classmethod
    def from_json(cls, value: Any, where: str = "step") -> Step:
        """Read a step.

        Raises:
            CaseError: it is not valid; the message says where.

        """
        members = _Members(value, where)
        headers = members.take("headers", list, [])
        for pair in headers:
            if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
                _wrong(f"{where}.headers", "takes pairs of a name and a value")
        step = cls(
            user=members.take("as", str, None),
            session=members.count("session", 0) or 0,
            function=members.take("function", str, None),
            data=members.any("data", OMIT),
            page_start=members.any("pageStart", OMIT),
            page_length=members.any("pageLength", OMIT),
            verb=members.take("verb", str, "POST"),
            target=members.text("target"),
            body=members.text("body"),
            raw=members.text("raw"),
            headers=tuple((name, text) for name, text in headers),
            content_type=members.take("contentType", str, "application/json", null=True),
            chunked=members.take("chunked", bool, False),
            token=members.text("token"),
            token_header=members.take("tokenHeader", str, "Token"),
            opens=members.count("opens", None),
            gives=members.take("gives", str, None),
            together=members.count("together", None),
            expect=Expect.from_json(members.any("expect", {}), f"{where}.expect"),
            saw=members.take("saw", dict, None),
        )
        coded = members.take("body64", str, None)
        members.end()
        if coded is not None:
            if step.body is not None:
                _wrong(where, "has both body and body64")
            step = Step(**{**vars(step), "body": {"$bytes": coded}})
        _check_symbols(
            [step.data, step.page_start, step.page_length, step.target, step.body, step.raw, step.token],
            where,
        )
        _check_symbols([text for _, text in step.headers], f"{where}.headers")
        step._check(where)
        return step

    def _check(self, where: str) -> None:
        name, _, function = (self.function or "").partition(".")
        if self.function is None and self.target is None and self.raw is None:
            _wrong(where, "names neither a function nor a target")
        if self.plain and not (name and function and self.target is None):
            _wrong(where, "is neither a call of entity.function nor has a body")
        if self.raw is not None and self.body is not None:
            _wrong(where, "has both body and raw")
        for text in (self.verb, self.token_header, *(name for name, _ in self.headers)):
            if not text or any(mark in text for mark in "\r\n: "):
                _wrong(where, f"{text[:40]!r} is no verb and no name of a header")
        if self.opens is not None and self.user is None:
            _wrong(where, "opens a session of nobody: as is missing")
        if self.session and self.user is None:
            _wrong(where, "has a session of nobody: as is missing")


@dataclass(frozen=True)
class Case:
    """The smallest example of a finding: the rule that it breaks, and the steps that show it.

    `rule`, `function`, `kind`, `message`, `expected` and `actual` are those of the finding. `suite` is the version that
    wrote the case. `users` gives the roles of each user of the steps. `path` is the file that the case was read from.
    """

    rule: str
    function: str | None
    kind: str
    message: str
    expected: str
    actual: str
    steps: tuple[Step, ...]
    suite: str = ""
    users: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    path: Path | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The name of the file without the extension."""
        return (self.path.name if self.path else file_name(self.rule, self.function, self.kind))[:-5]

    def to_json(self) -> dict[str, Any]:
        """Return the case as JSON."""
        return {
            "format": FORMAT,
            "rule": self.rule,
            "function": self.function,
            "kind": self.kind,
            "message": self.message,
            "expected": self.expected,
            "actual": self.actual,
            "suite": self.suite,
            "users": {name: {"roles": list(roles)} for name, roles in self.users.items()},
            "steps": [step.to_json() for step in self.steps],
        }

    @classmethod
    def from_json(cls, value: Any, path: Path | None = None) -> Case:
        """Read a case.

        Raises:
            CaseError: it is not valid; the message says where and why.

        """
        members = _Members(value, "")
        form = members.any("format", None)
        if form != FORMAT or isinstance(form, bool):
            shown = "has no format" if form is None else f"is of format {form!r}"
            raise CaseError(f"{shown[:60]}; this version reads format {FORMAT}")
        rule = members.take("rule", str, "")
        if rule not in RULES:
            _wrong("rule", f"there is no rule {rule[:40]!r}")
        users: dict[str, tuple[str, ...]] = {}
        for name, each in members.take("users", dict, {}).items():
            roles = each.get("roles", []) if isinstance(each, dict) else None
            if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
                _wrong(f"users.{name}", 'takes {"roles": […]}')
            users[name] = tuple(roles)
        steps = members.take("steps", list, [])
        if not steps:
            _wrong("steps", "there are none")
        case = cls(
            rule,
            members.take("function", str, None),
            members.take("kind", str, ""),
            members.take("message", str, ""),
            members.take("expected", str, ""),
            members.take("actual", str, ""),
            tuple(Step.from_json(step, f"steps[{number}]") for number, step in enumerate(steps)),
            members.take("suite", str, ""),
            users,
            path,
        )
        members.end()
        return case


class _Members:
    """The members of a JSON object, each taken once; members left at the end are unknown."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            _wrong(where, "is no object")
        self._left = dict(value)
        self._where = where

    def _name(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name

    def any(self, name: str, usual: Any) -> Any:
        return self._left.pop(name, usual)

    def take(self, name: str, form: type[T], usual: Any, *, null: bool = False) -> Any:
        value = self._left.pop(name, usual)
        if value is None and (null or usual is None):
            return None
        if not isinstance(value, form):
            _wrong(self._name(name), f"is no {_FORMS[form]}")
        return value

    def count(self, name: str, usual: int | None) -> int | None:
        value = self._left.pop(name, usual)
        if value is not None and not _is_count(value):
            _wrong(self._name(name), "is no number from 0 on")
        return None if value is None else int(value)

    def text(self, name: str) -> Any:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, str) and symbol(value) is None:
            _wrong(self._name(name), "is neither a text nor a symbol")
        return value

    def end(self) -> None:
        if self._left:
            _wrong(self._name(str(next(iter(self._left)))[:40]), "is not known")


_FORMS: Mapping[type, str] = {str: "string", int: "integer", bool: "boolean", list: "list", dict: "object"}


def _wrong(where: str, why: str) -> NoReturn:
    raise CaseError(f"{where}: {why}" if where else why)


def escaped(text: str) -> str:
    """Return a text with every character as a JSON escape."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


# --- files ---


def file_name(rule: str, function: str | None, kind: str) -> str:
    """Return the name of the case file of a finding; it is safe on any file system."""
    digest = hashlib.sha256("\0".join((rule, function or "", kind)).encode("utf-8", "surrogatepass"))
    shown = re.sub(r"[^A-Za-z0-9._]+", "_", function or "any")[:60].strip("._") or "any"
    return f"{rule}-{shown}-{digest.hexdigest()[:8]}.json"


def save(path: Path, case: Mapping[str, Any]) -> None:
    """Write a case (`Case.to_json`) atomically: a reader sees the old file or the new one.

    Raises:
        OSError: it cannot be written.

    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(case, ensure_ascii=False, indent=1, allow_nan=False)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # UTF-8 cannot encode an unpaired surrogate; its JSON escape is the same string.
        temporary.write_bytes(text.encode("utf-8", "backslashreplace") + b"\n")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def load(path: Path) -> Case:
    """Read a case file.

    Raises:
        CaseError: it cannot be read, or is not a valid case; the message does not name the file.

    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CASE_BYTES + 1)
    except OSError as error:
        raise CaseError(str(error.strerror)) from error
    if len(data) > MAX_CASE_BYTES:
        raise CaseError(f"is larger than {MAX_CASE_BYTES // 1024 // 1024} MB")
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise CaseError("is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise CaseError(f"is not JSON: {error}") from error
    except ValueError as error:
        raise CaseError(f"is not JSON: {str(error)[:80]}") from error
    except RecursionError as error:
        raise CaseError("is nested too deep to read") from error
    return Case.from_json(value, path)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def load_folder(folder: Path) -> list[Case]:
    """Read the case files of a folder (`*.json`), in the order of their names.

    Raises:
        CaseError: one cannot be read, or there are none; the message names the file.

    """
    if not folder.is_dir():
        raise CaseError(f"{folder}: there is no such folder")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(load(path))
        except CaseError as error:
            raise CaseError(f"{path}: {error}") from error
    if not found:
        raise CaseError(f"{folder}: there are no case files (*.json) in it")
    return found
