"""How the deployment is operated: the operators' own commands, access, backups and recovery."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from readiness.descriptor.values import Duration, Part, Secret, Template
from readiness.descriptor.workload import Request


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
