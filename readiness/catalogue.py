"""All gates that exist, in the order of the catalogue, and how one is found by what somebody typed."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache

from readiness import gates
from readiness.errors import UsageError
from readiness.gate import Gate, gate_of
from readiness.pillars import CAPABILITIES, PILLAR_ORDER


@cache
def all_gates() -> tuple[Gate, ...]:
    """Every gate of the package, by pillar, capability and number; a second gate of the same id is an error."""
    found: dict[str, Gate] = {}
    for module in sorted(info.name for info in pkgutil.iter_modules(gates.__path__)):
        for thing in vars(importlib.import_module(f"{gates.__name__}.{module}")).values():
            gate = gate_of(thing)
            if gate is None or gate.info.module != module:
                continue
            if found.setdefault(gate.info.id, gate) is not gate:
                raise ValueError(f"two gates are called {gate.info.id}")
    return tuple(sorted(found.values(), key=_place))


def find_gate(id: str, known: Iterable[Gate] | None = None) -> Gate:
    """Return the gate of an id, upper or lower case; an unknown one is a UsageError with the nearest ids."""
    by_id = {gate.info.id: gate for gate in (all_gates() if known is None else known)}
    gate = by_id.get(id.strip().upper())
    if gate is None:
        raise UsageError(f"no gate is called {id!r}; {nearest(id.upper(), by_id)}; see `readiness catalogue`")
    return gate


def nearest(given: str, known: Iterable[str]) -> str:
    """The part of a message that says which known names come nearest, or all of them when none does."""
    names = sorted(known)
    close = difflib.get_close_matches(given, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"


def _place(gate: Gate) -> tuple[int, int, str]:
    prefix = "-".join(gate.info.id.split("-")[:2])
    capabilities = list(CAPABILITIES)
    known = capabilities.index(prefix) if prefix in CAPABILITIES else len(capabilities)
    return PILLAR_ORDER.index(gate.info.pillar), known, gate.info.id
