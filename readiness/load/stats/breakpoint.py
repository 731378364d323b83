"""The highest rate that a system holds, as a bracket: doubling until it breaks, then bisection, then repetition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from readiness.errors import Undecidable

RESOLUTION = 0.05
MOST_STEPS = 40
REPEATS = 3
_TRIES = 2


@dataclass(frozen=True, slots=True)
class Step:
    """One measurement."""

    rate: float
    held: bool


@dataclass(frozen=True, slots=True)
class Bracket:
    """The system holds `lo` and does not hold `hi`, each by a majority of `repeated` measurements."""

    lo: float
    """Arrivals a second; 0 where even the lowest rate was too much."""
    hi: float | None
    """None where no rate was found that is not held."""
    steps: tuple[Step, ...]
    repeated: int
    complete: bool
    """Whether it is as narrow as asked for and repeated; else the steps were used up before."""


@dataclass(slots=True)
class _Search:
    holds: Callable[[float], bool | None]
    repeats: int
    most_steps: int
    steps: list[Step] = field(default_factory=list)

    def once(self, rate: float) -> bool:
        """Measure one more time; a measurement that says nothing is tried once more, then the search cannot go on."""
        for _ in range(_TRIES):
            held = self.holds(rate)
            if held is not None:
                self.steps.append(Step(rate, held))
                return held
        raise Undecidable(
            f"at {rate:g}/s the generator was the limit, {_TRIES} times: nothing is known from there on",
            "give it more workers, or a machine of its own",
        )

    def majority(self, rate: float) -> bool:
        """Measure a rate until `repeats` measurements of it, old ones too, or a majority of so many, are there."""
        needed = self.repeats // 2 + 1
        while max(votes := self.votes(rate)) < needed and not self.spent:
            self.once(rate)
        return votes[0] > votes[1]

    def votes(self, rate: float) -> tuple[int, int]:
        """Count how often a rate was held, and how often not."""
        held = sum(step.held for step in self.steps if step.rate == rate)
        return held, sum(step.rate == rate for step in self.steps) - held

    def settled(self, lo: float, hi: float | None) -> bool:
        """Whether a majority stands behind both ends."""
        needed = self.repeats // 2 + 1
        return (not lo or self.votes(lo)[0] >= needed) and (hi is None or self.votes(hi)[1] >= needed)

    @property
    def spent(self) -> bool:
        return len(self.steps) >= self.most_steps


def search(
    holds: Callable[[float], bool | None],
    rate_from: float,
    rate_to: float,
    *,
    resolution: float = RESOLUTION,
    repeats: int = REPEATS,
    most_steps: int = MOST_STEPS,
) -> Bracket:
    """Find a bracket between two rates (arrivals a second) whose ends are at most `resolution` (a share) apart.

    `holds(rate)` measures once and says whether the system kept up, or None where the measurement is invalid (it is
    repeated once; then Undecidable). The rate is doubled from `rate_from` until it is not held, the gap is halved on
    the logarithmic scale, and both ends are measured until a majority of `repeats` agrees. Where repetition contradicts
    an end, the search goes on beyond it, by majorities, and the bracket is up to twice the resolution wide. At most
    `most_steps` measurements, each of them in `steps`.
    """
    if not 0 < rate_from < rate_to:
        raise ValueError(f"rates from {rate_from:g} to {rate_to:g}; the first must be above 0 and below the second")
    search = _Search(holds, repeats, most_steps)
    lo, hi = _doubled(search, rate_from, rate_to)
    while hi is not None and lo and hi / lo > 1 + resolution and not search.spent:
        middle = (lo * hi) ** 0.5
        lo, hi = (middle, hi) if search.once(middle) else (lo, middle)
    return _repeated(search, lo, hi, (rate_from, rate_to), 1 + 2 * resolution)


def _doubled(search: _Search, rate_from: float, rate_to: float) -> tuple[float, float | None]:
    lo, rate = 0.0, rate_from
    while search.once(rate):
        lo = rate
        if rate >= rate_to or search.spent:
            return lo, None
        rate = min(2 * rate, rate_to)
    return lo, rate


def _repeated(search: _Search, lo: float, hi: float | None, within: tuple[float, float], wide: float) -> Bracket:
    """Repeat both ends; one that is contradicted becomes the other end, and its own is looked for further and further.

    From the first contradiction on, every rate is decided by a majority.
    """
    outwards = wide
    while not search.spent:
        if lo and not search.majority(lo):
            lo, hi = lo / outwards if lo / outwards >= within[0] else 0.0, lo
            outwards **= 2
        elif hi is not None and search.majority(hi):
            lo, hi = hi, min(hi * outwards, within[1]) if hi < within[1] else None
            outwards **= 2
        elif lo and hi is not None and hi / lo > wide and not search.spent:
            middle = (lo * hi) ** 0.5
            lo, hi = (middle, hi) if search.majority(middle) else (lo, middle)
        else:
            break
    return Bracket(lo, hi, tuple(search.steps), search.repeats, search.settled(lo, hi))
