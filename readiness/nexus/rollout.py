"""The steps of which deploy, rollback and abort consist; each may be done again without harm."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine

from readiness.nexus import deployments, registry, schema, store, workflow_state
from readiness.nexus.fleet import BESIDE, SINGLE, Placed, agents_and_all, known_names, placed, programs
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.probing import await_ready, is_ready
from readiness.nexus.releases import RELEASES, release_of
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import Supervisor

READY_WITHIN_S = 60.0
DRAIN_WITHIN_S = 3.0
"""How long a release that goes away may finish its own work before its successor is given the rest."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """The supervised instances and the state of one deployment, as its operators change them."""

    settings: Settings
    supervisor: Supervisor
    engine: Engine

    @classmethod
    def of(cls, settings: Settings) -> Rollout:
        """Take hold of a deployment."""
        return cls(settings, Supervisor(settings.home), settings.engine())

    @classmethod
    def again(cls, settings: Settings) -> Rollout:
        """Take hold of a deployment whose settings somebody else may have changed since they were read."""
        return cls.of(Settings.load(settings.home))

    def running(self) -> dict[str, Placed]:
        """List the configured instances, whether or not their processes live at this moment."""
        known = known_names(self.settings)
        return {name: known[name] for name in self.supervisor.states() if name in known}

    def in_order(self, release: str) -> bool:
        """Say whether exactly this release runs, is ready and gets all requests: then there is nothing to do."""
        wanted = placed(self.settings, release)
        states = self.supervisor.states()
        names = states.keys() - BESIDE
        with store.reading(self.engine) as db:
            routed = deployments.weights(db) == {release: 100}
        return (
            routed
            and names == {instance.name for instance in wanted}
            and all(states[name]["statename"] == "RUNNING" for name in names)
            and schema.current_revision(self.settings) == release_of(release).schema
            and is_ready(self.settings, wanted)
        )

    def start(self, release: str, services: Iterable[str]) -> list[Placed]:
        """Start the instances of some services in a release, all at once, beside whatever runs."""
        instances = placed(self.settings, release, services)
        self.supervisor.add(programs(self.settings, instances))
        return instances

    def start_ready(self, release: str, services: Iterable[str]) -> None:
        """Start the instances of some services in a release and wait until they are ready."""
        await_ready(self.settings, self.start(release, services), READY_WITHIN_S)

    def weigh(self, shares: Mapping[str, int]) -> None:
        """Spread the requests over releases, from the next request on."""
        with store.writing(self.engine) as db:
            deployments.set_weights(db, shares)

    def has_orchestrator(self, release: str | None = None) -> bool:
        """Say whether an orchestrator is configured, of any release or of this one."""
        found = [p for p in self.running().values() if p.service in SINGLE]
        return any(release in (None, instance.release) for instance in found)

    def replace_orchestrator(self, release: str) -> None:
        """Stop the orchestrator, bring the state to the schema of a release, and start the orchestrator of the release.

        Gateways and agents wait meanwhile; tasks that are leased stay leased.
        """
        revision = release_of(release).schema
        moved = schema.current_revision(self.settings) != revision
        instances = placed(self.settings, release, SINGLE)
        names = {instance.name for instance in instances}
        old = [p for p in self.running().values() if p.service in SINGLE and (moved or p.name not in names)]
        self.retire(old)
        if moved:
            schema.migrate(self.settings, revision)
        self.start_ready(release, SINGLE)

    def finish_work_of_others(self, release: str) -> None:
        """Let other releases end their workflows for a moment, then give the unfinished ones to this release."""
        others = [name for name in RELEASES if name != release]
        deadline = time.monotonic() + DRAIN_WITHIN_S
        while time.monotonic() < deadline:
            with store.reading(self.engine) as db:
                if not any(workflow_state.open_workflows(db, other) for other in others):
                    return
            time.sleep(0.1)
        with store.writing(self.engine) as db:
            for other in others:
                workflow_state.reassign(db, other, release)

    def retire(self, instances: Iterable[Placed]) -> None:
        """Stop instances in the orderly way, all at once, and forget them."""
        leaving = list(instances)
        self.supervisor.remove(instance.name for instance in leaving)
        for instance in leaving:
            registry.forget(self.settings, instance.service, instance.name)

    def converge(self, release: str) -> None:
        """Make everything be of one release: traffic first, then the instances, whatever state it is found in."""
        agents, serving = agents_and_all(self.settings)
        if not self.has_orchestrator():
            self.replace_orchestrator(release)
        self.start_ready(release, ["provider", *agents])
        self.weigh({release: 100})
        self.take_over(release, serving)

    def take_over(self, release: str, serving: Iterable[str]) -> None:
        """Replace what serves the agents, then let the other releases finish and stop their instances."""
        beside = [service for service in serving if service not in SINGLE]
        if self.settings.defects.on("no-graceful-shutdown"):
            self._stop_others(release, set(AGENT_ROLES))
        if self.settings.defects.on("old-stopped-before-new-ready"):
            self._stop_others(release, set(beside))
        coming = self.start(release, beside)
        self.replace_orchestrator(release)
        await_ready(self.settings, coming, READY_WITHIN_S)
        wanted = {instance.name for instance in placed(self.settings, release)}
        leaving = [p for p in self.running().values() if p.name not in wanted]
        self.retire(p for p in leaving if p.service in beside)
        self.finish_work_of_others(release)
        self.retire(p for p in leaving if p.service not in beside)

    def _stop_others(self, release: str, services: Container[str]) -> None:
        wanted = {instance.name for instance in placed(self.settings, release)}
        self.retire([p for p in self.running().values() if p.service in services and p.name not in wanted])

    def current(self) -> str:
        """Return the release that the history says is current."""
        with store.reading(self.engine) as db:
            return deployments.current(db)
