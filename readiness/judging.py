"""Runs one gate after the other on a deployment, and makes of each exactly one finding."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from readiness.deployment import Deployment
from readiness.descriptor import Descriptor
from readiness.errors import ReadinessError
from readiness.findings import NOTHING, Verdict, finding, missing, not_applicable, verdict
from readiness.gate import Gate
from readiness.judgement import VerdictData
from readiness.loadtests import longest_s
from readiness.model import Finding, GateInfo, Mode, Outcome
from readiness.redaction import Redactor
from readiness.scenario import LoadTest
from readiness.target import Target
from readiness.units import format_duration
from readiness.waiting import Deadline


@dataclass(slots=True)
class Judging:
    """How the gates of one run are judged."""

    descriptor: Descriptor
    target: Target
    redactor: Redactor
    open_deployment: Callable[[GateInfo, Deadline], Deployment]
    recall: Callable[[GateInfo], Finding | None]
    """The fresh evidence of an earlier run, which stands for a gate that there is no time for."""
    gates: Sequence[Gate]
    loadtests: Mapping[str, LoadTest] = field(default_factory=dict)
    armed: bool = False
    budget_s: float | None = None
    stopped: Callable[[], str] = str
    """Why no gate may run any more (the lease was lost), or an empty text."""
    _began_s: float = field(default_factory=time.monotonic)
    _visited: int = 0

    def judge(self, gate: Gate) -> Finding:
        """Run a gate to its end; a KeyboardInterrupt goes on after the finding would have been made."""
        at, began_s = datetime.now(UTC), time.monotonic()
        found, data = self.refusal(gate), NOTHING
        if found is None and (found := self._no_time(gate)) is not None:
            earlier = self.recall(gate.info)
            if earlier is not None:
                return earlier
        if found is None:
            self._visited += 1
            found, data = self._run(gate)
        return finding(gate.info, found, at, self.redactor, time.monotonic() - began_s, data)

    def refusal(self, gate: Gate) -> Verdict | None:
        """Say why a gate cannot run here: wrong pattern, production, what is missing; None where it can."""
        info, descriptor = gate.info, self.descriptor
        if info.patterns and descriptor.pattern not in info.patterns:
            return not_applicable(info, descriptor.pattern)
        if self._refused_in_production(info.mode):
            arm = f"--readiness-arm {descriptor.name}"
            more = ", or `allow_probes: true` in the descriptor" if info.mode is Mode.PROBE else ""
            return Verdict(
                Outcome.UNKNOWN,
                f"refused: environment is production, where a {info.mode} does not run unasked; arm with {arm}",
                f"{arm}{more}",
            )
        if lines := gate.missing(descriptor, self.target):
            return missing(lines)
        if why := self.stopped():
            return Verdict(Outcome.UNKNOWN, why, "run again")
        return None

    def _no_time(self, gate: Gate) -> Verdict | None:
        if self.budget_s is not None and time.monotonic() - self._began_s + gate.info.typical_s > self.budget_s:
            return Verdict(
                Outcome.UNKNOWN,
                f"the time budget of {format_duration(self.budget_s)} was spent: "
                f"visited {self._visited} of {len(self.gates)} gates",
                "time_budget in the scenario",
            )
        return None

    def deadline_s(self, gate: Gate) -> float:
        """The longest the gate may take, in seconds: its own time, that of the procedures and load it needs."""
        declared = self.descriptor.procedures
        procedures = [declared[need.procedure] for need in gate.needs if need.procedure in declared]
        load_s = sum(longest_s(need.profile, self.loadtests) for need in gate.needs if need.profile)
        return gate.within_s + load_s + sum(procedure.within.total_seconds() for procedure in procedures)

    def _run(self, gate: Gate) -> tuple[Verdict, VerdictData]:
        deployment = self.open_deployment(gate.info, Deadline.after(self.deadline_s(gate)))
        error: BaseException | None = None
        try:
            gate.function(deployment)
        except KeyboardInterrupt:
            raise
        except BaseException as raised:
            error = raised
            if not isinstance(raised, ReadinessError | AssertionError):
                deployment.keep("unexpected exception", traceback.format_exc())
        data = deployment.verdict_data()
        return verdict(gate, error, data.broken), data

    def _refused_in_production(self, mode: Mode) -> bool:
        if self.descriptor.environment != "production" or self.armed or mode in (Mode.OBSERVE, Mode.ATTEST):
            return False
        return not (mode is Mode.PROBE and self.descriptor.allow_probes)
