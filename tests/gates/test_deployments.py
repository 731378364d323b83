from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from readiness.gates.deployments import (
    deployed_artifact_passed_its_tests,
    previous_release_reads_new_state,
    rollback_moves_all_traffic,
)
from readiness.model import Outcome
from readiness.procedures import Ran
from readiness.workload import Transaction
from tests.gates.house import NEXT, NOW, OLD, Clock, Faults, House, ended, failed, judge, suite

DAY = timedelta(days=1)
SKIPPED = "<testcase name='a'><skipped/></testcase>"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().rule(monkeypatch)


def report(folder: Path, *suites: str) -> None:
    (folder / f"{NEXT}.xml").write_text(f"<testsuites>{''.join(suites)}</testsuites>")


@pytest.mark.parametrize(
    ("unit", "outcome"),
    [
        (suite(), Outcome.PASS),
        (suite(age=7 * DAY * 0.8), Outcome.PASS),
        (suite(age=7 * DAY * 1.2), Outcome.FAIL),
        (suite(cases=SKIPPED), Outcome.FAIL),
        (suite(cases="<testcase name='a' status='notrun'/>"), Outcome.FAIL),
        (suite(cases=SKIPPED + "<testcase name='b'/>"), Outcome.PASS),
        (suite(cases="<testcase name='a'><failure/></testcase>"), Outcome.FAIL),
        (suite(cases="<testcase name='a'><error/></testcase>"), Outcome.FAIL),
        (suite(failures="2"), Outcome.FAIL),
        (suite(cases=" "), Outcome.FAIL),
        (suite(name="other"), Outcome.FAIL),
        (suite(release=NOW), Outcome.FAIL),
        (suite(release=""), Outcome.UNKNOWN),
        (suite(tests="20"), Outcome.UNKNOWN),
        (suite(timestamp=""), Outcome.UNKNOWN),
        (suite(age=-DAY), Outcome.UNKNOWN),
        (suite(release=NOW, cases=SKIPPED) + suite(), Outcome.PASS),
        (suite() + suite(name="optional", cases=SKIPPED), Outcome.FAIL),
    ],
)
def test_only_what_ran_and_passed_on_the_very_artefact_counts(unit: str, outcome: Outcome, tmp_path: Path) -> None:
    report(tmp_path, unit, suite("contract"))
    assert judge(deployed_artifact_passed_its_tests, tmp_path)[0] is outcome


def test_suites_inside_suites_and_the_digest_of_the_whole_report_count(tmp_path: Path) -> None:
    inner = suite("unit", release="") + suite("contract", release="")
    bound = suite(cases=" ").partition("<properties>")[2].partition("</testsuite>")[0]
    report(tmp_path, f"<properties>{bound}<testsuite name='all'>{inner}</testsuite>")
    outcome, why = judge(deployed_artifact_passed_its_tests, tmp_path)
    assert outcome is Outcome.PASS, why


def test_no_report_no_digest_and_no_procedure_are_no_evidence(tmp_path: Path) -> None:
    assert judge(deployed_artifact_passed_its_tests, tmp_path)[0] is Outcome.UNKNOWN
    report(tmp_path, suite(), suite("contract"))
    silent = Faults(procedure={"artifact": lambda _house, _given: ended("artifact", {"release": NEXT})})
    assert judge(deployed_artifact_passed_its_tests, tmp_path, silent)[0] is Outcome.UNKNOWN
    outcome, why = judge(deployed_artifact_passed_its_tests, tmp_path, procedures__artifact=None)
    assert outcome is Outcome.UNKNOWN and "procedures.artifact" in why


def leaves(share: int) -> Callable[[House, int], str]:
    """Every so many-th request goes to the candidate once it was rolled back."""
    return lambda house, n: NEXT if house.release == NOW and house.sent and n % share == 0 else house.release


def rolls_back(house: House, _given: dict[str, str]) -> Ran:
    house.sent += 1
    house.put(house.before.pop())
    return ended("rollback")


def stays(house: House, _given: dict[str, str]) -> Ran:
    house.put(house.before.pop())
    house.versions["worker-2"] = NEXT
    return ended("rollback")


def loses_one(house: House, _given: dict[str, str]) -> Ran:
    house.put(house.before.pop())
    house.fleet.pop()
    return ended("rollback")


def pending(_house: House, one: Transaction) -> Transaction:
    return replace(one, outcome="pending", error="not ended")


def twice(_house: House, one: Transaction) -> Transaction:
    return replace(one, outcome="failure", error="the field effects is 2, not 1")


