"""The decision rules as a table: what is found, what is decided, what is said."""

from __future__ import annotations

from dataclasses import replace

import pytest

from readiness.model import Mode, Outcome, Risk
from readiness.score import Decision, Rubric, State, score
from tests.score.suites import NOW, TTL_S, UNDO, Suite, finding, gate

BACKUP = gate("OPS-BAK-003", risk=Risk.CRITICAL)
ROLLBACK = gate("OPS-DEP-003", risk=Risk.CRITICAL)
LOGS = gate("OBS-LOG-001", blocking=False)
LEVELS = gate("OBS-LOG-005", blocking=False)
GATES = (BACKUP, ROLLBACK, LOGS, LEVELS)
GOOD = Suite(GATES, tuple(map(finding, GATES)))

FAIL, UNKNOWN, ABSENT = Outcome.FAIL, Outcome.UNKNOWN, Outcome.NOT_APPLICABLE
fails = GOOD.with_finding(finding(BACKUP, FAIL))
unknown = GOOD.with_finding(finding(BACKUP, UNKNOWN))
left_out = GOOD.without(BACKUP.id)
weakened = GOOD.with_finding(finding(BACKUP, weakened=("age_s",)))
stale = GOOD.with_finding(finding(BACKUP, age_s=TTL_S))
scored_fail = GOOD.with_finding(finding(LEVELS, FAIL))

TABLE: list[tuple[str, Suite, Decision, str]] = [
    ("all good", GOOD, Decision.READY, "100 % is proven, 75 % is asked"),
    ("a blocking gate fails", fails, Decision.NOT_READY, "OPS-BAK-003 fails: it is FAIL"),
    ("it is unknown", unknown, Decision.UNPROVEN, "OPS-BAK-003 is unknown: it is UNKNOWN"),
    ("it is stale", stale, Decision.UNPROVEN, "OPS-BAK-003 is stale"),
    ("it is left out", left_out, Decision.PARTIAL, "blocking gates were left out: OPS-BAK-003"),
    ("its limit is weakened", weakened, Decision.CONDITIONAL, "OPS-BAK-003 was judged by a weakened limit: age_s"),
    ("it does not apply", GOOD.with_finding(finding(BACKUP, ABSENT)), Decision.READY, "every blocking gate holds"),
    (
        "an old failure still stands",
        GOOD.with_finding(finding(BACKUP, FAIL, age_s=9 * TTL_S)),
        Decision.NOT_READY,
        "fails",
    ),
    (
        "an undo failed",
        replace(GOOD, breaches=(UNDO,)),
        Decision.NOT_READY,
        "a change was not undone: gateway was",
    ),
    ("the run was stopped", replace(GOOD, complete=False), Decision.UNPROVEN, "the run was stopped before its end"),
    ("fail before unknown", unknown.with_finding(finding(ROLLBACK, FAIL)), Decision.NOT_READY, "OPS-DEP-003 fails"),
    ("unknown before left out", left_out.with_finding(finding(ROLLBACK, UNKNOWN)), Decision.UNPROVEN, "OPS-DEP-003"),
    (
        "left out before weakened",
        left_out.with_finding(finding(ROLLBACK, weakened=("x",))),
        Decision.PARTIAL,
        "blocking gates were left out: OPS-BAK-003",
    ),
    (
        "a scored gate fails and the pillar falls below its floor",
        replace(scored_fail, rubric=Rubric(0.5, 0.6)),
        Decision.NOT_READY,
        "OBS: at most 50 % possible, each pillar needs 60 %",
    ),
    (
        "a scored gate fails and too little is possible",
        replace(scored_fail, rubric=Rubric(0.75, 0.0)),
        Decision.NOT_READY,
        "at most 62.5 % is possible, 75 % is asked",
    ),
    ("a scored gate fails, enough is left", replace(scored_fail, rubric=Rubric(0.6, 0.5)), Decision.READY, "62.5 %"),
    (
        "a scored gate is unknown and too little is proven",
        replace(GOOD.with_finding(finding(LEVELS, UNKNOWN)), rubric=Rubric(0.75, 0.0)),
        Decision.UNPROVEN,
        "62.5 % of what ran is proven, 75 % is asked",
    ),
    (
        "a scored gate is left out, enough is left",
        replace(GOOD.without(LEVELS.id), rubric=Rubric(0.6, 0.5)),
        Decision.READY,
        "",
    ),
    (
        "scored gates are left out and too little is proven of the whole",
        GOOD.without(LEVELS.id),
        Decision.PARTIAL,
        "62.5 % of the whole scenario is proven, 75 % is asked",
    ),
    (
        "a scored limit is weakened",
        GOOD.with_finding(finding(LOGS, weakened=("x",))),
        Decision.CONDITIONAL,
        "OBS-LOG-001",
    ),
    ("nothing ran", replace(GOOD, findings=()), Decision.UNPROVEN, "0 % of what ran is proven"),
]


