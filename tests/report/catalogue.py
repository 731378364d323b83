"""Twenty gates as the catalogue describes them, with what a good run measures."""

from __future__ import annotations

from readiness.model import GateInfo, Limit, Measurement, Mode, Risk
from readiness.pillars import capability_of, pillar_of

Row = tuple[str, str, Risk, bool, Mode, float]
C, H, M = Risk.CRITICAL, Risk.HIGH, Risk.MEDIUM
OBSERVE, PROBE, DRILL = Mode.OBSERVE, Mode.PROBE, Mode.DRILL

ROWS: tuple[Row, ...] = (
    ("OPS-DEP-001", "the release has a passed test report", C, True, OBSERVE, 0.4),
    ("OBS-LOG-001", "log records carry milliseconds", H, False, OBSERVE, 1.2),
    ("OBS-LOG-002", "log records are json", H, False, OBSERVE, 0.9),
    ("SEC-SCR-001", "no secret stands in the open", C, True, OBSERVE, 2.6),
    ("ARC-VER-005", "neighbouring versions understand each other", H, False, OBSERVE, 1.1),
    ("OPS-BAK-003", "state backups are recent", C, True, OBSERVE, 0.8),
    ("OPS-BAK-006", "every backup verifies and has a copy elsewhere", C, True, OBSERVE, 2.2),
    ("OBS-MET-002", "counters agree with what was done", C, True, PROBE, 6.4),
    ("OBS-LOG-003", "the correlation id survives every hop", C, True, PROBE, 4.8),
    ("OBS-LOG-006", "error records explain themselves", C, True, PROBE, 3.1),
    ("SEC-ACC-001", "no level does more than it may", C, True, PROBE, 5.0),
    ("SEC-ACC-005", "every operation of consequence is audited", H, False, PROBE, 2.7),
    ("OPS-BAK-004", "user data is in the backup", C, True, PROBE, 3.9),
    ("ARC-ORC-003", "a killed replica comes back", C, True, DRILL, 21.5),
    ("ARC-VAL-008", "a release that lies about being ready is turned back", C, True, DRILL, 16.0),
    ("OPS-DEP-003", "rollback moves all traffic", C, True, DRILL, 34.0),
    ("OPS-DEP-004", "rollback reads what the new release wrote", C, True, DRILL, 28.3),
    ("OPS-REC-002", "a restore brings everything back", C, True, DRILL, 24.6),
    ("OPS-REC-003", "a restore is quick enough", H, False, DRILL, 12.2),
    ("OPS-REC-004", "a restore loses no accepted work", C, True, DRILL, 9.7),
)
"""Gate, claim, risk, blocking, mode and seconds, in the order in which they run."""


def at_most(value: float, unit: str = "s") -> Limit:
    """A limit of the catalogue."""
    return Limit("at_most", value, unit, "default of the catalogue")


MEASURED: dict[str, tuple[Measurement, ...]] = {
    "ARC-ORC-003": (
        Measurement("slowest_recovery_s", 4.31, "s", at_most(60), True, None, "knowledge-1"),
        Measurement("replicas_ready", 8.0, "", Limit("equals", 8), True),
    ),
    "OPS-DEP-003": (
        Measurement("rollback_s", 21.8, "s", at_most(300), True),
        Measurement("traffic_on_previous", 100.0, "%", Limit("equals", 100, "%"), True),
        Measurement("instances_on_previous", 100.0, "%", Limit("equals", 100, "%"), True),
        Measurement("transactions_lost", 0.0, "", Limit("equals", 0), True),
    ),
    "OPS-BAK-003": (
        Measurement("incremental_age_s", 1260.0, "s", Limit("at_most", 3960, "s", "default of the catalogue"), True),
        Measurement("full_age_s", 40200.0, "s", Limit("at_most", 43200, "s", "objectives"), True, 86400.0),
    ),
    "OPS-REC-003": (Measurement("restore_s", 9.1, "s", at_most(7200), True),),
    "OBS-MET-002": (
        Measurement("tasks_done", 40.0, "", Limit("equals", 40), True),
        Measurement("error_rate_off_by", 0.2, "%", at_most(1, "%"), True),
    ),
    "OBS-LOG-001": (
        Measurement("records_with_milliseconds", 100.0, "%", Limit("at_least", 100, "%"), True, None, "1,842 records"),
        Measurement("clock_skew_s", 0.012, "s", at_most(1), True),
    ),
    "SEC-ACC-001": (
        Measurement("operations_tried", 55.0, ""),
        Measurement("allowed_beyond_level", 0.0, "", at_most(0, ""), True),
    ),
}


def gate_info(row: Row) -> GateInfo:
    """A gate as the catalogue describes it."""
    id, claim, risk, blocking, mode, _ = row
    limits = {m.name: m.limit for m in MEASURED.get(id, ()) if m.limit is not None}
    return GateInfo(
        id=id,
        claim=claim,
        summary=f"{claim.capitalize()}, whatever the hour.",
        pillar=pillar_of(id),
        capability=capability_of(id),
        risk=risk,
        blocking=blocking,
        mode=mode,
        version=1,
        why="What was never tried does not work on the night when it is needed.",
        measures="Marked work is sent at a steady rate, and every answer, instance and record is counted.",
        red="One measured value breaks its limit.",
        mend="Read the measurements from the top; the first broken one names the component.",
        limits=limits,
        ttl_s=30 * 86400.0 if mode is DRILL else 86400.0,
        module=id.split("-")[1].lower(),
    )
