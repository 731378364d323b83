"""The pillars and capabilities of the catalogue, told from a gate's id."""

from __future__ import annotations

PILLARS: dict[str, str] = {
    "ARC": "Deployment Architecture",
    "PAT": "Deployment Architecture",
    "OBS": "Monitoring & Observability",
    "OPS": "Operational Procedures",
    "PRF": "Performance Management",
    "SEC": "Operational Security",
    "IMP": "Continuous Improvement",
    "RMP": "Roadmap Phase Exits",
}
"""First part of a gate's id → the pillar it counts in, in the order of the catalogue."""

CAPABILITIES: dict[str, str] = {
    "ARC-IAC": "Infrastructure as code",
    "ARC-IMG": "Isolation of units",
    "ARC-ORC": "Orchestration",
    "ARC-ENV": "Environments",
    "ARC-VER": "Versions",
    "ARC-PIP": "Pipeline",
    "ARC-CAN": "Progressive delivery",
    "ARC-VAL": "Validation of deployments",
    "PAT-CM": "Containerised microservices",
    "PAT-SL": "Serverless",
    "PAT-HY": "Hybrid",
    "PAT-EC": "Edge and cloud",
    "OBS-MET": "Metrics",
    "OBS-LOG": "Logging",
    "OBS-TRC": "Tracing",
    "OBS-ALR": "Alerting",
    "OBS-DSH": "Dashboards",
    "OPS-RUN": "Runbooks and maintenance",
    "OPS-INC": "Incidents",
    "OPS-DEP": "Deployment procedure",
    "OPS-SCL": "Scaling",
    "OPS-BAK": "Backup",
    "OPS-REC": "Recovery",
    "PRF-BAS": "Baselines",
    "PRF-LOD": "Load",
    "PRF-CAP": "Capacity",
    "PRF-SLA": "Service levels",
    "SEC-MON": "Security monitoring",
    "SEC-ACC": "Access",
    "SEC-SCR": "Secrets",
    "SEC-VUL": "Vulnerabilities",
    "SEC-INC": "Security incidents",
    "IMP-KPI": "Indicators",
    "IMP-TST": "Drills",
    "IMP-CHA": "Chaos engineering",
    "RMP-P1": "Phase 1",
    "RMP-P2": "Phase 2",
    "RMP-P3": "Phase 3",
}
"""First two parts of a gate's id → the capability it counts in, in the order of the catalogue."""

PILLAR_ORDER: tuple[str, ...] = tuple(dict.fromkeys(PILLARS.values()))


def pillar_of(gate: str) -> str:
    """The pillar of a gate's id; raise KeyError for an id of no pillar."""
    return PILLARS[gate.split("-", 1)[0]]


def capability_of(gate: str) -> str:
    """The capability of a gate's id; an id of a capability without a name is its own prefix."""
    prefix = "-".join(gate.split("-")[:2])
    return CAPABILITIES.get(prefix, prefix)
