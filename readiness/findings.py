"""Makes the one finding of a gate from how it ended: FAIL is the gate's own judgement, anything else is UNKNOWN."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import CodeType, TracebackType

from readiness.errors import NotApplicable, Undecidable, Violated
from readiness.gate import Gate
from readiness.judgement import VerdictData
from readiness.model import Finding, GateInfo, Outcome
from readiness.records import finding_from, to_json
from readiness.redaction import Redactor

NOTHING = VerdictData((), (), (), None, None, ())


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome, why, and what to do about it."""

    outcome: Outcome
    reason: str
    remedy: str = ""


def verdict(gate: Gate, error: BaseException | None, broken: Sequence[str]) -> Verdict:
    """Judge how a gate ended.

    FAIL: a `Violated`, a broken limit, or an assertion in the gate's own code. A gate that broke off for another
    reason after a limit was broken is FAIL as well: what was measured stands. PASS needs an end without exception.
    """
    info = gate.info
    if isinstance(error, Violated):
        return Verdict(Outcome.FAIL, "; ".join([_first_line(error), *broken]), info.mend)
    if isinstance(error, AssertionError) and _raised_by(gate, error.__traceback__):
        return Verdict(Outcome.FAIL, "; ".join([_first_line(error) or f"not so: {info.claim}", *broken]), info.mend)
    if broken:
        return Verdict(Outcome.FAIL, "; ".join(broken), info.mend)
    if isinstance(error, NotApplicable):
        return Verdict(Outcome.NOT_APPLICABLE, _first_line(error))
    if isinstance(error, Undecidable):
        return Verdict(Outcome.UNKNOWN, _first_line(error), error.remedy)
    if error is not None:
        return Verdict(Outcome.UNKNOWN, f"{type(error).__name__}: {_first_line(error)}".rstrip(": "))
    return Verdict(Outcome.PASS, info.summary)


def finding(
    info: GateInfo,
    found: Verdict,
    observed_at: datetime,
    redactor: Redactor,
    duration_s: float = 0.0,
    data: VerdictData = NOTHING,
) -> Finding:
    """Put a finding together, with every secret taken out of whatever an exception brought along."""
    made = Finding(
        gate=info.id,
        outcome=found.outcome,
        risk=info.risk,
        blocking=info.blocking,
        reason=found.reason,
        observed_at=observed_at,
        duration_s=round(duration_s, 3),
        measurements=data.measurements,
        evidence=data.evidence,
        remedy=found.remedy,
        successes=data.successes,
        trials=data.trials,
        weakened=data.weakened,
    )
    clean = redactor.redact_data(to_json(made))
    assert isinstance(clean, dict)
    return finding_from(clean)


def missing(lines: Sequence[str]) -> Verdict:
    """UNKNOWN because the descriptor or the driver lacks something: the remedy is the lines that would give it."""
    return Verdict(Outcome.UNKNOWN, f"not in the descriptor: {_names(lines)}", "; ".join(lines))


def not_applicable(info: GateInfo, pattern: str) -> Verdict:
    """NOT_APPLICABLE by the declared pattern; a gate itself may find that what it is about is not there."""
    return Verdict(Outcome.NOT_APPLICABLE, f"for {', '.join(info.patterns)}; this deployment is declared {pattern}")


def _names(lines: Sequence[str]) -> str:
    return ", ".join(line.split(":", 1)[0] for line in lines)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]


def _raised_by(gate: Gate, trace: TracebackType | None) -> bool:
    """Whether an exception came from the gate's own code and not from something it called."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    own = set(_code(gate.function.__code__)) if hasattr(gate.function, "__code__") else set()
    return trace is not None and trace.tb_frame.f_code in own


def _code(code: CodeType) -> Iterator[CodeType]:
    """A function's code and that of what is written inside it (comprehensions, lambdas)."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
