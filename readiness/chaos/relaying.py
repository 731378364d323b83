"""What the child of a run tells its parent while it runs: one line of JSON for each event, redacted by value."""

from __future__ import annotations

import inspect
import json
import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chaoslib.run import RunEventHandler  # type: ignore[import-untyped]

from readiness.chaos.journal import one_line
from readiness.history import KINDS, Event, History
from readiness.records import to_data, to_json
from readiness.redaction import Redactor

_MAX_OUTPUT = 20_000


class Relay:
    """Writes events to the parent's pipe; several threads may."""

    def __init__(self, descriptor: int, redactor: Redactor) -> None:
        self._descriptor = descriptor
        self.redactor = redactor
        self._lock = threading.Lock()

    def tell(self, event: str, **data: Any) -> None:
        """Tell one event."""
        plain = self.redactor.redact_data(plainly({"event": event, "at": datetime.now(UTC).isoformat(), **data}))
        line = json.dumps(plain, ensure_ascii=True).encode("ascii") + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._descriptor, line) :]


class RelayedHistory(History):
    """A history whose events are told to the parent, which writes them into its own."""

    def __init__(self, folder: Path, relay: Relay) -> None:
        super().__init__(folder, relay.redactor, -1)
        self._relay = relay

    def append(self, kind: str, record: object = None, /, **data: object) -> Event:
        """Tell one event of a history."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of event {kind!r}")
        given = {**(to_json(record) if record is not None else {}), **to_data(data)}
        self._relay.tell("history", kind=kind, data=given)
        return Event(datetime.now(UTC), kind, given)


class Telling(RunEventHandler):  # type: ignore[misc]
    """Listens to the library and tells what it does; what it finds out about an activity stands in the journal too.

    `begun` is called once the library has taken the signals over: they can be taken back then.
    """

    def __init__(self, relay: Relay, begun: Callable[[], None]) -> None:
        self._relay = relay
        self._begun = begun
        self._section = "before"
        self.journal: dict[str, Any] = {}
        self.configuration: dict[str, Any] = {}
        self.secrets: dict[str, Any] = {}
        self.rolled_back = False

    def started(self, experiment: Any, journal: Any) -> None:
        """Take the signals back from the library, which lets an activity swallow them."""
        del experiment
        self.journal = journal
        self._begun()

    def running(
        self, experiment: Any, journal: Any, configuration: Any, secrets: Any, schedule: Any, settings: Any
    ) -> None:
        """Keep the journal, which would be lost with an exception, and learn the experiment's own secrets."""
        del experiment, schedule, settings
        self.journal, self.configuration, self.secrets = journal, configuration, secrets
        for value in _leaves(secrets):
            self._relay.redactor.add(value)
        self._relay.tell("running")

    def start_hypothesis_before(self, experiment: Any) -> None:
        """Note where we are."""
        del experiment
        self._section = "before"

    def hypothesis_before_completed(self, experiment: Any, state: Any, journal: Any) -> None:
        """Tell how the hypothesis stood before; the journal holds it only later."""
        del experiment, journal
        self._held("before", state)

    def start_method(self, experiment: Any) -> None:
        """Tell that the method begins."""
        del experiment
        self._section = "method"
        self._relay.tell("method")

    def continuous_hypothesis_iteration(self, iteration_index: int, state: Any) -> None:
        """Tell how the hypothesis stood during the method."""
        del iteration_index
        self._held("during", state)

    def start_hypothesis_after(self, experiment: Any) -> None:
        """Note where we are."""
        del experiment
        self._section = "after"

    def hypothesis_after_completed(self, experiment: Any, state: Any, journal: Any) -> None:
        """Tell how the hypothesis stood after."""
        del experiment, journal
        self._held("after", state)

    def start_rollbacks(self, experiment: Any) -> None:
        """Note where we are."""
        del experiment
        self._section, self.rolled_back = "rollbacks", True

    def interrupted(self, experiment: Any, journal: Any) -> None:
        """Tell of an interruption that the library keeps to itself."""
        del experiment, journal
        self._relay.tell("interrupted", text="the library was told to interrupt the experiment")

    def signal_exit(self) -> None:
        """Tell of a signal that the library keeps to itself."""
        self._relay.tell("interrupted", text="a signal ended the experiment")

    def activity_completed(self, activity: Any, run: Any) -> None:
        """Tell how an activity ended; a coroutine that nobody awaits is a failure."""
        output = run.get("output")
        if inspect.isawaitable(output) or inspect.isgenerator(output):
            if hasattr(output, "close"):
                output.close()
            name = activity.get("name")
            told = [f"{name} gave a {type(output).__name__} that nobody runs: nothing was done"]
            run.update(output=None, status="failed", exception=told)
        status = run.get("status") or "interrupted"
        error = one_line(run.get("exception"))
        self._relay.tell(
            "activity",
            section=self._section,
            name=activity.get("name"),
            kind=activity.get("type"),
            status=status,
            error=error or ("" if status == "succeeded" else f"it did not end ({status})"),
            output=_short(run.get("output")),
            start=run.get("start"),
            end=run.get("end"),
        )

    def _held(self, when: str, state: Any) -> None:
        if state is not None:
            probes = [
                {"name": one["activity"]["name"], "met": one.get("tolerance_met")} for one in state.get("probes", [])
            ]
            self._relay.tell("hypothesis", when=when, met=bool(state.get("steady_state_met")), probes=probes)


def plainly(data: Any) -> Any:
    """Give data as plain JSON; what is none is shown as Python shows it."""
    return json.loads(json.dumps(data, default=repr, skipkeys=True))


def _short(output: Any) -> Any:
    plain = plainly(output)
    text = json.dumps(plain)
    return plain if len(text) <= _MAX_OUTPUT else f"{text[:_MAX_OUTPUT]} …"


def _leaves(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    return [str(value)] if isinstance(value, str | int) and not isinstance(value, bool) else []
