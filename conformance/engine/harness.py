"""From options to a run: the profile, the catalogue, and the embedded service where no target is named."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import secrets
import shlex
import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType

from conformance.cases.format import FOLDER, Case, CaseError, load_folder
from conformance.catalog.model import Catalog
from conformance.errors import UsageError, suggestion
from conformance.events import (
    CatalogueRecord,
    KnownFindingRecord,
    KnownRecord,
    LoadOptionsRecord,
    RunEvent,
    TargetRecord,
    WaiverRecord,
)
from conformance.protocol import profile_reader
from conformance.protocol.profile import Profile
from conformance.rulebook import RULES, own_rules, requirements
from conformance.rulebook.model import OWN_ID
from conformance.rulebook.verdicts import Policy
from conformance.units import parse_duration, parse_rate

__all__ = ["Embedded", "Harness", "Request", "duration", "named_path", "per_second", "positive"]

ROOT = Path(__file__).resolve().parent.parent.parent
EMBEDDED_PROFILE = ROOT / "fixtures" / "service" / "conform.toml"


def named_path(text: str) -> Path:
    """Read a path from the command line; an empty one is the variable of a script that was not set."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return Path(text)


def positive(text: str) -> int:
    """Read a number from 1 on from the command line."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def per_second(text: str) -> float:
    """Read a rate from the command line, as in 20, 0.5 or 600/min; return requests per second."""
    try:
        rate = parse_rate(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not rate:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate: it must be more than 0/s")
    return rate


def duration(text: str) -> float:
    """Read a duration from the command line, as in 90s, 10m or 1h30m; return seconds."""
    try:
        return parse_duration(text)
    except UsageError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line, of `conform check` or of pytest."""

    target: str | None = None
    profile: Path | None = None
    #: The profile in the command line that repeats the run, if it is not `profile`.
    shown_profile: Path | None = None
    out: Path | None = None
    strict: bool = False
    read_only: bool = False
    seed: int | None = None
    budget: str = "standard"
    jobs: int = 1
    #: Requests per second at most; None: what the profile says.
    rate_limit: float | None = None
    rules: tuple[str, ...] = ()
    areas: tuple[str, ...] = ()
    #: Files of the team's own rules, beside those that the profile names.
    rule_files: tuple[Path, ...] = ()
    #: Folders of the team's own tests, which run beside the suites, and whether there are such tests at all.
    suites: tuple[Path, ...] = ()
    own_tests: bool = False
    #: What must be judged for the gate to pass, in addition to what the profile requires.
    required: tuple[str, ...] = ()
    #: Failing tests after which the run stops; None: it never stops for that.
    max_failures: int | None = None
    plan: bool = False
    generate_for: float | None = None
    cases: Path | None = None
    quiet: bool = False
    #: Whether the closing screen shows every finding instead of the causes.
    every: bool = False
    color: bool | None = None
    verb: str = "check"
    #: Whether nothing is sent, as recorded traffic is judged: then a production host is no reason to refuse.
    offline: bool = False
    #: What else was asked for, as it stands on the command line: for the line that runs it again.
    further: tuple[str, ...] = ()
    #: Findings that are known of an earlier run, each as rule, function and kind; None: no run was named.
    known: tuple[tuple[str, str | None, str], ...] | None = None
    known_from: Path | None = None


