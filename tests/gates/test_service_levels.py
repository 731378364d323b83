"""The gate about the dashboard: what it leaves out, counts otherwise, or prints that is no number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from readiness.gates.service_levels import the_dashboard_tells_what_callers_saw
from readiness.model import Outcome
from readiness.procedures import Ran
from tests.gates.house import failed
from tests.gates.loaded import Loaded, Scene, Wall, judge, told_of

if TYPE_CHECKING:
    from readiness.workload import Transaction

Counts = Callable[["list[Transaction]", datetime, datetime], Mapping[str, object]]


def honest(log: list[Transaction], since: datetime, _until: datetime) -> dict[str, object]:
    return told_of([one for one in log if one.ended_at is not None and one.ended_at >= since])


def without_deploys(log: list[Transaction], _since: datetime, _until: datetime) -> dict[str, object]:
    """The sixteen probes at rest alone: what ended during the deploy is left out."""
    return told_of(log[:16])


def tasks(log: list[Transaction], since: datetime, until: datetime) -> dict[str, object]:
    """Four tasks a workflow, of which one failed where the workflow did; and nothing where nobody works."""
    told = honest(log, since, until)
    if not told["total"]:
        return told
    good = 4 * len(log) - sum(one.outcome == "failure" for one in log)
    return {**told, "availability": good / (4 * len(log)), "good": good, "total": 4 * len(log)}


def off_by(points: float, **more: object) -> Counts:
    """The told availability differs by so many percentage points."""

    def told(log: list[Transaction], since: datetime, until: datetime) -> dict[str, object]:
        counted = honest(log, since, until)
        availability = counted["availability"]
        assert isinstance(availability, float)
        return {**counted, "availability": availability - points / 100, **more}

    return told


def with_others(log: list[Transaction], since: datetime, until: datetime) -> dict[str, object]:
    told = honest(log, since, until)
    return {**told, "availability": 0.99, "total": 50 + len(log)}


@pytest.mark.parametrize(
    ("counts", "outcome", "told"),
    [
        (honest, Outcome.PASS, ""),
        (off_by(0.04), Outcome.PASS, ""),
        (off_by(0.06), Outcome.FAIL, "difference pp was 0.06"),
        (off_by(0, budget_left=0), Outcome.PASS, ""),
        (off_by(0, budget_left=None), Outcome.PASS, ""),
        (off_by(0, budget_left=-0.1), Outcome.FAIL, "budget left was -0.1"),
        (off_by(0, budget_left="much"), Outcome.UNKNOWN, "tells no number as budget_left"),
        (without_deploys, Outcome.FAIL, "difference pp was"),
        (tasks, Outcome.FAIL, "difference pp was"),
        (with_others, Outcome.UNKNOWN, "run when nobody else sends work"),
    ],
)
def test_the_told_service_level(counts: Counts, outcome: Outcome, told: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(the_dashboard_tells_what_callers_saw, tmp_path, clock, Scene(counts_as=counts))
    assert done.outcome is outcome and told in done.told, done.told


def test_a_dashboard_that_counts_late_passes(tmp_path: Path, clock: Wall) -> None:
    asked: list[int] = []

    def late(log: list[Transaction], since: datetime, until: datetime) -> dict[str, object]:
        asked.append(1)
        return told_of(log[:16]) if len(asked) < 5 else honest(log, since, until)

    done = judge(the_dashboard_tells_what_callers_saw, tmp_path, clock, Scene(counts_as=late))
    assert done.outcome is Outcome.PASS and len(asked) == 5


def printed(text: str) -> Callable[[Loaded, dict[str, str]], Ran]:
    return lambda *_: Ran("sla", ("sla",), 0, text, "", 0.1, within_s=60)


@pytest.mark.parametrize(
    ("sla", "told"),
    [
        (printed(""), "procedures.sla printed no JSON (it begins with '')"),
        (printed("availability: 99.8"), "procedures.sla printed no JSON"),
        (printed("[]"), "procedures.sla prints no JSON object"),
        (printed("{}"), "procedures.sla tells no number as availability: 'None'"),
        (printed('{"availability": "99.8 %"}'), "tells no number as availability: '99.8 %'"),
        (printed('{"availability": true}'), "tells no number as availability: 'True'"),
        (printed('{"availability": NaN}'), "tells no number as availability: 'nan'"),
        (printed('{"availability": 99.8}'), "tells an availability of 99.8"),
        (printed('{"availability": 0.998, "total": "many"}'), "tells no number as total: 'many'"),
        (printed("[" * 100_000), "procedures.sla printed no JSON"),
        (lambda *_: failed("sla", "no such table"), "procedures.sla ended with 1 after 0.5 s: no such table"),
    ],
)
def test_what_is_no_service_level_is_told_in_one_line(sla: Any, told: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(the_dashboard_tells_what_callers_saw, tmp_path, clock, Scene(procedure={"sla": sla}))
    assert done.outcome is Outcome.UNKNOWN and told in done.told and "procedures.sla" in done.told.split(" | ")[1]


def refused(one: Transaction) -> Transaction:
    return replace(one, accepted=False, outcome="error", error="HTTP 429")


def all_well(one: Transaction) -> Transaction:
    return replace(one, outcome="success")


@pytest.mark.parametrize(("sent", "told"), [(refused, "HTTP 429"), (all_well, "workload.failing")])
def test_without_a_truth_nothing_is_judged(sent: Any, told: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(the_dashboard_tells_what_callers_saw, tmp_path, clock, Scene(sent=sent))
    assert done.outcome is Outcome.UNKNOWN and told in done.told


def test_a_deploy_that_fails_is_unknown(tmp_path: Path, clock: Wall) -> None:
    scene = Scene(procedure={"deploy": lambda *_: failed("deploy", "no artifact")})
    done = judge(the_dashboard_tells_what_callers_saw, tmp_path, clock, scene)
    assert done.outcome is Outcome.UNKNOWN and "no artifact" in done.told


def test_a_command_that_prints_more_than_asked_is_read(tmp_path: Path, clock: Wall) -> None:
    scene = Scene(counts_as=off_by(0, note="ok"))
    assert judge(the_dashboard_tells_what_callers_saw, tmp_path, clock, scene).outcome is Outcome.PASS
