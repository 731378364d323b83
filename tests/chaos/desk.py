"""Histories of an order desk, written by hand: a system that shares nothing with the one the product ships."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from readiness.chaos.histories import Event, Kind

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
BOUNDS = {"steps": 5.0, "tokens": 900.0, "cost": 2.0}


def at(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def ordered(id: str, s: float = 0.0, meant: int = 1) -> Event:
    """A customer hands an order in; the receipt names the order and the customer's own reference."""
    return Event(
        id,
        Kind.HANDED_IN,
        at(s),
        within_s=60.0,
        marker=id,
        expected=(f"parcel for {id}",),
        effects_meant=meant,
        correlation=f"ref-{id}",
    )


def receipt(id: str, s: float = 5.0, *, kind: Kind = Kind.ENDED, success: bool = True, meant: int = 1) -> Event:
    """The desk's last word on an order."""
    return Event(
        id,
        kind,
        at(s),
        success=success,
        answer=f"parcel for {id} is on its way" if success else "out of stock",
        correlation=f"ref-{id}",
        effects=meant if success else 0,
        steps=3,
        tokens=250,
        cost=0.5,
    )


@st.composite
def lives(draw: st.DrawFn, id: str) -> list[Event]:
    """One legal life of an order: whatever is told of it, no invariant is broken."""
    begins, meant = draw(st.floats(0, 100)), draw(st.integers(1, 3))
    told = [ordered(id, begins, meant)]
    fate = draw(st.sampled_from(["refused", "error", "error, done", "done", "failed", "open", "read again"]))
    if fate == "refused":
        return [*told, Event(id, Kind.REFUSED, at(begins + 1), effects=draw(st.sampled_from([None, 0])))]
    if fate.startswith("error"):
        # Nobody knows: it may have been done, and be found out later.
        told.append(Event(id, Kind.ERROR, at(begins + 1)))
        return [*told, receipt(id, begins + 9, meant=meant)] if fate == "error, done" else told
    told.append(Event(id, Kind.ACCEPTED, at(begins + 1)))
    if fate == "open":
        return [*told, Event(id, Kind.OPEN, at(begins + draw(st.floats(1, 59))), effects=draw(st.integers(0, 1)))]
    end = receipt(id, begins + 5, success=fate != "failed", meant=meant)
    again = [receipt(id, begins + 50, kind=Kind.READ, meant=meant)] if fate == "read again" else []
    return [*told, end, *again]


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    """Several legal lives, told in any interleaving that keeps each in its order."""
    parts = [draw(lives(f"order-{n}")) for n in range(draw(st.integers(1, 14)))]
    told: list[Event] = []
    while parts:
        part = draw(st.sampled_from(parts))
        told.append(part.pop(0))
        parts = [one for one in parts if one]
    return told
