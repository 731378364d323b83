"""What a load run of the command line is put on: a deployment in use, or a bare host."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from readiness.errors import UsageError
from readiness.load.plan import Plan
from readiness.load.runner import run
from readiness.loading import DescriptorFile, load_descriptor
from readiness.loadtests import host_of, locustfile_of
from readiness.nexus_command import deployment_in_use


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """Where load goes to, and with which Locust file."""

    file: DescriptorFile | None
    """None for a bare host."""
    host: str | None
    locustfile: Path

    @property
    def name(self) -> str:
        """How it is called: the deployment's name or the host."""
        return str(self.host) if self.file is None else self.file.descriptor.name

    def send(self, plan: Plan, folder: Path) -> Path:
        """Run a plan to its end and return the folder with what was measured; UsageError where it cannot begin."""
        descriptor = None if self.file is None else self.file.descriptor
        return run(
            plan,
            folder=folder,
            locustfile=self.locustfile,
            descriptor=None if self.file is None else self.file.path,
            host=self.host if self.host or descriptor is None else host_of(descriptor, plan.variant),
            deployment="" if descriptor is None else descriptor.name,
            release="" if descriptor is None else descriptor.current_release,
            processes=plan.workers,
        )


def find_target(
    deployment: Path | None, host: str | None, locustfile: Path | None, profile: str, arm: str
) -> LoadTarget:
    """Find what to put load on; UsageError where there is nothing, or where it is in production and not armed."""
    file = None
    if host is None or deployment is not None:
        file = load_descriptor(deployment_in_use(deployment))
        descriptor = file.descriptor
        if descriptor.environment == "production" and arm != descriptor.name:
            raise UsageError(
                f"{descriptor.name} is in production: no load is put on it unasked; arm with --arm {descriptor.name}"
            )
    elif not host.startswith(("http://", "https://")):
        raise UsageError(f"--host {host}: not a URL; allowed: http://… or https://…")
    return LoadTarget(file, host, locustfile or locustfile_of(profile, None, Path.cwd()))
