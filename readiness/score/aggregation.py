"""Credits of gates → capabilities → pillars → the whole.

Every step is monotone in every argument, so evaluating it at all lower and at all upper ends gives the exact interval.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from readiness.model import GateInfo
from readiness.score.model import CapabilityScore, GateScore, PillarScore, State

_DIGITS = 12
"""Bounds are rounded to this many digits, so that 0.75 of three quarters is not missed by a float's last bit."""


class Bounds(Protocol):
    """Anything with the three ends of an interval of credit."""

    @property
    def lo(self) -> float: ...
    @property
    def hi(self) -> float: ...
    @property
    def best(self) -> float: ...


def weighted_mean(values: Sequence[float], weights: Sequence[int]) -> float:
    """The mean of the gates of a capability, weighted by risk (8/4/2/1); 0 of nothing."""
    if not values:
        return 0.0
    return round(math.fsum(v * w for v, w in zip(values, weights, strict=True)) / math.fsum(weights), _DIGITS)


def half_weakest(values: Sequence[float]) -> float:
    """Half the minimum and half the mean, so that one dead part of six caps the whole at 42 %; 0 of nothing."""
    if not values:
        return 0.0
    return round(0.5 * min(values) + 0.5 * math.fsum(values) / len(values), _DIGITS)


def pillars_of(scored: Iterable[tuple[GateInfo, GateScore]], floor: float) -> tuple[PillarScore, ...]:
    """The pillars with what they are made of, ordered by their first gate's id."""
    tree: dict[str, dict[str, list[GateScore]]] = defaultdict(lambda: defaultdict(list))
    for gate, gate_score in scored:
        tree[gate.pillar][gate.capability].append(gate_score)
    return tuple(_pillar(name, capabilities, floor) for name, capabilities in tree.items())


def whole(pillars: Iterable[PillarScore]) -> tuple[float, float, float]:
    """The overall `(lo, hi, best)`; where nothing applies nothing is proven and everything possible."""
    parts = [pillar for pillar in pillars if applies(pillar)]
    return _ends(parts) if parts else (0.0, 1.0, 1.0)


def applies(part: PillarScore | CapabilityScore) -> bool:
    """Whether any gate of a pillar or capability applies to the deployment."""
    if isinstance(part, PillarScore):
        return any(applies(capability) for capability in part.capabilities)
    return any(gate.state is not State.NOT_APPLICABLE for gate in part.gates)


def _pillar(name: str, tree: dict[str, list[GateScore]], floor: float) -> PillarScore:
    capabilities = tuple(_capability(capability, gates) for capability, gates in tree.items())
    parts = [capability for capability in capabilities if applies(capability)]
    lo, hi, best = _ends(parts) if parts else (0.0, 1.0, 1.0)
    return PillarScore(name, lo, hi, best, not parts or lo >= floor, capabilities)


def _capability(name: str, gates: list[GateScore]) -> CapabilityScore:
    counted = [gate for gate in gates if gate.state is not State.NOT_APPLICABLE]
    weights = [gate.risk.weight for gate in counted]
    if not counted:
        return CapabilityScore(name, 0.0, 1.0, 1.0, tuple(gates))
    return CapabilityScore(
        name,
        weighted_mean([gate.lo for gate in counted], weights),
        weighted_mean([gate.hi for gate in counted], weights),
        weighted_mean([gate.best for gate in counted], weights),
        tuple(gates),
    )


def _ends(parts: Sequence[Bounds]) -> tuple[float, float, float]:
    return (
        half_weakest([part.lo for part in parts]),
        half_weakest([part.hi for part in parts]),
        half_weakest([part.best for part in parts]),
    )
