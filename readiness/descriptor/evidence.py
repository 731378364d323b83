"""What the deployment's series and log fields mean, and where the evidence of each kind is read."""

from __future__ import annotations

from pydantic import Field

from readiness.descriptor.values import Part, Template


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
    baselines: Template | None = None
    """File of the team's own baseline of a load profile (`{profile}`), in the format of docs/load.md; where it is not
    there, the baseline that an earlier run recorded in `state` counts."""
