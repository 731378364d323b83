"""What the judged must not decide: the policy of whoever signs off, and the limits that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, Field, field_validator

from readiness.descriptor import Objectives, Part
from readiness.loading import DescriptorFile, load_with_lines
from readiness.loading.documents import Place, Problem, refusal, shown
from readiness.loading.mistakes import nearest
from readiness.model import GateInfo, Limit


class LimitChange(Part):
    """A limit that differs from a gate's default, with who answers for it and until when."""

    gate: str
    limit: str
    value: float
    """In the limit's own unit."""
    deployment: str | None = None
    """The deployment it is for; without it, every one."""
    reason: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    expires: AwareDatetime


class NotYet(Part):
    """A gate that a team has not adopted: zero credit, shown on top, for a time."""

    gate: str
    owner: str = Field(min_length=1)
    until: AwareDatetime
    reason: str = Field(min_length=1)


class Policy(Part):
    """The policy of whoever signs off; it never lies in the folder of the descriptor."""

    readiness_policy: Literal[1]
    trusted_keys: dict[str, str] = Field(default_factory=dict)
    """Name → public key, for attestations."""
    limits: list[LimitChange] = Field(default_factory=list)
    not_yet: list[NotYet] = Field(default_factory=list)
    waivers: list[Any] = Field(default_factory=list)

    @field_validator("waivers")
    @classmethod
    def _none_yet(cls, waivers: list[Any]) -> list[Any]:
        if waivers:
            raise ValueError("this version knows no waivers; delete them")
        return waivers


EMBEDDED_POLICY = Policy(readiness_policy=1)
"""The policy of the embedded reference deployment, and of no other: every limit is the gate's default."""


class Limits:
    """The limits that gates are held to on one deployment: default, then policy, then the team's own promise.

    A promise that is weaker than what default and policy leave is held all the same, and said to be `weakened`.
    """

    def __init__(
        self, policy: Policy, objectives: Objectives, gates: Iterable[GateInfo], now: datetime, deployment: str = ""
    ) -> None:
        self._gates = {gate.id: gate for gate in gates}
        self._objectives = objectives
        live = [change for change in policy.limits if change.expires > now]
        # The change for this very deployment comes last and so wins over the one for all.
        ordered = sorted(live, key=lambda change: change.deployment is not None)
        self._policy = {
            (change.gate, change.limit): change for change in ordered if change.deployment in (None, deployment)
        }

    def limit(self, gate: GateInfo, name: str) -> tuple[Limit, float | None, bool]:
        """Return the limit in force, the default where it differs, and whether it is weakened without leave.

        A name that the gate does not declare is a KeyError: the gate itself is wrong.
        """
        default = gate.limits[name]
        allowed = default
        change = self._policy.get((gate.id, name))
        if change is not None:
            allowed = _moved(default, change.value, f"policy: {change.reason} ({change.owner})")
        promised = self._promised(gate.id, name)
        held = allowed if promised is None else _moved(allowed, promised, "objectives of the descriptor")
        changed = None if held.value == default.value else default.value
        return held, changed, weaker(held, allowed)

    def all(self) -> Iterator[tuple[GateInfo, str, Limit, float, bool]]:
        """Return every limit that differs from its default: gate, name, limit in force, default, weakened."""
        for gate in self._gates.values():
            for name in gate.limits:
                held, default, weakened = self.limit(gate, name)
                if default is not None:
                    yield gate, name, held, default, weakened

    def _promised(self, gate: str, name: str) -> float | None:
        whole = self._objectives
        own = whole.limits.get(gate, {}).get(name)
        if own is not None:
            return own
        promised = {"rto_s": self._objectives.rto, "rpo_s": self._objectives.rpo, "p95_s": self._objectives.p95}.get(
            name
        )
        if promised is not None:
            return promised.total_seconds()
        return whole.availability if name == "availability" else None


