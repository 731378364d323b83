"""A bracket around the highest rate that a system holds, of known capacity and through noise."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.errors import Undecidable
from readiness.load.stats.breakpoint import MOST_STEPS, search


@given(st.floats(2, 900), st.floats(1, 2), st.sampled_from([1000.0, 1500.0]))
@settings(max_examples=100)
def test_the_bracket_holds_a_known_capacity_and_is_as_narrow_as_asked(capacity: float, low: float, high: float) -> None:
    found = search(lambda rate: rate <= capacity, low, high)
    assert found.hi is not None
    assert found.lo <= capacity < found.hi
    assert found.hi / found.lo <= 1.05
    assert found.complete
    assert len(found.steps) <= 25
    for end, held in ((found.lo, True), (found.hi, False)):
        assert sum(step.rate == end and step.held is held for step in found.steps) >= 2


def test_a_noisy_oracle_is_asked_again() -> None:
    """One answer of ten is wrong: repetition must bring the truth back into the bracket, or next to it."""
    inside = 0
    for seed in range(100):
        noise = random.Random(seed)

        def holds(rate: float, noise: random.Random = noise) -> bool:
            return (rate <= 250) != (noise.random() < 0.1)

        found = search(holds, 10, 2000, repeats=5)
        assert len(found.steps) <= MOST_STEPS
        inside += found.hi is not None and found.lo <= 250 * 1.02 and found.hi >= 250 / 1.02
    assert inside >= 85


def test_a_soft_edge_still_has_its_middle_in_the_bracket() -> None:
    """Near its capacity a system holds by chance; within 3 % on either side both answers come."""
    inside = 0
    for seed in range(60):
        noise = random.Random(seed)

        def holds(rate: float, noise: random.Random = noise) -> bool:
            return rate <= 250 * noise.uniform(0.97, 1.03)

        found = search(holds, 20, 2000)
        inside += found.hi is not None and found.lo <= 250 * 1.03 and found.hi >= 250 * 0.97
    assert inside == 60


def test_what_holds_everything_has_no_upper_end() -> None:
    found = search(lambda _: True, 10, 100)
    assert (found.lo, found.hi, found.complete) == (100, None, True)
    assert [step.rate for step in found.steps] == [10, 20, 40, 80, 100, 100]


def test_what_holds_nothing_has_no_lower_end() -> None:
    found = search(lambda _: False, 10, 100)
    assert (found.lo, found.hi, found.complete) == (0.0, 10, True)


def test_steps_are_bounded() -> None:
    found = search(lambda rate: rate <= 333, 1, 10_000, most_steps=12)
    assert len(found.steps) == 12
    assert not found.complete
    assert found.hi is not None
    assert found.lo <= 333 < found.hi


def test_an_invalid_measurement_is_repeated_once() -> None:
    answers = iter([None, True, None, None])
    with pytest.raises(Undecidable, match="at 20/s the generator was the limit"):
        search(lambda _: next(answers), 10, 100)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-1, 10), (10, 10), (20, 10), (float("nan"), 10)])
def test_rates_that_cannot_be_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="rates from"):
        search(lambda _: True, low, high)
