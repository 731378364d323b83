"""What makes a function a gate: its id, what it needs, the limits it holds, and the words that explain it.

A gate module writes `from readiness.gate import at_most, gate` and takes its needs from `readiness.needs`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from readiness.descriptor import Descriptor
from readiness.model import GateInfo, Limit, Mode, Risk
from readiness.needs import Need
from readiness.pillars import capability_of, pillar_of
from readiness.target import Target

if TYPE_CHECKING:
    from readiness.deployment import Deployment

GateFunction = TypeVar("GateFunction", bound=Callable[..., None])

_ID = re.compile(r"[A-Z]{3}-[A-Z0-9]{2,3}-\d{3}")
_MARK = "__readiness_gate__"
TTL_S = {Mode.OBSERVE: 86400.0, Mode.PROBE: 86400.0, Mode.DRILL: 30 * 86400.0, Mode.ATTEST: 90 * 86400.0}
"""How long evidence counts unless the gate says otherwise: a day for what a run can see, a month for a drill."""
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate ready to run: what it says about itself, what it needs, and the function that judges."""

    info: GateInfo
    function: Callable[[Deployment], None]
    needs: tuple[Need, ...]
    within_s: float
    """The longest the gate may take, in seconds; it ends UNKNOWN after that."""

    @property
    def node_id(self) -> str:
        """The id of the gate's pytest item, the same on every machine."""
        return f"readiness::{self.info.module}::{self.info.id}"

    def missing(self, descriptor: Descriptor, target: Target) -> list[str]:
        """The lines of the descriptor (or capabilities) that this gate needs and this deployment lacks."""
        return [line for need in self.needs if (line := need.missing(descriptor, target)) is not None]


def gate(
    id: str,
    *,
    risk: str,
    blocking: bool,
    mode: str,
    version: int,
    why: str,
    measures: str,
    red: str,
    mend: str,
    needs: Sequence[Need] = (),
    limits: dict[str, Limit] | None = None,
    patterns: Sequence[str] = (),
    typical_s: float = 1.0,
    ttl_s: float | None = None,
    within_s: float = DEADLINE_S,
) -> Callable[[GateFunction], GateFunction]:
    """Mark a function `def claim(deployment): …` as a gate; its name is the claim, its docstring the summary.

    `why` says what goes wrong in production without it, `measures` what is done and counted, `red` what makes it
    fail, `mend` what to do then. `version` rises with every change of what is judged and voids older evidence.
    `patterns`: the deployment patterns it applies to (all when empty). Times are in seconds.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"{id!r} is not a gate id such as OPS-DEP-003")

    def mark(function: GateFunction) -> GateFunction:
        doc = inspect.getdoc(function)
        if not doc:
            raise ValueError(f"the gate {id} has no docstring; its first sentence is the text of the report")
        info = GateInfo(
            id=id,
            claim=function.__name__.replace("_", " "),
            summary=" ".join(doc.split("\n\n")[0].split()),
            pillar=pillar_of(id),
            capability=capability_of(id),
            risk=Risk(risk),
            blocking=blocking,
            mode=Mode(mode),
            version=version,
            why=_flat(why),
            measures=_flat(measures),
            red=_flat(red),
            mend=_flat(mend),
            needs=tuple(str(need) for need in needs),
            limits=dict(limits or {}),
            patterns=tuple(patterns),
            ttl_s=TTL_S[Mode(mode)] if ttl_s is None else ttl_s,
            typical_s=typical_s,
            module=function.__module__.rpartition(".")[2],
        )
        setattr(function, _MARK, Gate(info, function, tuple(needs), within_s))
        return function

    return mark


def gate_of(thing: object) -> Gate | None:
    """The gate that a function was marked as, or None."""
    found = getattr(thing, _MARK, None)
    return found if isinstance(found, Gate) else None


def at_most(value: float, unit: str = "", source: str = "default of the catalogue") -> Limit:
    """A limit that a measured value may not exceed."""
    return Limit("at_most", value, unit, source)


def at_least(value: float, unit: str = "", source: str = "default of the catalogue") -> Limit:
    """A limit that a measured value must reach."""
    return Limit("at_least", value, unit, source)


def equals(value: float, unit: str = "", source: str = "default of the catalogue") -> Limit:
    """A limit that a measured value must be equal to."""
    return Limit("equals", value, unit, source)


def _flat(text: str) -> str:
    return " ".join(text.split())
