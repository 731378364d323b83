"""The services of a deployment, their replicas and releases, and how a caller proves who it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from readiness.descriptor.chaos import ServicePart
from readiness.descriptor.values import Part, Secret, Share, Size


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


class ReplicaLimits(Part):
    """What one replica of a service may use: the capacity that its use is held against."""

    cpu: float | None = Field(default=None, gt=0)
    """In cores; a process that computes in one thread cannot use more than 1."""
    memory: Size | None = None
    """Where it would be ended for want of memory, as in `512MB`."""


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
    part: ServicePart = "other"
    """What it is in a multi-agent system; experiments choose what they break by it."""
    replicas: int = Field(default=1, ge=0)
    """How many must run; 0 for what is not run by this team."""
    limits: ReplicaLimits = ReplicaLimits()
    """What one replica may use of processor and memory."""
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
