"""The load runs of one pytest run: each is done once, whoever asks first, and judged by all who ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from readiness.descriptor import Descriptor, Variant
from readiness.errors import Undecidable, UsageError
from readiness.judgement import Records
from readiness.load.plan import Plan
from readiness.load.profiles import PROFILES, plan_for
from readiness.loadrun import LoadRun
from readiness.reach import Reach
from readiness.resources import Sampling, read_resources
from readiness.scenario import LoadTest, data_folders
from readiness.templates import named_in
from readiness.waiting import Deadline

if TYPE_CHECKING:
    from readiness.load.runner import Running

_START_S = 60.0
"""Locust may take so long to start and to end, beside what it sends, in seconds."""


@dataclass(slots=True)
class LoadTests:
    """What a scenario says of load, and the load runs that were done so far."""

    specs: Mapping[str, LoadTest]
    """Profile → what the scenario wants of it."""
    root: Path
    """Where Locust files of one's own are looked for."""
    records: Records
    done: dict[str, LoadRun] = field(default_factory=dict)

    def plan(self, profile: str, reach: Reach) -> Plan:
        """The plan of a profile: the scenario's numbers, else the deployment's peak rate, else the profile's own."""
        spec = self.specs.get(profile) or LoadTest(profile=profile)
        try:
            return plan_of(spec, reach.file.descriptor.objectives.peak_rate)
        except UsageError as error:
            raise Undecidable(str(error), f"loadtests of the scenario: {{profile: {profile}, …}}") from None

    def run(
        self,
        label: str,
        plan: Plan,
        reach: Reach,
        gate: str,
        deadline: Deadline,
        meanwhile: Callable[[Running], None] | None = None,
    ) -> LoadRun:
        """Send a plan's load once; the same label again gives what the first call measured.

        `meanwhile` acts while the load runs (a fault, a resize); the run is over when both are.
        """
        if label in self.done:
            return self.done[label]
        from readiness.load.results import read
        from readiness.load.runner import running
        from readiness.load.verdict import judge
        from readiness.loadtelling import told

        folder = self.records.folder / "load" / label
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spec = self.specs.get(plan.profile)
        locustfile = locustfile_of(plan.profile, spec, self.root)
        time_s = plan.duration_s + plan.drain_s + _START_S
        bounded = deadline.within(time_s)
        release = reach.file.descriptor.current_release
        try:
            with (
                Sampling(reach, folder, plan.duration_s),
                running(
                    plan,
                    locustfile=locustfile,
                    folder=folder,
                    descriptor=reach.file.path,
                    host=host_of(reach.file.descriptor, plan.variant),
                    deployment=reach.file.descriptor.name,
                    processes=plan.workers,
                    release=release,
                ) as going,
            ):
                if meanwhile is not None:
                    meanwhile(going)
                going.wait(bounded)
        except UsageError as error:
            raise Undecidable(
                f"the load run {label} could not be done: {error}", "see locust.log in its folder"
            ) from None
        result = read(folder)
        run = LoadRun(label, result, judge(result), read_resources(result.resources))
        self.done[label] = run
        self.records.history.append("load", **told(run, gate, reach.file.descriptor))
        return run


def plan_of(spec: LoadTest, peak_rate: float | None = None) -> Plan:
    """Make the plan of what a scenario says of a profile; what cannot be is a UsageError."""
    return plan_for(
        spec.profile,
        spec.rate or peak_rate,
        spec.duration.total_seconds() if spec.duration else None,
        spec.variant or "ok",
        spec.thresholds,
        factor=spec.factor,
        users=spec.users,
        workers=spec.processes,
    )


def locustfile_of(profile: str, spec: LoadTest | None, root: Path) -> Path:
    """The Locust file of a profile; a UsageError where there is none."""
    if spec is not None and spec.file is not None:
        path = root / spec.file
        if not path.is_file():
            raise UsageError(f"scenario: loadtests: {profile}: {spec.file} is no file under {root}; name a Locust file")
        return path
    for folder in data_folders("loadtests", root):
        if (folder / f"{profile}.py").is_file():
            return folder / f"{profile}.py"
    raise UsageError(
        f"scenario: loadtests: profile {profile!r} has no Locust file; known: {', '.join(PROFILES)}; "
        f"or name one of your own: {{profile: {profile}, file: <path>}}"
    )


def host_of(descriptor: Descriptor, variant: str) -> str | None:
    """Where a Locust file of one's own sends to: the service that the variant is submitted to."""
    spec = getattr(descriptor.workload, variant, None)
    if not isinstance(spec, Variant):
        return None
    named = [descriptor.services[name].address for name in named_in(spec.submit.url) if name in descriptor.services]
    return next((address for address in named if address), None)


def longest_s(profile: str, specs: Mapping[str, LoadTest]) -> float:
    """How long the runs of a profile may take, in seconds; a gate's deadline grows by it."""
    spec = specs.get(profile)
    own_s = spec.duration.total_seconds() if spec is not None and spec.duration is not None else None
    known = PROFILES.get(profile)
    duration_s = own_s if own_s is not None else known.duration_s if known is not None else 0.0
    return duration_s + _START_S
