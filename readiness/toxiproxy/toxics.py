"""Toxics as data, and what is wrong with one before it is sent.

Toxiproxy itself takes a misspelt attribute, a toxicity of 5 and a negative latency without a word, and does nothing.
The types and attributes are those of Toxiproxy 2.12 (its README, "Toxics").
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "timeout": ("timeout",),
    "reset_peer": ("timeout",),
    "slicer": ("average_size", "size_variation", "delay"),
    "limit_data": ("bytes",),
}
"""Milliseconds, but for `rate` (kB/s), sizes and `bytes` (bytes) and the slicer's `delay` (microseconds)."""
STREAMS = ("downstream", "upstream")
_NEEDED: dict[str, tuple[str, ...]] = {
    "latency": ("latency", "jitter"),
    "bandwidth": ("rate",),
    "slow_close": ("delay",),
    "slicer": ("average_size",),
}
"""Of these attributes, one must be more than zero, or the toxic does nothing (at `rate: 0`: lets nothing by)."""
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,120}")


@dataclass(frozen=True, slots=True)
class Toxic:
    """What is to be done to the bytes of one direction of a proxy's connections."""

    name: str
    type: str
    stream: str = "downstream"
    toxicity: float = 1.0
    """The share of *connections* that are hit, drawn once for each."""
    attributes: Mapping[str, int] = field(default_factory=dict)

    def whole(self) -> dict[str, int]:
        """Give every attribute of the type, with zero for those that are not given."""
        return {name: int(self.attributes.get(name, 0)) for name in ATTRIBUTES.get(self.type, ())}


def toxic_name(run_id: str, fault: str) -> str:
    """Give the name under which a run's toxic stands on the server: `rd-<hash of the run>-<fault>`."""
    return f"{prefix_of(run_id)}{re.sub(r'[^A-Za-z0-9._-]+', '-', fault)}"


def prefix_of(run_id: str) -> str:
    """Give what the names of all toxics of a run begin with."""
    return f"rd-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}-"


def fault_in(toxic: Toxic) -> str:
    """Say in one line why this toxic would do nothing or something else than it says; no text where it is sound."""
    if not _NAME.fullmatch(toxic.name):
        return f"the name {toxic.name!r} is not allowed: use letters, digits and . _ : -"
    if toxic.type not in ATTRIBUTES:
        return f"the type {toxic.type!r} is not known{_nearest(toxic.type, ATTRIBUTES)}"
    if toxic.stream not in STREAMS:
        return f"the stream {toxic.stream!r} is not known{_nearest(toxic.stream, STREAMS)}"
    if not _number(toxic.toxicity) or not 0 < toxic.toxicity <= 1:
        return f"a toxicity of {toxic.toxicity!r} is not allowed: give the share of connections, more than 0, at most 1"
    return _fault_in_attributes(toxic)


def _fault_in_attributes(toxic: Toxic) -> str:
    known = ATTRIBUTES[toxic.type]
    for name, value in toxic.attributes.items():
        if name not in known:
            return f"{toxic.type} has no attribute {name!r}{_nearest(name, known)}"
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            return f"{name}: {value!r} is not allowed: give a whole number, zero or more"
    needed = _NEEDED.get(toxic.type, ())
    if needed and not any(toxic.attributes.get(name, 0) > 0 for name in needed):
        return f"{toxic.type} with {' and '.join(needed)} at 0 is no fault: give more than 0"
    if toxic.type == "slicer" and toxic.attributes.get("size_variation", 0) >= toxic.attributes["average_size"]:
        return "size_variation must be less than average_size"
    return ""


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nearest(given: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(str(given), list(known), n=1)
    return (f" (did you mean {near[0]}?)" if near else "") + f"; allowed: {', '.join(known)}"