@pytest.mark.parametrize(("suite", "decision", "reason"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_decision(suite: Suite, decision: Decision, reason: str) -> None:
    card = suite.score(score)
    assert card.decision is decision
    assert any(reason in line for line in card.reasons), card.reasons


def test_the_exit_codes_are_those_of_the_interface() -> None:
    assert {decision.value: decision.exit_code for decision in Decision} == {
        "READY": 0,
        "NOT_READY": 10,
        "UNPROVEN": 11,
        "CONDITIONAL": 12,
        "PARTIAL": 13,
    }


def test_the_scope_counts_what_has_a_verdict() -> None:
    card = replace(left_out, rubric=Rubric(scenario="ci")).score(score)
    assert str(card.scope) == "ci (1 of 2 blocking gates)"
    wider = replace(GOOD, rubric=Rubric(scenario="smoke", catalogue_blocking=57)).score(score)
    assert str(wider.scope) == "smoke (2 of 57 blocking gates)"
    assert (wider.scope.judged, wider.scope.gates) == (4, 4)


def test_the_worst_blocker_comes_first() -> None:
    high = gate("SEC-ACC-001")
    suite = replace(fails, gates=(*GATES, high), breaches=(UNDO,))
    suite = suite.with_finding(finding(high, FAIL)).with_finding(finding(ROLLBACK, UNKNOWN))
    card = suite.with_finding(finding(LOGS, FAIL)).score(score)
    assert [(one.gate, one.state) for one in card.blockers] == [
        ("", "UNDO_FAILED"),
        ("OPS-BAK-003", "FAIL"),
        ("SEC-ACC-001", "FAIL"),
        ("OPS-DEP-003", "UNKNOWN"),
        ("OBS-LOG-001", "FAIL"),
    ]
    assert card.blockers[0].remedy == UNDO.remedy


def test_ready_has_no_blockers_and_left_out_says_how_to_run_it() -> None:
    assert replace(scored_fail, rubric=Rubric(0.6, 0.5)).score(score).blockers == ()
    assert left_out.score(score).blockers[0].remedy == "run it: pytest --readiness -k OPS-BAK-003"
    assert weakened.score(score).blockers[0].reason == "judged by a weakened limit: age_s"


def test_every_state_is_counted() -> None:
    counts = left_out.with_finding(finding(LOGS, ABSENT)).score(score).counts
    assert counts == {"PASS": 2, "FAIL": 0, "UNKNOWN": 0, "STALE": 0, "NOT_APPLICABLE": 1, "LEFT_OUT": 1, "NOT_YET": 0}
    assert list(counts) == list(State)


def test_no_gate_two_findings_or_two_gates_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="selects no gate"):
        score((), (), Rubric(), scored_at=NOW)
    with pytest.raises(ValueError, match="OPS-BAK-003 has two findings"):
        score(GATES, (finding(BACKUP), finding(BACKUP)), Rubric(), scored_at=NOW)
    with pytest.raises(ValueError, match="listed twice"):
        score((BACKUP, BACKUP), (), Rubric(), scored_at=NOW)


def test_a_finding_of_no_gate_counts_for_nothing() -> None:
    other = gate("SEC-SCR-001", mode=Mode.DRILL)
    assert GOOD.with_finding(finding(other, FAIL, weakened=("x",))).score(score) == GOOD.score(score)
