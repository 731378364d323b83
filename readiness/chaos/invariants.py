"""What must hold of agents whatever breaks, checked on a history of operations as Jepsen checks one.

A history is what callers did and were told, of any system. Each invariant holds (True), is broken (False, with the
workflows that break it) or cannot be told (None): an outcome that nobody knows may have happened or not, so it neither
breaks an invariant nor proves one. The three values, and the rule that an unknown outcome stays possible for ever, are
Jepsen's (K. Kingsbury, `jepsen.checker` and `jepsen.history`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from readiness.chaos.histories import Event, Kind, Workflow, names_in, workflows

ENDS_ONCE = "nothing ends twice, or other than it was told before"
NONE_LOST = "everything that was accepted ends, or is reported as failed"
NO_EFFECT_TWICE = "no effect happens twice"
SUCCESS_IS_DONE = "what is reported as done was done"
REFUSED_IS_UNDONE = "what was refused had no effect"
BOUNDED = {name: f"{name} are bounded" for name in ("steps", "tokens")} | {"cost": "cost is bounded"}
NO_CROSS_TALK = "every answer is about its own work, and nobody else's"
CORRELATION_KEPT = "the correlation id is kept"
NOTHING_MADE_UP = "no answer is made up"
SHOWN = 5
"""So many offenders are named in a detail."""


@dataclass(frozen=True, slots=True)
class InvariantResult:
    """What a history says about one invariant."""

    name: str
    holds: bool | None
    detail: str
    offenders: tuple[str, ...] = ()
    """The workflows that break it; where it cannot be told, those that leave it open."""
    asked: bool = True
    """Whether anything was declared that it could be held against; a verdict rests on those alone."""


_Found = tuple[bool | None, str]
"""Whether a workflow keeps an invariant, and how it does not."""
_Look = Callable[[Workflow], _Found | None]
"""None: the invariant says nothing about this workflow."""


def check(history: Iterable[Event], bounds: Mapping[str, float | None] | None = None) -> tuple[InvariantResult, ...]:
    """Check every invariant over a history; `bounds` are the most steps, tokens and cost of one workflow.

    The order of events of one workflow is that of the history. Events of a workflow that was never handed in break
    ENDS_ONCE. An invariant that nothing in the history can be held against is `asked=False` and None.
    """
    work = workflows(history)
    handed_in = [event for one in work if (event := one.handed_in)]
    limits = {name: limit for name, limit in (bounds or {}).items() if limit is not None}
    markers = [event.marker for event in handed_in if event.marker]
    results = [
        _checked(ENDS_ONCE, work, _ends_once, "no work was handed in"),
        _checked(NONE_LOST, work, _not_lost, "nothing was accepted"),
        _checked(NO_EFFECT_TWICE, work, _not_twice, "nothing ended that tells its effects"),
        _checked(SUCCESS_IS_DONE, work, _done, "no success tells its effects"),
        _checked(REFUSED_IS_UNDONE, work, _undone, "no refusal tells its effects", asked=False),
        _checked(
            NO_CROSS_TALK,
            work,
            lambda one: _own(one, markers),
            "no answer was told" if markers else "no answer is meant to carry a marker of its own",
            asked=bool(markers),
        ),
        _checked(
            CORRELATION_KEPT,
            work,
            _correlated,
            "no correlation id was handed in with work that ended",
            asked=any(event.correlation for event in handed_in),
        ),
        _checked(
            NOTHING_MADE_UP,
            work,
            _honest,
            "nothing succeeded whose answer is known beforehand",
            asked=any(event.expected for event in handed_in),
        ),
    ]
    for account, name in BOUNDED.items():
        limit = limits.get(account)
        missing = f"workload.bounds.{account} is not declared" if limit is None else "nothing ended"
        results.append(_checked(name, work, _within(account, limit), missing, asked=limit is not None))
    return tuple(results)


def result_of(results: Iterable[InvariantResult], name: str) -> InvariantResult | None:
    """The result of one invariant, by its name."""
    return next((result for result in results if result.name == name), None)


def _checked(name: str, work: Sequence[Workflow], look: _Look, nothing: str, *, asked: bool = True) -> InvariantResult:
    found = {one.id: verdict for one in work if (verdict := look(one)) is not None}
    broken = {id: text for id, (holds, text) in found.items() if holds is False}
    unknown = {id: text for id, (holds, text) in found.items() if holds is None}
    if broken:
        return InvariantResult(name, False, f"{len(broken)} of {len(found)}: {_told(broken)}", tuple(broken), True)
    if unknown:
        text = f"cannot be told of {len(unknown)} of {len(found)}: {_told(unknown)}"
        return InvariantResult(name, None, text, tuple(unknown), asked)
    if not found:
        return InvariantResult(name, None, nothing, (), asked)
    return InvariantResult(name, True, f"{len(found)} of {len(found)}", (), True)


def _told(offenders: Mapping[str, str]) -> str:
    listed = [f"{id} {text}" for id, text in list(offenders.items())[:SHOWN]]
    return "; ".join(listed) + (f"; and {len(offenders) - SHOWN} more" if len(offenders) > SHOWN else "")


def _ends_once(one: Workflow) -> _Found | None:
    ends = one.of(Kind.ENDED)
    if one.handed_in is None:
        return False, "was never handed in"
    if len(ends) > 1:
        return False, f"ended {len(ends)} times"
    if ends and one.refused:
        return False, "was refused, and ended all the same"
    for end in ends:
        later = one.events[one.events.index(end) + 1 :]
        if any(event.kind is Kind.OPEN for event in later):
            return False, "had ended, and was open again"
        if any(event.kind is Kind.READ and event.success is not end.success for event in later):
            return False, "had ended one way, and another when it was read again"
    return True, ""


def _not_lost(one: Workflow) -> _Found | None:
    if not one.accepted:
        return None
    if one.told:
        return True, ""
    begun = one.handed_in or one.events[0]
    looked = [event.at for event in one.of(Kind.OPEN)]
    if begun.within_s is None:
        return None, "has not ended, and how long it may take is not declared"
    watched_s = (max(looked) - begun.at).total_seconds() if looked else 0.0
    if looked and max(looked) >= begun.at + timedelta(seconds=begun.within_s):
        return False, f"was accepted and had not ended after {watched_s:.1f} s"
    return None, f"had not ended after {watched_s:.1f} s, and may take {begun.within_s:g} s"


def _not_twice(one: Workflow) -> _Found | None:
    effects, meant = one.most("effects"), one.handed_in.effects_meant if one.handed_in else 1
    if effects is not None:
        return effects <= meant, f"had its effect {effects:g} times" + (f", meant {meant}" if meant != 1 else "")
    if not one.accepted:
        return None
    return None, "does not tell its effects (workload.accounts.effects)"


def _done(one: Workflow) -> _Found | None:
    if not one.succeeded:
        return None
    effects, meant = one.most("effects"), one.handed_in.effects_meant if one.handed_in else 1
    if effects is None:
        return None, "does not tell its effects (workload.accounts.effects)"
    return effects >= meant, f"was reported as done, and had its effect {effects:g} times, meant {meant}"


def _undone(one: Workflow) -> _Found | None:
    effects = one.most("effects") if one.refused else None
    return None if effects is None else (effects == 0, f"was refused, and had its effect {effects:g} times")


def _within(account: str, limit: float | None) -> _Look:
    def look(one: Workflow) -> _Found | None:
        spent = one.most(account)
        if limit is None or (spent is None and not one.told):
            return None
        if spent is None:
            return None, f"does not tell its {account} (workload.accounts.{account})"
        return spent <= limit, f"took {account} {spent:g}, at most {limit:g}"

    return look


def _own(one: Workflow, markers: Sequence[str]) -> _Found | None:
    begun = one.handed_in
    successes = [event for event in one.told if event.success]
    if begun is None or begun.marker is None or not successes:
        return None
    for event in successes:
        if event.answer is None:
            return None, "does not tell its answer (workload.accounts.answer)"
        named = names_in(event.answer, markers)
        if strange := sorted(named - {begun.marker}):
            return False, f"was answered with what is {strange[0]}'s"
        if begun.marker not in named:
            return False, "was answered without its own marker"
    return True, ""


def _correlated(one: Workflow) -> _Found | None:
    begun = one.handed_in
    if begun is None or begun.correlation is None or not one.told:
        return None
    came_out = [event.correlation for event in one.told if event.correlation is not None]
    if not came_out:
        return None, "does not tell its correlation id (workload.accounts.correlation)"
    strange = next((id for id in came_out if id != begun.correlation), None)
    return strange is None, f"went in as {begun.correlation} and came out as {strange}"


def _honest(one: Workflow) -> _Found | None:
    begun = one.handed_in
    successes = [event for event in one.told if event.success]
    if begun is None or not begun.expected or not successes:
        return None
    for event in successes:
        if event.answer is None:
            return None, "does not tell its answer (workload.accounts.answer)"
        lacks = next((text for text in begun.expected if text not in event.answer), None)
        if lacks is not None:
            return False, f"was reported as done with an answer that lacks {lacks!r}"
    return True, ""
