"""Every name that Nexus shows to the outside, in one place, so that a deployment can be renamed as a whole."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from readiness.nexus.errors import WrongUsageError, unknown

AGENT_ROLES = ("planner", "researcher", "writer", "reviewer")
"""The order in which the tasks of a workflow run."""
COMPONENTS = ("gateway", "orchestrator", "knowledge", "provider", *AGENT_ROLES)
LEVELS = ("read-only", "operator", "administrator", "security", "emergency")


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of the HTTP interface; `preferences` and `history` are last segments."""

    workflows: str = "/v1/workflows"
    users: str = "/v1/users"
    preferences: str = "preferences"
    ping: str = "/v1/ping"
    configuration: str = "/v1/configuration"
    history: str = "history"
    operations: str = "/v1/operations"
    audit: str = "/v1/audit"
    live: str = "/healthz"
    ready: str = "/readyz"
    version: str = "/version"
    metrics: str = "/metrics"


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers of the HTTP interface that no standard names (`traceparent` is W3C's and stays)."""

    correlation: str = "X-Correlation-Id"
    release: str = "X-Release"
    release_pin: str = "X-Release-Pin"
    idempotency: str = "Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Series:
    """Names of the metrics; counters end in `_total`, as the exposition format wants them."""

    agent_tasks: str = "nexus_agent_tasks_total"
    agent_task_seconds: str = "nexus_agent_task_seconds"
    workflows_submitted: str = "nexus_workflows_submitted_total"
    workflows_refused: str = "nexus_workflows_refused_total"
    workflows: str = "nexus_workflows_total"
    workflow_seconds: str = "nexus_workflow_seconds"
    gateway_requests: str = "nexus_gateway_requests_total"
    gateway_request_seconds: str = "nexus_gateway_request_seconds"
    queue_depth: str = "nexus_queue_depth"
    build_info: str = "nexus_build_info"


@dataclass(frozen=True, slots=True)
class Labels:
    """Names of the metrics' labels, and the three values of `outcome`."""

    role: str = "role"
    outcome: str = "outcome"
    code: str = "code"
    done: str = "done"
    failed: str = "failed"
    retried: str = "retried"


@dataclass(frozen=True, slots=True)
class LogFields:
    """Keys of a log record."""

    time: str = "ts"
    level: str = "level"
    component: str = "component"
    subcomponent: str = "subcomponent"
    instance: str = "instance"
    release: str = "release"
    event: str = "event"
    correlation: str = "correlation_id"
    trace: str = "trace_id"
    span: str = "span_id"
    workflow: str = "workflow_id"
    operation: str = "operation"
    input: str = "input_ref"
    cause: str = "cause"


@dataclass(frozen=True, slots=True)
class Components:
    """Outward names of the parts; agents' names are their roles."""

    gateway: str = "gateway"
    orchestrator: str = "orchestrator"
    knowledge: str = "knowledge"
    provider: str = "provider"
    planner: str = "planner"
    researcher: str = "researcher"
    writer: str = "writer"
    reviewer: str = "reviewer"


@dataclass(frozen=True, slots=True)
class Levels:
    """Outward names of the access levels; token files and `--as` use them."""

    read_only: str = "read-only"
    operator: str = "operator"
    administrator: str = "administrator"
    security: str = "security"
    emergency: str = "emergency"


@dataclass(frozen=True, slots=True)
class Names:
    """All outward names; the code itself speaks of components and levels by their canonical names."""

    paths: Paths = field(default_factory=Paths)
    headers: Headers = field(default_factory=Headers)
    series: Series = field(default_factory=Series)
    labels: Labels = field(default_factory=Labels)
    log: LogFields = field(default_factory=LogFields)
    components: Components = field(default_factory=Components)
    levels: Levels = field(default_factory=Levels)

    def component(self, canonical: str) -> str:
        """Returns the outward name of a component or agent role."""
        return str(getattr(self.components, canonical))

    def canonical_component(self, outward: str) -> str:
        """Returns the canonical name of an outward component name; raises WrongUsageError for an unknown one."""
        known = {self.component(name): name for name in COMPONENTS}
        if outward not in known:
            raise unknown("service", outward, known)
        return known[outward]

    def level(self, canonical: str) -> str:
        """Returns the outward name of an access level."""
        return str(getattr(self.levels, canonical.replace("-", "_")))

    def canonical_level(self, outward: str) -> str:
        """Returns the canonical name of an outward level name; raises WrongUsageError for an unknown one."""
        known = {self.level(name): name for name in LEVELS}
        if outward not in known:
            raise unknown("level", outward, known)
        return known[outward]

    def changed(self) -> dict[str, dict[str, str]]:
        """Returns only what differs from the defaults, in the form that `from_mapping` reads."""
        plain, mine = dataclasses.asdict(Names()), dataclasses.asdict(self)
        groups = {
            group: {key: value for key, value in values.items() if value != plain[group][key]}
            for group, values in mine.items()
        }
        return {group: values for group, values in groups.items() if values}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, object], where: str = "names") -> Names:
        """Builds the names from `{group: {key: name}}`; what is not given keeps its default."""
        chosen = cls()
        for group, values in mapping.items():
            if group not in {item.name for item in dataclasses.fields(cls)}:
                raise unknown("group", group, (item.name for item in dataclasses.fields(cls)), where)
            if not isinstance(values, Mapping):
                raise WrongUsageError(f"{where}: {group} must be a mapping of names")
            part = getattr(chosen, group)
            known = {item.name for item in dataclasses.fields(part)}
            for key, value in values.items():
                if key not in known:
                    raise unknown(f"name in {group}", str(key), known, where)
                if not isinstance(value, str) or not value:
                    raise WrongUsageError(f"{where}: {group}.{key} must be a non-empty text, not {value!r}")
            chosen = dataclasses.replace(chosen, **{group: dataclasses.replace(part, **values)})
        return chosen

    @classmethod
    def read(cls, path: Path) -> Names:
        """Reads the names from a YAML or JSON file; raises WrongUsageError with one line."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            loaded = YAML(typ="safe", pure=True).load(path)
        except (OSError, YAMLError, UnicodeDecodeError) as error:
            raise WrongUsageError(f"cannot read names from {path}: {' '.join(str(error).split())}") from error
        if not isinstance(loaded, Mapping):
            raise WrongUsageError(f"{path} must hold a mapping of groups of names")
        return cls.from_mapping(loaded, str(path))
