"""Only good facts make a PASS, only facts about the deployment make a FAIL, and everything else is UNKNOWN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.chaos.invariants import InvariantResult
from readiness.chaos.verdict import TrialFacts, TrialVerdict, verdict
from readiness.model import Outcome
from tests.chaos.trials import FAULT, facts, stretch

PASS, FAIL, UNKNOWN = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN
GOOD = facts()
Worse = Callable[[TrialFacts], TrialFacts]
LOST = InvariantResult("nothing is lost", False, "1 of 120: m-3 was accepted and had not ended after 30.0 s", ("m-3",))
OPEN = InvariantResult("nothing is lost", None, "cannot be told of 1 of 120: m-3 …", ("m-3",))


def with_traffic(made: TrialFacts, bad: range) -> TrialFacts:
    """The same facts over other traffic: the seconds named are bad."""
    other = facts(stretch(0, 60, bad=bad))
    return replace(made, transactions=other.transactions, recovery=other.recovery)


DOUBTS: dict[str, Worse] = {
    "no fault": lambda made: replace(made, faults=()),
    "no witness": lambda made: replace(made, faults=(*made.faults, replace(FAULT, witnessed=""))),
    "not met before": lambda made: replace(made, hypothesis_before=False),
    "not tried before": lambda made: replace(made, hypothesis_before=None),
    "vacuous": lambda made: replace(made, vacuous=True, vacuous_probes=("every part is ready",)),
    "vacuity not tried": lambda made: replace(made, vacuous=None),
    "an activity failed": lambda made: replace(made, activities_failed=("kill an agent: KeyError",)),
    "undo not verified": lambda made: replace(made, faults=(replace(FAULT, verified=False),)),
    "still in force": lambda made: replace(made, faults=(replace(FAULT, verified=None, undone_at=None),)),
}
BROKEN: dict[str, Worse] = {
    "invariant": lambda made: replace(made, invariants=(*made.invariants, LOST)),
    "not met after": lambda made: replace(made, hypothesis_after=False),
    "promise during": lambda made: with_traffic(made, range(22, 40)),
    "never recovers": lambda made: with_traffic(made, range(40, 60)),
    "slow to recover": lambda made: with_traffic(made, range(40, 52)),
}
UNTOLD: dict[str, Worse] = {
    "invariant open": lambda made: replace(made, invariants=(OPEN,)),
    "no invariant": lambda made: replace(made, invariants=()),
    "not tried after": lambda made: replace(made, hypothesis_after=None),
    "no traffic": lambda made: replace(made, transactions=()),
    "no windows": lambda made: replace(made, windows=()),
    "no control": lambda made: replace(made, transactions=tuple(stretch(20, 60))),
    "too little traffic": lambda made: replace(made, transactions=tuple(stretch(18, 45))),
    "recovery not looked at": lambda made: replace(made, recovery=None),
    "recovery not seen": lambda made: replace(made, recovery=facts(stretch(0, 43)).recovery),
}


def test_all_good_is_a_pass_with_its_numbers() -> None:
    found = verdict(GOOD)
    assert found.outcome is PASS
    text = "; ".join(found.reasons)
    assert found.reasons[0] == "freeze agent-1: witnessed, and undone"
    assert found.reasons[1] == "recovered between 0 ms and 200 ms, objective 10.0 s"
    assert "40 of 40 ended as meant under the fault, 40 of 40 before it" in text
    assert "1 invariants hold over 120 transactions" in text


@pytest.mark.parametrize("name", [*DOUBTS, *UNTOLD])
def test_what_is_not_known_is_unknown(name: str) -> None:
    found = verdict({**DOUBTS, **UNTOLD}[name](GOOD))
    assert found.outcome is UNKNOWN
    assert found.reasons


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_a_fail(name: str) -> None:
    found = verdict(BROKEN[name](GOOD))
    assert found.outcome is FAIL
    assert any(word in " ".join(found.reasons) for word in ("m-3", "hypothesis", "failed (95 %", "objective 10.0 s"))


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_fail_rests_on_a_sound_trial_and_what_was_seen_is_told(doubt: str, broken: str) -> None:
    found = verdict(DOUBTS[doubt](BROKEN[broken](GOOD)))
    assert found.outcome is UNKNOWN
    assert any(reason.startswith("seen all the same: ") for reason in found.reasons)


def test_a_deployment_that_does_not_come_back_when_the_fault_is_over_is_a_fail() -> None:
    over = replace(FAULT, verified=False, gone="process 7 runs", problem="agent.ready was 2, is 0")
    found = verdict(replace(GOOD, faults=(over,)))
    assert found.outcome is FAIL
    assert found.reasons[0] == (
        "freeze agent-1 is over (process 7 runs), and the deployment did not come back: agent.ready was 2, is 0"
    )
    assert verdict(replace(GOOD, faults=(replace(over, gone=""),))).outcome is UNKNOWN


def test_the_vacuous_probe_is_named() -> None:
    assert "every part is ready" in verdict(DOUBTS["vacuous"](GOOD)).reasons[0]


def test_a_promise_that_the_calm_breaks_too_is_not_laid_on_the_fault() -> None:
    found = verdict(with_traffic(GOOD, range(38)))
    assert (found.outcome, found.reasons[0][:23]) == (UNKNOWN, "it cannot be told: erro")
    assert verdict(BROKEN["invariant"](with_traffic(GOOD, range(38)))).outcome is FAIL


def test_a_crash_of_the_harness_before_any_fault_is_unknown() -> None:
    crashed = TrialFacts("agent-frozen", hypothesis_before=True, activities_failed=("inject: OSError",), vacuous=False)
    assert verdict(crashed).outcome is UNKNOWN
    assert verdict(TrialFacts("nothing at all")).outcome is UNKNOWN


ALL = {**DOUBTS, **BROKEN, **UNTOLD}
RANK = {FAIL: 0, UNKNOWN: 1, PASS: 2}


@given(st.lists(st.sampled_from(sorted(ALL)), min_size=1, max_size=6, unique=True))
def test_no_worsened_fact_leaves_a_pass(names: list[str]) -> None:
    made = GOOD
    for name in names:
        made = ALL[name](made)
    found: TrialVerdict = verdict(made)
    assert found.outcome is not PASS
    assert all("\n" not in reason for reason in found.reasons)
    if not any(name in DOUBTS for name in names) and "invariant" in names and "no invariant" not in names:
        assert found.outcome is FAIL or "invariant open" in names


@given(
    st.lists(st.sampled_from(sorted(BROKEN)), max_size=3, unique=True),
    st.sampled_from([None, True, False]),
    st.sampled_from([None, True, False]),
)
def test_a_better_fact_never_makes_it_worse(names: list[str], held: bool | None, after: bool | None) -> None:
    made = GOOD
    for name in names:
        made = BROKEN[name](made)
    order = [False, None, True]
    told = [replace(made, hypothesis_after=value) for value in order]
    ranks = [RANK[verdict(one).outcome] for one in told]
    assert ranks == sorted(ranks)
    results = [replace(made, invariants=(InvariantResult("x", value, "y"),), hypothesis_after=after) for value in order]
    ranks = [RANK[verdict(one).outcome] for one in results]
    assert ranks == sorted(ranks)
    lost = replace(made, hypothesis_before=None, hypothesis_after=held)
    assert verdict(lost).outcome is UNKNOWN
