"""Records that the tests of the stored run and state use."""

from __future__ import annotations

from datetime import UTC, datetime

from readiness.model import Evidence, Finding, GateInfo, Limit, Measurement, Mode, Outcome, Risk

AT = datetime(2026, 11, 24, 6, 30, 15, 250_000, tzinfo=UTC)
LIMIT = Limit("at_most", 300.0, "s", "default of the catalogue")
GATE = GateInfo(
    id="OPS-DEP-003",
    claim="rollback moves all traffic",
    summary="A rollback moves all traffic.",
    pillar="Operational Procedures",
    capability="Deployment procedure",
    risk=Risk.CRITICAL,
    blocking=True,
    mode=Mode.DRILL,
    version=2,
    needs=("procedures.rollback",),
    limits={"rollback_s": LIMIT, "share": Limit("at_least", 0.99), "releases": Limit("equals", 1.0)},
    ttl_s=3600.0,
)
FINDING = Finding(
    gate=GATE.id,
    outcome=Outcome.PASS,
    risk=GATE.risk,
    blocking=True,
    reason="all traffic moved within 4.2 s",
    observed_at=AT,
    duration_s=4.2,
    measurements=(
        Measurement("rollback_s", 4.2, "s", LIMIT, True, default=300.0),
        Measurement("release", "2.2.4"),
        Measurement("same", True),
        Measurement("unmeasured", None),
    ),
    evidence=(Evidence("requests", "evidence/OPS-DEP-003/requests.json", "ab" * 32, 120),),
    successes=3,
    trials=3,
    weakened=("rollback_s",),
)
