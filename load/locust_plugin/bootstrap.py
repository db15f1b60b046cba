"""From options to a load inside Locust: prepares the workload and the validator, and sets the scenario's users.

Importing this module imports Locust, which patches sockets. So it is imported in a process of Locust's own only.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from locust import User

from conformance.catalog.model import Catalog
from conformance.errors import UsageError
from conformance.events import Event, LeftoverEvent, NoteEvent
from conformance.protocol.profile import Profile
from conformance.rulebook import own_rules
from load.distributed.master import RemoteResources
from load.distributed.run_plan import Plan
from load.engine.process import WorkerResources
from load.engine.rate_limit import RateLimit
from load.engine.sender import Reply
from load.http.endpoint import Endpoint
from load.http.pool import Pool
from load.locust_plugin import own_scenarios
from load.locust_plugin.hooks import Engine, install
from load.locust_plugin.own_scenarios import OwnScenario
from load.locust_plugin.users import LoadUser
from load.metrics.failures import Failures
from load.options import Settings, Wish, calibration_of, settle, target_of
from load.validation.validator import AnswerValidator
from load.workload import feeds
from load.workload.calls import Call
from load.workload.scenarios import PARTS, Cast, cast
from load.workload.virtual_users import Mark
from load.workload.workload import Work

__all__ = ["PartUser", "Play", "bootstrap", "bootstrap_scenario_file", "play_of"]

log = logging.getLogger(__name__)


class PartUser(LoadUser):
    """A user of a scenario, in a session of its own; `self.do` calls the function of a part of the scenario."""

    abstract = True
    #: The scenario's name, as `--scenario` has it.
    scenario: ClassVar[str] = ""

    def on_start(self) -> None:
        """Take a session that no other user has."""
        self.cast: Cast | None = play_of(self.environment).cast
        self.virtual_user = self.work.join(self.cast.functions.values() if self.cast else ())

    def on_stop(self) -> None:
        """Give it back."""
        if self.virtual_user is not None:
            self.work.leave(self.virtual_user)

    @property
    def work(self) -> Work:
        """The workload of this process."""
        source = self.generator.worker_resources.source
        assert isinstance(source, Work)
        return source

    def can(self, part: str) -> bool:
        """Return whether this target has a function for a part."""
        return self.cast is not None and part in self.cast

    def do(self, part: str) -> Reply | None:
        """Call the function of a part, and wait for the answer; do nothing if this target has no function for it."""
        if self.cast is None or part not in self.cast:
            return None
        reply = self.send(self.work.call(self.cast[part], self.virtual_user))
        if (asking := self.work.watch(self.virtual_user)) is not None:
            self.send(asking)
        return reply

    def send(self, call: Call) -> Reply | None:
        """Send a call, and return the answer."""
        return self.submit(call)


class Play:
    """The load of one Locust process: target, settings, and the functions of the scenario's parts."""

    def __init__(
        self,
        profile: Profile,
        catalog: Catalog,
        settings: Settings,
        *,
        seed: int,
        read_only: bool = False,
        own: OwnScenario | None = None,
    ) -> None:
        self.profile, self.catalog, self.settings, self.own = profile, catalog, settings, own
        self.seed, self.read_only = seed, read_only
        name = settings.scenario.name
        writable = profile.may_write and not read_only
        self.cast = cast(name, profile, catalog, writable=writable) if name in PARTS else None
        self.calibration: tuple[float, float] | None = None
        #: Ends the run before its time: a feed of the scenario file has no rows left.
        self.end_early: Callable[[str], None] = log.info
        self._rate_limit: RateLimit | None = None

    def rate_limit(self, plan: Plan) -> RateLimit | None:
        """Return the rate limit of this process, which lasts from one run to the next."""
        if plan.rate_limit is None:
            return None
        if self._rate_limit is None:
            self._rate_limit = RateLimit(plan.rate_limit)
        self._rate_limit.set(plan.rate_limit)
        self._rate_limit.until = math.inf
        return self._rate_limit

    def plan(self) -> Plan:
        """Return the plan of the run."""
        settings, target = self.settings, self.profile.target
        return Plan(
            settings.scenario.name,
            schedule=settings.schedule,
            search=settings.search,
            tasks=settings.scenario.tasks and settings.open,
            seconds=settings.seconds,
            seed=self.seed,
            warmup=settings.warmup,
            timeout=target.timeout,
            patience=target.timeout,
            # An arrival may wait for a connection, and then for its answer. So each has an end of its own, and none is
            # cut off, which would look as if the generator had not taken it up.
            drain=2 * target.timeout + 1.0,
            connections=settings.connections,
            rate_limit=settings.rate_limit,
            slos=settings.slos,
            aborts=settings.aborts,
            fail_fast=settings.fail_fast,
            users=settings.users,
            per_session=settings.per_session,
            calibration=self.calibration,
            more=({} if self.own is None else {"scenario_file": self.own.file.digest})
            | ({} if settings.seen is None else {"mix_from": settings.seen.mix.digest}),
        )

    # One function, though it is long: the resources are closed in the reverse order of this one list.
    def worker_resources(self, plan: Plan, index: int, of: int) -> WorkerResources:
        """Sign in, and prepare the requests and the validator of worker `index` of `of`.

        Raises:
            UsageError: this target cannot be sent what was asked for.
            SetUpFailedError: the target refuses a request of the preparation.

        """
        self._same_scenario(plan)
        if self.own is not None:
            feeds.share(index, of, self.end_early)
        users = plan.users // of + (index < plan.users % of)
        rate_limit = self.rate_limit(plan)
        marks: list[Mark] = []
        work = Work.prepare(
            self.profile,
            self.catalog,
            users=max(1, users),
            mix={} if self.cast else self.settings.mix,
            needs=None if self.own is None else self.own.needs,
            also=tuple(dict.fromkeys(self.cast.functions.values())) if self.cast else (),
            seed=plan.seed,
            read_only=self.read_only,
            index=index,
            of=of,
            rate_limit=rate_limit,
            per_session=plan.per_session,
            mark=marks.append,
            seen=None if self.settings.seen is None else self.settings.seen.mix,
        )
        for name, why in work.left_out:
            log.info("left out of the mix: %s: %s", name, why)
        judge = AnswerValidator(
            self.profile,
            self.catalog,
            work.secret_registry,
            sample=float(self.profile.load.get("sample", 0.02)),
            seed=plan.seed,
            functions=work.functions,
        )
        target = self.profile.target
        endpoint = Endpoint.of(self.profile.url, ca=target.ca, cert=target.cert, key=target.key)
        pool = Pool(endpoint, plan.connections)

        def close() -> list[Event]:
            left = work.close()
            for each in left:
                log.warning("left over: %s %s: %s", each.kind, each.id, each.reason)
            failures = own_rules.events(work.secret_registry.mask, under_load=True)
            return [*left, *(NoteEvent(text) for text in work.remarks()), *failures]

        return WorkerResources(
            functions=work.functions,
            pool=pool,
            judge=judge,
            source=work,
            close=close,
            results=lambda: results_of(judge, work),
            virtual_users=lambda: len(work.virtual_users.all),
            rate_limit=rate_limit,
            occupancy=work.occupancy,
            failures=Failures(work.functions, show=judge.show, mask=work.secret_registry.mask),
            news=work.news,
            marks=marks,
        )

    def _same_scenario(self, plan: Plan) -> None:
        """Raise UsageError if the process that leads the run has another scenario file than this one."""
        seen = self.settings.seen
        if plan.more.get("mix_from") != (None if seen is None else seen.mix.digest):
            raise UsageError(
                "this worker has another mix than the master: give both the same --mix-from, or give it to neither"
            )
        led = plan.more.get("scenario_file")
        if led == (None if self.own is None else self.own.file.digest):
            return
        if led is None:
            raise UsageError(
                "the master has no scenario file: leave --scenario-file out, or give it to the master"
            )
        raise UsageError(
            f"this worker has {'another' if self.own else 'no'} scenario file: give each worker the master's by "
            "--scenario-file"
        )

    def takeover(
        self, plan: Plan, index: int, of: int, resources: RemoteResources
    ) -> list[LeftoverEvent | NoteEvent]:
        """Remove what a lost worker, `index` of `of`, created; return what is left over."""
        if self.read_only:
            return []
        left = Work.inherit(
            self.profile,
            self.catalog,
            resources.made,
            resources.beyond,
            resources.functions,
            seed=plan.seed,
            index=index,
            of=of,
            rate_limit=self.rate_limit(plan),
        )
        for each in left:
            if isinstance(each, LeftoverEvent):
                log.warning("left over: %s %s: %s", each.kind, each.id, each.reason)
        return left


