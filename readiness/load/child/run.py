"""One load run in one process: arrivals sent on their schedule, each end recorded, what is in flight censored."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import numpy as np
import psutil
from gevent.event import Event

from readiness.load.child.transactions import End, Flight, Transactor
from readiness.load.plan import OPEN, Plan
from readiness.load.recorder import FLUSH_S, Recorder
from readiness.load.samples import Outcome
from readiness.redaction import Redactor

LAG_PROBE_S = 0.02
"""How long the sleep is whose overshoot is the lag; 5 ms would cost 5 % of the CPU of a request at 400/s."""
BEAT_S = 0.5
TELL_S, TELL_AT_ONCE = 0.05, 16
IN_FLIGHT = "in flight when the run ended"
COMPLETE, STOPPED = "complete", "stopped"
_BAD = frozenset({Outcome.FAILURE, Outcome.SHED, Outcome.ERROR, Outcome.LATE, Outcome.CENSORED})


class Run:
    """What this process sends of a plan: every n-th arrival from the k-th on."""

    def __init__(
        self,
        plan: Plan,
        share: tuple[int, int],
        zero_wall_s: float,
        transactor: Transactor | None,
        recorder: Recorder | None,
        redactor: Redactor,
        fire: Callable[..., None],
    ) -> None:
        self.plan, self.share, self.zero_wall_s = plan, share, zero_wall_s
        self._zero_s = time.monotonic() + (zero_wall_s - time.time())
        self._transactor, self._recorder, self._redactor, self._fire = transactor, recorder, redactor, fire
        self._name = plan.variant
        self._due = plan.starts()[share[0] :: share[1]] if plan.model == OPEN else np.empty(0)
        self._stages = plan.stage_of(self._due).tolist()
        self._edges = np.cumsum([stage.duration_s for stage in plan.stages]).tolist()
        self._in_flight: dict[int, tuple[Flight, Any]] = {}
        self._all_done = Event()
        self._done = 0
        self._claimed = False
        self._complete = False
        self.started = 0
        self.over = Event()
        """Set when everything of this process is recorded."""
        self._to_tell: deque[tuple[str, str, float, int, str]] = deque()
        gevent.spawn_raw(self._tell)
        if recorder is not None:
            gevent.spawn_raw(self._beat)

    def clock(self) -> float:
        """Give the seconds since the run's zero."""
        return time.monotonic() - self._zero_s

    def claim(self) -> bool:
        """Whether the caller is the first who asks, and so the one who sends (Locust may start a second user)."""
        first, self._claimed = not self._claimed, True
        return first

    def send_all(self) -> None:
        """Send this process's arrivals, each at its time and in a greenlet of its own; then drain, and end the run."""
        clock, sleep, spawn = self.clock, gevent.sleep, gevent.spawn_raw
        for due_s, stage in zip(self._due.tolist(), self._stages, strict=True):
            while (wait_s := due_s - clock()) > 0:  # a sleep may end early: the loop's clock lags behind this one
                sleep(wait_s)
            if self.over.is_set():
                return
            self.started += 1
            spawn(self._one, self.started, due_s, stage)
        self.drain()

    def send_closed(self) -> None:
        """Send one transaction after the other until the plan's time is over: one user of the closed model."""
        while (now_s := self.clock()) < 0:
            gevent.sleep(-now_s)
        while (now_s := self.clock()) < self.plan.duration_s and not self.over.is_set():
            stage = next((i for i, edge in enumerate(self._edges) if now_s < edge), len(self._edges) - 1)
            self.started += 1
            self._one(self.started, now_s, stage)

    def drain(self) -> None:
        """Wait for what is in flight, at most for the plan's `drain_s`, and end the run."""
        while (left_s := self.plan.duration_s - self.clock()) > 0:
            gevent.sleep(left_s)
        until_s = self.plan.duration_s + self.plan.drain_s
        while self._done < self.started and self.clock() < until_s:
            self._all_done.clear()
            self._all_done.wait(min(1.0, max(0.001, until_s - self.clock())))
        self._complete = True
        self.end()

    def end(self) -> None:
        """Censor what is in flight and write the end; a second call does nothing."""
        if self.over.is_set():
            return
        self.over.set()
        now_s = self.clock()
        for flight, greenlet in list(self._in_flight.values()):
            self._record(flight, now_s, End(Outcome.CENSORED, 0, IN_FLIGHT))
            gevent.spawn_raw(gevent.kill, greenlet)
        self._in_flight.clear()
        self._tell_some(1 << 30)
        if self._recorder is not None:
            self._recorder.end(self.share, self.started, COMPLETE if self._complete else STOPPED)

    def record_foreign(self, began_wall_s: float, duration_s: float, status: int, error: str) -> None:
        """Record a request of a locustfile that is not ours: a closed model, so it was meant to start when it did."""
        if self._recorder is None or self.over.is_set():
            return
        began_s = began_wall_s - self.zero_wall_s
        self.started += 1
        outcome = Outcome.OK if not error else Outcome.SHED if status == 429 else Outcome.ERROR
        stage = next((i for i, edge in enumerate(self._edges) if began_s < edge), len(self._edges) - 1)
        kind = self._recorder.kind(self._redactor.redact(error)) if error else 0
        self._recorder.add(began_s, began_s, began_s + duration_s, stage, outcome, status, kind)

    def complete_foreign(self) -> None:
        """End the run of a locustfile that is not ours; it is complete when it lasted as long as was planned."""
        self._complete = self.clock() >= self.plan.duration_s - 1.0
        self.end()

    def _one(self, number: int, due_s: float, stage: int) -> None:
        transactor = self._transactor
        if self.over.is_set() or transactor is None:
            return
        flight = Flight(transactor.marker(number), due_s, self.clock(), stage)
        self._in_flight[number] = (flight, gevent.getcurrent())
        end = End(Outcome.CENSORED, 0, IN_FLIGHT)
        try:
            end = transactor.transact(flight, self._heard)
        except gevent.GreenletExit:  # Locust ends a user of the closed model
            pass
        except Exception as error:  # whatever a reply makes our own code do is an error of this transaction alone
            end = End(Outcome.ERROR, 0, f"{type(error).__name__} while the answer was read")
        if self.over.is_set():
            return
        ended_s = end.at_s - self._zero_s if end.at_s else self.clock()
        del self._in_flight[number]
        self._record(flight, ended_s, end)
        self._done += 1
        if self._done == self.started:
            self._all_done.set()

    def _record(self, flight: Flight, ended_s: float, end: End) -> None:
        outcome, status, kind, _ = end
        bad = outcome in _BAD
        told = self._redactor.redact(kind) if bad else ""
        recorder = self._recorder
        if recorder is not None:
            number = recorder.kind(told) if bad else 0
            recorder.add(flight.intended_s, flight.started_s, ended_s, flight.stage, outcome, status, number)
            if flight.id and outcome >= Outcome.LATE:
                recorder.unfinished(flight.marker, flight.id, outcome.name)
        self._to_tell.append(("LOAD", self._name, ended_s - flight.intended_s, 0, told))

    def _heard(self, name: str, duration_s: float, length: int, error: str) -> None:
        self._to_tell.append(("HTTP", name, duration_s, length, error))

    def _tell(self) -> None:
        """Tell Locust's statistics what ended: a little later, since whoever waits for its turn would seem slower."""
        while not self.over.is_set():
            gevent.sleep(TELL_S)
            self._tell_some(TELL_AT_ONCE)

    def _tell_some(self, at_once: int) -> None:
        told = 0
        while self._to_tell:
            kind, name, duration_s, length, error = self._to_tell.popleft()
            self._fire(
                request_type=kind,
                name=name,
                response_time=duration_s * 1000,
                response_length=length,
                exception=error or None,
                context=_NOTHING,
            )
            told += 1
            if told % at_once == 0:
                gevent.sleep(0)

    def _beat(self) -> None:
        """Twice a second, tell how this generator fares: the worst overshoot of a short sleep is the loop's lag."""
        recorder, process = self._recorder, psutil.Process()
        assert recorder is not None
        cpu_s, at_s, worst_s = time.process_time(), time.monotonic(), 0.0
        flushed_s = at_s
        while not self.over.is_set():
            asleep_s = time.monotonic()
            gevent.sleep(LAG_PROBE_S)
            now_s = time.monotonic()
            worst_s = max(worst_s, now_s - asleep_s - LAG_PROBE_S)
            if now_s - flushed_s >= FLUSH_S and not self.over.is_set():
                recorder.flush()
                flushed_s = now_s
            if now_s - at_s < BEAT_S or self.over.is_set():
                continue
            used_s = time.process_time()
            recorder.beat(
                {
                    "at_s": round(now_s - self._zero_s, 3),
                    "wall_s": round(time.time(), 3),
                    "lag_ms": round(worst_s * 1000, 3),
                    "cpu": round((used_s - cpu_s) / (now_s - at_s), 3),
                    "scheduled": int(np.searchsorted(self._due, now_s - self._zero_s, side="right")),
                    "started": self.started,
                    "ended": recorder.ended,
                    "in_flight": len(self._in_flight),
                    "rss_bytes": process.memory_info().rss,
                }
            )
            cpu_s, at_s, worst_s = used_s, now_s, 0.0


_NOTHING: dict[str, object] = {}
