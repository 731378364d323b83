"""The terminal of a run: progress while gates run, and the decision with what it rests on at the end."""

from __future__ import annotations

import io
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from readiness.model import Breach, Finding, Outcome
from readiness.progress import STYLES, Progress
from readiness.report.record import RunRecord
from readiness.score.model import Decision, PillarScore, Scorecard, State
from readiness.wording import BREACH_WORDS, WORDS, finding_lines, measurement_text, shortened

DECISION_STYLES = {
    Decision.READY: "bold white on green",
    Decision.CONDITIONAL: "bold black on yellow",
    Decision.PARTIAL: "bold black on yellow",
    Decision.UNPROVEN: "bold black on yellow",
    Decision.NOT_READY: "bold white on red",
}
_DEFAULT_REPORT_CHARS = "fE"
_SHOWN = 12
"""So many gates that are no pass are shown at length; the report has them all."""


class Terminal:
    """Where a run shows itself."""

    def __init__(self, config: pytest.Config, reporter: pytest.TerminalReporter | None) -> None:
        verbosity = config.get_verbosity() if reporter is not None else -1
        self._reporter = reporter
        self._quiet = verbosity < 0
        self._console = _console(reporter)
        self.progress = Progress(self._console, quiet=self._quiet, verbose=verbosity > 0)

    def start(self, title: str) -> None:
        """Leave pytest's own lines behind and start the progress display."""
        if self._reporter is not None:
            self._reporter.ensure_newline()
            if not self._quiet:
                self._reporter.section(title)
            self._reporter.flush()
        self.progress.open()

    def stop(self) -> None:
        """End the progress display."""
        self.progress.close()

    def summary(self, summary: Summary) -> None:
        """Print the decision: one line with `-q`, else all that it rests on."""
        if self._reporter is None:
            return
        if self._quiet:
            self._reporter.ensure_newline()
            self._reporter.flush()
            self._print(Text(summary.line()))
            return
        self._reporter.section("readiness")
        self._reporter.flush()
        for part in summary.parts():
            self._print(part)

    def warn(self, text: str) -> None:
        """Say what went wrong, whatever the verbosity."""
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(f"readiness: {text}", red=True)

    def _print(self, part: Text | Table) -> None:
        self._console.print(part, soft_wrap=isinstance(part, Text), highlight=False)


class Summary:
    """What a run came to, ready to be shown."""

    def __init__(self, record: RunRecord, card: Scorecard, since: Mapping[str, datetime], report: Path) -> None:
        self.card = card
        self._claims = {gate.id: gate.claim for gate in record.gates}
        self._record = record
        self._since = since
        self._report = report

    def line(self) -> str:
        """The run in one line: decision, scope, interval, the worst blocker, the report."""
        worst = (
            f" · {self.card.blockers[0].gate} {shortened(self.card.blockers[0].reason)}" if self.card.blockers else ""
        )
        return f"{self._headline()} · {_interval(self.card)}{worst} · {self._report}"

    def parts(self) -> list[Text | Table]:
        """The run at length."""
        card = self.card
        head = Text(f"  {card.decision.replace('_', ' ')}  ", style=DECISION_STYLES[card.decision])
        head.append(f"  for {card.scope}", style="bold not reverse on default")
        needed = f"needed: {card.threshold:.0%}, each pillar {card.pillar_floor:.0%}"
        parts: list[Text | Table] = [Text(), head, Text(), Text(f"  {_interval(card)}; {needed}")]
        told = tuple(f"{finding.gate} " for finding in self._open_findings()[:_SHOWN])
        parts += [Text(f"  - {reason}") for reason in card.reasons if not reason.startswith(told)]
        parts += [Text(), _pillars(card.pillars), Text()]
        for breach in self._record.breaches:
            parts.append(_breach(breach))
        ordered = self._open_findings()
        for finding in ordered[:_SHOWN]:
            parts.append(self._block(finding))
        if len(ordered) > _SHOWN:
            parts.append(Text(f"  … and {len(ordered) - _SHOWN} more, in the report\n"))
        parts += [Text(f"  {line}", style="yellow") for line in self._agreed()]
        parts.append(Text(f"  report: {self._report}", style="bold"))
        return parts

    def _agreed(self) -> list[str]:
        """What somebody decided about gates: not adopted yet, and limits that are not the defaults."""
        entries = self._record.policy.not_yet
        not_yet = [f"not yet adopted: {entry.gate} ({entry.owner}, until {entry.until})" for entry in entries]
        changed = [
            f"changed limit: {finding.gate} {measurement_text(measurement)}"
            for finding in self._record.findings.values()
            for measurement in finding.measurements
            if measurement.default is not None
        ]
        return [*not_yet, *changed]

    def _open_findings(self) -> list[Finding]:
        """What is no pass, the worst first."""
        found = [f for f in self._record.findings.values() if f.outcome in (Outcome.FAIL, Outcome.UNKNOWN)]
        return sorted(found, key=lambda f: (f.outcome is not Outcome.FAIL, not f.blocking, -f.risk.weight, f.gate))

    def _headline(self) -> str:
        return f"{self.card.decision} for {self.card.scope}"

    def _block(self, finding: Finding) -> Text:
        lines = finding_lines(finding, self._claims.get(finding.gate, ""), self._since.get(finding.gate))
        text = Text("  ")
        word, rest = lines[0].split("  ", 1)
        text.append(word, style=STYLES[finding.outcome]).append(f"  {rest}\n", style="bold")
        return text.append("".join(f"  {shortened(line)}\n" for line in lines[1:]))


