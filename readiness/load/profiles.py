"""The load profiles: named shapes of an arrival rate, each a question to the deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from readiness.errors import UsageError
from readiness.load.plan import CLOSED, CONSTANT, OPEN, POISSON, Plan, Stage
from readiness.thresholds import Criterion, parse

LONGEST_S = 7 * 86400.0
FASTEST_PER_S = 100_000.0
WARM_UP = "warm-up"
"""A first stage that is sent and not judged: connections, caches and pools fill."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A shape of load, with what it takes where the scenario does not say."""

    about: str
    shape: Callable[[float, float, float], tuple[Stage, ...]]
    """Rate, duration in seconds and factor → stages."""
    rate: float
    """Arrivals a second."""
    duration_s: float
    criteria: Mapping[str, str]
    """Thresholds as people write them."""
    factor: float = 1.0
    """How many times the rate the hard part of the profile asks for."""

    def stages(self, rate: float, duration_s: float, factor: float | None = None) -> tuple[Stage, ...]:
        """Give the stages for a rate (arrivals a second) and a duration in seconds."""
        return self.shape(rate, duration_s, self.factor if factor is None else factor)


def _flat(*parts: tuple[str, float]) -> Callable[[float, float, float], tuple[Stage, ...]]:
    """Stages of one rate, by their share of the duration."""
    return lambda rate, duration_s, factor: tuple(
        Stage(name, share * duration_s, factor * rate, factor * rate) for name, share in parts
    )


def _stress(rate: float, duration_s: float, factor: float) -> tuple[Stage, ...]:
    part_s, high = duration_s / 5, factor * rate
    return (
        Stage("before", part_s, rate, rate),
        Stage("ramp", part_s, rate, high),
        Stage("overload", part_s, high, high),
        Stage("after", 2 * part_s, rate, rate),
    )


def _spike(rate: float, duration_s: float, factor: float) -> tuple[Stage, ...]:
    return (
        Stage("before", 0.3 * duration_s, rate, rate),
        Stage("spike", 0.2 * duration_s, factor * rate, factor * rate),
        Stage("after", 0.5 * duration_s, rate, rate),
    )


PROFILES: Mapping[str, Profile] = {
    "steady": Profile(
        "Three equal runs at one rate: what the deployment serves every day, and how much that varies by itself.",
        _flat((WARM_UP, 0.1), ("run-1", 0.3), ("run-2", 0.3), ("run-3", 0.3)),
        rate=5.0,
        duration_s=60.0,
        criteria={"p95": "<= 2s", "errors": "<= 1%"},
    ),
    "stress": Profile(
        "More than it was built for, and back: an overload may be refused, and must leave nothing behind.",
        _stress,
        rate=5.0,
        duration_s=100.0,
        factor=4.0,
        criteria={"before.errors": "<= 1%", "after.errors": "<= 1%", "after.p95": "<= 4s"},
    ),
    "spike": Profile(
        "A burst out of nothing: ten times the rate for a fifth of the time, and whether the calm returns.",
        _spike,
        rate=5.0,
        duration_s=60.0,
        factor=10.0,
        criteria={"before.errors": "<= 1%", "errors": "<= 5%"},
    ),
    "endurance": Profile(
        "The same rate for a long time: what leaks, fills up or slows down shows.",
        _flat((WARM_UP, 0.1), ("endurance", 0.9)),
        rate=5.0,
        duration_s=600.0,
        criteria={"endurance.p95": "<= 2s", "endurance.errors": "<= 1%"},
    ),
    "volume": Profile(
        "A fixed rate against a deployment that holds a lot of data: what scans gets slow.",
        _flat(("measure", 1.0)),
        rate=5.0,
        duration_s=30.0,
        criteria={"p95": "<= 2s", "errors": "<= 1%"},
    ),
    "scalability": Profile(
        "One measurement of a series with more and more replicas: does capacity grow with them.",
        _flat(("measure", 1.0)),
        rate=20.0,
        duration_s=20.0,
        criteria={"rate": ">= 98%", "errors": "<= 1%"},
    ),
}


def plan_for(
    name: str,
    rate: float | None = None,
    duration_s: float | None = None,
    variant: str = "ok",
    thresholds: Mapping[str, str] | None = None,
    *,
    factor: float | None = None,
    arrivals: str = CONSTANT,
    seed: int = 1,
    users: int = 0,
    workers: int = 1,
    drain_s: float = 30.0,
) -> Plan:
    """Make the plan of a profile; what cannot be is a UsageError in one line.

    Without a rate, duration or thresholds the profile's own count. `users` above 0 makes the closed model of it.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise UsageError(f"load profile {name!r} is not known; known: {', '.join(PROFILES)}")
    rate = profile.rate if rate is None else rate
    duration_s = profile.duration_s if duration_s is None else duration_s
    factor = profile.factor if factor is None else factor
    _check(name, "rate", rate, FASTEST_PER_S, "arrivals a second")
    _check(name, "duration", duration_s, LONGEST_S, "seconds")
    _check(name, "factor", factor, 1000.0, "times the rate")
    if arrivals not in (CONSTANT, POISSON):
        raise UsageError(f"load profile {name}: arrivals {arrivals!r}; allowed: {CONSTANT}, {POISSON}")
    if users < 0 or workers < 1 or not 0 <= drain_s <= LONGEST_S:
        raise UsageError(f"load profile {name}: users, workers or drain below zero; give positive numbers")
    stages = profile.stages(rate, duration_s, factor)
    return Plan(
        profile=name,
        stages=stages,
        variant=variant,
        model=CLOSED if users else OPEN,
        arrivals=arrivals,
        seed=seed,
        users=users,
        drain_s=drain_s,
        workers=workers,
        criteria=_criteria(name, profile.criteria if thresholds is None else thresholds, stages),
    )


def _criteria(name: str, thresholds: Mapping[str, str], stages: tuple[Stage, ...]) -> tuple[Criterion, ...]:
    names = [stage.name for stage in stages]
    try:
        found = tuple(parse(metric, text) for metric, text in thresholds.items())
    except ValueError as error:
        raise UsageError(f"load profile {name}: {error}") from None
    for criterion in found:
        if criterion.stage and criterion.stage not in names:
            raise UsageError(
                f"load profile {name}: threshold {criterion.name!r} names no stage of it; known: {', '.join(names)}"
            )
    return found


def _check(name: str, what: str, value: float, most: float, unit: str) -> None:
    if not 0 < value <= most:  # a NaN fails too
        raise UsageError(f"load profile {name}: {what} {value:g}; allowed: more than 0 to {most:g} {unit}")
