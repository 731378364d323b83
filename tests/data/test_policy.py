"""The judged do not set the limits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.descriptor import Objectives
from readiness.errors import UsageError
from readiness.loading import load_descriptor
from readiness.model import Limit
from readiness.policy import EMBEDDED_POLICY, Limits, Policy, check_objectives, load_policy, weaker
from tests.data.samples import GATE

NOW = datetime(2026, 11, 24, tzinfo=UTC)
HEAD = "readiness_policy: 1\n"
CHANGE = 'reason: slow disks, owner: kim, expires: "2027-01-01T00:00:00Z"'


def policy(value: float, limit: str = "rollback_s", **more: object) -> Policy:
    change = {"gate": GATE.id, "limit": limit, "value": value, "reason": "slow disks", "owner": "kim"}
    return Policy.model_validate(
        {"readiness_policy": 1, "limits": [{**change, "expires": "2027-01-01T00:00:00Z", **more}]}
    )


def objectives(**limits: float) -> Objectives:
    return Objectives(limits={GATE.id: limits})


def in_force(rules: Policy, promises: Objectives, name: str = "rollback_s") -> tuple[float, float | None, bool]:
    limit, default, weakened = Limits(rules, promises, [GATE], NOW, "parcels").limit(GATE, name)
    return limit.value, default, weakened


def test_without_policy_and_promise_the_default_holds() -> None:
    assert in_force(EMBEDDED_POLICY, Objectives()) == (300.0, None, False)


def test_a_stricter_promise_is_held() -> None:
    assert in_force(EMBEDDED_POLICY, objectives(rollback_s=60)) == (60.0, 300.0, False)


def test_a_weaker_promise_is_held_and_said() -> None:
    assert in_force(EMBEDDED_POLICY, objectives(rollback_s=900)) == (900.0, 300.0, True)


def test_the_policy_may_weaken_and_its_leave_covers_the_promise() -> None:
    assert in_force(policy(600), Objectives()) == (600.0, 300.0, False)
    assert in_force(policy(600), objectives(rollback_s=500)) == (500.0, 300.0, False)
    assert in_force(policy(600), objectives(rollback_s=601)) == (601.0, 300.0, True)


def test_a_policy_that_tightens_is_no_promise_to_weaken_from() -> None:
    assert in_force(policy(100), Objectives()) == (100.0, 300.0, False)
    assert in_force(policy(100), objectives(rollback_s=200)) == (200.0, 300.0, True)


def test_a_policy_for_another_deployment_or_a_past_one_changes_nothing() -> None:
    assert in_force(policy(600, deployment="letters"), Objectives()) == (300.0, None, False)
    assert in_force(policy(600, deployment="parcels"), Objectives()) == (600.0, 300.0, False)
    assert in_force(policy(600, expires="2026-11-23T23:59:59Z"), Objectives()) == (300.0, None, False)


def test_bounds_of_the_other_kinds() -> None:
    assert in_force(EMBEDDED_POLICY, objectives(share=0.999), "share") == (0.999, 0.99, False)
    assert in_force(EMBEDDED_POLICY, objectives(share=0.9), "share") == (0.9, 0.99, True)
    assert in_force(EMBEDDED_POLICY, objectives(releases=2), "releases") == (2, 1.0, True)


def test_the_plain_objectives_are_promises_too() -> None:
    gate = replace(GATE, limits={"rto_s": Limit("at_most", 7200)})
    promised = Objectives.model_validate({"rto": "4h"})
    limit, default, weakened = Limits(EMBEDDED_POLICY, promised, [gate], NOW).limit(gate, "rto_s")
    assert (limit.value, default, weakened) == (14400.0, 7200, True)


@given(
    promised=st.none() | st.floats(1, 1000),
    allowed=st.none() | st.floats(1, 1000),
    bound=st.sampled_from(["at_most", "at_least"]),
)
def test_what_is_weaker_than_default_and_policy_is_always_said(
    promised: float | None, allowed: float | None, bound: str
) -> None:
    name = "rollback_s" if bound == "at_most" else "share"
    rules = EMBEDDED_POLICY if allowed is None else policy(allowed, name)
    promises = Objectives() if promised is None else objectives(**{name: promised})
    limits = Limits(rules, promises, [GATE], NOW)
    held, default, weakened = limits.limit(GATE, name)
    leave = GATE.limits[name] if allowed is None else Limit(bound, allowed)
    assert weakened == weaker(held, leave)
    assert (default is None) == (held.value == GATE.limits[name].value)
    assert [change[1] for change in limits.all()] == ([] if default is None else [name])


def refused(path: Path, content: str, **more: object) -> list[str]:
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        load_policy(path, gates=[GATE], now=NOW, **more)  # type: ignore[arg-type]
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("limit: []", "2: unknown key 'limit'; did you mean 'limits'?"),
        ("waivers: [{gate: A}]", "2: waivers: this version knows no waivers; delete them"),
        (
            f"limits: [{{gate: OPS-DEP-03, limit: rollback_s, value: 1, {CHANGE}}}]",
            "unknown gate 'OPS-DEP-03'; did you",
        ),
        (f"limits: [{{gate: OPS-DEP-003, limit: rolback_s, value: 1, {CHANGE}}}]", "has no limit 'rolback_s'; did you"),
        (f"limits: [{{gate: OPS-DEP-003, limit: rollback_s, value: fast, {CHANGE}}}]", "'fast' is not allowed"),
        ("limits: [{gate: OPS-DEP-003, limit: share, value: 1, reason: r, owner: o}]", "limits.0.expires is missing"),
        (
            "limits: [{gate: OPS-DEP-003, limit: share, value: 1, reason: r, owner: o, expires: 2027-01-01T00:00:00}]",
            "an instant with its zone",
        ),
        (
            "limits: [{gate: OPS-DEP-003, limit: share, value: 1, reason: r, owner: o, expires: 2026-01-01T00:00:00Z}]",
            "expired at 2026-01-01",
        ),
        ("not_yet: [{gate: OPS-DEP-003, owner: '', until: 2027-01-01T00:00:00Z, reason: r}]", "text that is not empty"),
        ("not_yet: [{gate: OPS-DEP-003, owner: o, until: 2026-01-01T00:00:00Z, reason: r}]", "over since 2026-01-01"),
        ("not_yet: [{gate: X, owner: o, until: 2027-01-01T00:00:00Z, reason: r}]", "unknown gate 'X'"),
    ],
)
def test_a_mistake_is_told_at_its_line(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "policy.yaml"
    problems = refused(path, f"{HEAD}{line}\n")
    assert any(problem.startswith(f"{path}:2: ") and told in problem for problem in problems), problems


def test_one_limit_is_changed_once(tmp_path: Path) -> None:
    change = f"{{gate: OPS-DEP-003, limit: share, value: 1, {CHANGE}}}"
    assert "changed twice" in refused(tmp_path / "policy.yaml", f"{HEAD}limits: [{change}, {change}]\n")[0]


def test_a_policy_in_the_descriptors_folder_does_not_count(tmp_path: Path) -> None:
    folder = tmp_path / "deployment"
    folder.mkdir()
    descriptor_path = folder / "readiness.yaml"
    descriptor_path.write_text("readiness: 1\nname: x\nenvironment: staging\nservices: {a: {}}\n")
    descriptor = load_descriptor(descriptor_path)
    elsewhere = tmp_path / "policy.yaml"
    assert "lies in the descriptor's folder" in refused(folder / "policy.yaml", HEAD, descriptor=descriptor)[0]
    elsewhere.symlink_to(folder / "policy.yaml")
    with pytest.raises(UsageError, match="lies in the descriptor's folder"):
        load_policy(elsewhere, descriptor=descriptor)
    elsewhere.unlink()
    elsewhere.write_text(HEAD)
    assert load_policy(elsewhere, descriptor=descriptor) == EMBEDDED_POLICY


def test_promises_about_gates_that_do_not_exist_are_told(tmp_path: Path) -> None:
    path = tmp_path / "readiness.yaml"
    path.write_text(
        "readiness: 1\nname: x\nenvironment: staging\nservices: {a: {}}\nobjectives:\n  limits:\n"
        "    OPS-DEP-03: {rollback_s: 5}\n    OPS-DEP-003:\n      rolback_s: 5\n"
    )
    with pytest.raises(UsageError) as caught:
        check_objectives(load_descriptor(path), [GATE])
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}:7: unknown gate 'OPS-DEP-03'; did you mean 'OPS-DEP-003'?")
    assert second.startswith(f"{path}:9: OPS-DEP-003 has no limit 'rolback_s'; did you mean 'rollback_s'?")
