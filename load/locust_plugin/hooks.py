"""The load inside Locust: what is hung on its events, so that a run begins, ends and is counted as any of Locust's.

`install`, called when Locust's environment is there (its event `init`), makes an `Engine`. A test that Locust starts,
headless, from the web UI, as a master or as a worker, then is a run of the plan. Locust's users are spawned as ever:
with open arrivals of calls they have nothing to do, with open arrivals of tasks they are the pool that the tasks run
in, and with closed arrivals they are the load.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from typing import Any

import gevent  # type: ignore[import-untyped]
from gevent import getcurrent
from gevent.event import Event  # type: ignore[import-untyped]
from locust import argument_parser, stats
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from load.distributed.coordinator import Local, Run, Workers, exit_status
from load.distributed.master import Master, Takeover
from load.distributed.results import Events
from load.distributed.run_plan import Plan
from load.distributed.worker import Worker
from load.engine.process import Generator, WorkerResources

__all__ = ["EVENTS", "Engine", "engine_of", "install"]

log = logging.getLogger(__name__)

#: The environment variable that names the file for events, where no argument does.
EVENTS = "CONFORM_LOAD_EVENTS"

#: How long, in seconds, answers are waited for when someone stops the run by hand.
INTERRUPTED = 2.0

_ENGINES = "_conform_load_engine"


def install(
    environment: Environment,
    plan: Callable[[], Plan],
    worker_resources: Callable[[Plan, int, int], WorkerResources],
    *,
    takeover: Takeover | None = None,
    events: str | os.PathLike[str] | None = None,
) -> Engine:
    """Hang the load on an environment whose runner is made.

    `plan` is asked at each start, where the run is led; `crew`, in each process that sends, is given the plan (its
    limits those of this process), and the process's place among how many. `heir`, in the process that leads workers,
    removes what a worker made that is gone. `events` names the file for JSON lines.
    """
    engine = Engine(
        environment,
        plan,
        worker_resources,
        takeover,
        events if events is not None else os.environ.get(EVENTS),
    )
    setattr(environment, _ENGINES, engine)
    return engine


def engine_of(environment: Environment) -> Engine:
    """Return the engine that was installed; raises LookupError when none was."""
    engine = getattr(environment, _ENGINES, None)
    if not isinstance(engine, Engine):
        raise LookupError("the load is not installed in this environment")
    return engine


def _remember_defaults() -> None:
    """Have Locust work out its default options once.

    A worker does so for each of some eighty options whenever the master spawns users, which halts all that it
    sends for half a second; they never change.
    """
    known = argument_parser.default_args_dict
    if not hasattr(known, "cache_info"):
        remembered = functools.cache(known)
        remembered()
        argument_parser.default_args_dict = remembered


class Engine:
    """The load's place in one Locust process."""

    def __init__(
        self,
        environment: Environment,
        plan: Callable[[], Plan],
        worker_resources: Callable[[Plan, int, int], WorkerResources],
        takeover: Takeover | None,
        events: str | os.PathLike[str] | None,
    ) -> None:
        self.environment = environment
        self.run: Run | None = None
        self.worker: Worker | None = None
        self._plan = plan
        self._worker_resources = worker_resources
        self._events = events
        self._ready = Event()
        self._generator: Generator | None = None
        self._greenlet: Any = None
        runner = environment.runner
        hooks: Any = environment.events
        if isinstance(runner, WorkerRunner):
            _remember_defaults()
            self.worker = Worker(runner, worker_resources, self._made)
            hooks.test_stopping.add_listener(lambda environment, **more: self._stop_worker())
        else:
            self.master = Master(runner, takeover) if isinstance(runner, MasterRunner) else None
            hooks.test_start.add_listener(lambda environment, **more: self._start())
            hooks.test_stopping.add_listener(lambda environment, **more: self._finish("stopped"))
        # Locust fires this one backwards: it comes before its own listeners have closed anything.
        hooks.quitting.add_listener(lambda environment, **more: self._quitting())

    # --- for users ------------------------------------------------------------------------------------------

    def generator(self) -> Generator:
        """Wait until this process has begun to send, and return what it sends with."""
        self._ready.wait()
        assert self._generator is not None
        return self._generator

    def _made(self, generator: Generator | None) -> None:
        self._generator = generator
        if generator is None:
            self._ready.clear()
        else:
            # What counts requests for itself, such as --otel, hears of each; Locust's statistics are fed by us.
            heard = self.environment.events.request._handlers
            generator.listeners = [each for each in heard if each.__module__ != "locust.runners"]
            self._ready.set()

    # --- the run, where it is led ---------------------------------------------------------------------------

    def _start(self) -> None:
        runner = self.environment.runner
        assert runner is not None
        if self.run is not None and not self.run.ended.is_set():
            return
        self._made(None)
        try:
            plan = self._plan()
            events = Events(self._events)
        except Exception as error:  # a wrong option, a file that cannot be written: it ends in one line
            self._refuse(str(error))
            return
        workers: Workers
        if self.master is not None:
            self.master.prepare_for(plan)
            if not plan.open and self.environment.parsed_options is not None:
                # Users of a worker that is gone are spawned anew by Locust on the others.
                self.environment.parsed_options.enable_rebalancing = True
            workers = self.master
        else:
            workers = Local(plan, self._worker_resources, lambda: runner.user_count, self._made)
        self.run = Run(plan, workers, events, lambda: self.environment.stats)
        self._greenlet = gevent.spawn(self._main, self.run)

    def _main(self, run: Run) -> None:
        try:
            run.main()
        except Exception as error:
            log.exception("the load ended with an error of its own")
            run.refused = f"the load ended with an error of its own: {error}"
        if run.refused is not None:
            self._refuse(run.refused)
            return
        self.environment.process_exit_code = exit_status(run.result)
        self._over()

    def _refuse(self, why: str) -> None:
        log.error("%s", why)
        self.environment.process_exit_code = 2
        self._over()

    def _over(self) -> None:
        """Have Locust stop; where nobody is there to look at it, have it end."""
        runner = self.environment.runner
        options = self.environment.parsed_options
        if runner is None:
            return
        alone = self.environment.web_ui is None and options is not None and options.headless

        def end() -> None:
            self._written()
            if alone:
                runner.quit()
            else:
                runner.stop()

        gevent.spawn(end)

    def _written(self) -> None:
        """Wait until Locust has written its CSV files once more: at the end it only closes them, a second behind."""
        options = self.environment.parsed_options
        if options is not None and options.csv_prefix:
            gevent.sleep(stats.CSV_STATS_INTERVAL_SEC + 0.1)

    def _finish(self, why: str) -> None:
        run = self.run
        if run is not None and not run.ended.is_set() and getcurrent() is not self._greenlet:
            run.finish(why, INTERRUPTED)
            self._written()

    # --- the end --------------------------------------------------------------------------------------------

    def _stop_worker(self) -> None:
        if self.worker is not None:
            self.worker.finish(INTERRUPTED)

    def _quitting(self) -> None:
        if self.worker is not None:
            self._stop_worker()
            self.worker.leave()
        else:
            self._finish("interrupted")
