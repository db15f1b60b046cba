"""The load inside Locust: listeners of its events, so that a run begins, ends and is counted like any of Locust's.

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

#: The wait for responses when a person stops the run, in seconds.
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
    """Install the load in an environment that has a runner.

    `plan` is called at each start, in the process that leads the run. `worker_resources` is called in each process
    that sends, with the plan (limited to this process), its index, and the number of processes. `takeover` is called
    in the process that leads workers, and removes what a lost worker created. `events` names the file for JSON lines.
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
    """Have Locust compute its default options once.

    A worker computes some eighty options whenever the master spawns users, which stops it from sending for half a
    second; they never change.
    """
    known = argument_parser.default_args_dict
    if not hasattr(known, "cache_info"):
        remembered = functools.cache(known)
        remembered()
        argument_parser.default_args_dict = remembered


class Engine:
    """The load in one Locust process."""

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
        # Locust calls these listeners in reverse order: this one comes before its own have closed anything.
        hooks.quitting.add_listener(lambda environment, **more: self._quitting())

    # --- for users ------------------------------------------------------------------------------------------

    def generator(self) -> Generator:
        """Wait until this process has begun to send, and return its generator."""
        self._ready.wait()
        assert self._generator is not None
        return self._generator

    def _made(self, generator: Generator | None) -> None:
        self._generator = generator
        if generator is None:
            self._ready.clear()
        else:
            # Other listeners, such as --otel, receive each request; Locust's own statistics are updated in batches.
            handlers = self.environment.events.request._handlers
            generator.listeners = [each for each in handlers if each.__module__ != "locust.runners"]
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
        except (
            Exception
        ) as error:  # a wrong option or a file that cannot be written ends the run with one line
            self._refuse(str(error))
            return
        workers: Workers
        if self.master is not None:
            self.master.prepare_for(plan)
            if not plan.open and self.environment.parsed_options is not None:
                # Locust spawns the users of a lost worker again on the others.
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
        """Stop Locust's test; end Locust itself where it is headless."""
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
        """Wait until Locust has written its CSV files once more: at its end it only closes them."""
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
