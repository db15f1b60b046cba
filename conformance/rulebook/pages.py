"""The pages of the rules in `docs/rules`: what each means, by what it is usually broken, and how that is mended.

`python -m conformance.rulebook.pages` writes them in the current folder. Reports use the same texts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path, PurePosixPath

from conformance.protocol.exchange import Exchange
from conformance.rulebook import RULES
from conformance.rulebook.model import AREAS, Level, Rule

__all__ = ["FOLDER", "INDEX", "address_of", "documented", "page", "pages", "path_of"]

#: Where the pages are in the project.
FOLDER = PurePosixPath("docs/rules")
INDEX = "README.md"
_PACKAGE = "coursio-conform"
_GENERATED = (
    "<!-- Made of conformance/rulebook by `python -m conformance.rulebook.pages`; change the records. -->"
)
_MAX_BODY_CHARACTERS = 240
_USUAL_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}

_LEVELS: Mapping[Level, str] = {
    Level.MUST: "must: a violation fails the gate.",
    Level.SHOULD: "should: a violation is a warning, and with `--strict` it fails the gate.",
}


def path_of(rule: str) -> str:
    """Return the path of a rule's page in the project."""
    return str(FOLDER / f"{rule}.md")


@cache
def _repository() -> str | None:
    """Return the address of the project's repository, as the package states it; None if it states none."""
    try:
        addresses = metadata.metadata(_PACKAGE).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    named = dict(reversed(each.partition(", ")[::2]) for each in addresses)
    found = (
        address
        for address, label in named.items()
        if label.lower() in ("repository", "source", "source code")
    )
    return next(found, None)


def address_of(rule: str) -> str:
    """Return the URI of a rule's page.

    It is absolute if the package states the address of its repository under `[project.urls]`, and else relative to
    the project.
    """
    repository = _repository()
    return f"{repository.rstrip('/')}/blob/main/{path_of(rule)}" if repository else path_of(rule)


def documented(rule: str) -> Rule | None:
    """Return the record of a rule that has a page; None for an unknown one, or one of a team's own."""
    record = RULES.get(rule)
    return record if record is not None and record.area in AREAS else None


def page(rule: Rule) -> str:
    """Return the page of a rule in Markdown."""
    parts = [
        _GENERATED,
        f"# {rule.id}: {rule.title}",
        f"**Level** {_LEVELS[rule.level]}  \n**Area** {AREAS[rule.area]}  \n**Source** {rule.clause}",
        f"## What it means\n\n{rule.title}. {rule.why}",
        f"## How it is usually broken\n\n{rule.causes}",
        f"## How it is mended\n\n{rule.remedy}",
        f"## Examples\n\n{_examples(rule)}",
        f"## Try it\n\n    conform check --rule {rule.id} --target URL\n\n[All rules]({INDEX})",
    ]
    return "\n\n".join(parts) + "\n"


def pages() -> dict[str, str]:
    """Return every page by its file name: one for each rule, and the table of them all."""
    return {INDEX: _index(), **{f"{rule.id}.md": page(rule) for rule in RULES.values()}}


def _index() -> str:
    parts = [
        _GENERATED,
        "# The rules: how they are broken, and how that is mended",
        "Each rule has a page with examples. The level says whether a violation fails the gate (*must*) or is a "
        "warning (*should*).",
    ]
    for area, name in AREAS.items():
        lines = [f"## {name}\n", "| rule | what it means | how it is usually broken | how it is mended |"]
        lines.append("| --- | --- | --- | --- |")
        for rule in RULES.values():
            if rule.area == area:
                link = f"[{rule.id}]({rule.id}.md) *{rule.level}*"
                cells = (link, rule.title, rule.causes, rule.remedy)
                lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _examples(rule: Rule) -> str:
    if rule.example is not None:
        example = rule.example
        return (
            f"| sent | right | wrong |\n| --- | --- | --- |\n"
            f"| {' | '.join(_cell(text) for text in (example.sent, example.right, example.wrong))} |"
        )
    passing = dict.fromkeys(f"- {_shown(exchange)}" for exchange in rule.passes)
    outcomes = [(exchange, rule.check(exchange)) for exchange in rule.fails if rule.check is not None]
    expected = list(dict.fromkeys(outcome.expected for _, outcome in outcomes))
    wanted = f"Answers that break it; expected is {_cell(expected[0])}:" if len(expected) == 1 else ""
    failing = dict.fromkeys(
        f"- {_shown(exchange)}  \n  {'' if wanted else f'expected {_cell(outcome.expected)}; '}"
        f"found: {_cell(_stable(outcome.actual))}"
        for exchange, outcome in outcomes
    )
    parts = ["Answers that keep the rule:\n", *passing, f"\n{wanted or 'Answers that break it:'}\n", *failing]
    return "\n".join(parts)


def _stable(actual: str) -> str:
    """Return what was found without the words of the JSON parser, which depend on the version of Python."""
    return re.sub(r"^.* at character \d+", "no JSON text", actual)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _code(text: str) -> str:
    """Return a text as a code span, on one line and not too long."""
    text = re.sub(
        r"[\x00-\x1f\x7f-\xa0\u2000-\u200f\u2028-\u202f\u2060-\u206f\u3000\ufeff\ud800-\udfff]", _escape, text
    )
    if len(text) > _MAX_BODY_CHARACTERS:
        text = text[: _MAX_BODY_CHARACTERS - 1] + "…"
    if not text:
        return "an empty body"
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _shown(exchange: Exchange) -> str:
    """Return an example exchange in one line: what is unusual in the request, and the response."""
    request, response = exchange.request, exchange.response
    unusual = [request.verb] if request.verb != "POST" else []
    if request.body != b'{"method":"read"}' and request.verb == "POST":
        unusual.append(_code(request.body[: 2 * _MAX_BODY_CHARACTERS].decode("utf-8", "backslashreplace")))
    if not request.well_formed:
        unusual.append("malformed HTTP")
    if exchange.user not in ("owner", None):
        unusual.append(f"a call of {exchange.user}")
    if not exchange.in_session:
        unusual.append("a call without a session")
    sent = f"to {', '.join(unusual)}: " if unusual else ""
    if response is None:
        return f"{sent}no answer ({exchange.failure.kind if exchange.failure else 'no reason'})"
    headers = [
        _code(f"{name}: {value}") for name, value in response.headers if _USUAL_HEADERS.get(name) != value
    ]
    there = {name.lower() for name, _ in response.headers}
    headers += [f"no {name}" for name in _USUAL_HEADERS if name.lower() not in there]
    said = f", {', '.join(headers)}" if headers else ""
    return f"{sent}{response.status}{said}, {_code(response.body.decode('utf-8', 'backslashreplace'))}"


def main() -> int:
    """Write the pages, and remove those of rules that are no more."""
    folder = Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    current = pages()
    for path in folder.glob("*.md"):
        if path.name not in current:
            path.unlink()
    for name, text in current.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
