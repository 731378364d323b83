"""The deployment as data, written by its team: the public contract of `readiness.yaml`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from readiness.units import parse_duration, parse_share

_DURATION = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$")]
Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=_DURATION)]
"""A length of time with its unit: `400ms`, `30s`, `5m`, `2h`, `7d`."""
Share = Annotated[float, BeforeValidator(parse_share, json_schema_input_type=float | str)]
"""A share between 0 and 1, or a percentage such as `50%`."""
_CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
"""A time of day, from 00:00 to 23:59."""
Template = str
"""Text with placeholders in braces: a service (`{gateway}` is its address), `{marker}`, `{id}`, `{candidate}`."""


class Part(BaseModel):
    """A part of a descriptor or policy: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Secret(Part):
    """Where a secret comes from; never its value."""

    env: str | None = None
    """Name of an environment variable."""
    file: Path | None = None
    """A file that holds it alone."""
    command: list[str] | None = None
    """A command that prints it."""

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if sum(x is not None for x in (self.env, self.file, self.command)) != 1:
            raise ValueError("give exactly one of env, file, command")
        return self


class Basic(Part):
    """A user name and where its password comes from."""

    user: str
    password: Secret


class Auth(Part):
    """How a caller proves who it is; a CA and a client certificate where TLS asks for them."""

    bearer: Secret | None = None
    basic: Basic | None = None
    header: dict[str, Secret] = Field(default_factory=dict)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


class ProcessAt(Part):
    """How the process driver finds the processes of a service."""

    pidfile: str | None = None
    """Glob of files that hold a pid each, relative to the descriptor."""
    port: int | None = None
    """The port that its process listens on."""
    supervisor: str | None = None
    """`unix:///run/supervisor.sock:<program or group>` of a supervisord."""

    @model_validator(mode="after")
    def _one(self) -> ProcessAt:
        if sum(x is not None for x in (self.pidfile, self.port, self.supervisor)) != 1:
            raise ValueError("give exactly one of pidfile, port, supervisor")
        return self


class Instances(Part):
    """Where the single replicas of a service are listed: a file in Prometheus's `file_sd` format."""

    file_sd: Path


class VersionAt(Part):
    """Where an instance tells its release: a path that answers JSON, and the field in it."""

    path: str
    field: str = "version"


VersionPlace = Annotated[
    VersionAt,
    BeforeValidator(
        lambda given: {"path": given} if isinstance(given, str) else given, json_schema_input_type=VersionAt | str
    ),
]
"""A `VersionAt`, or its path alone."""


class ServiceSpec(Part):
    """One service of the deployment."""

    address: str | None = None
    """Where callers reach it: `http://…`, `tcp://host:port`; `{<service>}` stands for it in templates."""
    instances: Instances | None = None
    """Where its single replicas are listed."""
    ready: str | None = None
    """Path (or URL) that answers 2xx when a replica can work."""
    live: str | None = None
    """Path that answers 2xx while the process lives."""
    version: VersionPlace | None = None
    """Where a replica tells its release: a path, or a path and the field of its JSON."""
    metrics: str | None = None
    """Path of its Prometheus exposition."""
    owner: str | None = None
    """The team that answers for it."""
    replicas: int = Field(default=1, ge=0)
    """How many must run; 0 for what is not run by this team."""
    stateful: bool = False
    """Whether it keeps state of its own."""
    released: bool = True
    """False for what is not replaced by a deploy (a vendor's service, a database)."""
    process: ProcessAt | None = None


class BlastRadius(Part):
    """How much one drill may hit at a time; a share never means less than one replica."""

    max_services: int = Field(default=1, ge=1)
    max_replicas_share: Share = 0.5


class Releases(Part):
    """The releases that drills deploy; `known_bad` is built so that ready answers 200 and the workload fails."""

    current: str
    previous: str | None = None
    candidate: str | None = None
    known_bad: str | None = None


class Request(Part):
    """One HTTP request; `url`, `json` and header values are templates."""

    method: str = "GET"
    url: Template
    json_body: Any = Field(default=None, alias="json")
    headers: dict[str, Template] = Field(default_factory=dict)
    as_level: str | None = Field(default=None, alias="as")
    """The access level whose credentials are used; without it `auth` of the service in `url`."""


class ResultAt(Part):
    """Where and until when a submitted transaction is awaited: `until` maps a JSON field to its final values."""

    url: Template
    until: dict[str, list[str | int | bool]]
    success: dict[str, str | int | bool]