def results_of(judge: AnswerValidator, work: Work) -> dict[str, Any]:
    """Return the validator's results since the start of the run, and the findings about sessions (AUT-11)."""
    rules = {name: [each["judged"], each["broken"]] for name, each in judge.rules().items()}
    rules |= work.rules()
    schema = judge.schema()
    return {
        "rules": rules,
        "schema": [schema["judged"], schema["of"]],
        "findings": msgspec.to_builtins([*judge.findings(), *work.findings()]),
    }


_PLAYS = "_conform_load_play"


def play_of(environment: Any) -> Play:
    """Return the load of a Locust environment."""
    play: Play = getattr(environment, _PLAYS)
    return play


def bootstrap(environment: Any, users: dict[str, type[User]], otherwise: type[User]) -> Engine:
    """Install the load that the options of a Locust environment describe.

    `users` are the classes of the scenarios; `otherwise` is the class for arrivals without a scenario's user.

    Raises:
        UsageError: an option is wrong; one line says which and why.

    """
    wish = Wish.of(environment.parsed_options)
    profile, catalog, settings = _settled(environment, wish)
    if settings.scenario_file is not None:
        own = own_scenarios.execute(settings.scenario_file)
        return _install(environment, wish, profile, catalog, settings, own.users, own)
    name = settings.scenario.name
    chosen = users[name] if name in users and (settings.scenario.tasks or not settings.open) else otherwise
    return _install(environment, wish, profile, catalog, settings, [chosen], None)