class Embedded:
    """The reference service as a process of its own, on a free port of the loopback address."""

    def __init__(self, *arguments: str) -> None:
        self.arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._url: str | None = None

    def start(self) -> None:
        """Start the service, without waiting until it listens."""
        module = "fixtures.faults" if "--fault" in self.arguments else "fixtures.service"
        self._process = subprocess.Popen(  # noqa: S603  (our own module, our own interpreter)
            [
                sys.executable,
                "-m",
                module,
                "--port",
                "0",
                "--exit-with-parent",
                "--ready-line",
                *self.arguments,
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def url(self) -> str:
        """The base URL, as soon as the service listens.

        Raises:
            UsageError: the service does not start.

        """
        if self._url is None:
            if self._process is None:
                self.start()
            assert self._process is not None
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line:
                raise UsageError(f"the embedded service did not start (status {self._process.wait()})")
            self._url = str(json.loads(line)["url"])
        return self._url

    def stop(self) -> None:
        """Stop the service."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


@dataclass
class Harness:
    """A request made ready: what is judged, where, with what, and where it is written down."""

    request: Request
    profile: Profile
    catalog: Catalog
    seed: int
    wanted: frozenset[str]
    out: Path
    embedded: Embedded | None = None
    report: dict[str, Any] | None = None
    plan: str | None = None
    problem: str | None = None
    interrupted: bool = False
    cases: list[Case] = field(default_factory=list)
    started: datetime.datetime = field(default_factory=lambda: datetime.datetime.now(datetime.UTC))
    #: The day on which waivers must be valid, where the run is.
    today: datetime.date = field(default_factory=datetime.date.today)
    #: Whether more is done after the suites: then the log stays without an end, the report is not made, and the
    #: embedded service stays.
    goes_on: bool = False
    #: Whether the suites came to their end, or were broken off in good order, and what they sent by then.
    done: bool = False
    sent: int = 0
    #: Seconds that the suites may take, where the budget alone does not say it.
    deadline: float | None = None
    #: The options of the load that the run includes.
    load_options: LoadOptionsRecord | UnsetType = UNSET

    @classmethod
    def prepare(cls, request: Request, *, arguments: tuple[str, ...] = ()) -> Harness:
        """Read the profile and the catalogue, and start the embedded service where no target is named.

        Raises:
            UsageError: something of it is wrong; one line says what and where.

        """
        embedded: Embedded | None = None
        path = request.profile
        if path is None and Path("conform.toml").is_file():
            path = Path("conform.toml")
        if path is None and request.target is None:
            embedded = Embedded(*arguments)
        profile = (
            profile_reader.load(path or EMBEDDED_PROFILE)
            if path or embedded
            else Profile.empty(request.target)
        )
        # Rules of the team's own first: whatever names a rule may name one of them.
        own_rules.install(
            (*profile.rule_files, *request.rule_files), tests=request.own_tests or bool(request.suites)
        )
        request = normalized(request)
        wanted = _wanted(request)
        cases = _cases(request)
        for folder in request.suites:
            if not folder.exists():
                raise UsageError(f"--suite {folder}: there is no such folder")
        if embedded is not None and not request.plan:
            embedded.start()
        try:
            if request.target is not None:
                profile = profile.with_target(request.target)
            if request.rate_limit is not None:
                profile = profile.with_rate(request.rate_limit)
            if embedded is None:
                _ = profile.url
                if not request.offline:
                    profile.refuse_production()
                if profile.target.ca is not None and not profile.target.ca.is_file():
                    raise UsageError(f"{path}: [target] ca: there is no file {profile.target.ca}")
            _check_waivers(profile)
            profile = replace(profile, required=_requirements(profile))
            catalog = (
                Catalog.load(profile.catalog_path)
                if profile.catalog_path
                else Catalog.implicit(profile.auth.effects)
            )
            _check_functions(profile, catalog)
            started = datetime.datetime.now(datetime.UTC)
            out = request.out or Path("reports/runs") / f"{started:%Y%m%dT%H%M%SZ}-{request.verb}"
            seed = request.seed if request.seed is not None else secrets.randbelow(2**31)
            return cls(request, profile, catalog, seed, wanted, out, embedded, cases=cases, started=started)
        except BaseException:
            if embedded is not None:
                embedded.stop()
            raise

    def claim(self) -> None:
        """Make the folder of the run; where no name was given for it, one that no other run has.

        Raises:
            OSError: it cannot be made.

        """
        if self.request.out is not None:
            self.out.mkdir(parents=True, exist_ok=True)
            return
        first, number = self.out, 1
        while True:
            try:
                self.out.mkdir(parents=True)
            except FileExistsError:
                number += 1
                self.out = first.with_name(f"{first.name}-{number}")
            else:
                return

    def connect(self) -> None:
        """Wait for the embedded service, where there is one, and aim at it."""
        if self.embedded is not None:
            # A plan sends nothing, so it needs no service; any address stands for one.
            url = "http://127.0.0.1/api/" if self.request.plan else self.embedded.url
            self.profile = self.profile.with_target(url)

    @property
    def shown_url(self) -> str:
        """The target as it may be shown before the run."""
        return self.profile.shown_url if self.embedded is None else "the embedded service"

    def close(self) -> None:
        """Stop what was started."""
        if self.embedded is not None:
            self.embedded.stop()

    @property
    def left_out(self) -> str:
        """Say which option leaves rules out."""
        return "left out by --rule" if self.request.rules else "left out by --area"

    def command(self, verb: str | None = None) -> str:
        """Return the command that repeats this run, or what another verb would do of it; ` --rule ID` may be added."""
        request = self.request
        parts = ["conform", verb or request.verb]
        if request.target is not None:
            parts += ["--target", self.profile.shown_url]
        profile = request.shown_profile or request.profile
        if profile is not None:
            parts += ["--profile", str(profile)]
        if request.budget != "standard":
            parts += ["--budget", request.budget]
        if request.generate_for is not None:
            parts += ["--for", f"{request.generate_for:.10g}s"]
        if request.cases is not None:
            parts += ["--cases", str(request.cases)]
        if request.jobs != 1:
            parts += ["--jobs", str(request.jobs)]
        if request.rate_limit is not None:
            parts += ["--rate-limit", f"{request.rate_limit:.10g}"]
        for file in request.rule_files:
            parts += ["--rules", str(file)]
        for folder in request.suites:
            parts += ["--suite", str(folder)]
        parts += ["--strict"] * request.strict + ["--read-only"] * request.read_only
        for requirement in request.required if verb is None else ():
            parts += ["--require", requirement]
        if request.max_failures is not None and verb is None:
            parts += ["--max-failures", str(request.max_failures)]
        if request.known_from is not None:
            parts += ["--baseline-findings", str(request.known_from)]
        further = request.further if verb is None else ()
        return shlex.join([*parts, *further, "--seed", str(self.seed)])

    @cached_property
    def policy(self) -> Policy:
        """The policy of the run's verdicts: the profile's waivers, the earlier run's findings, and strictness."""
        return Policy(
            today=self.today,
            strict=self.request.strict,
            waivers=self.profile.waivers,
            known=self.request.known or (),
            known_from=str(self.request.known_from),
        )

    @property
    def required(self) -> list[str]:
        """What the gate requires to be judged, in the standard form.

        A load judges single exchanges only, so nothing is required of it. The profile's requirements are for whole
        checks: --rule and --area lift them.
        """
        if self.request.verb == "load":
            return []
        lifted = self.request.rules or self.request.areas
        return list(dict.fromkeys([*(() if lifted else self.profile.required), *self.request.required]))

    @property
    def catalogue(self) -> CatalogueRecord | None:
        """The catalogue's name, how many functions it has, and its hash; None where there is none."""
        path = self.profile.catalog_path
        if path is None or self.catalog.is_implicit:
            return None
        return CatalogueRecord(
            path.name, len(self.catalog.methods), hashlib.sha256(path.read_bytes()).hexdigest()
        )

    def header(self, suite: str) -> RunEvent:
        """Return the event that begins a run's log."""
        known = None
        if self.request.known is not None:
            found = [KnownFindingRecord(rule, function, kind) for rule, function, kind in self.request.known]
            known = KnownRecord(str(self.request.known_from), found)
        return RunEvent(
            verb=self.request.verb,
            suite=suite,
            target=TargetRecord(
                self.profile.shown_url, self.profile.target.environment, self.embedded is not None
            ),
            started=f"{self.started:%Y-%m-%dT%H:%M:%SZ}",
            seed=self.seed,
            strict=self.request.strict,
            budget=self.request.budget,
            generate_for=self.request.generate_for,
            cases=len(self.cases),
            rerun=self.command(),
            rerun_rule=self.command("check") if self.request.verb == "verify" else None,
            catalogue=self.catalogue,
            known=known,
            rules=[rule.record() for rule in RULES.values()],
            waivers=[
                WaiverRecord(waiver.rule, waiver.function, waiver.reason, waiver.until.isoformat())
                for waiver in self.profile.waivers
            ],
            today=self.today.isoformat(),
            load=self.load_options,
            required=self.required or UNSET,
        )


def normalized(request: Request) -> Request:
    """Return the request with rules and areas by their ids, each once, however they were written.

    Raises:
        UsageError: there is no such rule, or no such area.

    """
    known = own_rules.areas()
    areas = {name.upper(): name for name in known} | {title.upper(): name for name, title in known.items()}
    rules, chosen = [profile_reader.rule_id(text) for text in request.rules], []
    for rule in rules:
        if rule not in RULES:
            raise UsageError(f"--rule {rule}: there is no such rule{suggestion(rule, RULES)}")
    for text in request.areas:
        area = areas.get(text.strip().upper())
        if area is None:
            raise UsageError(f"--area {text}: there is no such area; there are {', '.join(known)}")
        chosen.append(area)
    try:
        required = tuple(requirements.parse(text) for text in request.required)
    except ValueError as error:
        raise UsageError(f"--require {error}") from error
    return replace(
        request,
        rules=tuple(dict.fromkeys(rules)),
        areas=tuple(dict.fromkeys(chosen)),
        required=tuple(dict.fromkeys(required)),
    )


def requirement(text: str) -> str:
    """Read a requirement of the gate from the command line: an area, a rule's id, or `judged >= N`.

    A name that the rulebook does not have may be that of a rule of the team's own, which is not read yet.
    """
    if OWN_ID.fullmatch(f"{text.strip().upper().partition('-')[0]}-1"):
        return text
    try:
        return requirements.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _wanted(request: Request) -> frozenset[str]:
    """Return the ids of the rules that a normalized request selects."""
    if not request.rules and not request.areas:
        return frozenset(RULES)
    chosen, wanted_areas = set(request.rules), set(request.areas)
    if chosen and wanted_areas:
        both = {rule for rule in chosen if RULES[rule].area in wanted_areas}
        if not both:
            raise UsageError("--rule and --area together select nothing: no rule named lies in an area named")
        return frozenset(both)
    return frozenset(chosen or {rule.id for rule in RULES.values() if rule.area in wanted_areas})


def _cases(request: Request) -> list[Case]:
    """Read the cases that are to be played first."""
    if request.cases is None:
        return []
    if request.out is not None and request.cases.resolve() == (request.out / FOLDER).resolve():
        raise UsageError(f"--cases {request.cases}: this run's own cases go there; choose another --out")
    try:
        return load_folder(request.cases)
    except CaseError as error:
        raise UsageError(f"--cases {error}") from error


def _requirements(profile: Profile) -> tuple[str, ...]:
    """Return the profile's requirements in their standard form. Raises UsageError."""
    try:
        return tuple(map(requirements.parse, profile.required))
    except ValueError as error:
        raise UsageError(f"{profile.path}: [gate] require: {error}") from None


def _check_waivers(profile: Profile) -> None:
    for index, waiver in enumerate(profile.waivers):
        if waiver.rule not in RULES:
            raise UsageError(
                f"{profile.path}: [[waivers]] {index + 1} rule: there is no rule {waiver.rule}"
                + suggestion(waiver.rule, RULES)
            )


def _check_functions(profile: Profile, catalog: Catalog) -> None:
    if catalog.is_implicit:
        return
    auth = profile.auth
    named = {
        "login": auth.login.function if auth.login else None,
        "logout": auth.logout,
        "whoami": auth.whoami.function if auth.whoami else None,
        "key_login": auth.key_login.function if auth.key_login else None,
    }
    for key, name in named.items():
        if name is not None and name not in catalog:
            raise UsageError(
                f"{profile.path}: [auth] {key}: the catalogue has no function {name}"
                + suggestion(name, list(catalog.methods))
            )
