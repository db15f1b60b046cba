"""The findings of a stored run for the explorer page: what was sent, by whom, and what is expected of the answer.

Recorded requests have no secrets. A session is replaced by the name of its user, whom the page signs in again; a
password of the profile by a placeholder such as `{{users.owner.secret}}`, which `filled` replaces when it is sent.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from conformance.cases.format import Case, CaseError, Step, load, symbol, symbols
from conformance.engine.case_binding import TOKEN_OF_NOBODY, WRONG_PASSWORD
from conformance.errors import UsageError
from conformance.protocol.exchange import Exchange
from conformance.protocol.profile import Profile
from conformance.protocol.redaction import MASK
from conformance.rulebook import RULES
from conformance.rulebook.pages import address_of
from conformance.text import cut
from reports.headline import headline
from reports.render.html.page import anchor_of

if TYPE_CHECKING:
    from reports.model.store import Stored

__all__ = ["Finding", "StoredFindings", "filled", "options_of"]

MAX_REQUEST_CHARACTERS = 200_000
MAX_RESPONSE_CHARACTERS = 20_000
MAX_FINDINGS = 2_000

#: How many folders above that of the run are searched for the profile.
MAX_PARENTS = 5

#: Headers that the client adds by itself, or that belong to the connection.
_OWN_HEADERS = frozenset(
    {
        "host",
        "user-agent",
        "accept",
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
    }
)
_PLACEHOLDER = re.compile(r"\{\{users\.([^{}]+)\.secret\}\}")


def options_of(run: Stored, profile: Path | None = None) -> tuple[str | None, Path | None]:
    """Return the target and the profile with which a run was made, as its command line names them.

    Without `profile` that of the run is searched for here and in the folders above that of the run. Both are None if
    it was the embedded service; the target is None if the profile names it.
    """
    if run.report["target"]["embedded"]:
        return None, profile
    words = shlex.split(run.report["rerun"] or "")
    named = {
        words[at]: words[at + 1] for at in range(len(words) - 1) if words[at] in ("--profile", "--target")
    }
    target = named.get("--target")
    if profile is None:
        path = Path(named.get("--profile", "conform.toml"))
        places = [Path(), *run.folder.resolve().parents[:MAX_PARENTS]]
        profile = next((place / path for place in places if (place / path).is_file()), None)
        if profile is None and "--profile" in named:
            raise UsageError(
                f"the run was made with --profile {path}, which is not here: name it with --profile"
            )
    if target is None and profile is None:
        target = str(run.report["target"]["url"])
    if target is not None and MASK in target:
        raise UsageError("the run does not say its target's address in full: name it with --target")
    return target, profile


def filled(text: str, profile: Profile) -> str:
    """Return a body in which placeholders are replaced by the passwords for which they stand."""

    def secret(found: re.Match[str]) -> str:
        user = profile.users.get(found[1])
        return json.dumps(user.secret, ensure_ascii=False)[1:-1] if user is not None else found[0]

    return _PLACEHOLDER.sub(secret, text)


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding as the page shows it (`shown`), and how a new answer is judged by it."""

    id: str
    rule: str
    case: Case | None
    shown: Mapping[str, Any]

    def judged(self, exchange: Exchange) -> dict[str, Any]:
        """Return whether an answer is as the finding's rule expects; `holds` is None if one answer is not enough."""
        rule = RULES.get(self.rule)
        holds: bool | None = None
        actual = exchange.summary()
        if rule is not None and rule.check is not None:
            outcome = rule.check(exchange)
            holds = not outcome.broken if outcome.judged else None
            actual = outcome.actual or actual
        elif (
            (step := self.step) is not None
            and step.expect.status
            and not (step.expect.equals or step.expect.has)
        ):
            holds = exchange.status in step.expect.status
        return {"rule": self.rule, "expected": self.shown["expected"], "actual": actual, "holds": holds}

    @property
    def checks_one_answer(self) -> bool:
        """Whether the rule has a check of one exchange."""
        return self.rule in RULES and RULES[self.rule].check is not None

    @property
    def step(self) -> Step | None:
        """The step of the case that shows the violation, if it needs no other one before it."""
        return self.case.steps[0] if self.case is not None and len(self.case.steps) == 1 else None


