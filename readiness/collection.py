"""Gates as pytest items: own collectors, so that an item is called `readiness::<module>::<GATE-ID>` everywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from readiness.catalogue import nearest
from readiness.errors import UsageError
from readiness.gate import Gate
from readiness.model import Finding, Mode, Outcome

ROOT = "readiness"
MODES = list(Mode)
Judge = Callable[[Gate], Finding]


class NotPassed(Exception):
    """Carries a FAIL or an UNKNOWN to pytest, which calls it a failure."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(f"{finding.outcome}: {finding.reason}")
        self.finding = finding


class GateRoot(pytest.Collector):
    """The root of all gates."""

    def __init__(self, *, gates: Sequence[Gate], judge: Judge, **more: Any) -> None:
        super().__init__(nodeid=ROOT, **more)
        self.gates = gates
        self.judge = judge

    def collect(self) -> Iterator[GateModule]:
        """Give one collector for each module of gates."""
        for name in dict.fromkeys(gate.info.module for gate in self.gates):
            yield GateModule.from_parent(self, name=name)


class GateModule(pytest.Collector):
    """The gates of one module."""

    parent: GateRoot

    def collect(self) -> Iterator[GateItem]:
        """Give one item for each gate."""
        for gate in self.parent.gates:
            if gate.info.module == self.name:
                yield GateItem.from_parent(self, name=gate.info.id, gate=gate, judge=self.parent.judge)


class GateItem(pytest.Item):
    """One gate; running it makes its one finding."""

    def __init__(self, *, gate: Gate, judge: Judge, **more: Any) -> None:
        super().__init__(**more)
        self.gate = gate
        self._judge = judge
        self.finding: Finding | None = None
        self.extra_keyword_matches |= {gate.info.id, gate.info.claim}
        for name in marks(gate):
            self.add_marker(name)

    def runtest(self) -> None:
        """Judge the deployment; what is not a pass reaches pytest as an exception."""
        self.finding = self._judge(self.gate)
        if self.finding.outcome is Outcome.NOT_APPLICABLE:
            pytest.skip(self.finding.reason)
        if self.finding.outcome is not Outcome.PASS:
            raise NotPassed(self.finding)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Name the item by its id alone: a path would differ from machine to machine."""
        return Path(self.parent.nodeid if self.parent else ROOT), 0, self.name


def marks(gate: Gate) -> list[str]:
    """The marks of a gate, for `-m`."""
    info = gate.info
    return ["blocking" if info.blocking else "scored", str(info.mode), str(info.risk), info.id]


def collect(session: pytest.Session, gates: Sequence[Gate], judge: Judge, named: Sequence[str]) -> list[pytest.Item]:
    """Collect the gates of the scenario, or those that were named by node id."""
    root = GateRoot.from_parent(session, name=ROOT, gates=gates, judge=judge)
    items: list[pytest.Item] = [item for module in root.collect() for item in module.collect()]
    for item in items:
        session.config.hook.pytest_itemcollected(item=item)
    session.config.hook.pytest_collectreport(report=pytest.CollectReport(ROOT, "passed", None, [*items]))
    if named:
        chosen = {node for name in named for node in _matching(name, [item.nodeid for item in items])}
        items = [item for item in items if item.nodeid in chosen]
    order = {gate.info.id: place for place, gate in enumerate(gates)}
    return in_order(sorted(items, key=lambda item: order[item.name]))


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Sort by mode (observe, probe, drill) and leave the order within a mode as it is."""
    return sorted(items, key=lambda item: MODES.index(item.gate.info.mode) if isinstance(item, GateItem) else -1)


def _matching(name: str, known: Sequence[str]) -> list[str]:
    found = [node for node in known if node == name or node.startswith(f"{name}::")]
    if not found:
        if name.partition("::")[0] != ROOT:
            raise UsageError(
                f"{name}: --readiness runs gates alone; run other tests without it, "
                f"or name gates as {ROOT}::<module>::<GATE-ID>"
            )
        raise UsageError(f"{name}: not a gate of this scenario; {nearest(name, known)}")
    return found
