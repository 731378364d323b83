"""`report.html`: one file for people, without a network; every picture and style is inside."""

from __future__ import annotations

import base64
import hashlib
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from readiness.model import Limit, Measurement
from readiness.report.chaos_plot import WINDOW_WORDS, ChaosPlot, chaos_plot
from readiness.report.chaos_record import Trial
from readiness.report.chaos_words import difference_text, ended_text, losses
from readiness.report.entries import Entry, entries
from readiness.report.files import write_text
from readiness.report.load_plot import LoadPlot, load_plot
from readiness.report.load_record import Load
from readiness.report.load_words import CLOSED, SAYS_NOTHING, latency_text, rate_text, tick_text, times_text
from readiness.report.record import RunRecord
from readiness.report.timeline import Timeline, timeline
from readiness.score.decision import percent
from readiness.score.model import Decision, PillarScore, Scorecard, State
from readiness.units import format_duration
from readiness.wording import BREACH_WORDS, instant_text, value_text

FILE = "report.html"
TEMPLATES = Path(__file__).with_name("templates")
SHOWN_BLOCKERS = 3
"""So many are told in full on the first screen; the others are named there and told below."""
SHOWN_CHANGES = 4
"""So many changes of a drill are listed under its picture; the others are folded."""
STATE_WORDS = {state: state.value.replace("_", " ").capitalize() for state in State}
MEANINGS = {
    Decision.READY: "Every blocking gate holds, and enough is proven.",
    Decision.NOT_READY: "Something was measured that must not be.",
    Decision.UNPROVEN: "No blocking gate failed, but too little is proven.",
    Decision.PARTIAL: "What ran is good enough; it was only a part.",
    Decision.CONDITIONAL: "Good, but by a limit that was weakened without leave.",
}
_BOUNDS = {"at_most": "at most", "at_least": "at least", "equals": "exactly"}


@dataclass(frozen=True, slots=True)
class ShownLoad:
    """A load run as the page shows it."""

    anchor: str
    load: Load
    plot: LoadPlot | None


@dataclass(frozen=True, slots=True)
class ShownTrial:
    """An experiment as the page shows it."""

    anchor: str
    trial: Trial
    plot: ChaosPlot | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A gate as the page shows it."""

    entry: Entry
    timeline: Timeline | None
    loads: tuple[ShownLoad, ...] = ()
    trials: tuple[ShownTrial, ...] = ()

    @property
    def picture(self) -> str:
        """Where its changes are drawn: an experiment has a picture of its own."""
        return self.trials[0].anchor if self.trials else f"drill-{self.entry.gate.id}"


@dataclass(frozen=True, slots=True)
class ShownPillar:
    """A pillar with its gates by capability."""

    score: PillarScore
    capabilities: tuple[tuple[str, tuple[Shown, ...]], ...]

    @property
    def gates(self) -> tuple[Shown, ...]:
        """All gates of the pillar."""
        return tuple(gate for _, gates in self.capabilities for gate in gates)


def write(run: RunRecord, card: Scorecard, folder: Path) -> None:
    """Write the page of a run into its folder."""
    write_text(folder / FILE, page(run, card))


def page(run: RunRecord, card: Scorecard) -> str:
    """The whole page as text."""
    loads = [ShownLoad(f"load-{n}", load, load_plot(load, run.changes)) for n, load in enumerate(run.loads, 1)]
    trials = [ShownTrial(f"chaos-{n}", trial, chaos_plot(trial)) for n, trial in enumerate(run.trials, 1)]
    shown = {
        entry.gate.id: Shown(
            entry,
            timeline(entry),
            tuple(one for one in loads if one.load.gate == entry.gate.id),
            tuple(one for one in trials if one.trial.gate == entry.gate.id),
        )
        for entry in entries(run, card)
    }
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            card=card,
            meaning=MEANINGS[card.decision],
            pillars=[_pillar(pillar, shown) for pillar in card.pillars],
            blockers=[(blocker, shown.get(blocker.gate)) for blocker in card.blockers],
            told=SHOWN_BLOCKERS,
            listed=SHOWN_CHANGES,
            loads=loads,
            trials=trials,
            gates={id: gate.entry for id, gate in shown.items()},
            drills=[gate for gate in shown.values() if gate.timeline],
            changed_limits=_changed_limits(shown),
            left_out=[gate for gate in shown.values() if gate.entry.state is State.LEFT_OUT],
            script=script,
            script_sha256=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            state_words=STATE_WORDS,
            says_nothing=SAYS_NOTHING,
            closed_words=CLOSED,
            breach_words=BREACH_WORDS,
            window_words=WINDOW_WORDS,
        )
    )


def limit_text(limit: Limit, unit: str = "") -> str:
    """A limit in words: `at most 5 min`."""
    return f"{_BOUNDS.get(limit.bound, limit.bound)} {value_text(limit.value, limit.unit or unit)}"


def measure_name(measurement: Measurement) -> str:
    """The name in words, without the unit that stands beside the value anyway."""
    return measurement.name.removesuffix(f"_{measurement.unit}").replace("_", " ")


def meter(measurement: Measurement) -> tuple[float, float] | None:
    """Where a value and its limit stand on a bar of 100 percent; None where a bar would say nothing."""
    value, limit = measurement.value, measurement.limit
    if limit is None or isinstance(value, bool) or not isinstance(value, int | float) or limit.value <= 0 or value < 0:
        return None
    longest = max(float(value), limit.value) * 1.1
    return round(value / longest * 100, 2), round(limit.value / longest * 100, 2)


def mark_text(seconds: float) -> str:
    """A mark of a time axis: `0`, `15 s`, `2 min`."""
    if not seconds:
        return "0"
    return f"{seconds:g} s" if seconds < 60 else format_duration(seconds)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        duration=format_duration,
        instant=instant_text,
        value=value_text,
        limit=limit_text,
        mark=mark_text,
        meter=meter,
        ms=latency_text,
        tick=tick_text,
        rate=rate_text,
        times=times_text,
        losses=losses,
        ended=ended_text,
        difference=difference_text,
        command=shlex.join,
        measure_name=measure_name,
        words=lambda name: str(name).replace("_", " "),
    )
    return environment


def _pillar(pillar: PillarScore, shown: dict[str, Shown]) -> ShownPillar:
    capabilities = tuple((part.name, tuple(shown[gate.gate] for gate in part.gates)) for part in pillar.capabilities)
    return ShownPillar(pillar, capabilities)


def _changed_limits(shown: dict[str, Shown]) -> list[tuple[Entry, Measurement]]:
    """Every measurement whose limit is not the gate's default."""
    measured = [
        (gate.entry, measurement)
        for gate in shown.values()
        if gate.entry.finding
        for measurement in gate.entry.finding.measurements
    ]
    return [
        (entry, one)
        for entry, one in measured
        if one.default is not None and one.limit is not None and one.default != one.limit.value
    ]
