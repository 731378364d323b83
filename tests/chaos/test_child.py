"""A run in a child: every row of how the library hides what happened, told as a fact."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from readiness.chaos.journal import Journal
from readiness.chaos.runner import hypothesis_alone, hypothesis_when_down, run_child
from readiness.waiting import Deadline, eventually
from tests.chaos.system import ROOT, SECRET, Paper, activity, data, paper, probe

WITHIN_S = 120.0


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with paper(tmp_path) as made:
        yield made


def run(deployment: Paper, given: dict[str, Any], **more: Any) -> Journal:
    return run_child(deployment.experiment(given), deployment.orders, deadline=Deadline.after(WITHIN_S), **more)


def test_a_whole_run_is_told_as_such(deployment: Paper) -> None:
    journal = run(deployment, data(activity("well"), rollbacks=[activity("nothing")]))
    assert journal.whole and journal.hypothesis_before is True and journal.hypothesis_after is True
    assert [(one.section, one.name) for one in journal.runs] == [
        ("before", "well"),
        ("method", "well"),
        ("after", "well"),
        ("rollbacks", "nothing"),
    ]
    assert journal.path.is_file()


def test_a_hypothesis_that_did_not_hold_before_is_no_completed_run(deployment: Paper) -> None:
    journal = run(deployment, data(activity("well"), probes=[probe("badly")]))
    assert journal.stated == "completed"
    assert journal.out_of_tolerance_before and not journal.method_began and not journal.whole
    assert journal.hypothesis_after is None


def test_actions_that_raised_are_named(deployment: Paper) -> None:
    journal = run(deployment, data(activity("raises"), activity("well")))
    assert journal.activities_failed == ("raises: RuntimeError: the action could not be done",)
    assert journal.stated == "completed" and not journal.whole


def test_a_coroutine_was_not_done(deployment: Paper) -> None:
    journal = run(deployment, data(activity("awaited")))
    assert len(journal.activities_failed) == 1
    assert "awaited" in journal.activities_failed[0] and "coroutine" in journal.activities_failed[0]


def test_a_hypothesis_that_does_not_hold_after_is_told(deployment: Paper, tmp_path: Path) -> None:
    there = str(tmp_path / "noted")
    given = data(
        activity("note", arguments={"path": there}),
        probes=[probe("is_noted", arguments={"path": there}, tolerance=False)],
    )
    journal = run(deployment, given)
    assert (journal.hypothesis_before, journal.hypothesis_after) == (True, False)


def test_an_exception_that_leaves_the_library_takes_neither_the_facts_nor_the_rollbacks(
    deployment: Paper, tmp_path: Path
) -> None:
    there, undone = tmp_path / "noted", tmp_path / "undone"
    given = data(
        activity("note", arguments={"path": str(there)}),
        probes=[probe("nothing_once_noted", arguments={"path": str(there)}, tolerance=[0, 2])],
        rollbacks=[activity("note", name="undo", arguments={"path": str(undone)})],
    )
    healed: list[bool] = []
    journal = run(deployment, given, heal=lambda: healed.append(True))
    assert "TypeError" in journal.escaped and not journal.whole
    assert journal.hypothesis_before is True and journal.hypothesis_after is None
    assert undone.read_text() == "was here\n"
    assert journal.path.is_file()


def test_a_swallowed_interrupt_is_told_and_nothing_more_is_done(deployment: Paper, tmp_path: Path) -> None:
    there = tmp_path / "noted"
    for func in ("interrupted", "terminated"):
        journal = run(deployment, data(activity(func), activity("note", arguments={"path": str(there)})))
        assert journal.interrupted and not journal.whole
        assert "note: never ran" in journal.activities_failed
        assert not there.exists()


def test_what_was_given_to_the_child_is_not_changed_by_it(deployment: Paper) -> None:
    experiment = deployment.experiment(data(activity("well")))
    before = experiment.data
    for _ in range(2):
        assert run_child(experiment, deployment.orders, deadline=Deadline.after(WITHIN_S)).whole
    assert experiment.data == before


def test_the_parent_owns_the_deadline(deployment: Paper, tmp_path: Path) -> None:
    there = tmp_path / "pid"
    healed: list[bool] = []

    experiment = deployment.experiment(data(activity("hangs", arguments={"path": str(there)})))
    journal = run_child(
        experiment,
        deployment.orders,
        deadline=Deadline.after(WITHIN_S),
        stop=lambda: "the promise was broken" if there.exists() and there.read_text().strip() else "",
        heal=lambda: healed.append(True),
    )
    assert journal.killed == "the promise was broken" and healed == [True]
    assert journal.hypothesis_before is True and journal.method_began and not journal.whole
    assert not psutil.pid_exists(int(there.read_text()))
    assert "hangs: never ran" in journal.activities_failed
    assert journal.path.is_file()
    late = run_child(experiment, deployment.orders, deadline=Deadline.after(0), heal=lambda: healed.append(True))
    assert "time" in late.killed and len(healed) == 2


def test_the_child_ends_with_its_parent(deployment: Paper, tmp_path: Path) -> None:
    there = tmp_path / "pid"
    deployment.experiment(data(activity("hangs", arguments={"path": str(there)})))
    deployment.orders.write(tmp_path / "orders.json")
    program = (
        "import sys; from pathlib import Path; from readiness.chaos.experiment import read_experiment\n"
        "from readiness.chaos.orders import Orders; from readiness.chaos.runner import run_child\n"
        "from readiness.waiting import Deadline\n"
        "run_child(read_experiment(Path(sys.argv[1])), Orders.read(Path(sys.argv[2])), deadline=Deadline.after(100))\n"
    )
    arguments = [str(tmp_path / "tried.yaml"), str(tmp_path / "orders.json")]
    parent = subprocess.Popen([sys.executable, "-c", program, *arguments])
    try:
        eventually(lambda: there.exists() and there.read_text().strip(), within=WITHIN_S)
        child = int(there.read_text())
        assert psutil.pid_exists(child)
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    eventually(lambda: not psutil.pid_exists(child), within=WITHIN_S)


def test_secrets_stand_in_no_journal_and_in_no_fact(deployment: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THEIRS", "whispered-9120")
    given = data(
        activity("says", arguments={"text": f"Bearer {SECRET}"}),
        activity("fails_saying", arguments={"text": SECRET}),
        activity("says", name="theirs", arguments={"text": "${key}"}),
    )
    given["secrets"] = {"theirs": {"key": {"type": "env", "key": "SECRET_OF_THEIRS"}}}
    events: list[Any] = []
    journal = run(deployment, given, on_event=events.append)
    everything = journal.path.read_text() + repr(journal) + repr(events)
    assert SECRET not in everything and "whispered-9120" not in everything
    assert "[secret:" in journal.path.read_text() and "[secret:" in journal.activities_failed[0]


def test_orders_of_a_run_that_holds_nothing_are_not_followed(deployment: Paper) -> None:
    experiment = deployment.experiment(data(activity("well")))
    orders = replace(deployment.orders, token="another")
    journal = run_child(experiment, orders, deadline=Deadline.after(WITHIN_S))
    assert "does not hold the deployment" in journal.escaped and not journal.runs


def test_a_hypothesis_is_tried_alone_probe_by_probe(deployment: Paper) -> None:
    experiment = deployment.experiment(data(activity("well"), probes=[probe("badly"), probe("raises"), probe("well")]))
    alone = hypothesis_alone(experiment, deployment.orders, deadline=Deadline.after(WITHIN_S))
    assert [(one.name, one.met) for one in alone.probes] == [("badly", False), ("raises", False), ("well", True)]
    assert alone.met is False and alone.holding == ("well",) and not alone.problem
    assert "RuntimeError" in alone.probes[1].error


OURS = "readiness.chaos.probes"


def test_no_probe_of_ours_holds_where_the_deployment_is_down(deployment: Paper) -> None:
    probes = [
        probe("work_ends", module=OURS, arguments={"n": 2, "within_s": 5}),
        probe("work_ends_or_is_refused", module=OURS, arguments={"n": 2, "within_s": 5}),
        probe("services_ready", module=OURS),
        probe("services_ready", module=OURS, name="agents", arguments={"part": "agent"}),
        probe("answers_rightly", module=OURS, arguments={"within_s": 5}),
        probe("requests_per_transaction", module=OURS, arguments={"at_most": 5, "within_s": 5}),
    ]
    experiment = deployment.experiment(data(activity("well"), probes=probes))
    alone = hypothesis_when_down(experiment, deployment.orders, deadline=Deadline.after(WITHIN_S))
    assert len(alone.probes) == len(probes) and alone.holding == ()
    assert alone.met is False


def test_a_vacuous_hypothesis_holds_where_the_deployment_is_down(deployment: Paper) -> None:
    experiment = deployment.experiment(data(activity("well")))
    assert hypothesis_when_down(experiment, deployment.orders, deadline=Deadline.after(WITHIN_S)).met is True


def test_nothing_is_injected_where_only_the_hypothesis_is_tried(deployment: Paper) -> None:
    given = data(
        activity("well"),
        probes=[
            probe(
                "inject",
                module="readiness.chaos.actions",
                arguments={"fault": "killed", "part": "agent"},
                tolerance={"type": "regex", "pattern": "."},
            )
        ],
    )
    alone = hypothesis_when_down(deployment.experiment(given), deployment.orders, deadline=Deadline.after(WITHIN_S))
    assert alone.met is False and "nothing is injected" in alone.probes[0].error