class Variant(Part):
    """One synthetic transaction: submit, await, check.

    `expect` maps a field of the result to text it must contain (a template); `once` maps a field to the number
    that shows the effect happened exactly once; `counts` maps a signal's meaning to its true increase for one
    transaction; `hops` are the components whose logs carry it; `refused` are the status codes of a refusal that
    is the right answer; `outcome` is what this variant is meant to end as.
    """

    submit: Request
    id: str = "id"
    """Field of the answer that holds the transaction's id, `{id}` in `result.url`."""
    result: ResultAt | None = None
    """Where its end is awaited; without it the answer is the result."""
    outcome: Literal["success", "failure", "refused"] = "success"
    refused: list[int] = Field(default_factory=lambda: [400, 422])
    expect: dict[str, Template] = Field(default_factory=dict)
    answer: str | None = None
    once: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, float] = Field(default_factory=dict)
    lasts_at_least: Duration | None = None
    """Time that the tasks of one transaction are known to take at least (the `slow` variant), in all."""
    hops: list[str] = Field(default_factory=list)
    within: Duration = timedelta(seconds=30)
    """How long it may take until its end."""


class Remember(Part):
    """How a caller stores, reads and removes something of a user (`{marker}`): the canary of backups."""

    write: Request
    read: Request
    forget: Request


class VersionOf(Part):
    """Which release served a request: a header of the answer, or a field of the transaction's result."""

    response_header: str | None = None
    result_field: str | None = None
    request: Request | None = None
    """A cheap request that is routed like any other; without it transactions of the variant `ok` are sent."""


class Correlation(Part):
    """How a caller hands in a correlation id."""

    request_header: str


class WorkloadSpec(Part):
    """How a caller uses the system; gates ask for variants by name."""

    ok: Variant | None = None
    invalid: Variant | None = None
    slow: Variant | None = None
    retried: Variant | None = None
    failing: Variant | None = None
    ask: Variant | None = None
    """A question (`{question}`) whose answer is the field `answer` of the result."""
    remember: Remember | None = None
    correlation: Correlation | None = None
    version_at: VersionOf | None = None
    adapter: str | None = None
    """`package.module:Class` where HTTP templates cannot describe the transaction."""
    adapter_options: dict[str, Any] = Field(default_factory=dict)
    max_rate_per_s: float = Field(default=20.0, gt=0)
    """The most synthetic transactions a second that gates may send."""


class Golden(Part):
    """A question whose right answer contains `expect`."""

    question: str
    expect: str


class Signal(Part):
    """One meaning as series: the sum over what matches."""

    metric: str
    labels: dict[str, str] = Field(default_factory=dict)
    services: list[str] = Field(default_factory=list)
    """Whose `/metrics` carry it; empty: all that have one."""


class LogFields(Part):
    """Meaning → field of a JSON log record."""

    time: str = "ts"
    level: str = "level"
    correlation: str | None = None
    component: str | None = None
    subcomponent: str | None = None
    message: str | None = None
    operation: str | None = None
    input: str | None = None
    cause: str | None = None
    levels: dict[str, str] = Field(default_factory=dict)
    """Their word → ours (DEBUG, INFO, WARN, ERROR, FATAL), where it differs."""


class MetricsSource(Part):
    """`scrape: true` reads the services' own `/metrics`."""

    prometheus: str | None = None
    scrape: bool = False


class AlertsSource(Part):
    """Alertmanager, and the receiver of test alerts."""

    alertmanager: str
    test_receiver: dict[str, str] = Field(default_factory=dict)


class LogsSource(Part):
    """Files (globs, relative to the descriptor) or a command that prints records."""

    files: list[str] = Field(default_factory=list)
    command: list[str] | None = None


class TracesSource(Part):
    """One of the open trace stores."""

    jaeger: str | None = None
    zipkin: str | None = None
    otlp_files: list[str] = Field(default_factory=list)


class ReportsSource(Part):
    """Test reports of a release: JUnit XML whose suites carry the artefact's digest as the property `digest`."""

    junit: Template
    required_suites: list[str] = Field(default_factory=list)


class EvidenceSpec(Part):
    """Where the evidence of each kind is read."""

    metrics: MetricsSource | None = None
    alerts: AlertsSource | None = None
    logs: LogsSource | None = None
    traces: TracesSource | None = None
    reports: ReportsSource | None = None


