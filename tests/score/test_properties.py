"""The scorer has every property of the design, and no mutant of it has them all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from readiness.score import Decision, score
from tests.score.mutants import MUTANTS
from tests.score.properties import PROPERTIES, Property
from tests.score.suites import Scorer, Suite, near_ready_suite

QUIET = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ROUNDS = (6, 80)
"""Examples a property: a few of each kill nearly every mutant; those that live get many."""


@pytest.mark.parametrize("holds", PROPERTIES, ids=lambda holds: holds.__name__)
@settings(deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(data=st.data())
def test_the_scorer_has_the_property(holds: Property, data: st.DataObject) -> None:
    holds(score, data)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_every_mutant_is_killed(mutant: Scorer) -> None:
    rounds = ((examples, holds) for examples in ROUNDS for holds in PROPERTIES)
    assert any(_kills(holds, mutant, examples) for examples, holds in rounds), "no property tells it from the scorer"


def test_the_near_ready_suites_reach_every_decision() -> None:
    seen: set[Decision] = set()

    @settings(QUIET, max_examples=200)
    @given(suite=near_ready_suite())
    def collect(suite: Suite) -> None:
        seen.add(suite.score(score).decision)

    collect()
    assert seen == set(Decision)


def _kills(holds: Property, mutant: Scorer, examples: int) -> bool:
    @settings(QUIET, max_examples=examples)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        holds(mutant, data)

    try:
        check()
    except BaseExceptionGroup as several:
        return several.subgroup(AssertionError) is not None
    except AssertionError:
        return True
    return False
