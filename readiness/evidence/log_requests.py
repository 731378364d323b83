"""Finds the log records of known requests: by the id they carry, and by whatever else they mention of the request."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from readiness.evidence.logs import LEVELS, LogRecord

_ID_SHORTEST = 8
"""A shorter id (a row number) stands in records of other requests by chance."""
_VARIABLE = re.compile(r"[0-9a-fA-F]{8}[0-9a-fA-F-]*|\d+(?:\.\d+)?")


@dataclass(frozen=True)
class KnownRequest:
    """One request that we made, and everything by which a record can name it."""

    variant: str
    correlation: str
    marks: tuple[str, ...]
    """Its marker, its trace id and the id that the deployment gave it."""
    hops: tuple[str, ...] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        names = sorted({self.correlation, *(m for m in self.marks if len(m) >= _ID_SHORTEST)}, key=len, reverse=True)
        return re.compile(rf"(?<![0-9A-Za-z])(?:{'|'.join(map(re.escape, names))})(?![0-9A-Za-z])")

    def named_in(self, record: LogRecord) -> str | None:
        """Give what the record names it by, or None; the id in its own field counts too."""
        match = self._pattern.search(record.text)
        return None if match is None else match[0]

    def carried_by(self, record: LogRecord) -> bool:
        """Whether the record carries its correlation id in the declared field."""
        return record.correlation == self.correlation


@dataclass(frozen=True, slots=True)
class Stray:
    """A record that belongs to one of our requests and does not carry its id."""

    record: LogRecord
    request: KnownRequest
    by: str

    def __str__(self) -> str:
        got = self.record.correlation
        carries = f"carries the id {got!r}" if got else "carries no id"
        place = f"{self.record.source}:{self.record.line_number}"
        return f"{place}: {self.record.component or 'a record'} ({self.record.level}) names {self.by!r} and {carries}"


def is_serious(record: LogRecord) -> bool:
    """Whether a record says that something went wrong (WARN or above)."""
    return record.level in LEVELS[LEVELS.index("WARN") :]


def hops_reached(request: KnownRequest, records: Iterable[LogRecord]) -> set[str]:
    """Name the components that have a record with the id of the request."""
    return {record.component for record in records if request.carried_by(record) and record.component is not None}


def strays(requests: Sequence[KnownRequest], records: Sequence[LogRecord]) -> list[Stray]:
    """Find the records that name one of the requests and carry no id, or that of another request.

    An id that none of our requests has may be that of a later look at the same transaction, which is a request of its
    own. Such a look enters where all requests enter; an id that was never seen there was made up on the way.
    """
    ours = {request.correlation for request in requests}
    entrance = {request.hops[0] for request in requests if request.hops}
    entrance |= {c for request in requests if len(request.hops) == 1 for c in hops_reached(request, records)}
    entered = {record.correlation for record in records if not entrance or record.component in entrance}
    found = []
    for record in records:
        named = [request for request in requests if request.named_in(record) is not None]
        if record.data is None or not named or any(request.carried_by(record) for request in named):
            continue
        foreign = bool(record.correlation) and record.correlation not in ours
        if not (foreign and record.correlation in entered and not is_serious(record)):
            found.append(Stray(record, named[0], named[0].named_in(record) or ""))
    return found


def orphans(
    records: Iterable[LogRecord], components: set[str], per_request: Mapping[str, set[int]]
) -> dict[tuple[str, ...], LogRecord]:
    """Give one record of each kind that carries no id at all and may be of our requests.

    Trouble (WARN or above) of the components counts however often it came; no components mean all. Other records count
    where they came as often as a component had requests of ours (`per_request`), once, twice or thrice for each.
    """
    kinds: dict[tuple[str, ...], list[LogRecord]] = {}
    for record in records:
        if record.data is not None and not record.correlation:
            kinds.setdefault(kind_of(record), []).append(record)
    found = {}
    for kind, (first, *more) in kinds.items():
        times = {n * each for n in per_request.get(first.component or "", ()) for each in (1, 2, 3)}
        concerned = not components or first.component is None or first.component in components
        if (is_serious(first) and concerned) or 1 + len(more) in times:
            found[kind] = first
    return found


def kind_of(record: LogRecord) -> tuple[str, ...]:
    """Give what two records of the same event have in common."""
    words = next((str(v) for m in ("message", "operation", "cause") if (v := record.value(m))), "")
    fields: Mapping[str, object] = record.data or {}
    return (record.component or "", record.level or "", _VARIABLE.sub("#", words)[:200], " ".join(sorted(fields)))