def weaker(limit: Limit, than: Limit) -> bool:
    """Whether a limit lets more pass than another of the same bound; of `equals`, every other value does."""
    if limit.bound == "at_most":
        return limit.value > than.value
    if limit.bound == "at_least":
        return limit.value < than.value
    return limit.value != than.value


def load_policy(
    path: Path,
    *,
    descriptor: DescriptorFile | None = None,
    gates: Sequence[GateInfo] = (),
    now: datetime | None = None,
) -> Policy:
    """Read a policy; with the descriptor and the gates given, also check that it may speak and that its gates exist.

    A policy in the descriptor's folder, an expired change, two changes of one limit: each is a UsageError.
    """
    policy, document = load_with_lines(path, Policy, format_key="readiness_policy")
    if descriptor is not None and path.resolve().is_relative_to(descriptor.folder):
        text = f"lies in the descriptor's folder {descriptor.folder}; keep it where its own owner does"
        raise refusal(path, [Problem(0, text)])
    found = [*_expired(policy, now or datetime.now(UTC)), *_twice(policy)]
    if gates:
        found += _unknown(policy, gates)
    if found:
        raise refusal(path, [Problem(document.line(place), text) for place, text in found])
    return policy


def check_objectives(file: DescriptorFile, gates: Sequence[GateInfo]) -> None:
    """Check that the gates and limits that a descriptor promises exist; UsageError has one line for each problem."""
    found: list[tuple[Place, str]] = []
    for gate, promises in file.descriptor.objectives.limits.items():
        place: Place = ("objectives", "limits", gate)
        for name in promises:
            found += _unknown_limit(gate, name, gates, place, (*place, name))
    if found:
        raise refusal(file.path, [Problem(file.line(*place), text) for place, text in found])


def _moved(limit: Limit, value: float, source: str) -> Limit:
    return limit if value == limit.value else Limit(limit.bound, value, limit.unit, source)


def _expired(policy: Policy, now: datetime) -> Iterator[tuple[Place, str]]:
    for index, change in enumerate(policy.limits):
        if change.expires <= now:
            text = f"expired at {change.expires.isoformat()}; renew it or delete the change of {change.gate}"
            yield ("limits", index, "expires"), text
    for index, entry in enumerate(policy.not_yet):
        if entry.until <= now:
            yield ("not_yet", index, "until"), f"over since {entry.until.isoformat()}; adopt {entry.gate} or renew it"


def _twice(policy: Policy) -> Iterator[tuple[Place, str]]:
    seen: set[tuple[str, ...]] = set()
    for index, change in enumerate(policy.limits):
        key = ("limits", change.gate, change.limit, change.deployment or "")
        if key in seen:
            yield ("limits", index), f"{change.gate}'s limit {change.limit} is changed twice; keep one"
        seen.add(key)
    for index, entry in enumerate(policy.not_yet):
        if ("not_yet", entry.gate) in seen:
            yield ("not_yet", index), f"{entry.gate} stands twice; keep one"
        seen.add(("not_yet", entry.gate))


def _unknown(policy: Policy, gates: Sequence[GateInfo]) -> Iterator[tuple[Place, str]]:
    for index, change in enumerate(policy.limits):
        place: Place = ("limits", index)
        yield from _unknown_limit(change.gate, change.limit, gates, (*place, "gate"), (*place, "limit"))
    for index, entry in enumerate(policy.not_yet):
        yield from _unknown_limit(entry.gate, None, gates, ("not_yet", index, "gate"), ())


def _unknown_limit(
    gate: str, limit: str | None, gates: Sequence[GateInfo], gate_place: Place, limit_place: Place
) -> Iterator[tuple[Place, str]]:
    known = {info.id: info for info in gates}
    if gate not in known:
        yield gate_place, f"unknown gate {shown(gate)}{nearest(gate, known, '`readiness catalogue` lists them')}"
    elif limit is not None and limit not in known[gate].limits:
        names = sorted(known[gate].limits)
        yield limit_place, f"{gate} has no limit {shown(limit)}{nearest(limit, names)}"
