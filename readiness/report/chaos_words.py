"""How an experiment is told: the words and figures that all formats share."""

from __future__ import annotations

from readiness.report.chaos_record import ChaosDifference, ChaosFault, ChaosSummary
from readiness.units import format_duration


def headline(trial: ChaosSummary) -> str:
    """An experiment on one line: why it did not hold, or what it withstood, and what was lost or done twice."""
    told = list(trial.reasons) if trial.outcome != "PASS" else list(trial.reasons[:2])
    return "; ".join([*told, losses(trial)])


def losses(trial: ChaosSummary) -> str:
    """What was lost and what was done twice: nothing, so many, or not known."""
    if trial.lost == 0 and trial.done_twice == 0:
        return "nothing lost, nothing done twice"
    if trial.lost is None and trial.done_twice is None:
        return "not known what was lost or done twice"
    return f"{_count(trial.lost)} lost, {_count(trial.done_twice)} done twice"


def difference_text(one: ChaosDifference) -> str:
    """A difference with its interval: `-12.5 % (-30.1 % to 2.0 %)`, `+340 ms (120 ms to 610 ms)`."""
    if one.what.startswith("share"):
        return f"{one.value:+.1%} ({one.low:+.1%} to {one.high:+.1%})"
    return f"{_signed(one.value)} ({_signed(one.low)} to {_signed(one.high)})"


def ended_text(fault: ChaosFault) -> str:
    """How a fault ended, in words."""
    if fault.over_at is None:
        return "still in force when the history ends"
    took = f" in {format_duration(fault.undo_s)}" if fault.undo_s is not None else ""
    if fault.verified:
        return f"undone{took}, everything as before"
    return f"undone{took}, not shown to be as before"


def _count(value: int | None) -> str:
    return "an unknown number" if value is None else str(value)


def _signed(seconds: float) -> str:
    return f"{'-' if seconds < 0 else '+'}{format_duration(abs(seconds))}"
