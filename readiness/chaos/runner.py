"""Runs experiments in child processes: the parent owns the deadline, and what it says of a run are facts.

Nothing of the Chaos Toolkit is imported here.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from readiness.chaos.experiment import Experiment
from readiness.chaos.journal import Journal, ProbeRun, journal_of
from readiness.chaos.orders import VARIABLE, Orders, Work
from readiness.redaction import Redactor
from readiness.waiting import Deadline

JOURNALS = "journals"
_LOOK_S = 0.02
"""How often it is looked whether the run is to be stopped, in seconds."""
_ENDS_WITHIN_S = 10.0
_TAIL = 500

Telling = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class HypothesisAlone:
    """What became of each probe of a hypothesis, tried by itself."""

    probes: tuple[ProbeRun, ...]
    problem: str = ""
    """Why it could not be tried; no text where it was."""

    @property
    def met(self) -> bool | None:
        """Whether all hold; None where not all were tried."""
        return None if self.problem or not self.probes else all(one.met for one in self.probes)

    @property
    def untried(self) -> str:
        """What kept a probe from being tried (what it needs is not there), or no text."""
        return next((f"{one.name}: {one.error}" for one in self.probes if one.error), "")

    @property
    def holding(self) -> tuple[str, ...]:
        """The names of the probes that hold."""
        return tuple(one.name for one in self.probes if one.met)


def run_child(
    experiment: Experiment,
    orders: Orders,
    *,
    deadline: Deadline,
    on_event: Telling = lambda _: None,
    stop: Callable[[], str] = lambda: "",
    heal: Callable[[], object] = lambda: None,
    redactor: Redactor | None = None,
) -> Journal:
    """Run an experiment to its end, to the deadline, or until `stop` gives a reason; then it is killed.

    `on_event` gets each event as it comes: those called `history` have `kind` and `data` for the run's own history.
    `heal` is called where the child was killed, or died: what it left is undone from what is written down. The
    journal lies in `journals/<experiment>.json` of the orders' folder, redacted.
    """
    path = Path(orders.folder) / JOURNALS / f"{experiment.name}.json"
    path.unlink(missing_ok=True)
    events: list[Mapping[str, Any]] = []

    def heard(event: Mapping[str, Any]) -> None:
        events.append(event)
        on_event(event)

    ended = False
    try:
        killed, code, said = _child("run", experiment, orders, path, deadline, heard, stop)
        ended = not killed and any(event["event"] == "ended" for event in events)
    finally:
        if not ended:
            heal()
    if not ended and not killed and not any(event["event"] == "escaped" for event in events):
        told = (redactor or Redactor()).redact(said) or f"the child ended with {code}"
        events.append({"event": "escaped", "text": told})
    if not path.exists():
        _write_told(path, experiment, events, killed)
    return journal_of(experiment.name, experiment.data, path, events, killed=killed, exit_code=code)


def hypothesis_alone(experiment: Experiment, orders: Orders, *, deadline: Deadline) -> HypothesisAlone:
    """Try only the hypothesis, once, each probe by itself; nothing can be injected meanwhile."""
    events: list[Mapping[str, Any]] = []
    unused = Path(orders.folder) / JOURNALS / f"{experiment.name}-hypothesis.json"
    killed, code, said = _child("hypothesis", experiment, orders, unused, deadline, events.append, lambda: "")
    probes = tuple(
        ProbeRun(str(one["name"]), bool(one["met"]), str(one["error"])) for one in events if one["event"] == "probe"
    )
    if any(event["event"] == "ended" for event in events):
        return HypothesisAlone(probes)
    escaped = next((str(event["text"]) for event in events if event["event"] == "escaped"), "")
    return HypothesisAlone(probes, killed or escaped or said or f"the child ended with {code}")


def hypothesis_when_down(experiment: Experiment, orders: Orders, *, deadline: Deadline) -> HypothesisAlone:
    """Try the hypothesis against the twin of the deployment that is down: one that still holds proves nothing."""
    return hypothesis_alone(experiment, replace(orders, down=True), deadline=deadline)


def _child(
    work: Work,
    experiment: Experiment,
    orders: Orders,
    journal: Path,
    deadline: Deadline,
    heard: Telling,
    stop: Callable[[], str],
) -> tuple[str, int | None, str]:
    """Run a child to its end; gives why it was killed (or no text), its exit code, and the end of what it said."""
    with tempfile.TemporaryDirectory(prefix="readiness-") as folder, tempfile.TemporaryFile() as said:
        written = orders.write(Path(folder) / "orders.json")
        arguments = [work, str(experiment.path.absolute()), str(written), str(journal)]
        with _started(arguments, {VARIABLE: str(written)}, said) as (process, pipe):
            killed = _listen(pipe, deadline, heard, stop)
            if killed:
                process.kill()
            try:
                code: int | None = process.wait(timeout=_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                killed, code = killed or "the child told its end and did not end", None
        said.seek(0, os.SEEK_END)
        said.seek(max(0, said.tell() - _TAIL))
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
        return killed, code, lines[-1] if lines else ""


@contextmanager
def _started(
    arguments: Sequence[str], environment: Mapping[str, str], said: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a child in a session of its own, with a pipe to hear it by; whatever happens, it is over afterwards."""
    ours, theirs = os.pipe()
    dropped = {"PYTEST_CURRENT_TEST"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "readiness.chaos.child", *arguments, str(theirs), str(os.getpid())],
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            pass_fds=(theirs,),
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        os.close(theirs)
        raise
    os.close(theirs)
    try:
        yield process, ours
    finally:
        os.close(ours)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def _listen(pipe: int, deadline: Deadline, heard: Telling, stop: Callable[[], str]) -> str:
    """Hear the child until it closes its pipe; gives why it is to be killed before that, or no text."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if reason := stop():
                return reason
            if deadline.expired:
                return "the time of the experiment was over"
            if not selector.select(_LOOK_S):
                continue
            got = os.read(pipe, 1 << 16)
            if not got:
                return ""
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                heard(json.loads(line))


def _write_told(path: Path, experiment: Experiment, events: Sequence[Mapping[str, Any]], killed: str) -> None:
    """Write what the child told where it came to no journal of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"experiment": {"title": experiment.title}, "killed": killed, "events": list(events)}
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")
