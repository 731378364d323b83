"""How the trail of a request through the logs is followed: hops without a record, and records without an id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from readiness.deployment import Deployment
from readiness.errors import Undecidable
from readiness.evidence.log_requests import hops_reached, kind_of, orphans
from readiness.evidence.logs import LogRecord
from readiness.gates.log_probes import Probe, Window, everything_logged, hops_of, patiently, send

QUIET_S = 2.5
"""So long nothing is sent, to see what comes by itself, in seconds."""


def unreached(probes: Iterable[Probe], records: Sequence[LogRecord]) -> list[tuple[str, str]]:
    """Hops without a record of a request that passed them, with the variant; a path that was not taken has none."""
    missing = {
        (hop, probe.request.variant)
        for probe in probes
        if probe.transaction.as_meant
        for hop in set(probe.request.hops) - hops_reached(probe.request, records)
    }
    return sorted(missing)


def can_be_read(deployment: Deployment, hop: str) -> bool:
    """Whether the logs hold anything of a component: if not, its log is hidden rather than silent."""
    try:
        return any(record.component == hop for record in everything_logged(deployment))
    except Undecidable:
        return False


def repeated_orphans(
    deployment: Deployment, probes: Sequence[Probe], records: Sequence[LogRecord], variants: Sequence[str]
) -> list[str]:
    """Say which records without an id come with our transactions: again with them, and not while nothing is sent."""
    hops, passing = hops_of(probes), _passing(probes)
    first = orphans(records, hops, passing)
    if not first:
        return []
    with deployment.step("see whether trouble without an id comes by itself"):
        quiet = Window(deployment)
        patiently(lambda: False, deployment, QUIET_S)
        alone = {kind_of(record) for record in quiet.settle()}
    with deployment.step("send the transactions again"):
        again = Window(deployment)
        send(deployment, variants)
        repeated = orphans(again.settle(), hops, passing)
    caused = [record for kind, record in first.items() if kind in repeated and kind not in alone]
    return [f"{r.source}:{r.line_number}: {r.component} ({r.level}) carries no id" for r in caused]


def _passing(probes: Sequence[Probe]) -> dict[str, set[int]]:
    """For each hop, how many of our requests passed it: all, and those alone that ended well."""
    counts = {}
    for hop in hops_of(probes):
        mine = [probe for probe in probes if hop in probe.request.hops]
        counts[hop] = {len(mine), sum(probe.transaction.outcome == "success" for probe in mine)} - {0, 1, 2}
    return counts
