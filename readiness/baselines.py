"""Baselines of load profiles: what a deployment does on an ordinary day, kept to hold later runs against."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pydantic

from readiness.descriptor import Part
from readiness.errors import Undecidable
from readiness.load.profiles import LONGEST_S
from readiness.loading import DescriptorFile
from readiness.records import instant
from readiness.state import State
from readiness.templates import fill

FORMAT = 1
_ANEW = "record it anew: readiness load baseline RUN"
METRICS = ("agent_response_s", "workflow_completion_s", "utilisation", "throughput_per_s", "error_share")
"""The five that the seed asks for: response of agents, completion of workflows, utilisation, throughput, errors."""


_Offset = Annotated[pydantic.FiniteFloat, pydantic.Field(ge=0, le=LONGEST_S)]
_Amount = Annotated[pydantic.FiniteFloat, pydantic.Field(ge=0)]


class Spread(Part):
    """One metric as it was seen: how often, its median, its range and its distribution."""

    n: int = pydantic.Field(ge=1)
    median: pydantic.FiniteFloat
    low: pydantic.FiniteFloat
    high: pydantic.FiniteFloat
    distribution: dict[str, pydantic.NonNegativeInt] = pydantic.Field(min_length=1)
    """Bucket → count, `n` in all."""


class Samples(Part):
    """The single observations, in the order of their intended starts: what a comparison resamples."""

    offset_s: list[_Offset]
    latency_s: list[_Amount | None]
    """From the intended start; null for what was refused or not accepted: it has no latency."""
    broken: list[Annotated[int, pydantic.Field(ge=0, le=1)]]
    utilisation: list[_Amount] = pydantic.Field(default_factory=list)

    @pydantic.model_validator(mode="after")
    def _of_one_length(self) -> Samples:
        counts = {len(self.offset_s), len(self.latency_s), len(self.broken)}
        if len(counts) > 1:
            raise ValueError(f"offset_s, latency_s and broken have {', '.join(map(str, sorted(counts)))} entries")
        return self


class Baseline(Part):
    """One baseline file: a load profile on one release of one deployment."""

    baseline: int
    """The version of this format: 1."""
    profile: str
    variant: str = "ok"
    rate: pydantic.FiniteFloat
    """Arrivals a second."""
    deployment: str
    release: str
    recorded_at: datetime
    run: str = ""
    """The run that recorded it."""
    metrics: dict[str, Any]
    """Metric → its `Spread`; kept as it was read, so that what is missing can be told metric by metric."""
    samples: Samples | None = None

    def spread(self, metric: str) -> Spread | None:
        """A metric's spread; None where it is missing, or lacks its number, range or distribution."""
        try:
            found = Spread.model_validate(self.metrics.get(metric))
        except pydantic.ValidationError:
            return None
        return (
            found if sum(found.distribution.values()) == found.n and found.low <= found.median <= found.high else None
        )

    def lacks(self) -> list[str]:
        """The metrics of the five that are missing or incomplete."""
        return [metric for metric in METRICS if self.spread(metric) is None]


@dataclass(frozen=True, slots=True)
class Baselines:
    """Where the baselines of one deployment are: the team's own files, else the state that all runs share."""

    file: DescriptorFile

    def find(self, profile: str, release: str) -> Baseline | None:
        """The baseline of a profile: the team's own file, else the recorded one; None where there is none.

        A file that is none is Undecidable. A recorded one of another release counts too: it is what ran before.
        """
        own = self.own_file(profile, release)
        if own is not None and own.exists():
            return read_baseline(own)
        recorded = self._recorded(profile)
        return read_baseline(recorded) if recorded.exists() else None

    def own_file(self, profile: str, release: str) -> Path | None:
        """The team's own file of a profile's baseline; None where the descriptor names none."""
        own = self.file.descriptor.evidence.baselines
        if own is None:
            return None
        return self.file.resolve(Path(fill(own, {"profile": profile, "release": release}, "evidence.baselines")))

    def record(self, baseline: Baseline) -> Path:
        """Keep a baseline in the state; the next runs are held against it."""
        descriptor = self.file.descriptor
        state = State(self.file.resolve(descriptor.state), descriptor.name)
        state.write(f"baselines/{baseline.profile}.json", baseline.model_dump(mode="json"))
        return self._recorded(baseline.profile)

    def _recorded(self, profile: str) -> Path:
        return self.file.resolve(self.file.descriptor.state) / "baselines" / f"{profile}.json"


def read_baseline(path: Path) -> Baseline:
    """Read a baseline file; what cannot be read is Undecidable, in one line that names the file."""
    try:
        found = Baseline.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        first = error.errors()[0] if isinstance(error, pydantic.ValidationError) else None
        why = str(error).partition("\n")[0]
        if first is not None:
            why = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise Undecidable(f"{path}: not a baseline: {why}", _ANEW) from None
    if found.baseline != FORMAT:
        raise Undecidable(f"{path}: its format is {found.baseline}, not {FORMAT}", _ANEW)
    return found


def spread(values: Sequence[float]) -> dict[str, Any]:
    """The spread of observations as JSON data; no observation is no spread."""
    from readiness.load.buckets import Histogram

    if not values:
        return {}
    ordered = sorted(values)
    counts: Mapping[int, int] = Histogram.of([max(value, 0.0) for value in ordered]).counts
    return {
        "n": len(ordered),
        "median": ordered[(len(ordered) - 1) // 2],
        "low": ordered[0],
        "high": ordered[-1],
        "distribution": {str(bucket): count for bucket, count in sorted(counts.items())},
    }


def now_text() -> str:
    """This moment as a baseline writes it."""
    return instant(datetime.now(UTC))
