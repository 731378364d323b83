# ruff: noqa: ARG005 - a decision is told by operation, level and whether the credential is made up
"""The gates about access: every way to be let in or left out wrongly is seen, and so is every gap in the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readiness.attempts import MadeUp
from readiness.gates.access import each_level_may_do_exactly_what_is_declared, privileged_actions_are_recorded_for_good
from readiness.model import Outcome
from tests.gates.stage import Small, judge

LEVELS = ("viewer", "clerk", "manager", "guard", "rescue")
DRY = {"method": "POST", "url": "{front}/do"}
OPERATIONS: dict[str, Any] = {
    "look": {"as": list(LEVELS), "dry_run": DRY},
    "order": {"as": ["clerk", "rescue"], "dry_run": DRY},
    "change": {"as": ["manager", "rescue"], "dry_run": DRY},
    "grant": {"as": ["guard"], "dry_run": DRY},
    "order-many": {"as": ["clerk", "rescue"], "dry_run": DRY},
    "erase": {"as": [], "dry_run": DRY, "audited": False},
}
DECLARED: dict[str, Any] = {
    "levels": {name: {"bearer": {"env": "X"}} for name in LEVELS},
    "operations": OPERATIONS,
    "audit_fields": {"actor": "who", "operation": "what", "outcome": "how", "correlation": "id"},
    "procedures": {"audit": {"run": ["audit"]}, "audit_verify": {"run": ["verify", "{file}"]}},
}
matrix, record = each_level_may_do_exactly_what_is_declared, privileged_actions_are_recorded_for_good
Decide = Callable[[str, str, MadeUp | None], Any]


def run(gate: Any, folder: Path, small: Small, **changes: Any) -> tuple[Outcome, str]:
    return judge(gate, folder, small, **{**DECLARED, **changes})


def when(where: Callable[[str, str, bool], bool], decision: str, code: int) -> Decide:
    return lambda operation, level, made_up: (decision, code) if where(operation, level, made_up is not None) else None


@pytest.mark.parametrize("gate", [matrix, record])
def test_the_healthy_system_passes(gate: Any, tmp_path: Path) -> None:
    assert run(gate, tmp_path, Small())[0] is Outcome.PASS


@pytest.mark.parametrize(
    ("decide", "named"),
    [
        (when(lambda o, lv, m: (o, lv, m) == ("order", "viewer", False), "allowed", 200), "viewer may order"),
        (when(lambda o, lv, m: (o, lv, m) == ("grant", "guard", False), "denied", 403), "guard may not grant"),
        (when(lambda o, lv, m: o == "look" and not lv, "allowed", 200), "no credential"),
        (when(lambda o, lv, m: o == "change" and m, "allowed", 200), "may change"),
        (when(lambda o, lv, m: o == "order-many" and lv == "viewer", "allowed", 200), "order-many"),
        (when(lambda o, lv, m: o == "erase" and lv == "guard", "allowed", 204), "guard may erase"),
        (when(lambda o, lv, m: lv == "rescue" and not m, "denied", 403), "rescue may not"),
    ],
)
def test_another_matrix_fails_and_names_the_cell(decide: Decide, named: str, tmp_path: Path) -> None:
    outcome, told = run(matrix, tmp_path, Small(attempts=decide))
    assert outcome is Outcome.FAIL and named in told


@pytest.mark.parametrize(
    "decide",
    [
        when(lambda o, lv, m: (o, lv) == ("order", "clerk"), "error", 500),
        when(lambda o, lv, m: lv == "rescue", "denied", 401),
        when(lambda o, lv, m: o == "grant", "error", 404),
    ],
)
def test_what_is_neither_allowed_nor_denied_is_unknown(decide: Decide, tmp_path: Path) -> None:
    assert run(matrix, tmp_path, Small(attempts=decide))[0] is Outcome.UNKNOWN


def test_an_operation_that_does_not_exist_is_denied_where_nobody_may_do_it(tmp_path: Path) -> None:
    decide = when(lambda o, lv, m: o == "erase", "error", 405)
    assert run(matrix, tmp_path, Small(attempts=decide))[0] is Outcome.PASS


def test_fewer_levels_than_five_are_unknown(tmp_path: Path) -> None:
    outcome, told = run(matrix, tmp_path, Small(), levels={name: {"bearer": {"env": "X"}} for name in LEVELS[:3]})
    assert outcome is Outcome.UNKNOWN and "levels." in told


@pytest.mark.parametrize(
    "written",
    [
        lambda r: None if r["what"] == "order-many" else r,
        lambda r: None if r["how"] == "denied" else r,
        lambda r: None if r["n"] == "0" or int(r["n"]) % 7 == 3 else r,
        lambda r: {**r, "who": "system"},
        lambda r: {**r, "who": "clerk"} if r["who"] == "rescue" else r,
        lambda r: {**r, "how": "allowed"},
        lambda r: {**r, "what": "call"},
        lambda r: {**r, "who": ""} if r["what"] == "grant" else r,
        lambda r: {**r, "id": ""} if r["what"] == "change" else r,
    ],
)
def test_gaps_in_the_record_fail(written: Any, tmp_path: Path) -> None:
    assert run(record, tmp_path, Small(audited=written))[0] is Outcome.FAIL


def test_names_of_their_own_pass(tmp_path: Path) -> None:
    names = {"allowed": "OK", "denied": "REFUSED"}

    def written(r: dict[str, str]) -> dict[str, str]:
        return {**r, "who": f"user-{r['who']}", "what": r["what"].removesuffix("-many"), "how": names[r["how"]]}

    assert run(record, tmp_path, Small(audited=written))[0] is Outcome.PASS


def test_a_verification_that_accepts_anything_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from readiness.procedures import Ran
    from tests.gates.stage import Stage

    original = Stage.run

    def accepting(self: Stage, procedure: str, **arguments: str) -> Ran:
        ran = original(self, procedure, **arguments)
        return ran if procedure == "audit" else Ran(procedure, (), 0, "", "", 0.1)

    monkeypatch.setattr(Stage, "run", accepting)
    outcome, told = run(record, tmp_path, Small())
    assert outcome is Outcome.FAIL and "tampered" in told


def test_a_way_to_tamper_that_is_open_fails(tmp_path: Path) -> None:
    decide = when(lambda o, lv, m: o == "erase" and lv == "manager", "allowed", 204)
    outcome, told = run(record, tmp_path, Small(attempts=decide))
    assert outcome is Outcome.FAIL and "manager may erase" in told


def test_nothing_that_shows_permanence_is_unknown(tmp_path: Path) -> None:
    operations = {name: spec for name, spec in OPERATIONS.items() if name != "erase"}
    procedures = {"audit": {"run": ["audit"]}}
    outcome, told = run(record, tmp_path, Small(), operations=operations, procedures=procedures)
    assert outcome is Outcome.UNKNOWN and "audit_verify" in told


def test_a_way_to_tamper_that_is_not_there_shows_nothing(tmp_path: Path) -> None:
    decide = when(lambda o, lv, m: o == "erase", "error", 405)
    changes = {"procedures": {"audit": {"run": ["audit"]}}}
    assert run(record, tmp_path, Small(attempts=decide), **changes)[0] is Outcome.UNKNOWN
    assert run(record, tmp_path, Small(), **changes)[0] is Outcome.PASS


@pytest.mark.parametrize("gone", ["levels", "operations"])
def test_hidden_evidence_is_unknown(gone: str, tmp_path: Path) -> None:
    assert run(matrix, tmp_path, Small(), **{gone: {}})[0] is Outcome.UNKNOWN
    assert run(record, tmp_path, Small(), **{gone: {}, "procedures": {}})[0] is Outcome.UNKNOWN