def install(config: pytest.Config) -> Terminal:
    """Show a run on pytest's terminal: without its tracebacks and short summary, unless they were asked for."""
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return Terminal(config, None)
    if config.option.tbstyle == "auto":
        config.option.tbstyle = "no"
    if config.option.reportchars == _DEFAULT_REPORT_CHARS:
        reporter.reportchars = ""
    return Terminal(config, reporter)


def _console(reporter: pytest.TerminalReporter | None) -> Console:
    """A console on the terminal itself: pytest captures file descriptor 1 while a gate runs."""
    if reporter is None:
        return Console(file=io.StringIO())
    colours: Any = "auto" if reporter.isatty() else "standard"
    return Console(
        file=_own_copy(reporter._tw._file),
        force_terminal=bool(reporter.isatty()),
        color_system=colours if reporter.hasmarkup else None,
        no_color=not reporter.hasmarkup,
        width=reporter._tw.fullwidth if reporter.isatty() else max(reporter._tw.fullwidth, 100),
        emoji=False,
        markup=False,
    )


def _own_copy(file: TextIO) -> TextIO:
    try:
        descriptor = os.dup(file.fileno())
    except (OSError, ValueError, AttributeError):
        return file
    encoding = getattr(file, "encoding", None) or sys.getdefaultencoding()
    return open(descriptor, "w", buffering=1, encoding=encoding, errors="replace")  # noqa: PTH123


def _interval(card: Scorecard) -> str:
    return f"proven {card.proven:.0%}, possible {card.possible:.0%}"


def _pillars(pillars: Sequence[PillarScore]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_edge=False)
    table.add_column("  pillar")
    table.add_column("proven", justify="right")
    table.add_column("possible", justify="right")
    table.add_column("gates")
    for pillar in pillars:
        states = Counter(gate.state for capability in pillar.capabilities for gate in capability.gates)
        counted = ", ".join(f"{n} {WORDS.get(state, state.replace('_', ' ')).lower()}" for state, n in states.items())
        style = "" if pillar.holds else "red"
        interval = ("–", "–") if set(states) == {State.NOT_APPLICABLE} else (f"{pillar.lo:.0%}", f"{pillar.hi:.0%}")
        table.add_row(f"  {pillar.name}", *interval, counted, style=style)
    return table


def _breach(breach: Breach) -> Text:
    text = Text(f"  {BREACH_WORDS[breach.kind].upper()}", style="bold white on red")
    text.append(f"  {breach.what}\n", style="bold not reverse on default red")
    text.append(f"      why     {breach.reason}\n", style="not bold default on default")
    return text.append(f"      to do   {breach.remedy or 'readiness heal'}\n", style="not bold default on default")
