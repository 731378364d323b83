"""What a deployment holds: count and content hash of each component, as the operators' `inventory` tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from readiness.errors import ProcedureFailed
from readiness.procedures import Procedures
from readiness.waiting import Deadline


@dataclass(frozen=True, slots=True)
class ComponentCount:
    """How much of one component there is, and the hash of its content (equal hash, equal content)."""

    count: int
    hash: str


def inventory(procedures: Procedures, environment: str, deadline: Deadline) -> dict[str, ComponentCount]:
    """Run `inventory` for an environment and read its `{"components": {name: {"count": N, "hash": text}}}`."""
    said = procedures.run("inventory", deadline=deadline, environment=environment).json()
    components = said.get("components", said) if isinstance(said, Mapping) else None
    if not isinstance(components, Mapping) or not components:
        raise ProcedureFailed("procedures.inventory names no component", _SHAPE)
    return {str(name): _count(str(name), told) for name, told in components.items()}


_SHAPE = 'procedures.inventory.run must print {"components": {"<name>": {"count": <n>, "hash": "<text>"}}}'


def _count(name: str, told: object) -> ComponentCount:
    count = told.get("count") if isinstance(told, Mapping) else None
    found = told.get("hash") if isinstance(told, Mapping) else None
    if not isinstance(count, int) or isinstance(count, bool) or not isinstance(found, str):
        raise ProcedureFailed(f"procedures.inventory gives no count and hash for {name}", _SHAPE)
    return ComponentCount(count, found)
