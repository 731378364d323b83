"""A load run among the processes of Locust: who sends which share, from which instant on, and when all is over."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import locust
from locust.env import Environment
from locust.runners import MasterRunner, WorkerRunner

from readiness.errors import ReadinessError, UsageError
from readiness.load.child.form import check_form
from readiness.load.child.options import Asked, deployment, stop
from readiness.load.child.orphans import end_with_parent
from readiness.load.child.run import Run
from readiness.load.child.transactions import transactor
from readiness.load.plan import CLOSED, FILE, Plan, from_data, to_data, write
from readiness.load.recorder import Recorder
from readiness.load.runner import PLAN
from readiness.loading import DescriptorFile
from readiness.redaction import Redactor

LEAD_S, LEAD_OF_WORKERS_S = 0.5, 1.5
"""From the start of a run to its zero, so that every process is ready when the first arrival is due."""
BEGIN, ENDED = "readiness-begin", "readiness-ended"
_OVERDUE_S = 5.0
"""How long after the last possible drain the master still waits for a worker's word."""


class Session:
    """The load runs of this process, one after the other."""

    def __init__(self) -> None:
        self.asked: Asked | None = None
        self.run: Run | None = None
        self.ours = False
        """Whether our own users send; else a listener records what others do."""
        self._environment: Environment | None = None
        self._file: DescriptorFile | None = None
        self._redactor = Redactor()
        self._workers: dict[str, bool] = {}
        self._deadline_s = 0.0
        self._folder: Path | None = None

    @property
    def runner(self) -> Any:
        """Locust's runner."""
        assert self._environment is not None
        return self._environment.runner

    def attach(self, environment: Environment) -> None:
        """Take part in this process's runs; wrong usage ends the process in one line."""
        self._environment = environment
        end_with_parent()
        headless = bool(environment.parsed_options and environment.parsed_options.headless)
        if headless and not isinstance(self.runner, WorkerRunner):
            # Locust's own handler comes after a headless run with a shape: SIGTERM would end it without a record
            gevent.signal_handler(signal.SIGTERM, self.runner.quit)
        if not self.ours:
            events.request.add_listener(self._foreign_request)
        if isinstance(self.runner, WorkerRunner):
            self.runner.register_message(BEGIN, self._told_to_begin)
        elif isinstance(self.runner, MasterRunner):
            self.runner.register_message(ENDED, self._told_of_end)
        try:
            if self.ours:
                self._file = deployment(environment.host or "")
            if not isinstance(self.runner, WorkerRunner):
                self._check(environment.parsed_options)
                check_form(environment, self._check)
        except ReadinessError as error:
            stop(str(error))
        if os.environ.get(PLAN):
            environment.process_exit_code = 0  # a system that fails is what is measured; it does not fail the measuring

    def _check(self, options: Any) -> None:
        """Raise a UsageError where a run of these options could not be sent."""
        plan = Asked.read(options).plan
        if not self.ours and plan.model != CLOSED:
            raise UsageError("a locustfile of your own is a closed model; give the plan users, or use loadtests/*.py")
        if self.ours and (self._file is None or not isinstance(self.runner, MasterRunner)):
            transactor(self._file, getattr(options, "host", "") or "", plan.variant, True, self._redactor)

    def ask(self) -> Asked:
        """Read what the next run is to be."""
        assert self._environment is not None
        self.asked = Asked.read(self._environment.parsed_options)  # type: ignore[arg-type]
        return self.asked

    @property
    def processes(self) -> int:
        """How many processes send."""
        return len(self.runner.clients.all) if isinstance(self.runner, MasterRunner) else 1

    def finished(self) -> bool:
        """Whether everything of the current run is recorded, or will never be."""
        if isinstance(self.runner, MasterRunner):
            if not self._workers:
                return False
            alive = {client.id for client in self.runner.clients.all if client.state != "missing"}
            left = [id for id, ended in self._workers.items() if not ended and id in alive]
            return not left or time.monotonic() > self._deadline_s
        return self.run is not None and self.run.over.is_set()

    def begin(self) -> None:
        """Begin a run: fix its zero, write what it promises, and give each worker its share."""
        if isinstance(self.runner, WorkerRunner):
            return
        asked = self.asked or self.ask()
        self.asked = None
        master = isinstance(self.runner, MasterRunner)
        lead_s = LEAD_OF_WORKERS_S if master else LEAD_S
        zero_wall_s = time.time() + (lead_s if self.ours else 0.0)  # theirs begin when Locust starts them
        plan = asked.plan if asked.planned else replace(asked.plan, workers=self.processes)
        self._folder = self._prepared(asked, plan, zero_wall_s)
        told = {
            "plan": to_data(plan),
            "zero_wall_s": zero_wall_s,
            "results": str(self._folder.absolute()) if self._folder else "",
            "keep_alive": asked.keep_alive,
            "host": self._environment.host if self._environment else "",
        }
        if not self.ours:
            gevent.spawn(self._quit_after, plan.duration_s)
        self._deadline_s = time.monotonic() + LEAD_OF_WORKERS_S + plan.duration_s + plan.drain_s + _OVERDUE_S
        if not master:
            self._begin_share({**told, "share": [0, 1]})
            return
        clients = [client.id for client in self.runner.clients.all]
        self._workers = dict.fromkeys(clients, False)
        for number, client in enumerate(clients):
            self.runner.send_message(BEGIN, {**told, "share": [number, len(clients)]}, client)

    def end(self) -> None:
        """End what this process still sends."""
        if self.run is not None:
            if self.ours:
                self.run.end()
            else:
                self.run.complete_foreign()
        self._workers = {}

    def _prepared(self, asked: Asked, plan: Plan, zero_wall_s: float) -> Path | None:
        if asked.results is None:
            return None
        folder = asked.results if asked.planned else _free(asked.results)
        folder.mkdir(parents=True, exist_ok=True)
        if not asked.planned:
            name = self._file.descriptor.name if self._file else ""
            release = self._file.descriptor.current_release if self._file else ""
            told = {"deployment": name, "release": release, "keep_alive": asked.keep_alive, "command": _argv()}
            write(folder, plan, locustfile=self._environment.locustfile if self._environment else "", **told)
        zero = {"wall_s": zero_wall_s, "monotonic_s": time.monotonic() + zero_wall_s - time.time()}
        draft = folder / "zero.json.tmp"
        draft.write_text(json.dumps(zero), encoding="utf-8")
        draft.replace(folder / "zero.json")
        return folder

    def _begin_share(self, told: dict[str, Any]) -> None:
        plan = from_data(told["plan"])
        number, of = told["share"]
        recorder = Recorder(Path(told["results"]), number) if told["results"] else None
        sender = None
        if self.ours:
            sender = transactor(self._file, told["host"] or "", plan.variant, told["keep_alive"], self._redactor)
        fire = events.request.fire
        self.run = Run(plan, (number, of), told["zero_wall_s"], sender, recorder, self._redactor, fire)

    def _quit_after(self, duration_s: float) -> None:
        """End others' users in time; Locust's own `--run-time` counts from a clock that its imports left behind."""
        until_s = time.monotonic() + duration_s
        while (left_s := until_s - time.monotonic()) > 0:
            gevent.sleep(left_s)
        self.runner.quit()

    def _told_to_begin(self, environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ARG002 - Locust's call
        self._begin_share(msg.data)
        gevent.spawn_raw(self._tell_of_end, self.run)

    def _tell_of_end(self, run: Run) -> None:
        run.over.wait()
        self.runner.send_message(ENDED, {"share": list(run.share)})

    def _told_of_end(self, environment: Environment, msg: Any, **_: Any) -> None:  # noqa: ARG002 - Locust's call
        if msg.node_id in self._workers:
            self._workers[msg.node_id] = True

    def _foreign_request(
        self,
        response_time: float,
        exception: Any = None,
        start_time: float | None = None,
        response: Any = None,
        **_: Any,
    ) -> None:
        if self.run is not None:
            duration_s = (response_time or 0.0) / 1000
            began_s = start_time if start_time is not None else time.time() - duration_s
            status = int(getattr(response, "status_code", 0) or 0)
            error = " ".join(str(exception).split())[:200] if exception else ""
            self.run.record_foreign(
                began_s, duration_s, status, error or (type(exception).__name__ if exception else "")
            )


session = Session()
events: Any = locust.events


def _free(folder: Path) -> Path:
    """The folder, or one beside it with a number where an earlier run of this web page has filled it."""
    number, found = 2, folder
    while (found / FILE).exists():
        found, number = folder.with_name(f"{folder.name}-{number}"), number + 1
    return found


def _argv() -> list[str]:
    return ["locust", *(re.sub(r"//[^/@\s]+@", "//", argument) for argument in sys.argv[1:])]


def _attach(environment: Environment, **_: Any) -> None:
    session.attach(environment)


def _begin(**_: Any) -> None:
    session.begin()


def _end(**_: Any) -> None:
    session.end()


events.init.add_listener(_attach)
events.test_start.add_listener(_begin)
events.test_stop.add_listener(_end)
events.quitting.add_listener(_end)
