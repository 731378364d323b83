"""Runs to be told: one that is ready, one that went wrong in every way, and both with an attacker's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from readiness.model import Breach, Limit, Measurement, Outcome
from tests.report.catalogue import ROWS, at_most
from tests.report.loads import LOADS, hostile_load
from tests.report.trials import TRIALS, hostile_trial

BEGAN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
HOSTILE = '<script>alert("1")</script> & "quoted" | `x` \x1b[31m\x00 \ud800'


@dataclass(frozen=True)
class Told:
    """What a gate's finding says beyond a plain pass."""

    outcome: Outcome = Outcome.PASS
    reason: str = "every measurement keeps its limit"
    remedy: str = ""
    measurements: tuple[Measurement, ...] = ()
    count: tuple[int, int] | None = None
    weakened: tuple[str, ...] = ()
    carried_from: str = ""
    since: str = ""


@dataclass(frozen=True)
class Story:
    """A run to be told as events; what is not said here passes."""

    told: Mapping[str, Told] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    breaches: tuple[Breach, ...] = ()
    complete: bool = True
    interrupted: str = ""
    scenario: str = "ci"
    threshold: float = 0.75
    evidence: bool = True
    limits: tuple[Mapping[str, Any], ...] = ()
    not_yet: tuple[Mapping[str, Any], ...] = ()
    loads: tuple[Mapping[str, Any], ...] = ()
    trials: tuple[Mapping[str, Any], ...] = ()


TROUBLE: dict[str, Told] = {
    "OPS-DEP-003": Told(
        Outcome.FAIL,
        "traffic on previous was 90 %, limit exactly 100 %: gateway-2 still sends one request in ten to 2.3.1",
        "let the rollback reset the weights of every gateway before it stops the candidate; see the deployment runbook",
        (
            Measurement("rollback_s", 21.8, "s", at_most(300), True),
            Measurement(
                "traffic_on_previous", 90.0, "%", Limit("equals", 100, "%"), False, None, "2.3.1 served 18 of 180"
            ),
            Measurement("instances_on_previous", 100.0, "%", Limit("equals", 100, "%"), True),
            Measurement("transactions_lost", 0.0, "", Limit("equals", 0), True),
        ),
        (162, 180),
    ),
    "OPS-BAK-003": Told(
        Outcome.FAIL,
        "incremental age was 5 h 12 min, limit at most 1 h 6 min",
        "run the incremental backup every hour, and alert when one is missing",
        (
            Measurement(
                "incremental_age_s",
                18720.0,
                "s",
                Limit("at_most", 3960, "s", "set by the policy"),
                False,
                3600.0,
                "set 2026-11-24T0418",
            ),
            Measurement("full_age_s", 40200.0, "s", at_most(86400), True),
        ),
        since="2026-11-22T09:31:00+00:00",
    ),
    "SEC-ACC-005": Told(
        Outcome.FAIL,
        "2 of 11 operations left no audit record: scale, revoke",
        "write the audit record in the same transaction as the operation",
        (Measurement("operations_audited", 9.0, "", Limit("equals", 11), False),),
    ),
    "SEC-SCR-001": Told(
        Outcome.UNKNOWN,
        "the driver cannot list environments of knowledge: permission denied",
        "run as the user of the service, or give services.knowledge.process: {supervisor: …}",
    ),
    "OPS-REC-002": Told(
        Outcome.UNKNOWN, "no procedure gives the content of a restored environment", "procedures.inventory"
    ),
    "ARC-VER-005": Told(Outcome.NOT_APPLICABLE, "one release runs, and the pattern serverless has no neighbours"),
    "OPS-REC-004": Told(reason="fresh evidence of an earlier run", carried_from="2026-11-19T081200Z-gameday"),
}
"""A run that went wrong in every way that a report must show."""

NOT_READY = Story(
    TROUBLE,
    left_out=("OBS-LOG-006",),
    breaches=(
        Breach(
            "weights of the gateway set to 50/50",
            "after 120 s the weights are still 90/10",
            BEGAN + timedelta(seconds=150),
            "nexusctl weights 2.2.4=100",
        ),
    ),
    limits=(
        {
            "gate": "OPS-BAK-003",
            "limit": "incremental_age_s",
            "value": 3960,
            "deployment": "nexus",
            "reason": "the hourly job may run ten per cent late",
            "owner": "platform-lead",
            "expires": "2027-03-31T00:00:00Z",
        },
    ),
    not_yet=(
        {
            "gate": "OBS-TRC-001",
            "owner": "team-edge",
            "until": "2027-01-15T00:00:00Z",
            "reason": "tracing comes with 2.4",
        },
    ),
    loads=LOADS,
    trials=TRIALS,
)
READY = Story()


def hostile(story: Story) -> Story:
    """The story with text of an attacker at every place where a deployment's own words are told."""
    told = {
        row[0]: replace(
            story.told.get(row[0], Told()),
            reason=HOSTILE,
            remedy=HOSTILE,
            measurements=(Measurement(HOSTILE, HOSTILE, HOSTILE, Limit("equals", 1, HOSTILE), False, 2.0, HOSTILE),),
        )
        for row in ROWS
    }
    undo = Breach(HOSTILE, HOSTILE, BEGAN, HOSTILE)
    rows = ({"gate": HOSTILE, "limit": HOSTILE, "value": HOSTILE, "reason": HOSTILE, "owner": HOSTILE},)
    loads = tuple(hostile_load(load, HOSTILE) for load in story.loads)
    trials = tuple(hostile_trial(trial, HOSTILE) for trial in story.trials)
    return replace(story, told=told, breaches=(undo,), limits=rows, not_yet=rows, loads=loads, trials=trials)
