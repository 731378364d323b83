"""The deployment as data, written by its team: the public contract of `readiness.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from readiness.descriptor.chaos import Accounts, Bounds, FaultServers, Link, Meaning, Message, ServicePart
from readiness.descriptor.evidence import (
    AlertsSource,
    EvidenceSpec,
    LogFields,
    LogsSource,
    MetricsSource,
    ReportsSource,
    Signal,
    TracesSource,
)
from readiness.descriptor.objectives import Objectives, ScalingSpec, VolumeSpec, WindowSpec
from readiness.descriptor.operating import (
    AuditFields,
    BackupClass,
    BackupsSpec,
    Levels,
    OperationSpec,
    Procedure,
    RecoverySpec,
    SecretsSpec,
)
from readiness.descriptor.services import (
    Auth,
    Basic,
    BlastRadius,
    Instances,
    ProcessAt,
    Releases,
    ReplicaLimits,
    ServiceSpec,
    VersionAt,
    VersionPlace,
)
from readiness.descriptor.values import Duration, Part, Rate, Secret, Share, Size, Template
from readiness.descriptor.workload import (
    Correlation,
    Golden,
    Remember,
    Request,
    ResultAt,
    Variant,
    VersionOf,
    WorkloadSpec,
)

__all__ = [
    "Accounts",
    "AlertsSource",
    "AuditFields",
    "Auth",
    "BackupClass",
    "BackupsSpec",
    "Basic",
    "BlastRadius",
    "Bounds",
    "Correlation",
    "Descriptor",
    "Duration",
    "EvidenceSpec",
    "FaultServers",
    "Golden",
    "Instances",
    "Levels",
    "Link",
    "LogFields",
    "LogsSource",
    "Meaning",
    "Message",
    "MetricsSource",
    "Objectives",
    "OperationSpec",
    "Part",
    "Procedure",
    "ProcessAt",
    "Rate",
    "RecoverySpec",
    "Releases",
    "Remember",
    "ReplicaLimits",
    "ReportsSource",
    "Request",
    "ResultAt",
    "ScalingSpec",
    "Secret",
    "SecretsSpec",
    "ServicePart",
    "ServiceSpec",
    "Share",
    "Signal",
    "Size",
    "Template",
    "TracesSource",
    "Variant",
    "VersionAt",
    "VersionOf",
    "VersionPlace",
    "VolumeSpec",
    "WindowSpec",
    "WorkloadSpec",
]


class Descriptor(Part):
    """A deployment, as its team describes it; every path is relative to the descriptor's folder."""

    readiness: Literal[1]
    """The version of this format."""
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    """What the deployment is called; `--readiness-arm` names it."""
    environment: Literal["development", "staging", "production"]
    """In production a run only observes, unless it is armed by name."""
    pattern: Literal["microservices", "serverless", "hybrid", "edge-cloud"] = "microservices"
    """The deployment pattern; a gate of another pattern is not applicable."""
    driver: str = "process"
    """How replicas are found and killed: `process`."""
    state: Path = Path("var/readiness")
    """Folder of the lease, of what is open to undo, and of evidence; one for all who drill this deployment."""
    allow_probes: bool = False
    """In production: whether marked synthetic work is allowed without arming the run."""
    blast_radius: BlastRadius = BlastRadius()
    services: dict[str, ServiceSpec] = Field(min_length=1)
    auth: dict[str, Auth] = Field(default_factory=dict)
    """Service (or `metrics`) → who asks it; a command gets its secrets by `procedures.<name>.secrets`."""
    levels: dict[str, Auth] = Field(default_factory=dict)
    """Access level → its credentials."""
    releases: Releases | None = None
    compatibility: dict[str, list[str]] = Field(default_factory=dict)
    """Release → the releases it may run beside (itself is implied)."""
    workload: WorkloadSpec = WorkloadSpec()
    golden: list[Golden] = Field(default_factory=list)
    signals: dict[str, Signal] = Field(default_factory=dict)
    """Meaning → series: `tasks_done_total`, `tasks_failed_total`, `tasks_retried_total`, `task_seconds_sum`,
    `task_seconds_count`, `workflows_submitted_total`, `cpu_seconds_total`, `memory_bytes`, `open_descriptors`."""
    log_fields: LogFields = LogFields()
    audit_fields: AuditFields = AuditFields()
    evidence: EvidenceSpec = EvidenceSpec()
    procedures: dict[str, Procedure] = Field(default_factory=dict)
    """The operators' own commands by name: `deploy`, `rollback`, `backup`, `restore`, …"""
    operations: dict[str, OperationSpec] = Field(default_factory=dict)
    """Every privileged operation, and which access levels may do it."""
    tools: dict[str, list[str]] = Field(default_factory=dict)
    """Tool of the agents → the services that may use it. `procedures.use_tool` uses `{tool}` (harmlessly) with the
    credentials of a `{service}`, under the correlation id `{correlation}`: exit 0 when it was let, 77 when refused."""
    backups: BackupsSpec = BackupsSpec()
    recovery: RecoverySpec | None = None
    secrets: SecretsSpec = SecretsSpec()
    objectives: Objectives = Objectives()
    links: dict[str, Link] = Field(default_factory=dict)
    """Who calls whom, through which proxies: what experiments slow, cut and spoil."""
    faults: FaultServers = FaultServers()
    failure_modes: dict[str, str] = Field(default_factory=dict)
    """Every way of failing that this team counts with, by name: each needs an experiment."""
    scaling: ScalingSpec | None = None
    volume: VolumeSpec | None = None

    @property
    def current_release(self) -> str:
        """The release that evidence is bound to; no text where none is declared."""
        return self.releases.current if self.releases else ""
