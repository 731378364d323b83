"""Actions on a real, tiny deployment: under a run's orders, and alone with the stock tool, whatever ends it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from readiness import executor
from readiness.chaos import acting as acting_module
from readiness.chaos.acting import Acting, under
from readiness.chaos.field import TOXIPROXY
from readiness.chaos.orders import Orders
from readiness.errors import Undecidable, UsageError
from readiness.state import State
from readiness.target import Argument
from readiness.waiting import eventually
from tests.tiny.deployment import Tiny, running

WITHIN_S = 120.0
LINK = 'links: {way: {from: [front], to: store, toxiproxy: ["front-*"]}}\nfaults: {toxiproxy: "http://127.0.0.1:9"}\n'
ACTIONS = "readiness.chaos.actions"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tiny]:
    with running(tmp_path_factory.mktemp("tiny") / "home") as deployment:
        deployment.edit(
            "    ready: /readyz\n    version: {path: /version, field: about.version}\n    metrics",
            "    part: agent\n    ready: /readyz\n    version: {path: /version, field: about.version}\n    metrics",
        )
        deployment.write_descriptor((deployment.home / "descriptor.yaml").read_text() + LINK)
        yield deployment


@pytest.fixture
def orders(tiny: Tiny, tmp_path: Path) -> Iterator[Orders]:
    with state(tiny).lease("test", 600) as lease:
        yield Orders(str(tiny.home / "descriptor.yaml"), str(tmp_path), "run-1", "IMP-CHA-TST", lease.holder.token)


def state(tiny: Tiny) -> State:
    return State(tiny.file.resolve(tiny.file.descriptor.state), "tiny")


def frozen(tiny: Tiny) -> list[str]:
    names = ["front-1", "front-2", "store-1"]
    return [name for name in names if psutil.Process(tiny.pid(name)).status() == psutil.STATUS_STOPPED]


def ledger(folder: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (folder / "ledger.jsonl").read_text().splitlines()]


def test_a_fault_is_shown_lifted_and_written_down(tiny: Tiny, orders: Orders, tmp_path: Path) -> None:
    acting = under(orders)
    told = acting.inject("frozen", {"part": "agent"})
    assert told["fault"] == "frozen" and "is stopped" in told["witnessed"]
    assert len(frozen(tiny)) == 1 and len(state(tiny).opened()) == 1
    lifted = acting.lift("frozen")["lifted"]
    assert len(lifted) == 1 and frozen(tiny) == [] and state(tiny).opened() == []
    assert acting.lift() == {"lifted": []}
    assert ledger(tmp_path) == ["opened", "done", "witnessed", "undone", "closed"]
    acting.end()


def test_the_end_lifts_what_is_in_force_and_nothing_is_injected_after_it(tiny: Tiny, orders: Orders) -> None:
    acting = under(orders)
    acting.inject("frozen", {"service": "store"})
    assert frozen(tiny) == ["store-1"]
    acting.end()
    acting.end()
    assert frozen(tiny) == [] and state(tiny).opened() == []
    with pytest.raises(Undecidable, match="has ended"):
        acting.inject("frozen", {"service": "store"})


def test_more_than_the_blast_radius_is_refused_and_nothing_is_hit(tiny: Tiny, orders: Orders) -> None:
    acting = under(orders)
    with pytest.raises(Undecidable, match="would hit 2 of 2 replicas of front"):
        acting.inject("frozen", {"part": "agent", "replicas": 2})
    assert frozen(tiny) == [] and state(tiny).opened() == []
    acting.end()


def test_a_rehearsal_does_everything_but_the_fault(tiny: Tiny, orders: Orders) -> None:
    acting = under(replace(orders, rehearse=True))
    assert acting.inject("frozen", {"part": "agent"})["rehearsed"] is True
    assert frozen(tiny) == [] and state(tiny).opened() == []
    acting.end()


def test_a_hollow_fault_has_no_witness_and_fails(tiny: Tiny, orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "_WITNESS_S", 0.5)
    acting = under(replace(orders, hollow=True))
    with pytest.raises(Undecidable, match="nothing shows that it took effect: freeze"):
        acting.inject("frozen", {"part": "agent"})
    assert state(tiny).opened() == []
    acting.end()


def test_production_is_refused_unless_it_is_armed(tiny: Tiny, orders: Orders, tmp_path: Path) -> None:
    path = tiny.home / "production.yaml"
    path.write_text(
        (tiny.home / "descriptor.yaml").read_text().replace("environment: staging", "environment: production")
    )
    acting = under(replace(orders, descriptor=str(path), run_id="unarmed"))
    with pytest.raises(Undecidable, match="is in production and not armed"):
        acting.inject("frozen", {"part": "agent"})
    with pytest.raises(Undecidable, match="no work is sent to it unasked"):
        acting.may_probe()
    acting.end()
    armed = under(replace(orders, descriptor=str(path), run_id="armed", armed=True, folder=str(tmp_path)))
    armed.may_probe()
    assert armed.inject("frozen", {"part": "agent"})["witnessed"]
    armed.end()
    assert frozen(tiny) == []


def test_orders_of_another_run_are_refused(orders: Orders) -> None:
    with pytest.raises(UsageError, match="does not hold the deployment any more"):
        under(replace(orders, token="another"))


class Gate:
    """A proxy that is open or shut, and what was done to it."""

    def __init__(self) -> None:
        self.shut = False
        self.done: list[str] = []

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        del arguments
        self.done.append(operation)
        self.shut = operation == "disable"

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        del arguments
        return {"felt": "refused" if self.shut else "", "clear": "" if self.shut else "it passes"}[operation]


def test_a_link_that_flaps_is_cut_and_mended_each_time(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(acting_module, "servers_of", lambda _: ({TOXIPROXY: gate}, {TOXIPROXY: lambda: ["front-1"]}))
    acting = under(orders)
    told = acting.inject("flapping", {"link": "way", "down_s": 0.1, "up_s": 0.1, "times": 3})
    assert told["times"] == 3 and told["witnessed"] == ["refused"] * 3
    assert [one for one in gate.done if one == "disable"] == ["disable"] * 3
    assert gate.done[-1] == "enable" and not gate.shut and acting.executor.open == ()
    acting.end()


def experiment(tiny: Tiny, pause_s: float) -> Path:
    def act(func: str, **arguments: Any) -> dict[str, Any]:
        provider = {"type": "python", "module": ACTIONS, "func": func, "arguments": arguments}
        return {"type": "action", "name": func, "provider": provider, "pauses": {"after": pause_s}}

    probe = {
        "type": "probe",
        "name": "work ends",
        "tolerance": True,
        "provider": {"type": "python", "module": "readiness.chaos.probes", "func": "work_ends"},
    }
    path = tiny.home / f"freeze-{pause_s:g}.json"
    given = {
        "title": "freeze",
        "description": "for a test",
        "steady-state-hypothesis": {"title": "steady", "probes": [probe]},
        "method": [act("inject", fault="frozen", service="store")],
        "rollbacks": [act("lift")] if pause_s < 1 else [],
    }
    path.write_text(json.dumps(given), encoding="utf-8")
    return path


def chaos(tiny: Tiny, path: Path, **variables: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--no-log-file", "run", str(path)]
    environment = {**os.environ, "READINESS_DEPLOYMENT": str(tiny.home / "descriptor.yaml"), **variables}
    return subprocess.Popen(
        argv, cwd=tiny.home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_the_stock_tool_runs_an_experiment_and_leaves_nothing(tiny: Tiny) -> None:
    process = chaos(tiny, experiment(tiny, 0.1))
    said, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0, said
    assert "witnessed: freeze store-1" in said and "lifted: freeze store-1" in said
    assert frozen(tiny) == [] and state(tiny).opened() == [] and state(tiny).holder() is None


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_whatever_ends_the_stock_tool_the_fault_is_lifted(tiny: Tiny, name: str) -> None:
    process = chaos(tiny, experiment(tiny, 60))
    try:
        eventually(lambda: frozen(tiny), within=WITHIN_S)
        eventually(lambda: "witnessed" in _written(tiny), within=WITHIN_S)
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=WITHIN_S)
        eventually(lambda: not state(tiny).opened() and not frozen(tiny), within=WITHIN_S)
        eventually(lambda: state(tiny).holder() is None or name == "SIGKILL", within=WITHIN_S)
    finally:
        process.kill()
        process.wait()


def _written(tiny: Tiny) -> list[str]:
    folders = sorted((tiny.home / "var" / "readiness" / "chaos").iterdir())
    return ledger(folders[-1]) if folders and (folders[-1] / "ledger.jsonl").exists() else []


def test_a_deployment_that_another_run_holds_is_left_alone(tiny: Tiny) -> None:
    with state(tiny).lease("somebody else", 600):
        process = chaos(tiny, experiment(tiny, 0.1))
        said, _ = process.communicate(timeout=WITHIN_S)
    assert "another run holds this deployment: somebody else" in said
    assert "witnessed" not in said and frozen(tiny) == []


def test_without_a_deployment_one_line_says_what_to_do(tiny: Tiny, tmp_path: Path) -> None:
    process = chaos(tiny, experiment(tiny, 0.1), READINESS_DEPLOYMENT="", XDG_STATE_HOME=str(tmp_path))
    said, _ = process.communicate(timeout=WITHIN_S)
    assert "no deployment: name its descriptor, set READINESS_DEPLOYMENT" in said


def test_an_acting_process_knows_what_it_holds(orders: Orders) -> None:
    acting = under(orders)
    assert isinstance(acting, Acting) and acting.executor.heals_otherwise == "reaper"
    assert acting.field.run_tag.startswith("rd-")
    acting.end()
