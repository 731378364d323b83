"""One environment with all that it takes to ask it: requests, commands, transactions, metrics and logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from readiness.credentials import Credentials
from readiness.errors import Missing
from readiness.evidence.logs import LogsReader
from readiness.evidence.metrics import MetricsReader
from readiness.evidence.reports import Report, read_report
from readiness.loading import DescriptorFile
from readiness.procedures import Procedures
from readiness.reachability import endpoint, refusal
from readiness.redaction import Redactor
from readiness.target import Instance, Target
from readiness.templates import field_of, fill
from readiness.waiting import Deadline
from readiness.web import Web
from readiness.workload import Workload

ASKING_S = 5.0
"""How long a replica may take to say whether it is ready, in seconds; one that takes longer is not."""
_WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything that can be asked of one environment."""

    file: DescriptorFile
    target: Target
    credentials: Credentials
    web: Web
    procedures: Procedures
    workload: Workload
    metrics: MetricsReader
    logs: LogsReader

    @classmethod
    def of(
        cls, file: DescriptorFile, target: Target, credentials: Credentials, redactor: Redactor, run_id: str
    ) -> Reach:
        """Put it together for a descriptor; nothing is contacted."""
        web = Web(file, credentials, redactor)
        procedures = Procedures(file, credentials, redactor)
        return cls(
            file,
            target,
            credentials,
            web,
            procedures,
            Workload(file, web, redactor, run_id),
            MetricsReader(file, web, target.instances),
            LogsReader(file, procedures),
        )

    @property
    def environment(self) -> str:
        """The name that the operators' commands know this environment by."""
        return self.file.descriptor.environment

    def instances(self, service: str | None = None) -> list[Instance]:
        """Give the replicas of a service, or of all."""
        wanted = [service] if service is not None else list(self.target.services())
        return [instance for name in wanted for instance in self.target.instances(name)]

    def ready(self, instance: Instance, deadline: Deadline) -> bool | None:
        """Whether a replica says that it can work.

        It is asked at `ready` by HTTP; else by the procedure `ready` (placeholders `{service}`, `{instance}`); else
        an address of another scheme is ready when it accepts a connection. None where nothing can tell.
        """
        spec = self.file.descriptor.services[instance.service]
        bounded = deadline.within(ASKING_S)
        if spec.ready is not None:
            address = instance.address
            if address is None:  # not in the target list yet; without such a list, ask the service as a whole
                if spec.instances is not None or spec.address is None:
                    return False
                address = spec.address
            url = spec.ready if "://" in spec.ready else address.rstrip("/") + spec.ready
            return self.web.get(url, service=instance.service, deadline=bounded).ok
        if self.procedures.declared("ready"):
            names = {"service": instance.service, "instance": instance.name}
            return self.procedures.run("ready", deadline=bounded, **names).ok
        where = endpoint(instance.address or "")
        if where is None or urlsplit(instance.address).scheme in _WEB:
            return None
        return not refusal(where, max(0.1, bounded.left_s))

    def all_ready(self, service: str | None, deadline: Deadline) -> bool:
        """Whether each service has its declared replicas, all ready or unable to tell."""
        wanted = [service] if service is not None else list(self.target.services())
        for name in wanted:
            instances = self.target.instances(name)
            if len(instances) < self.counted_replicas(name):
                return False
            if any(self.ready(instance, deadline) is False for instance in instances):
                return False
        return True

    def counted_replicas(self, service: str) -> int:
        """The declared number of replicas where each can be seen, else 1 for the service as a whole."""
        spec = self.file.descriptor.services[service]
        return spec.replicas if spec.instances is not None or spec.process is not None else min(1, spec.replicas)

    def version(self, instance: Instance, deadline: Deadline) -> str | None:
        """Give the release that a replica says it is; None where it does not say."""
        where = self.file.descriptor.services[instance.service].version
        if where is None or instance.address is None:
            return None
        url = instance.address.rstrip("/") + where.path
        answer = self.web.get(url, service=instance.service, deadline=deadline.within(ASKING_S))
        found = field_of(answer.json, where.field) if answer.ok else None
        return None if found is None else str(found)

    def report(self, release: str) -> Report:
        """Read the test report of a release."""
        source = self.file.descriptor.evidence.reports
        if source is None:
            raise Missing(
                "nothing is declared to read test reports from",
                'evidence.reports: {junit: "releases/{release}/junit.xml"}',
            )
        path = fill(source.junit, {"release": release}, "evidence.reports.junit")
        return read_report(self.file.resolve(Path(path)))
