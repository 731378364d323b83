"""What replicas used while a load ran: sums, peaks, replicas that come and go, rows that are none."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from readiness.descriptor import Descriptor
from readiness.errors import TargetError
from readiness.evidence.metrics import Exposed, Snapshot
from readiness.load.recordings import json_lines
from readiness.resources import CPU, DESCRIPTORS, FILE, MEMORY, TASK_SECONDS, TASKS, Sampling, read_resources
from readiness.waiting import eventually

LIMITED = {"replicas": 2, "metrics": "/metrics", "limits": {"cpu": 0.5, "memory": "200MB"}}
DESCRIPTOR = Descriptor.model_validate(
    {
        "readiness": 1,
        "name": "small",
        "environment": "staging",
        "services": {"front": LIMITED, "worker": {"metrics": "/metrics"}},
        "signals": {name: {"metric": name} for name in (CPU, MEMORY, DESCRIPTORS, TASK_SECONDS, TASKS)},
    }
)
Used = Mapping[str, float | None]


def rows(*instances: Mapping[str, Used], **more: Any) -> list[Mapping[str, Any]]:
    """One row a second from second 100 on."""
    told = [{name: {"service": name[:-2], **used} for name, used in row.items()} for row in instances]
    return [{"wall_s": 100.0 + at, "instances": row, **more} for at, row in enumerate(told)]


def memory(**megabytes: float) -> Mapping[str, Used]:
    return {f"front-{name[1:]}": {MEMORY: value * 1e6} for name, value in megabytes.items()}


def grown(*given: Mapping[str, Used]) -> list[float]:
    return [value / 1e6 for value in read_resources(rows(*given)).series("front", MEMORY)[1]]


def test_replicas_are_added_up_where_all_were_read() -> None:
    assert grown(memory(f1=10, f2=20), memory(f1=11, f2=20)) == [30, 31]


@pytest.mark.parametrize(
    ("given", "sums"),
    [
        # one is not read for a while: its memory does not vanish and come back
        ([memory(f1=10, f2=20), memory(f1=10), memory(f1=11, f2=20)], [30, 31]),
        # one goes for good, early: what stays is looked at
        ([memory(f1=10, f2=20), memory(f1=10), memory(f1=11)], [10, 11]),
        # a third comes late: the two that were there are looked at, as long as they were alone
        ([memory(f1=1, f2=2), memory(f1=2, f2=2), memory(f1=3, f2=2, f3=50)], [3, 4]),
        ([], []),
    ],
)
def test_a_replica_that_comes_or_goes_is_no_growth(given: Sequence[Mapping[str, Used]], sums: list[float]) -> None:
    assert grown(*given) == sums


def test_peaks_are_those_of_single_seconds_and_replicas() -> None:
    busy = [0.0, 0.1, 0.5, 0.6, 0.6]
    given = [
        {
            "front-1": {CPU: cpu, MEMORY: 15e6 * at},
            "front-2": {CPU: 0.2 * at, MEMORY: 10e6},
            "worker-1": {CPU: 1.0 * at, MEMORY: 1e9},
        }
        for at, cpu in enumerate(busy)
    ]
    known = read_resources(rows(*given))
    found = [(peak.instance, peak.what, round(peak.share, 3)) for peak in known.peaks(DESCRIPTOR, (0, 200))]
    # worker has no limits; 0.4 of 0.5 cores in one second, though the average is 0.15
    assert found == [
        ("front-1", "cpu", 0.8),
        ("front-2", "cpu", 0.4),
        ("front-1", "memory", 0.3),
        ("front-2", "memory", 0.05),
    ]
    assert known.peaks(DESCRIPTOR, (102, 104))[0].share == pytest.approx(0.4)
    assert known.busy((100, 104)) == pytest.approx({"front": 0.35, "worker": 1.0})
    # 0.1 + 0.2, 0.4 + 0.2, 0.1 + 0.2, 0 + 0.2 cores of the two times 0.5 that are declared
    assert known.utilisation(DESCRIPTOR, (0, 200)) == pytest.approx([0.3, 0.6, 0.3, 0.2])


def test_a_restarted_process_used_no_negative_time() -> None:
    known = read_resources(rows({"front-1": {CPU: 90.0}}, {"front-1": {CPU: 0.1}}, {"front-1": {CPU: 0.2}}))
    assert known.peaks(DESCRIPTOR, (0, 200))[0].share == pytest.approx(0.2)
    assert known.busy((100, 101)) == {"front": 0.0}


def test_services_that_were_not_read_are_named() -> None:
    both = read_resources(rows({"front-1": {CPU: 1.0, MEMORY: None}, "front-2": {CPU: 1.0, MEMORY: 5.0}}))
    assert (both.unread(DESCRIPTOR, "cpu"), both.unread(DESCRIPTOR, "memory")) == ([], ["front"])
    assert read_resources([]).unread(DESCRIPTOR, "cpu") == ["front"]


def test_the_time_of_tasks_is_that_between_two_looks() -> None:
    told = [(0.0, 0.0), (2.0, 10.0), (2.0, 10.0), (5.0, 20.0), (0.5, 5.0)]
    known = read_resources(
        [{"wall_s": at, "instances": {}, TASK_SECONDS: s, TASKS: n} for at, (s, n) in enumerate(told)]
    )
    # nothing ended in one second, and a restart counts from nothing again
    assert known.agent_response_s((0, 10)) == pytest.approx([0.2, 0.3])


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"wall_s": "now", "instances": {}},
        {"wall_s": 1.0, "instances": []},
        {"wall_s": 1.0, "instances": {"front-1": 7}},
        {"wall_s": 1.0, "instances": {"front-1": {"service": "front", CPU: "much", MEMORY: True}}},
    ],
)
def test_rows_that_are_none_are_left_out(row: Mapping[str, Any]) -> None:
    known = read_resources([row])
    assert known.peaks(DESCRIPTOR, (0, 10)) == [] and known.series("front", MEMORY) == ([], [])


def exposed(service: str, **values: float) -> Exposed:
    return Exposed(service, {(name, ()): value for name, value in values.items()}, frozenset(values))


def test_what_can_be_read_is_kept_though_one_replica_cannot(tmp_path: Path) -> None:
    """A replica that is away takes the sums along, not what the others used; foreign ones are left out."""
    there = {
        "front-1": exposed("front", **{CPU: 2.0, TASK_SECONDS: 1.0, TASKS: 4.0}),
        "other-1": exposed("other", **{CPU: 2.0}),
    }
    answers = iter(
        [
            Snapshot(there),
            Snapshot(there, unreachable={"front-2": "connection refused"}, services={"front-2": "front"}),
        ]
    )
    all_read = threading.Event()

    def read(_deadline: object) -> Snapshot:
        found = next(answers, None)
        if found is None:
            all_read.set()
            raise TargetError("nobody answers")
        return found

    reach = SimpleNamespace(file=SimpleNamespace(descriptor=DESCRIPTOR), metrics=SimpleNamespace(read=read))
    sampling = Sampling(cast("Any", reach), tmp_path, 1.0)
    sampling._every_s = 0.01
    with sampling:
        eventually(all_read.is_set, within=30)
    written = list(json_lines(tmp_path / FILE))
    assert [(row["instances"].keys(), row[TASKS]) for row in written] == [({"front-1"}, 4.0), ({"front-1"}, None)]
    assert sampling.problem == "nobody answers"


def test_a_deployment_without_signals_is_not_asked(tmp_path: Path) -> None:
    bare = DESCRIPTOR.model_copy(update={"signals": {}})
    reach = SimpleNamespace(file=SimpleNamespace(descriptor=bare), metrics=None)
    with Sampling(cast("Any", reach), tmp_path, 1.0):
        pass
    assert not (tmp_path / FILE).exists()
