"""A load run in the history: all of it can be written, read again, and shown by the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import TypeAdapter

from readiness.descriptor import Descriptor
from readiness.history import History
from readiness.load.plan import Plan, Stage
from readiness.load.results import read
from readiness.load.samples import Outcome as End
from readiness.load.verdict import judge
from readiness.loadrun import LoadRun
from readiness.loadtelling import limited_by, told
from readiness.redaction import Redactor
from readiness.report.load_record import Load as Reported
from readiness.resources import CPU, MEMORY, read_resources
from tests.gates.loaded import performance
from tests.gates.loads import Load, at_ease, calm, ends, every, slower, stretch
from tests.load.written import plan_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DESCRIPTOR = Descriptor.model_validate(performance())
PLAN = plan_of(Stage("before", 5, 4, 4), Stage("after", 5, 4, 4), thresholds={"p95": "<= 2s", "after.errors": "<= 1%"})
NEVER = "never began"


def broken(plan: Plan) -> NDArray[np.void]:
    return ends(calm(plan), every(stretch(plan, "after"), 2), End.ERROR, 0.2, 500)


LOADS = {
    "calm": Load(),
    "all shed": Load(lambda plan: ends(calm(plan), stretch(plan, "before", "after"), End.SHED, 0.01, 429)),
    "some broken": Load(broken),
    "nothing sent": Load(lambda plan: calm(plan)[:0], written={"lost": frozenset({0})}),
    "counted beyond a cap": Load(written={"cap": 5}),
    "an instant system": Load(lambda plan: slower(calm(plan), stretch(plan, "before", "after"), 0)),
    "no resources": Load(usage=lambda *_: None, task_s=None),
    NEVER: Load(),
}


def run_of(name: str, folder: Path, load: Load | None = None) -> LoadRun:
    (load or LOADS[name]).into(folder, PLAN, 1_790_000_000.25, ["front-1", "worker-1"])
    if name == NEVER:
        (folder / "zero.json").unlink()
    result = read(folder)
    return LoadRun("steady", result, judge(result), read_resources(result.resources))


@pytest.mark.parametrize("name", LOADS)
def test_all_of_it_is_written_and_read_byte_for_byte(name: str, tmp_path: Path) -> None:
    data = told(run_of(name, tmp_path / "load" / "steady"), "PRF-LOD-006", DESCRIPTOR)
    lines = []
    for folder, given in ((tmp_path / "a", data), (tmp_path / "b", None)):
        with History.create(folder, Redactor()) as history:
            history.append("load", **(data if given is not None else dict(History.read(tmp_path / "a")[0].data)))
        (line,) = (folder / "history.jsonl").read_bytes().splitlines()
        lines.append(json.dumps(json.loads(line)["data"]))
    assert lines[0] == lines[1]
    shown = TypeAdapter(Reported).validate_python(json.loads(lines[0]))
    assert (shown.outcome, shown.reasons, len(shown.stages)) == (data["outcome"], tuple(data["reasons"]), 2)
    assert shown.total.started == sum(stage.started for stage in shown.stages)
    assert sum(second.started for second in shown.seconds) == shown.total.started


@pytest.mark.parametrize(
    ("name", "load", "words"),
    [
        ("calm", None, "nothing that was seen: everything was served as planned"),
        ("all shed", None, "the deployment itself: it refused 40 of 40"),
        ("some broken", None, "the deployment: 10 of 40 broke"),
        ("nothing sent", None, "the generator or the plan: 1 of 1 workers were lost"),
        ("calm", Load(usage=lambda n, at: {**at_ease(n, at), CPU: 0.95 * at}), "cpu of front-1: 95% of its limit"),
        ("calm", Load(usage=lambda n, at: {**at_ease(n, at), MEMORY: 256e6}), "memory of front-1: 100% of its limit"),
    ],
)
def test_what_limited_the_run(name: str, load: Load | None, words: str, tmp_path: Path) -> None:
    assert limited_by(run_of(name, tmp_path, load), DESCRIPTOR).startswith(words)


def test_criteria_are_told_as_people_write_them(tmp_path: Path) -> None:
    data = told(run_of("some broken", tmp_path), "X", DESCRIPTOR)
    assert [(one["text"], one["stage"], one["holds"]) for one in data["criteria"]] == [
        ("p95 at most 2.0 s", "", True),
        ("errors at most 1 %", "after", False),
    ]
    assert data["criteria"][1]["value"] == 50 and data["errors"] == {"error: HTTP 500": 10}


def test_a_long_run_is_told_up_to_two_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("readiness.loadtelling.SECONDS_SHOWN", 3)
    assert [row["second"] for row in told(run_of("calm", tmp_path), "X", DESCRIPTOR)["seconds"]] == [0, 1, 2]
