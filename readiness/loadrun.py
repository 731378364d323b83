"""One load run that has ended, as gates and reports see it: what was measured, and what the replicas used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from readiness.errors import Undecidable
from readiness.resources import Resources

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from readiness.load.results import LoadResult
    from readiness.load.validity import GeneratorHealth
    from readiness.load.verdict import LoadVerdict


@dataclass(frozen=True, slots=True)
class LoadRun:
    """One load run that has ended: what was measured, what its criteria say, and what the replicas used."""

    label: str
    result: LoadResult
    verdict: LoadVerdict
    resources: Resources

    @property
    def invalid(self) -> bool:
        """Whether it says nothing of the system: the generator or the plan was the limit."""
        return self.verdict.outcome == "INVALID"

    @property
    def generator(self) -> GeneratorHealth:
        """How the generator fared."""
        from readiness.load.validity import generator

        return generator(self.result)

    @property
    def generator_faults(self) -> tuple[str, ...]:
        """What makes the generator, not the system, the limit; one line each."""
        from readiness.load.validity import invalid

        return invalid(self.result)

    @property
    def samples(self) -> NDArray[np.void]:
        """Every transaction (`samples.DTYPE`), by intended start; Undecidable where some were only counted."""
        if not self.result.raw:
            raise Undecidable(
                f"the load run {self.label} sent more than is kept one by one",
                "READINESS_LOAD_RAW_CAP=<more>, or more processes in the loadtests of the scenario",
            )
        return self.result.samples()

    def budget(self, metric: str, default: float) -> float:
        """The scenario's budget for a growth (`memory` in MB/h, `descriptors` in 1/h), else the default."""
        return next((one.value for one in self.result.plan.criteria if one.metric == metric), default)

    @property
    def began_s(self) -> float:
        """The run's second 0 on the wall clock."""
        began = self.result.began_at
        if began is None:
            raise Undecidable(f"the load run {self.label} never began", "see locust.log in its folder")
        return began.timestamp()

    def stretch(self, stage: str) -> tuple[float, float]:
        """Begin and end of a stage on the wall clock, in seconds."""
        at = self.began_s
        for one in self.result.plan.stages:
            if one.name == stage:
                return at, at + one.duration_s
            at += one.duration_s
        raise KeyError(stage)
