"""The files that workers leave behind, read as they are: a worker may have been killed in the middle of a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from readiness.errors import UsageError
from readiness.load.buckets import Histogram
from readiness.load.samples import DTYPE, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORKER = re.compile(r"worker-(\d+)\.")


@dataclass(frozen=True, slots=True)
class Beat:
    """What a worker told of itself, twice a second."""

    worker: int
    at_s: float
    """Seconds since the run's zero, on the worker's monotonic clock."""
    wall_s: float
    """Seconds since the epoch, on the wall clock."""
    lag_ms: float
    """The worst lag of the event loop since the last beat."""
    cpu: float
    """The share of one core that the process used since the last beat."""
    scheduled: int
    """Arrivals due so far, of this worker's share."""
    started: int
    ended: int
    in_flight: int
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Rollup:
    """Transactions beyond the raw cap that share stage, intended second and outcome."""

    stage: int
    second: int
    outcome: int
    count: int
    latency: Histogram
    """From the intended start to the end, in buckets of seconds."""
    service: Histogram
    """From the actual start to the end."""


@dataclass(frozen=True, slots=True)
class Recording:
    """All that one worker wrote."""

    worker: int
    samples: NDArray[np.void]
    """Records of `samples.DTYPE`, shape (n,), in the order in which they ended."""
    rollups: tuple[Rollup, ...]
    beats: tuple[Beat, ...]
    kinds: Mapping[int, str]
    """The texts of the error kinds that `samples` numbers."""
    unfinished: tuple[Mapping[str, str], ...]
    """Accepted transactions that ended late or not at all."""
    ended: bool
    """Whether it said goodbye; else it was lost."""
    stopped: bool
    """Whether it was told to stop before the plan's end."""


def recordings(folder: Path, stages: int) -> tuple[Recording, ...]:
    """Read every worker's files of a run whose plan has so many stages; UsageError where they are no such files."""
    named = (_WORKER.match(path.name) for path in folder.glob("worker-*.*"))
    return tuple(_recording(folder, worker, stages) for worker in sorted({int(found[1]) for found in named if found}))


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Return the whole lines of a file of JSON objects; no file has none, and a torn line is passed over."""
    return (read for read in _json_values(path) if isinstance(read, dict))


def json_object(path: Path) -> dict[str, Any]:
    """Return the object that a file holds; empty where there is no file or a torn one."""
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _json_values(path: Path) -> Iterator[Any]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                continue


def _recording(folder: Path, worker: int, stages: int) -> Recording:
    stem = f"worker-{worker}"
    lines = list(json_lines(folder / f"{stem}.beats.jsonl"))
    end = json_object(folder / f"{stem}.end.json")
    return Recording(
        worker=worker,
        samples=_samples(folder / f"{stem}.samples", stages),
        rollups=_rollups(folder, stem, stages),
        beats=tuple(beat for line in lines if (beat := _beat(worker, line)) is not None),
        kinds={line["kind"]: str(line.get("text", "")) for line in lines if isinstance(line.get("kind"), int)},
        unfinished=tuple(
            {name: str(value) for name, value in line.items()}
            for line in json_lines(folder / f"{stem}.unfinished.jsonl")
        ),
        ended=end.get("ended") is True,
        stopped=end.get("reason") == "stopped",
    )


def _samples(path: Path, stages: int) -> NDArray[np.void]:
    dtype = np.dtype(DTYPE)
    if not path.is_file():
        return np.empty(0, dtype)
    read = np.fromfile(path, dtype, count=path.stat().st_size // dtype.itemsize)
    if read.size and (read["stage"].max() >= stages or read["outcome"].max() > max(Outcome)):
        raise UsageError(f"{path}: holds records of another plan or format; judge the run with the plan it was made by")
    return read


def _rollups(folder: Path, stem: str, stages: int) -> tuple[Rollup, ...]:
    """Read the counts: whole where the worker ended, else the lines that it had written; rows of one key add up."""
    whole, lines = folder / f"{stem}.rollup.json", folder / f"{stem}.rollup.jsonl"
    rows = [*json_object(whole).get("rows", ()), *_json_values(lines)]
    found: dict[tuple[int, int, int], Rollup] = {}
    try:
        for stage, second, outcome, count, latencies, services in rows:
            key = (int(stage), int(second), int(outcome))
            row = Rollup(*key, int(count), Histogram.from_data(latencies), Histogram.from_data(services))
            found[key] = _added(found[key], row) if key in found else row
    except (TypeError, ValueError, AttributeError):
        raise UsageError(f"{folder / stem}.rollup: holds no rows of counts; it was not written by a load run") from None
    if any(row.stage >= stages or row.outcome > max(Outcome) for row in found.values()):
        raise UsageError(f"{folder / stem}.rollup: holds counts of another plan; judge the run with its own plan")
    return tuple(found.values())


def _added(old: Rollup, new: Rollup) -> Rollup:
    old.latency.merge(new.latency)
    old.service.merge(new.service)
    return replace(old, count=old.count + new.count)


def _beat(worker: int, line: Mapping[str, Any]) -> Beat | None:
    names = [each.name for each in fields(Beat) if each.name != "worker"]
    if not all(isinstance(line.get(name), int | float) for name in names):
        return None
    return Beat(worker, *(line[name] for name in names))