@dataclass
class StoredFindings:
    """The causes and the findings of a stored run."""

    run: Stored
    profile: Profile
    findings: dict[str, Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        users = self._users()
        for rule in self.run.report["rules"]:
            for finding in rule["findings"]:
                if len(self.findings) < MAX_FINDINGS:
                    made = self._finding(rule, finding, users.get(finding["exchange"]))
                    self.findings[made.id] = made

    def find(self, wanted: str) -> str:
        """Return the id of a finding; the beginning of an id suffices if it is that of one finding alone.

        Raises:
            UsageError: there is no such finding, or there are several.

        """
        found = [each for each in self.findings if each.startswith(wanted)]
        if wanted in self.findings or len(found) == 1:
            return wanted if wanted in self.findings else found[0]
        if found:
            raise UsageError(f"--finding {wanted}: {len(found)} findings begin so: {', '.join(found[:6])}")
        some = ", ".join(list(self.findings)[:3])
        raise UsageError(
            f"--finding {wanted}: the run has no such finding{f' (it has {some}, …)' if some else ''}"
        )

    def content(self) -> bytes:
        """Return what the page shows, as JSON."""
        report = self.run.report
        left = sum(len(rule["findings"]) for rule in report["rules"]) - len(self.findings)
        content = {
            "run": {
                "name": self.run.name,
                "headline": headline(report),
                "started": str(report["started"]),
                "target": report["target"]["url"],
                "left": left,
            },
            "causes": [
                {
                    name: cause[name]
                    for name in ("id", "sentence", "level", "waived", "where", "advice", "rules")
                }
                for cause in report.get("causes") or ()
            ],
            "findings": [finding.shown for finding in self.findings.values()],
        }
        return json.dumps(content, separators=(",", ":")).encode()

    def _users(self) -> dict[int, str | None]:
        """Return the user of each exchange that shows a finding."""
        wanted = {finding["exchange"] for rule in self.run.report["rules"] for finding in rule["findings"]}
        return {event.number: event.user for event in self.run.exchanges() if event.number in wanted}

    def _finding(self, rule: Mapping[str, Any], finding: Mapping[str, Any], user: str | None) -> Finding:
        identifier = anchor_of(rule["id"], finding["function"], finding["kind"])
        case = self._case(finding["case"])
        step = case.steps[0] if case is not None and len(case.steps) == 1 else None
        record = RULES.get(rule["id"])
        names = (
            "function",
            "kind",
            "message",
            "expected",
            "actual",
            "count",
            "reproduced",
            "waived",
            "cause",
            "case",
        )
        response = finding["response"]
        shown = {
            **{name: finding[name] for name in names},
            "id": identifier,
            "rule": rule["id"],
            "level": rule["level"],
            "title": rule["title"],
            "failure": finding["failure"],
            "steps": len(case.steps) if case is not None else None,
            "remedy": record.remedy if record is not None else None,
            "page": address_of(record.id) if record is not None else None,
            "response": response
            and {
                "status": response["status"],
                "headers": response["headers"],
                "body": cut(response["body"], MAX_RESPONSE_CHARACTERS),
            },
            **self._request(finding["request"], step, user),
        }
        return Finding(identifier, rule["id"], case, shown)

    def _case(self, name: str | None) -> Case | None:
        if not name:
            return None
        path = self.run.folder / name
        try:
            return load(path) if path.resolve().is_relative_to(self.run.folder.resolve()) else None
        except (CaseError, OSError):
            return None

    # --- requests

    def _request(
        self, request: Mapping[str, Any] | None, step: Step | None, user: str | None
    ) -> dict[str, Any]:
        """Return the recorded request in the form in which the page sends one, who sent it, and what is different."""
        notes: list[str] = []
        endpoint = self._endpoint(request["url"]) if request is not None else None
        if request is None or endpoint is None or (step is not None and step.raw is not None):
            where = (
                "It was sent outside of the base path" if request is not None else "No request was recorded"
            )
            raw = step is not None and step.raw is not None
            notes.append("It was sent as raw bytes, which a page cannot send." if raw else f"{where}.")
            return {"request": None, "sender": "nobody", "user": None, "notes": notes}
        sender, name, headers = self._sender(request, step, user, notes)
        if any(header.lower() == "transfer-encoding" for header in request["headers"]):
            notes.append("The body was sent chunked; this page sends it with its length.")
        body = request["body"]
        if MASK in body:
            body = _with_placeholders(body, step)
        if MASK in body:
            notes.append(f"{MASK} in the body stands for a secret that is not known here: replace it.")
        elif "{{users." in body:
            notes.append("{{users.NAME.secret}} stands for the password of a user of the profile.")
        if step is not None and "$bytes" in json.dumps(step.body, default=str):
            notes.append(
                "The body had bytes that are not UTF-8 and are shown as escapes: the case has them unchanged."
            )
        if step is not None and any(name == "$object" for name, _ in symbols([step.data, step.body])):
            notes.append(
                "Identifiers are those of the run, whose objects may be gone: the case makes new ones."
            )
        if len(body) > MAX_REQUEST_CHARACTERS:
            notes.append("The body is too long to be edited here: the case has all of it.")
        return {
            "request": {
                "verb": request["verb"],
                "endpoint": endpoint,
                "headers": headers,
                "body": body[:MAX_REQUEST_CHARACTERS],
            },
            "sender": sender,
            "user": name,
            "notes": notes,
        }

    def _endpoint(self, url: str) -> str | None:
        """Return the part of a recorded URL below the base path of the run's target, or None."""
        base = urlsplit(self.run.report["target"]["url"])
        start = f"{base.scheme}://{base.netloc}{base.path.rstrip('/')}/"
        return url.removeprefix(start) if url.startswith(start) else None

    def _sender(
        self, request: Mapping[str, Any], step: Step | None, user: str | None, notes: list[str]
    ) -> tuple[str, str | None, list[list[str]]]:
        """Return who sent a request ("user", "nobody" or "unknown"), their name in the profile, and the headers."""
        own = _OWN_HEADERS | {name.lower() for name in self.profile.headers}
        headers = []
        token = False
        for name, value in request["headers"].items():
            if name.lower() == "token":
                token = True
            elif MASK in value:
                notes.append(f"The header {name} held a secret, and is left out.")
            elif name.lower() not in own:
                headers.append([name, value])
        if not token:
            return "nobody", None, headers
        if step is not None and step.token is not None:
            headers += self._token(step.token, notes)
            return "nobody", None, headers
        name = step.user if step is not None and step.user is not None else user
        if name in self.profile.users:
            return "user", name, headers
        notes.append(
            f"The session was that of {name}, who is not in this profile: choose who sends the call."
            if name
            else "It is not known whose session it was: choose who sends the call."
        )
        return "unknown", name, headers

    def _token(self, value: Any, notes: list[str]) -> Iterator[list[str]]:
        """Yield the header of a token that was no session."""
        found = symbol(value)
        if found is None:
            yield ["Token", str(value)]
        elif found[0] == "$token":
            yield ["Token", (TOKEN_OF_NOBODY * (found[1] // len(TOKEN_OF_NOBODY) + 1))[: found[1]]]
        else:
            notes.append("The token was made of a session, and is left out: the case makes it again.")


def _with_placeholders(body: str, step: Step | None) -> str:
    """Return a recorded body with placeholders for the masked passwords that its case names."""
    if step is None:
        return body
    secrets = list(_secrets(step.data if step.plain else step.body))
    if not secrets or body.count(MASK) != len(secrets):
        return body
    pieces = body.split(MASK)
    return pieces[0] + "".join(secret + piece for secret, piece in zip(secrets, pieces[1:], strict=True))


def _secrets(value: Any) -> Iterator[str]:
    """Yield what stands for each secret of a case's data, in the order of the text; MASK for one that is altered."""
    found = symbol(value)
    if found is not None:
        name, argument = found
        if name == "$text":
            for piece in argument:
                yield from _secrets(piece)
        elif name == "$secret":
            plain = isinstance(argument, str) and argument.startswith("users.")
            yield WRONG_PASSWORD if argument == "wrong" else f"{{{{{argument}}}}}" if plain else MASK
        elif name in ("$session", "$escaped"):
            yield MASK
    elif isinstance(value, dict):
        for each in value.values():
            yield from _secrets(each)
    elif isinstance(value, list):
        for each in value:
            yield from _secrets(each)