def bootstrap_scenario_file(environment: Any) -> Engine:
    """Install the load of the scenario file that Locust has loaded (`locust -f checkout.py`).

    Raises:
        UsageError: an option or the file is wrong; one line says which and why.

    """
    own = own_scenarios.loaded(environment.user_classes)
    wish = replace(Wish.of(environment.parsed_options), scenario_file=str(own.file.path))
    profile, catalog, settings = _settled(environment, wish)
    return _install(environment, wish, profile, catalog, settings, own.users, own)


def _settled(environment: Any, wish: Wish) -> tuple[Profile, Catalog, Settings]:
    options = environment.parsed_options
    path = getattr(options, "profile", None)
    profile, catalog = target_of(
        Path(path) if path else None, options.target or options.host, [Path(file) for file in options.rules]
    )
    return profile, catalog, settle(wish, profile, None if catalog.is_implicit else catalog.methods)


def _install(
    environment: Any,
    wish: Wish,
    profile: Profile,
    catalog: Catalog,
    settings: Settings,
    users: Sequence[type[User]],
    own: OwnScenario | None,
) -> Engine:
    options = environment.parsed_options
    if own is not None:
        own.check(profile, catalog, writable=profile.may_write and not options.read_only)
    # Without a seed every run draws its own, and the master sends it to its workers.
    seed = options.seed if options.seed is not None else time.time_ns() & 0x7FFFFFFF
    play = Play(profile, catalog, settings, seed=seed, read_only=options.read_only, own=own)
    play.calibration = calibration_of(options.calibration)
    setattr(environment, _PLAYS, play)
    environment.user_classes = list(users)
    for each in users:
        # What a scenario file says of its think time counts, unless the command line says otherwise.
        if own is None or wish.think is not None or not own_scenarios.has_think_time(each):
            _think(each, settings.think)
    engine = install(environment, play.plan, play.worker_resources, takeover=play.takeover)
    play.end_early = lambda why: engine.generator().end_early(why)
    return engine


def _think(users: type[User], between: tuple[float, float]) -> None:
    """Set the think time of closed users."""
    low, high = between
    if issubclass(users, LoadUser):
        wait: Callable[[Any], float] = lambda user: random.uniform(low, high)  # noqa: E731
        users.think = wait if high > 0 else lambda user: 0.0