class Procedure(Part):
    """One of the operators' own commands; `run` is an argument list of templates, never a shell line."""

    run: list[Template] = Field(min_length=1)
    """Program and arguments."""
    within: Duration = timedelta(minutes=5)
    """How long it may take; then it is ended and counts as failed."""
    env: dict[str, Template] = Field(default_factory=dict)
    """Environment variables, beside `PATH`, `HOME` and the like."""
    secrets: dict[str, Secret] = Field(default_factory=dict)
    """Environment variable → where its secret value comes from."""


Levels = Annotated[
    list[str],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given, json_schema_input_type=list[str] | str),
]
"""Names of access levels, or one alone."""


class OperationSpec(Part):
    """One privileged operation: which access levels may do it, and a harmless attempt at it.

    `dry_run` is an HTTP request or a command. A command gets the level's name as `{level}` and its credential in the
    environment variable `READINESS_CREDENTIAL`; exit 0 is allowed, an exit code of `denied_exit` is denied.
    """

    as_levels: Levels = Field(alias="as")
    """The levels that may do it; all others must be refused."""
    dry_run: Request | list[Template]
    denied_exit: list[int] = Field(default_factory=lambda: [77])
    audited: bool = True
    """Whether an attempt at it must be found in the audit log."""


class AuditFields(Part):
    """Meaning → field of an audit record."""

    actor: str = "actor"
    operation: str = "operation"
    outcome: str | None = None
    correlation: str | None = "correlation_id"


class BackupClass(Part):
    """How old the backups of one component may be; defaults are the seed's schedule."""

    incremental: Duration | None = None
    full: Duration | None = None


class BackupsSpec(Part):
    """Which component names the operators' `list_backups` uses, and where copies may lie."""

    components: dict[str, str] = Field(default_factory=dict)
    """Seed's name (configuration, knowledge, operational_state, user_data, logs_and_metrics) → theirs."""
    failure_domains: dict[str, list[str]] = Field(default_factory=dict)
    """Failure domain → folders in it."""


class SecretsSpec(Part):
    """What must stay secret and where it may lie; the scan looks everywhere else."""

    canaries: dict[str, Secret] = Field(default_factory=dict)
    """Secrets whose values are looked for, beside what looks like a secret by its form."""
    store: list[str] = Field(default_factory=list)
    """Globs of the places where secrets may lie."""
    scan: list[str] = Field(default_factory=list)
    """Globs of configuration, images and artefacts to scan, beside logs and the process list."""


class RecoverySpec(Part):
    """The environment that restores go into, described by a descriptor of its own once it exists."""

    environment: str = "readiness-restore"
    """The name that `restore`, `inventory` and `discard` are given."""
    descriptor: Path
    """Where its descriptor lies after a restore."""


class WindowSpec(Part):
    """A maintenance window, by the clock of its zone; one that ends before it begins ends on the next day."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(min_length=1)
    start: str = Field(alias="from", pattern=_CLOCK)
    end: str = Field(alias="to", pattern=_CLOCK)
    zone: str
    """An IANA name, such as `Europe/Berlin`."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; write its IANA name, as in Europe/Berlin") from None
        return zone


class Objectives(Part):
    """What the team promises; a stricter promise than a gate's default is held, a weaker one needs the policy."""

    rto: Duration | None = None
    """Recovery time objective."""
    rpo: Duration | None = None
    """Recovery point objective."""
    availability: Share | None = None
    p95: Duration | None = None
    """The latency that 95 % of requests keep."""
    maintenance_windows: list[WindowSpec] = Field(default_factory=list)
    limits: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Gate → limit's name → a stricter value, in the limit's own unit."""


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
    `task_seconds_count`, `workflows_submitted_total`."""
    log_fields: LogFields = LogFields()
    audit_fields: AuditFields = AuditFields()
    evidence: EvidenceSpec = EvidenceSpec()
    procedures: dict[str, Procedure] = Field(default_factory=dict)
    """The operators' own commands by name: `deploy`, `rollback`, `backup`, `restore`, …"""
    operations: dict[str, OperationSpec] = Field(default_factory=dict)
    """Every privileged operation, and which access levels may do it."""
    backups: BackupsSpec = BackupsSpec()
    recovery: RecoverySpec | None = None
    secrets: SecretsSpec = SecretsSpec()
    objectives: Objectives = Objectives()

    @property
    def current_release(self) -> str:
        """The release that evidence is bound to; no text where none is declared."""
        return self.releases.current if self.releases else ""
