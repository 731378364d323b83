"""How a gate judges: what it measures, the limits it holds that against, and the records it keeps."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn, Protocol

from readiness.errors import NotApplicable, Undecidable, Violated
from readiness.history import History
from readiness.model import Evidence, GateInfo, Limit, Measurement, Mode
from readiness.redaction import Redactor

MAX_EVIDENCE_BYTES = 1 << 20
_ORDER = (Mode.OBSERVE, Mode.PROBE, Mode.DRILL, Mode.ATTEST)
_UNIT_SPACE = {"%": ""}


class Limiter(Protocol):
    """Who knows the limits after policy and objectives (`policy.Limits`)."""

    def limit(self, gate: GateInfo, name: str) -> tuple[Limit, float | None, bool]:
        """The limit in force, the gate's default where it was changed, and whether it was weakened without leave."""
        ...


class Progress(Protocol):
    """Who shows what is going on right now."""

    def step(self, gate: str, title: str) -> None:
        """Show that a gate has begun a step."""
        ...


@dataclass(frozen=True, slots=True)
class Records:
    """Where one run writes what it sees."""

    run_id: str
    folder: Path
    history: History
    redactor: Redactor
    limits: Limiter
    progress: Progress | None = None


class VerdictData(NamedTuple):
    """What a gate has gathered for its finding."""

    measurements: tuple[Measurement, ...]
    evidence: tuple[Evidence, ...]
    broken: tuple[str, ...]
    """One line for each limit that was broken; any makes the finding FAIL."""
    successes: int | None
    trials: int | None
    weakened: tuple[str, ...]


@dataclass(slots=True)
class _Gathered:
    measurements: list[Measurement] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    weakened: list[str] = field(default_factory=list)
    successes: int | None = None
    trials: int | None = None


