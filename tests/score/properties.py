"""What must hold of any scorer, as functions of a scorer: the suite that the real one passes and no mutant may."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from hypothesis import assume
from hypothesis import strategies as st

from readiness.model import GateInfo, Mode, Outcome, Risk
from readiness.score import Decision, GateScore, Scorecard, State
from tests.score.suites import (
    NOW,
    PILLARS,
    RUBRICS,
    SUITES,
    TTL_S,
    UNDO,
    Scorer,
    Suite,
    finding,
    findings_of,
    gate,
    gates,
    near_ready_suite,
    passed,
)

Property = Callable[[Scorer, st.DataObject], None]
SLACK = 1e-9


def the_interval_is_an_interval(score: Scorer, data: st.DataObject) -> None:
    card = data.draw(SUITES).score(score)
    assert 0 <= card.proven <= card.possible <= 1
    for one in _gates(card):
        assert 0 <= one.lo <= one.hi <= 1


def order_does_not_matter(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    shuffled = random.Random(data.draw(st.integers(0, 99)))
    other = replace(
        suite,
        gates=tuple(shuffled.sample(suite.gates, len(suite.gates))),
        findings=tuple(shuffled.sample(suite.findings, len(suite.findings))),
    )
    assert suite.score(score) == other.score(score)


def fixing_a_gate_raises_the_score_and_never_lowers_the_decision(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    chosen = data.draw(st.sampled_from(suite.gates))
    before = suite.score(score)
    assume(_state(before, chosen) in (State.FAIL, State.UNKNOWN, State.STALE, State.LEFT_OUT))
    assume(not chosen.statistical or _state(before, chosen) is not State.LEFT_OUT)
    weakened = next((f.weakened for f in suite.findings if f.gate == chosen.id), ())
    after = suite.with_finding(replace(passed(chosen, suite.scored_at), weakened=weakened)).score(score)
    assert after.proven > before.proven
    assert after.decision.rank >= before.decision.rank


def failing_a_gate_never_raises_score_or_decision(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    chosen = data.draw(st.sampled_from(suite.gates))
    before = suite.score(score)
    assume(_state(before, chosen) in (State.PASS, State.UNKNOWN, State.STALE))
    weakened = next((f.weakened for f in suite.findings if f.gate == chosen.id), ())
    after = suite.with_finding(finding(chosen, Outcome.FAIL, weakened=weakened)).score(score)
    assert after.proven <= before.proven
    assert after.possible <= before.possible
    assert after.decision.rank <= before.decision.rank


def a_fail_earns_nothing(score: Scorer, data: st.DataObject) -> None:
    chosen = data.draw(gates())
    suite = Suite(chosen, tuple(finding(one, Outcome.FAIL, age_s=data.draw(st.floats(0, 9 * TTL_S))) for one in chosen))
    card = suite.score(score)
    assert (card.proven, card.possible, card.decision) == (0, 0, Decision.NOT_READY)


def losing_evidence_never_raises_proven(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    chosen = data.draw(st.sampled_from(suite.gates))
    before = suite.score(score)
    assume(_state(before, chosen) in (State.PASS, State.FAIL, State.STALE, State.UNKNOWN))
    assert suite.without(chosen.id).score(score).proven <= before.proven
    assert suite.with_finding(finding(chosen, Outcome.UNKNOWN)).score(score).proven <= before.proven


def hiding_a_blocking_failure_never_reaches_ready(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(near_ready_suite())
    chosen = data.draw(st.sampled_from([one for one in suite.gates if one.blocking]))
    assert suite.with_finding(finding(chosen, Outcome.FAIL)).score(score).decision is Decision.NOT_READY
    assert suite.without(chosen.id).score(score).decision is not Decision.READY
    assert suite.with_finding(finding(chosen, Outcome.UNKNOWN)).score(score).decision is not Decision.READY


def hiding_a_scored_failure_earns_no_more_than_failing(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(near_ready_suite())
    chosen = data.draw(st.sampled_from(suite.gates))
    hidden = suite.without(chosen.id).score(score)
    if hidden.decision is Decision.READY:
        assert hidden.proven >= suite.rubric.threshold
        assert all(pillar.lo >= suite.rubric.pillar_floor for pillar in hidden.pillars if _applies(pillar.name, hidden))


def time_alone_never_helps(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    before, after = suite.score(score), suite.later(data.draw(st.floats(0, 2 * TTL_S))).score(score)
    assert after.proven <= before.proven
    if before.decision in (Decision.NOT_READY, Decision.UNPROVEN):
        assert after.decision.rank <= before.decision.rank


def evidence_ages_steadily(score: Scorer, data: st.DataObject) -> None:
    one = gate("OPS-BAK-001")
    age_s = data.draw(st.floats(0, 1.2 * TTL_S))
    expected = min(1.0, max(0.0, 2 * (1 - age_s / TTL_S)))
    card = Suite((one,), (finding(one, age_s=age_s),)).score(score)
    assert abs(card.proven - expected) < 1e-6
    assert card.possible == 1


def resolving_an_unknown_lands_inside_the_interval(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    chosen = data.draw(st.sampled_from(suite.gates))
    before = suite.with_finding(finding(chosen, Outcome.UNKNOWN)).score(score)
    resolved = data.draw(findings_of(chosen))
    assume(resolved is not None and resolved.outcome is not Outcome.NOT_APPLICABLE)
    assert resolved is not None
    after = suite.with_finding(resolved).score(score)
    assert before.proven - SLACK <= after.proven <= after.possible <= before.possible + SLACK


def all_unknown_is_nothing_and_unproven(score: Scorer, data: st.DataObject) -> None:
    chosen = data.draw(gates())
    card = Suite(chosen, tuple(finding(one, Outcome.UNKNOWN) for one in chosen), data.draw(RUBRICS)).score(score)
    assert (card.proven, card.possible, card.decision) == (0, 1, Decision.UNPROVEN)


def nothing_that_applies_is_unproven(score: Scorer, data: st.DataObject) -> None:
    chosen = data.draw(gates())
    card = Suite(chosen, tuple(finding(one, Outcome.NOT_APPLICABLE) for one in chosen)).score(score)
    assert (card.proven, card.possible, card.decision) == (0, 1, Decision.UNPROVEN)


def all_good_is_ready(score: Scorer, data: st.DataObject) -> None:
    chosen = tuple(replace(one, statistical=False) for one in data.draw(gates(max_pillars=6)))
    measured = tuple(
        replace(one, mode=data.draw(st.sampled_from([Mode.OBSERVE, Mode.PROBE, Mode.DRILL]))) for one in chosen
    )
    card = Suite(measured, tuple(finding(one) for one in measured), data.draw(RUBRICS)).score(score)
    assert (card.proven, card.possible, card.decision) == (1, 1, Decision.READY)


def a_dead_pillar_caps_the_score(score: Scorer, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 6))
    suite = _one_each(PILLARS[:count])
    dead = suite.gates[data.draw(st.integers(0, count - 1))]
    card = suite.with_finding(finding(dead, Outcome.FAIL)).score(score)
    assert card.possible <= 0.5 * (count - 1) / count + SLACK


def a_weak_pillar_is_never_ready(score: Scorer, data: st.DataObject) -> None:
    """Five scored gates of equal risk in one of six pillars; too many of them fail for the floor."""
    suite = _one_each(PILLARS)
    weak = tuple(gate(f"SEC-ACC-{n:03}", blocking=False, risk=Risk.LOW) for n in range(5))
    failing = data.draw(st.integers(0, 5))
    found = tuple(finding(one, Outcome.FAIL if n < failing else Outcome.PASS) for n, one in enumerate(weak))
    others = tuple(one for one in suite.gates if one.pillar != "SEC")
    whole = Suite((*others, *weak), (*(finding(one) for one in others), *found), replace(suite.rubric, threshold=0.5))
    assert (whole.score(score).decision is Decision.READY) == (failing <= 2)


def a_blocking_non_pass_is_never_ready(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(near_ready_suite())
    card = suite.score(score)
    if any(one.blocking and one.state not in (State.PASS, State.NOT_APPLICABLE) for one in _gates(card)):
        assert card.decision is not Decision.READY
    asked = [one for one in suite.gates if one.blocking and one.id not in {f.gate for f in suite.findings}]
    if asked:
        assert card.decision is not Decision.READY


def stale_blocking_evidence_blocks(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(near_ready_suite())
    chosen = data.draw(st.sampled_from([one for one in suite.gates if one.blocking]))
    old = finding(chosen, age_s=TTL_S * data.draw(st.floats(1, 5)), successes=60, trials=60)
    card = suite.with_finding(old).score(score)
    assert card.decision.rank <= Decision.UNPROVEN.rank
    assert _state(card, chosen) is State.STALE


def an_undo_that_failed_blocks(score: Scorer, data: st.DataObject) -> None:
    card = replace(data.draw(near_ready_suite()), breaches=(UNDO,)).score(score)
    assert card.decision is Decision.NOT_READY
    assert UNDO.what in card.blockers[0].reason


def a_stopped_run_is_never_ready(score: Scorer, data: st.DataObject) -> None:
    card = replace(data.draw(near_ready_suite()), complete=False).score(score)
    assert card.decision.rank <= Decision.UNPROVEN.rank


def a_weakened_limit_is_never_ready(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(near_ready_suite())
    chosen = data.draw(st.sampled_from(suite.gates))
    weakened = replace(passed(chosen, NOW), weakened=("recovery_s",))
    before, after = suite.with_finding(passed(chosen, NOW)).score(score), suite.with_finding(weakened).score(score)
    assert after.decision is not Decision.READY
    assert (after.proven, after.possible) == (before.proven, before.possible)


def a_statement_and_a_sample_earn_less_than_a_measurement(score: Scorer, data: st.DataObject) -> None:
    stated = gate("OPS-RUN-001", mode=Mode.ATTEST)
    assert Suite((stated,), (finding(stated),)).score(score).proven <= 0.8
    sampled = gate("OPS-RUN-002", statistical=True)
    trials = data.draw(st.integers(0, 60))
    card = Suite((sampled,), (finding(sampled, successes=trials, trials=trials),)).score(score)
    assert abs(card.proven - (0.05 ** (1 / trials) if trials else 0)) < 1e-6


def padding_with_passes_hides_no_failure(score: Scorer, data: st.DataObject) -> None:
    suite = _one_each(PILLARS).with_finding(finding(gate("OPS-BAK-001"), Outcome.FAIL))
    padding = tuple(gate(f"ARC-PAD-{n:03}", blocking=False) for n in range(data.draw(st.integers(1, 30))))
    padded = replace(
        suite, gates=(*suite.gates, *padding), findings=(*suite.findings, *(finding(one) for one in padding))
    )
    assert padded.score(score).possible <= suite.score(score).possible
    assert padded.score(score).decision is Decision.NOT_READY


def what_is_not_adopted_earns_and_blocks_nothing(score: Scorer, data: st.DataObject) -> None:
    suite = data.draw(SUITES)
    chosen = data.draw(st.sampled_from(suite.gates))
    later = replace(suite, rubric=replace(suite.rubric, not_yet=frozenset({chosen.id})))
    before, after = suite.score(score), later.score(score)
    assert _state(after, chosen) is State.NOT_YET
    assert after.proven <= before.proven + SLACK
    assert after.possible <= before.possible + SLACK
    assert chosen.id not in {blocker.gate for blocker in after.blockers}
    assert after == later.without(chosen.id).score(score)
    assert after == later.with_finding(finding(chosen, Outcome.FAIL)).score(score)


PROPERTIES: tuple[Property, ...] = (
    what_is_not_adopted_earns_and_blocks_nothing,
    all_unknown_is_nothing_and_unproven,
    nothing_that_applies_is_unproven,
    a_fail_earns_nothing,
    all_good_is_ready,
    a_dead_pillar_caps_the_score,
    padding_with_passes_hides_no_failure,
    a_weak_pillar_is_never_ready,
    evidence_ages_steadily,
    a_statement_and_a_sample_earn_less_than_a_measurement,
    hiding_a_blocking_failure_never_reaches_ready,
    hiding_a_scored_failure_earns_no_more_than_failing,
    stale_blocking_evidence_blocks,
    an_undo_that_failed_blocks,
    a_stopped_run_is_never_ready,
    a_weakened_limit_is_never_ready,
    a_blocking_non_pass_is_never_ready,
    order_does_not_matter,
    the_interval_is_an_interval,
    fixing_a_gate_raises_the_score_and_never_lowers_the_decision,
    failing_a_gate_never_raises_score_or_decision,
    losing_evidence_never_raises_proven,
    time_alone_never_helps,
    resolving_an_unknown_lands_inside_the_interval,
)


def _one_each(pillars: tuple[str, ...]) -> Suite:
    made = tuple(gate(f"{pillar}-BAK-001") for pillar in pillars)
    return Suite(made, tuple(finding(one) for one in made))


def _gates(card: Scorecard) -> list[GateScore]:
    return [one for pillar in card.pillars for capability in pillar.capabilities for one in capability.gates]


def _state(card: Scorecard, chosen: GateInfo) -> State | None:
    return next((one.state for one in _gates(card) if one.gate == chosen.id), None)


def _applies(pillar: str, card: Scorecard) -> bool:
    part = next(part for part in card.pillars if part.name == pillar)
    return any(one.state is not State.NOT_APPLICABLE for capability in part.capabilities for one in capability.gates)
