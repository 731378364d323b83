"""The manifests in `deploy/locust`: what they refer to is there, and their commands do a whole run."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from readiness.load.results import read
from readiness.load.validity import Flaw, flaws
from readiness.loading import load_descriptor
from tests.load.system import tiny_system

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "locust"
PATIENCE_S = 120.0


def documents(name: str) -> list[Any]:
    return [found for found in YAML(typ="safe").load_all((FOLDER / name).read_text(encoding="utf-8")) if found]


KUSTOMIZATION = documents("kustomization.yaml")[0]
OBJECTS = [found for name in KUSTOMIZATION["resources"] for found in documents(name)]
JOBS = {found["metadata"]["name"]: found["spec"] for found in OBJECTS if found["kind"] == "Job"}
PODS = {name: job["template"] for name, job in JOBS.items()}
SETTINGS = dict(text.split("=", 1) for made in KUSTOMIZATION["configMapGenerator"] for text in made.get("literals", ()))


def test_selectors_meet_one_role_each() -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in PODS.items()}
    (service,) = [found for found in OBJECTS if found["kind"] == "Service"]
    policies = {found["metadata"]["name"]: found["spec"] for found in OBJECTS if found["kind"] == "NetworkPolicy"}
    admitted = policies["workers-to-master"]
    assert service["spec"]["selector"] == labels["master"]
    assert admitted["podSelector"]["matchLabels"] == labels["master"]
    assert admitted["ingress"][0]["from"][0]["podSelector"]["matchLabels"] == labels["workers"]
    assert labels["master"] != labels["workers"]


@pytest.mark.parametrize("name", sorted(PODS))
def test_what_a_pod_mounts_is_there_and_it_has_no_rights(name: str) -> None:
    spec = PODS[name]["spec"]
    (container,) = spec["containers"]
    assert [mount["name"] for mount in container["volumeMounts"]] == [volume["name"] for volume in spec["volumes"]]
    made = {found["name"] for found in KUSTOMIZATION["configMapGenerator"]}
    assert {volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume} <= made
    assert {source["configMapRef"]["name"] for source in container["envFrom"]} <= made
    assert spec["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert container["image"] in {image["name"] for image in KUSTOMIZATION["images"]}
    used = set(re.findall(r"\$\((\w+)\)", " ".join(container["args"])))
    assert used <= set(SETTINGS)


def test_there_are_as_many_workers_as_the_master_waits_for() -> None:
    workers = JOBS["workers"]
    assert workers["parallelism"] == workers["completions"] == int(SETTINGS["LOAD_WORKERS"])


def test_the_example_is_a_descriptor() -> None:
    assert load_descriptor(FOLDER / "descriptor.yaml").descriptor.workload.ok is not None


def command(name: str, settings: dict[str, str], port: str, at: str) -> list[str]:
    """What a Job runs, with the master on a port of this machine."""
    (container,) = PODS[name]["spec"]["containers"]
    argv = [re.sub(r"\$\((\w+)\)", lambda found: settings[found[1]], text) for text in container["args"]]
    argv = [text.replace("=/loadtests/", f"={ROOT / 'loadtests'}/") for text in argv]
    there = {"--master-host=master": f"--master-host={at}", "--master-port=5557": f"--master-port={port}"}
    bound = [f"--master-bind-host={at}", f"--master-bind-port={port}"] if "--master" in argv else []
    return [sys.executable, "-m", "locust", *(there.get(text, text) for text in argv), *bound]


@pytest.mark.slow
def test_their_commands_do_a_whole_run(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {**SETTINGS, "LOAD_RATE": "40/s", "LOAD_DURATION": "3s"}
    with tiny_system() as system, contextlib.ExitStack() as stack:
        environment = {
            **os.environ,
            "READINESS_DEPLOYMENT": str(system.descriptor(tmp_path)),
            "READINESS_LOAD_RESULTS": str(tmp_path / "run"),
        }
        started = []
        for name in ("master", *["workers"] * int(settings["LOAD_WORKERS"])):
            argv = command(name, settings, port, "127.0.0.1")
            process = subprocess.Popen(
                argv, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            started.append(stack.enter_context(process))
            stack.callback(process.kill)
        assert [process.wait(PATIENCE_S) for process in started] == [0, 0, 0]
    result = read(tmp_path / "run")
    assert (result.plan.profile, result.plan.workers, result.total.ok) == ("steady", 2, 120)
    assert Flaw.WORKER_LOST not in {flaw for flaw, _ in flaws(result)}
