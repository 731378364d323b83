"""How verdicts, values and instants are written for people, on the terminal and in exceptions."""

from __future__ import annotations

from datetime import datetime

from readiness.model import BreachKind, Finding, Measurement
from readiness.units import format_duration

_BOUNDS = {"at_most": "at most", "at_least": "at least", "equals": "exactly"}
RUN_ITSELF = "The run itself"
"""Where reports put what is no gate's: a change that was not undone, a service that cannot be reached."""
BREACH_WORDS = {BreachKind.UNDO_FAILED: "not undone", BreachKind.UNREACHABLE: "cannot be reached"}
WORDS = {"PASS": "PASS", "FAIL": "FAIL", "UNKNOWN": "UNKNOWN", "NOT_APPLICABLE": "NOT APPLICABLE"}


def value_text(value: float | str | bool | None, unit: str = "") -> str:
    """A value with its unit: seconds as people read them, shares of one hundred with their sign."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if unit == "s":
        return format_duration(value)
    number = f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"
    return f"{number} {unit}".rstrip()


def measurement_text(measurement: Measurement) -> str:
    """One measured value beside its limit, and beside the default where somebody changed the limit."""
    text = f"{measurement.name.replace('_', ' ')}: {value_text(measurement.value, measurement.unit)}"
    limit = measurement.limit
    if limit is not None:
        text += f" (limit {_BOUNDS[limit.bound]} {value_text(limit.value, limit.unit or measurement.unit)}"
        if measurement.default is not None and measurement.default != limit.value:
            text += f", default {value_text(measurement.default, limit.unit or measurement.unit)}"
        text += ")"
    return f"{text} {measurement.detail}".rstrip()


def instant_text(at: datetime) -> str:
    """An instant to the second, in UTC."""
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def finding_lines(finding: Finding, claim: str, since: datetime | None = None) -> list[str]:
    """A verdict that is no pass as a block: what was measured against which limit, since when, what to do."""
    lines = [f"{WORDS[finding.outcome]}  {finding.gate} {claim}  ({finding.risk}, {_blocking(finding)})"]
    lines.append(f"    why       {finding.reason}")
    if finding.trials:
        lines.append(f"    repeated  {finding.successes} of {finding.trials} held")
    if finding.outcome == "FAIL":
        lines.append(f"    since     {instant_text(since or finding.observed_at)}")
    if finding.remedy:
        lines.append(f"    {'to do    ' if finding.outcome == 'FAIL' else 'missing  '} {finding.remedy}")
    if finding.evidence:
        names = ", ".join(evidence.path.rpartition("/")[2] for evidence in finding.evidence)
        lines.append(f"    evidence  {finding.evidence[0].path.rpartition('/')[0]}/: {names}")
    return lines


def shortened(text: str, longest: int = 300) -> str:
    """A text that is not longer than a few lines of a terminal; the report has all of it."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _blocking(finding: Finding) -> str:
    return "blocking" if finding.blocking else "scored"