class Judgement:
    """The judging half of what a gate gets: measurements, limits, evidence and steps."""

    def __init__(self, gate: GateInfo, records: Records, judged_with: Judgement | None = None) -> None:
        self.gate = gate
        self._records = records
        self._gathered: _Gathered = judged_with._gathered if judged_with is not None else _Gathered()

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._records.run_id

    def limit(self, name: str) -> Limit:
        """Give a limit of this gate, after policy and objectives."""
        return self._limit(name)[0]

    def measure(
        self,
        name: str,
        value: float | str | bool | None,
        *,
        unit: str = "",
        limit: str | None = None,
        at_most: float | None = None,
        at_least: float | None = None,
        equals: float | str | bool | None = None,
        detail: str = "",
    ) -> bool:
        """Record a measured value; True when it keeps its bound, or has none.

        The bound is a limit of the gate, by name, or one of `at_most`, `at_least`, `equals`. A broken bound (None
        breaks every bound) makes the gate FAIL at its end and is told there with `detail`; to end at once, follow
        with `violated`.
        """
        bound, default = self._bound(limit, at_most, at_least, equals)
        holds: bool | None = None
        if isinstance(equals, str):
            holds = value == equals
        elif bound is not None:
            holds = isinstance(value, int | float) and bound.holds(float(value))
        unit = unit or (bound.unit if bound is not None else "")
        shown = self._clean(value) if isinstance(value, str) else value
        self._gathered.measurements.append(
            Measurement(name, shown, unit, bound, holds, default, self._clean(detail)),
        )
        if holds is False:
            wanted = f"expected {equals}" if isinstance(equals, str) else _told(bound)
            line = f"{name.replace('_', ' ')} was {_shown(value, unit)}, {wanted}"
            self._gathered.broken.append(self._clean(f"{line}: {detail}" if detail else line))
        return holds is not False

    def violated(self, reason: str) -> NoReturn:
        """End the gate at once: the deployment broke its promise (FAIL)."""
        raise Violated(self._clean(reason))

    def undecidable(self, reason: str, remedy: str = "") -> NoReturn:
        """End the gate at once: the promise could not be measured (UNKNOWN); `remedy` says what would help."""
        raise Undecidable(self._clean(reason), self._clean(remedy))

    def not_applicable(self, reason: str) -> NoReturn:
        """End the gate at once: what it is about is verified not to be there (NOT_APPLICABLE)."""
        raise NotApplicable(self._clean(reason))

    def count(self, successes: int, trials: int) -> None:
        """Record k of n, where the gate repeated something; several calls add up."""
        self._gathered.successes = (self._gathered.successes or 0) + successes
        self._gathered.trials = (self._gathered.trials or 0) + trials

    def keep(self, name: str, content: str | bytes | object) -> Evidence:
        """Keep a primary record, redacted, in `evidence/<gate>/`; what is over 1 MiB is cut, and says so.

        Text is kept as it is, bytes without redaction (they are binary), anything else as JSON.
        """
        media_type = "text/plain"
        if isinstance(content, bytes):
            raw, media_type = content, "application/octet-stream"
        elif isinstance(content, str):
            raw = self._clean(content).encode("utf-8", "replace")
        else:
            media_type = "application/json"
            raw = self._clean(json.dumps(content, indent=1, default=str, ensure_ascii=False)).encode("utf-8", "replace")
        if len(raw) > MAX_EVIDENCE_BYTES:
            note = f"\n[cut: {len(raw)} bytes in all]\n".encode()
            raw, media_type = raw[: MAX_EVIDENCE_BYTES - len(note)] + note, "text/plain"
        path = self._place(name, media_type)
        path.write_bytes(raw)
        path.chmod(0o600)
        kept = Evidence(
            path.stem,
            path.relative_to(self._records.folder).as_posix(),
            hashlib.sha256(raw).hexdigest(),
            len(raw),
            media_type,
        )
        self._gathered.evidence.append(kept)
        return kept

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Name what goes on in the block: for the progress display and for the history, with its duration."""
        began_s = time.monotonic()
        if self._records.progress is not None:
            self._records.progress.step(self.gate.id, self._clean(title))
        try:
            yield
        finally:
            seconds = round(time.monotonic() - began_s, 3)
            self._records.history.append("step", gate=self.gate.id, title=title, seconds=seconds)

    def note(self, text: str) -> None:
        """Write a remark into the history."""
        self._records.history.append("note", gate=self.gate.id, text=text)

    def verdict_data(self) -> VerdictData:
        """Give what was gathered so far, for the finding."""
        found = self._gathered
        return VerdictData(
            tuple(found.measurements),
            tuple(found.evidence),
            tuple(found.broken),
            found.successes,
            found.trials,
            tuple(dict.fromkeys(found.weakened)),
        )

    def allow(self, mode: Mode, what: str) -> None:
        """Refuse what the gate's mode does not allow: an observing gate sends no work, only a drill changes things."""
        if _ORDER.index(self.gate.mode) < _ORDER.index(mode):
            raise Undecidable(
                f"{self.gate.id} is a gate of mode {self.gate.mode} and may not {what}; that takes mode {mode}",
                f'mode="{mode}" in the gate',
            )

    def _bound(
        self, name: str | None, at_most: float | None, at_least: float | None, equals: float | str | bool | None
    ) -> tuple[Limit | None, float | None]:
        if name is not None:
            return self._limit(name)
        for bound, value in (("at_most", at_most), ("at_least", at_least), ("equals", equals)):
            if value is not None and not isinstance(value, str):
                return Limit(bound, float(value), "", "the gate"), None
        return None, None

    def _limit(self, name: str) -> tuple[Limit, float | None]:
        found, default, weakened = self._records.limits.limit(self.gate, name)
        if weakened:
            self._gathered.weakened.append(name)
        return found, default

    def _place(self, name: str, media_type: str) -> Path:
        folder = self._records.folder / "evidence" / self.gate.id
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:80] or "record"
        suffix = {"application/json": ".json", "text/plain": ".txt"}.get(media_type, ".bin")
        stem = stem.removesuffix(suffix)
        taken = {path.stem for path in folder.iterdir()}
        numbered = (f"{stem}-{n}" for n in range(2, len(taken) + 3))
        return folder / f"{stem if stem not in taken else next(n for n in numbered if n not in taken)}{suffix}"

    def _clean(self, text: str) -> str:
        return self._records.redactor.redact(text)


def _shown(value: float | str | bool | None, unit: str) -> str:
    if value is None:
        return "not there"
    number = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f"{number}{_UNIT_SPACE.get(unit, ' ')}{unit}" if unit else number


def _told(limit: Limit | None) -> str:
    if limit is None:
        return "no limit"
    words = {"at_most": "at most", "at_least": "at least", "equals": "exactly"}[limit.bound]
    return f"limit {words} {_shown(limit.value, limit.unit)}"
