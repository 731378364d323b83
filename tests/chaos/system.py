"""A deployment on paper, an experiment as text, and the orders of a run: what the tests of experiments need."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from readiness.chaos.experiment import Experiment, read_experiment
from readiness.chaos.orders import Orders
from readiness.loading import load_descriptor
from readiness.state import State

ROOT = Path(__file__).parents[2]
SECRET = "hush-hush-7431"
DESCRIPTOR = """\
readiness: 1
name: paper
environment: staging
services:
  worker: {part: agent, address: "http://127.0.0.1:9", process: {pidfile: run/*.pid}, ready: /readyz}
auth: {worker: {bearer: {file: token}}}
workload:
  ok:
    submit: {method: POST, url: "{worker}/jobs", json: {input: "{marker}"}}
    within: 5s
golden: [{question: "Who?", expect: "Nobody"}]
"""
MODULE = "tests.chaos.activities"


def activity(func: str, *, type: str = "action", name: str = "", **given: Any) -> dict[str, Any]:
    """An activity by its function; `arguments`, `tolerance` and the like are given."""
    arguments = given.pop("arguments", {})
    module = given.pop("module", MODULE)
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": type, "name": name or func, "provider": provider, **given}


def probe(func: str, **given: Any) -> dict[str, Any]:
    return activity(func, type="probe", **{"tolerance": True, **given})


def data(
    *method: Mapping[str, Any], probes: list[Any] | None = None, rollbacks: list[Any] | None = None
) -> dict[str, Any]:
    """An experiment; without probes its hypothesis always holds."""
    return {
        "title": "tried",
        "description": "for a test",
        "steady-state-hypothesis": {"title": "steady", "probes": [probe("well")] if probes is None else probes},
        "method": list(method),
        "rollbacks": rollbacks or [],
    }


class Paper:
    """The deployment's folder and the run's, with the lease held."""

    def __init__(self, home: Path, token: str) -> None:
        self.home = home
        self.descriptor = home / "readiness.yaml"
        self.orders = Orders(str(self.descriptor), str(home / "run"), "run-1", "IMP-CHA-TST", token)

    def experiment(self, given: Mapping[str, Any], name: str = "tried") -> Experiment:
        path = self.home / f"{name}.yaml"
        path.write_text(json.dumps(given), encoding="utf-8")
        return read_experiment(path)


@contextmanager
def paper(home: Path) -> Iterator[Paper]:
    """Write the descriptor and hold its lease for the block."""
    (home / "readiness.yaml").write_text(DESCRIPTOR, encoding="utf-8")
    (home / "token").write_text(SECRET, encoding="utf-8")
    (home / "run").mkdir()
    file = load_descriptor(home / "readiness.yaml")
    with State(file.resolve(file.descriptor.state), "paper").lease("test", 600) as lease:
        yield Paper(home, lease.holder.token)
