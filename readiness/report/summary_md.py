"""`summary.md`: one screen for a pull request or a job summary."""

from __future__ import annotations

from pathlib import Path

from readiness.model import BreachKind
from readiness.report.chaos_words import headline as chaos_headline
from readiness.report.entries import Entry, entries
from readiness.report.files import write_text
from readiness.report.load_words import headline
from readiness.report.record import RunRecord
from readiness.score.decision import percent
from readiness.score.model import Decision, Scorecard, State
from readiness.wording import BREACH_WORDS, instant_text, measurement_text

FILE = "summary.md"
SIGNS = {
    Decision.READY: "✅",
    Decision.NOT_READY: "❌",
    Decision.UNPROVEN: "❔",
    Decision.PARTIAL: "◐",
    Decision.CONDITIONAL: "⚠️",
}
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]#|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"})


def write(run: RunRecord, card: Scorecard, folder: Path) -> None:
    """Write the summary of a run into its folder."""
    listed = entries(run, card)
    lines = [
        f"# {SIGNS[card.decision]} {card.decision.replace('_', ' ')} for {plain(str(card.scope))}",
        "",
        f"**{percent(card.proven)}** proven, **{percent(card.possible)}** possible; "
        f"{percent(card.threshold)} is asked, {percent(card.pillar_floor)} of each pillar.",
        "",
        *(f"- {plain(reason)}" for reason in card.reasons),
        "",
        *_pillars(card),
        *_open(card, listed),
        *_loads(run),
        *_trials(run),
        *_gates(listed),
        f"Deployment {plain(run.deployment.name)}, run {plain(run.run_id)}, scored {instant_text(card.scored_at)}.",
    ]
    write_text(folder / FILE, "\n".join(lines) + "\n")


def plain(text: str) -> str:
    """Text of unknown origin on one line of Markdown: nothing in it is a mark or an HTML tag."""
    return " ".join(text.split()).translate(_SPECIAL)


def _pillars(card: Scorecard) -> list[str]:
    rows = ["| pillar | proven | possible | |", "|---|--:|--:|---|"]
    for pillar in card.pillars:
        word = "holds" if pillar.holds else f"**below {percent(card.pillar_floor)}**"
        rows.append(f"| {plain(pillar.name)} | {percent(pillar.lo)} | {percent(pillar.hi)} | {word} |")
    return [*rows, ""]


def _open(card: Scorecard, listed: tuple[Entry, ...]) -> list[str]:
    if not card.blockers:
        return []
    by_id = {entry.gate.id: entry for entry in listed}
    lines = ["## What stands between this and READY", ""]
    for blocker in card.blockers:
        entry = by_id.get(blocker.gate)
        title = (
            f"{blocker.gate} {plain(entry.gate.claim)}"
            if entry
            else BREACH_WORDS[BreachKind(blocker.state)].capitalize()
        )
        lines.append(f"- **{title}** ({blocker.state.replace('_', ' ')}): {plain(blocker.reason)}")
        lines += [f"  - measured {plain(measurement_text(one))}" for one in (entry.broken if entry else ())]
        if blocker.remedy:
            lines.append(f"  - to do: {plain(blocker.remedy)}")
    return [*lines, ""]


def _loads(run: RunRecord) -> list[str]:
    if not run.loads:
        return []
    lines = [f"- **{plain(load.profile)}** {load.outcome}: {plain(headline(load))}" for load in run.loads]
    return ["## Load", "", *lines, ""]


def _trials(run: RunRecord) -> list[str]:
    if not run.trials:
        return []
    lines = [f"- **{plain(one.experiment)}** {one.outcome}: {plain(chaos_headline(one))}" for one in run.trials]
    return ["## Chaos", "", *lines, ""]


def _gates(listed: tuple[Entry, ...]) -> list[str]:
    rows = ["<details><summary>Every gate</summary>", "", "| gate | claim | risk | state | |", "|---|---|---|---|---|"]
    for entry in listed:
        state = entry.state.replace("_", " ")
        shown = f"**{state}**" if entry.state is not State.PASS else state
        kind = f"{entry.gate.risk}, {'blocking' if entry.gate.blocking else 'scored'}"
        rows.append(f"| {entry.gate.id} | {plain(entry.gate.claim)} | {kind} | {shown} | {plain(entry.reason)} |")
    return [*rows, "", "</details>", ""]
