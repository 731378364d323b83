"""What goes on during a run, on the terminal: one line that moves on a terminal, plain lines everywhere else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from readiness.history import Event, History
from readiness.model import Finding, GateInfo, Outcome
from readiness.redaction import Redactor
from readiness.units import format_duration
from readiness.wording import WORDS, shortened

STYLES = {"PASS": "green", "FAIL": "bold red", "UNKNOWN": "bold yellow", "NOT_APPLICABLE": "dim"}
_WIDTH = max(len(word) for word in WORDS.values())


@dataclass(frozen=True, slots=True)
class _Broken:
    """What is broken now, since when (monotonic, in seconds), and what heals it should this run die."""

    what: str
    since_s: float
    heals: str

    def told(self) -> str:
        """In words, with how long it lasts already."""
        return f"{self.what} ({_clock(time.monotonic() - self.since_s)}{f', {self.heals}' if self.heals else ''})"


class Progress:
    """Shows which gate runs, what is broken right now, and how long it will take."""

    def __init__(self, console: Console, *, quiet: bool, verbose: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._verbose = verbose
        self._live: Live | None = None
        self._gates: list[GateInfo] = []
        self._done = 0
        self._now: GateInfo | None = None
        self._since_s = time.monotonic()
        self._step = ""
        self._broken: dict[str, _Broken] = {}

    def begin(self, gates: list[GateInfo]) -> None:
        """Announce the gates that will run, in their order."""
        self._gates = gates

    def open(self) -> None:
        """Start the moving line, where there is a terminal to move it on."""
        if not self._quiet and self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(self, console=self._console, refresh_per_second=4, transient=True)
            self._live.start()

    def close(self) -> None:
        """Take the moving line away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def tell(self, text: str) -> None:
        """Say something that happens outside any gate (the start of the embedded deployment, healing)."""
        self._step = text
        if not self._quiet and self._live is None:
            self._print(Text(f"  {text}"))

    def step(self, gate: str, title: str) -> None:
        """Show that a gate has begun a step."""
        self._step = title
        if self._verbose and not self._quiet:
            self._print(Text(f"            {gate}: {title}", style="dim"))

    def seen(self, event: Event) -> None:
        """Follow the history: what is broken right now stands there before it is broken."""
        if event.kind == "change_opened":
            broken = _Broken(str(event.data.get("what")), time.monotonic(), _heals(event.data.get("heals")))
            self._broken[str(event.data.get("id"))] = broken
            self._change(f"breaking: {broken.what}{f' ({broken.heals})' if broken.heals else ''}")
        elif event.kind == "change_closed":
            healed = self._broken.pop(str(event.data.get("id")), None)
            if healed is not None:
                how = "healed" if event.data.get("verified") else "NOT HEALED"
                self._change(f"{how}: {healed.what}, after {format_duration(time.monotonic() - healed.since_s)}")

    def gate_started(self, gate: GateInfo) -> None:
        """Show that a gate runs now."""
        self._now, self._step, self._since_s = gate, "", time.monotonic()
        self._broken = {}

    def gate_ended(self, finding: Finding) -> None:
        """Print the verdict of a gate, with the reason where it is no pass."""
        self._done += 1
        gate, self._now, self._step = self._now, None, ""
        if self._quiet or gate is None:
            return
        line = Text(f"  [{self._done:>2}/{len(self._gates)}] ")
        line.append(f"{WORDS[finding.outcome]:<{_WIDTH}}", style=STYLES[finding.outcome])
        line.append(f"  {finding.gate}", style="bold").append(f"  {gate.claim}")
        line.append(f"  {format_duration(finding.duration_s)}", style="dim")
        self._print(line)
        if finding.outcome is not Outcome.PASS:
            self._print(Text(f"            {shortened(finding.reason)}"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the moving line; rich calls this several times a second."""
        line = self._line()
        if line.cell_len >= options.max_width:  # what is broken now matters more than the gate's claim
            line = self._line(with_claim=False)
        line.truncate(options.max_width - 1, overflow="ellipsis")
        yield line

    def _line(self, *, with_claim: bool = True) -> Text:
        gate = self._now
        if gate is None:
            return Text(f"  {self._step}", style="dim")
        spent_s = time.monotonic() - self._since_s
        line = Text(f"  {self._done + 1}/{len(self._gates)}", style="cyan")
        line.append(f" · about {_clock(self._left_s(spent_s))} left · ", style="cyan")
        line.append(gate.id, style="bold")
        if with_claim:
            line.append(f" {gate.claim}")
        line.append(f" · {_clock(spent_s)}")
        if self._broken:
            told = ", ".join(broken.told() for broken in self._broken.values())
            line.append(f" · broken now: {told}", style="red")
        if self._step:
            line.append(f" · {self._step}", style="dim")
        return line

    def _left_s(self, spent_s: float) -> float:
        typical = [gate.typical_s for gate in self._gates[self._done :]]
        return max(1.0, sum(typical) - min(spent_s, typical[0] if typical else 0.0))

    def _change(self, text: str) -> None:
        if not self._quiet and (self._live is None or self._verbose):
            self._print(Text(f"            {text}", style="dim"))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)


def _heals(given: object) -> str:
    """What heals a fault where the run dies: the time after which it ends by itself, or who undoes it."""
    if isinstance(given, int | float):
        return f"ends by itself within {format_duration(float(given))}"
    return f"if this run dies: {given}" if given else ""


def _clock(seconds: float) -> str:
    """Minutes and seconds, of one width from one moment to the next."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class WatchedHistory(History):
    """A history that tells the progress display what is written into it."""

    progress: Progress | None = None

    @classmethod
    def open(cls, folder: Path, redactor: Redactor, progress: Progress) -> WatchedHistory:
        """Begin the history of a run, watched by its progress display."""
        history = cls.create(folder, redactor)
        assert isinstance(history, cls)
        history.progress = progress
        return history

    def append(self, kind: str, record: object = None, /, **data: object) -> Event:
        """Write one event, then show it."""
        event = super().append(kind, record, **data)
        if self.progress is not None:
            self.progress.seen(event)
        return event
