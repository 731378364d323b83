"""Profiles: each asks for what it says, scales with rate and duration, and refuses what cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.errors import UsageError
from readiness.load.plan import CLOSED, OPEN
from readiness.load.profiles import PROFILES, plan_for

STAGES = {
    "steady": ["warm-up", "run-1", "run-2", "run-3"],
    "stress": ["before", "ramp", "overload", "after"],
    "spike": ["before", "spike", "after"],
    "endurance": ["warm-up", "endurance"],
    "volume": ["measure"],
    "scalability": ["measure"],
}


def test_the_six_profiles_have_their_stages() -> None:
    assert {name: [stage.name for stage in plan_for(name).stages] for name in PROFILES} == STAGES


@pytest.mark.parametrize("name", PROFILES)
@given(rate=st.floats(0.1, 1000), duration_s=st.floats(1, 86400))
def test_a_profile_lasts_as_long_and_asks_for_as_much_as_was_said(name: str, rate: float, duration_s: float) -> None:
    plan = plan_for(name, rate, duration_s)
    assert plan.duration_s == pytest.approx(duration_s)
    assert min(stage.rate_from for stage in plan.stages) == pytest.approx(rate)
    highest = max(stage.rate_to for stage in plan.stages)
    assert highest == pytest.approx(rate * PROFILES[name].factor)


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_has_thresholds_and_a_file(name: str, request: pytest.FixtureRequest) -> None:
    assert plan_for(name).criteria
    file = request.config.rootpath / "loadtests" / f"{name}.py"
    text = file.read_text(encoding="utf-8")
    assert f'default_profile("{name}")' in text
    assert text.startswith(f'"""{PROFILES[name].about}"""\n')


def test_a_spike_is_ten_times_the_rate_and_users_make_a_closed_model() -> None:
    assert plan_for("spike", 3.0).stages[1].rate_from == 30.0
    assert plan_for("spike", 3.0, factor=4.0).stages[1].rate_from == 12.0
    assert (plan_for("spike").model, plan_for("spike", users=5).model) == (OPEN, CLOSED)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"name": "sharp"}, "load profile 'sharp' is not known; known: steady, stress, spike"),
        ({"rate": 0.0}, "rate 0; allowed: more than 0"),
        ({"rate": float("nan")}, "rate nan; allowed: more than 0"),
        ({"duration_s": -1.0}, "duration -1; allowed: more than 0"),
        ({"thresholds": {"p95": "2"}}, "no unit; allowed: ms, s, m"),
        ({"thresholds": {"middle.p95": "<= 2s"}}, "names no stage of it; known: warm-up, run-1, run-2, run-3"),
        ({"arrivals": "random"}, "arrivals 'random'; allowed: constant, poisson"),
    ],
)
def test_what_cannot_be_is_one_line(given: dict[str, object], line: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan_for(**{"name": "steady", **given})  # type: ignore[arg-type]
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)
