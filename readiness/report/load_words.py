"""How a load run is told: the words and figures that all formats share."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, fields

from readiness.report.load_record import LoadStage, LoadSummary
from readiness.units import format_duration

SAYS_NOTHING = "the generator or the plan was the limit, so nothing is said of the system"
CLOSED = "closed model: latency counts from the actual start"


def latency_text(ms: float | None) -> str:
    """A latency as people read it: `3.2 ms`, `340 ms`, `2.8 s`; a dash where nothing was measured."""
    if ms is None:
        return "–"
    return f"{ms:.2g} ms" if ms < 10 else format_duration(ms / 1000)


def tick_text(ms: float) -> str:
    """A mark of a scale of latencies: `10 ms`, `1 s`."""
    return f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s"


def rate_text(a_second: float | None) -> str:
    """A rate in three digits or so: `0.5/s`, `19.8/s`, `1,250/s`; a dash where there is none."""
    if a_second is None:
        return "–"
    digits = 0 if a_second >= 100 else 1 if a_second >= 10 else 2
    text = f"{a_second:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text}/s"


def times_text(factor: float) -> str:
    """How many times as long: `1.2`, `46`."""
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.2g}"


def headline(load: LoadSummary) -> str:
    """A load run on one line: why it did not hold, what was asked and achieved, and the latencies."""
    told = [SAYS_NOTHING] if load.outcome == "INVALID" else []
    if load.outcome != "PASS":
        told += load.reasons
    if load.total.started:
        told += _figures(load)
    return "; ".join(told) or "nothing was sent"


def _figures(load: LoadSummary) -> list[str]:
    total = load.total
    achieved = f"{rate_text(total.achieved_rate)} achieved"
    latencies = f"p95 {latency_text(total.p95_ms)}, p99 {latency_text(total.p99_ms)}"
    if load.closed:
        told = [achieved, f"{latencies} ({CLOSED})"]
    else:
        service = f"service p99 {latency_text(total.service_p99_ms)}"
        told = [f"{rate_text(total.planned_rate)} asked, {achieved}", f"{latencies} from the intended start, {service}"]
    return [*told, f"{total.broken} of {total.started} broken" + (f", {total.shed} shed" if total.shed else "")]


def stages_csv(load: LoadSummary) -> str:
    """The stages and the total as CSV (RFC 4180), one row each; an empty field where nothing was measured."""
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(one.name for one in fields(LoadStage))
    for stage in load.stages:
        rows.writerow(astuple(stage))
    rows.writerow(("total", *astuple(load.total)[1:]))
    return text.getvalue()