def altered(_house: House, one: Transaction) -> Transaction:
    return replace(one, result={"answer": "something else", "effects": 1})


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(procedure={"rollback": rolls_back}, routed=leaves(10)), Outcome.FAIL),
        (Faults(procedure={"rollback": rolls_back}, routed=leaves(40)), Outcome.FAIL),
        (Faults(procedure={"rollback": stays}), Outcome.FAIL),
        (Faults(procedure={"rollback": loses_one}), Outcome.FAIL),
        (Faults(procedure={"rollback": lambda _h, _g: failed("rollback", "no previous release")}), Outcome.FAIL),
        (Faults(transaction=pending, reread=pending), Outcome.FAIL),
        (Faults(transaction=pending, reread=lambda _h, one: replace(one, outcome="success")), Outcome.PASS),
        (Faults(transaction=twice), Outcome.FAIL),
        (Faults(reread=altered), Outcome.FAIL),
        (Faults(procedure={"deploy": lambda _h, _g: failed("deploy")}), Outcome.UNKNOWN),
        (Faults(procedure={"deploy": lambda _h, _g: ended("deploy")}), Outcome.UNKNOWN),
        (Faults(transaction=lambda _h, one: replace(one, accepted=False, outcome="error")), Outcome.UNKNOWN),
        (Faults(routed=lambda _h, _n: OLD), Outcome.UNKNOWN),
    ],
)
def test_a_rollback_takes_everything_along(faults: Faults, outcome: Outcome, tmp_path: Path) -> None:
    found, why = judge(rollback_moves_all_traffic, tmp_path, faults)
    assert found is outcome, why


def test_a_rollback_that_the_gates_own_time_cut_off_proves_nothing(tmp_path: Path) -> None:
    cut = replace(failed("rollback"), exit_code=None, timed_out=True, within_s=20.0)
    assert (
        judge(rollback_moves_all_traffic, tmp_path, Faults(procedure={"rollback": lambda *_: cut}))[0]
        is Outcome.UNKNOWN
    )
    own = replace(cut, within_s=300.0)
    assert (
        judge(rollback_moves_all_traffic, tmp_path, Faults(procedure={"rollback": lambda *_: own}))[0] is Outcome.FAIL
    )


@pytest.mark.parametrize(("share", "outcome"), [(0.8, Outcome.PASS), (1.2, Outcome.FAIL)])
def test_a_rollback_is_held_to_its_time(share: float, outcome: Outcome, tmp_path: Path, clock: Clock) -> None:
    def rollback(house: House, _given: dict[str, str]) -> None:
        clock.now_s += house.limit("rollback_s").value * share

    found, why = judge(rollback_moves_all_traffic, tmp_path, Faults(procedure={"rollback": rollback}))
    assert found is outcome, why


def test_an_instance_that_was_strange_before_the_drill_is_not_the_rollbacks_doing(tmp_path: Path) -> None:
    def keeps_the_stranger(house: House, given: dict[str, str]) -> None:
        house.put(given.get("release") or house.before.pop())
        house.versions["worker-1"] = "0.9"

    def deploy(house: House, given: dict[str, str]) -> Ran | None:
        house.before.append(house.release)
        keeps_the_stranger(house, given)
        return ended("deploy")

    def rollback(house: House, given: dict[str, str]) -> Ran | None:
        keeps_the_stranger(house, given)
        return ended("rollback")

    def routed(house: House, _n: int) -> str:
        house.versions["worker-1"] = "0.9"
        return house.release

    faults = Faults(procedure={"deploy": deploy, "rollback": rollback}, routed=routed)
    found, why = judge(rollback_moves_all_traffic, tmp_path, faults)
    assert found is Outcome.PASS, why


def under_old(fault: Callable[[House, Transaction], Transaction]) -> Callable[[House, Transaction], Transaction]:
    return lambda house, one: fault(house, one) if house.release == OLD else one


def broken(_house: House, one: Transaction) -> Transaction:
    return replace(one, outcome="failure", error="KeyError: 'plan'")


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(procedure={"rollback": lambda _h, _g: failed("rollback", "no column plan")}), Outcome.FAIL),
        (Faults(reread=under_old(pending)), Outcome.FAIL),
        (Faults(reread=under_old(altered)), Outcome.FAIL),
        (Faults(transaction=under_old(broken)), Outcome.FAIL),
        (Faults(recall=lambda house, marker: house.release != OLD and marker in house.saved), Outcome.FAIL),
        (Faults(reread=lambda house, one: altered(house, one) if house.undone else one), Outcome.FAIL),
        (Faults(routed=lambda house, _n: "" if house.release == OLD else house.release), Outcome.FAIL),
        (Faults(procedure={"rollback": lambda house, _g: house.put(NEXT) or ended("rollback")}), Outcome.UNKNOWN),  # type: ignore[func-returns-value]
        (
            Faults(routed=lambda house, n: NOW if house.release == OLD and n % 10 == 0 else house.release),
            Outcome.UNKNOWN,
        ),
        (Faults(transaction=broken), Outcome.UNKNOWN),
    ],
)
def test_the_previous_release_reads_what_the_current_one_wrote(
    faults: Faults, outcome: Outcome, tmp_path: Path
) -> None:
    found, why = judge(previous_release_reads_new_state, tmp_path, faults)
    assert found is outcome, why


@pytest.mark.parametrize("hidden", ["procedures__rollback", "procedures__deploy", "releases__candidate"])
def test_a_rollback_that_cannot_be_drilled_names_what_is_missing(hidden: str, tmp_path: Path) -> None:
    outcome, why = judge(rollback_moves_all_traffic, tmp_path, **{hidden: None})
    assert outcome is Outcome.UNKNOWN and hidden.replace("__", ".") in why
