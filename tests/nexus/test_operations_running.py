"""A whole deployment under its supervisor: started, operated, broken, and taken down without a trace."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from readiness.loading import load_descriptor
from readiness.nexus.processes import processes_of
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import Supervisor

pytestmark = pytest.mark.slow
WITHIN_S = 90.0


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {WITHIN_S:.0f} s: {what}"
        time.sleep(0.1)


def nexus(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "readiness.nexus", *words]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)


@dataclass(frozen=True)
class Deployment:
    """A running home, as its operators and callers see it."""

    home: Path

    @property
    def settings(self) -> Settings:
        return Settings.load(self.home)

    def ctl(self, *words: str, expect: int = 0) -> str:
        command = [str(self.home / "bin" / "nexusctl"), *words]
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == expect, f"{words}: {done.returncode}: {done.stderr}"
        if expect:
            assert len(done.stderr.strip().splitlines()[-1:]) == 1
            assert "Traceback" not in done.stderr
        return done.stdout

    def caller(self) -> httpx.Client:
        token = self.settings.secret("caller.token")
        return httpx.Client(
            base_url=self.settings.public_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
            trust_env=False,
        )

    def answers(self) -> bool:
        try:
            with self.caller() as http:
                return http.get("/v1/ping").status_code == 200
        except httpx.TransportError:
            return False

    def work(self, text: str) -> dict[str, Any]:
        with self.caller() as http:
            answer = http.post("/v1/workflows", json={"plan": "answer", "input": text})
            assert answer.status_code == 202, answer.text
            return self.ended(answer.json()["id"])

    def ended(self, identity: str) -> dict[str, Any]:
        state: dict[str, Any] = {}

        def over() -> bool:
            with self.caller() as http:
                state.update(http.get(f"/v1/workflows/{identity}").json())
            return state.get("status") in ("done", "failed")

        until(over, f"workflow {identity} ends")
        return state

    def status(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.ctl("status", "--json"))
        return shown


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    # Not pytest's own folder: its paths are long, and a unix socket's path must be short.
    home = Path(tempfile.mkdtemp(prefix="nxt-"))
    try:
        done = nexus("up", "--dir", str(home))
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(home / "descriptor.yaml")
        yield Deployment(home)
    finally:
        nexus("down", "--dir", str(home), "--wipe")
        shutil.rmtree(home, ignore_errors=True)


def test_its_descriptor_is_in_the_published_format(deployment: Deployment) -> None:
    descriptor = load_descriptor(deployment.home / "descriptor.yaml").descriptor
    assert set(descriptor.services) == set(deployment.settings.replicas)
    assert descriptor.releases is not None
    assert descriptor.releases.current == deployment.status()["release"]


def test_up_again_says_that_it_is_up(deployment: Deployment) -> None:
    done = nexus("up", "--dir", str(deployment.home))
    assert done.stdout.splitlines() == [f"already up: {deployment.home}", str(deployment.home / "descriptor.yaml")]


def test_a_backup_becomes_an_equal_environment(deployment: Deployment) -> None:
    with deployment.caller() as http:
        assert http.put("/v1/users/canary/preferences", json={"note": "feather"}).status_code == 200
    done = deployment.work("How often is critical data backed up?")
    assert "every 60 minutes" in done["answer"]
    taken = json.loads(deployment.ctl("backup"))["id"]
    before = json.loads(deployment.ctl("inventory", "--json"))
    deployment.ctl("search-backup", "--set", taken, "--component", "user_data", "--for", "feather")
    deployment.ctl("search-backup", "--set", taken, "--component", "user_data", "--for", "lead", expect=1)
    deployment.ctl("restore", "--from", taken, "--into", "twin", expect=77)
    deployment.ctl("--as", "administrator", "restore", "--from", taken, "--into", "twin")
    try:
        assert json.loads(deployment.ctl("inventory", "--json", "--of", "twin")) == before
        twin = Deployment(deployment.home / "env" / "twin")
        load_descriptor(twin.home / "descriptor.yaml")
        assert "every 60 minutes" in twin.work("How often is critical data backed up?")["answer"]
        assert twin.settings.secret("caller.token") != deployment.settings.secret("caller.token")
        deployment.ctl("--as", "administrator", "restore", "--from", taken, "--into", "twin", expect=1)
    finally:
        deployment.ctl("discard", "twin")
        deployment.ctl("discard", "twin")
    assert not processes_of(deployment.home / "env" / "twin")


def test_a_backup_is_restored_in_place(deployment: Deployment) -> None:
    with deployment.caller() as http:
        http.put("/v1/users/early/preferences", json={"note": "kept"})
        taken = json.loads(deployment.ctl("backup", "--kind", "incremental"))["id"]
        http.put("/v1/users/late/preferences", json={"note": "lost"})
    deployment.ctl("--as", "administrator", "restore", "--from", taken, "--into", deployment.settings.environment)
    with deployment.caller() as http:
        assert http.get("/v1/users/early/preferences").json() == {"note": "kept"}
        assert http.get("/v1/users/late/preferences").status_code == 404
    assert deployment.work("still at work")["status"] == "done"


def test_deploy_and_rollback_move_everything_and_lose_nothing(deployment: Deployment) -> None:
    before = deployment.status()
    first = deployment.work("written by the newer release")
    with deployment.caller() as http:
        slow = {"plan": "answer", "input": "under way", "model": "standin-slow"}
        running = [http.post("/v1/workflows", json=slow).json()["id"] for _ in range(4)]
    deployment.ctl("rollback")
    old = deployment.status()
    assert (old["release"], old["weights"], old["schema"]) == ("2.2.4", {"2.2.4": 100}, "0001")
    assert old["replicas"] == before["replicas"]
    assert deployment.ended(first["id"])["answer"] == first["answer"]
    assert [deployment.ended(one)["effects"] for one in running] == [1] * 4
    assert deployment.work("by the older release")["release"] == "2.2.4"
    deployment.ctl("rollback", expect=1)
    deployment.ctl("deploy", "2.3.0")
    assert deployment.status() == before


def test_a_release_that_does_not_do_its_work_is_sent_back(deployment: Deployment) -> None:
    before = deployment.status()
    deployment.ctl("deploy", "2.3.1-bad", expect=1)
    assert deployment.status() == before
    assert deployment.work("as before")["release"] == before["release"]


def test_a_deploy_that_was_killed_is_put_right_by_deploying_the_current_release(deployment: Deployment) -> None:
    before = deployment.status()
    command = [str(deployment.home / "bin" / "nexusctl"), "deploy", "2.3.1"]
    deploying = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert deploying.stderr is not None
    for line in deploying.stderr:
        if "all requests" in line:
            break
    deploying.kill()
    deploying.communicate()
    deployment.ctl("deploy", before["release"])
    assert deployment.status() == before
    assert deployment.work("as before")["status"] == "done"


def test_who_may_not_deploy_is_refused_and_recorded(deployment: Deployment) -> None:
    deployment.ctl("--as", "read-only", "deploy", "2.3.1", "--dry-run", expect=77)
    records = json.loads(deployment.ctl("--as", "security", "audit", "--json"))["records"]
    assert [records[-2][key] for key in ("actor", "operation", "outcome")] == ["read-only", "deploy", "denied"]
    deployment.ctl("audit-verify")


def test_a_changed_audit_record_is_found(deployment: Deployment, tmp_path: Path) -> None:
    copy = tmp_path / "audit.jsonl"
    copy.write_text(deployment.settings.audit_log.read_text().replace("denied", "allowed", 1))
    deployment.ctl("audit-verify", "--file", str(copy), expect=1)


@pytest.mark.parametrize("victim", ["supervisord", "caretaker", "orchestrator-1-r2.3.0"])
def test_whatever_is_killed_comes_back(deployment: Deployment, victim: str) -> None:
    supervisor = Supervisor(deployment.home)
    supervisord = supervisor.process()
    assert supervisord is not None
    pid = supervisord.pid if victim == "supervisord" else supervisor.states()[victim]["pid"]
    psutil.Process(pid).kill()

    def back() -> bool:
        found = supervisor.process()
        if found is None or not supervisor.answers():
            return False
        now = found.pid if victim == "supervisord" else supervisor.states()[victim]["pid"]
        return now not in (0, pid)

    until(back, f"{victim} is back")
    until(deployment.answers, "a gateway answers")
    assert deployment.work(f"after the death of {victim}")["effects"] == 1


def test_start_is_the_undo_of_a_stop(deployment: Deployment) -> None:
    before = deployment.status()
    deployment.ctl("--as", "read-only", "stop", "writer", "writer-1-r2.3.0", expect=77)
    deployment.ctl("stop", "writer", "writer-1", expect=1)
    assert deployment.status() == before
    deployment.ctl("stop", "writer", "writer-1-r2.3.0")
    assert deployment.status()["replicas"]["writer"] == 1
    assert deployment.work("by the other writer")["status"] == "done"
    deployment.ctl("start", "writer")
    assert deployment.status() == before


@pytest.mark.parametrize("service", ["knowledge", "orchestrator"])
def test_what_is_stored_outlives_a_recreated_service(service: str, deployment: Deployment) -> None:
    before = deployment.status()
    known = deployment.work("before it is recreated")
    counted = json.loads(deployment.ctl("inventory", "--json"))["components"]
    pid_file = deployment.settings.run / f"{service}-1-r2.3.0.pid"
    process = pid_file.read_text()
    deployment.ctl("--as", "read-only", "recreate", service, expect=77)
    deployment.ctl("recreate", service)
    assert pid_file.read_text() != process
    assert deployment.status() == before
    after = json.loads(deployment.ctl("inventory", "--json"))["components"]
    assert all(after[name]["count"] >= counted[name]["count"] for name in counted)
    assert deployment.ended(known["id"])["answer"] == known["answer"]


def test_a_tool_is_refused_to_a_role_that_may_not_use_it_whatever_it_claims(deployment: Deployment) -> None:
    def use(role: str, tool: str, correlation: str, expect: int, level: str = "security") -> None:
        deployment.ctl("--as", level, "use-tool", role, tool, "--correlation", correlation, expect=expect)

    use("researcher", "search_knowledge", "drill-yes", 0)
    use("planner", "search_knowledge", "drill-no-1", 77)
    use("researcher", "read_document", "drill-no-2", 77)
    use("researcher", "search_knowledge", "drill-operator", 77, level="operator")
    lines = [line for log in (deployment.home / "log").glob("knowledge-*.log") for line in log.read_text().splitlines()]
    refused = [json.loads(line) for line in lines if "drill-no-" in line]
    assert [(one["event"], one["level"]) for one in refused] == [("tool.refused", "WARN")] * 2
    assert not any("drill-operator" in line for line in lines)


def test_a_gateway_that_stops_cuts_nobody_off(deployment: Deployment) -> None:
    stopped, failed, statuses = threading.Event(), list[str](), list[int]()

    def ask(kept: bool) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if kept else 0)
        with httpx.Client(base_url=deployment.settings.public_url, limits=limits, trust_env=False, timeout=30) as http:
            while not stopped.wait(0.02):
                try:
                    statuses.append(http.get("/v1/ping").status_code)
                except httpx.TransportError as error:
                    failed.append(f"{'kept' if kept else 'fresh'}: {error!r}")

    callers = [threading.Thread(target=ask, args=(number % 2 == 0,)) for number in range(6)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(3):
            deployment.ctl("stop", "gateway", "gateway-1-r2.3.0")
            deployment.ctl("start", "gateway")
    finally:
        stopped.set()
        for caller in callers:
            caller.join()
    assert failed == []
    assert set(statuses) <= {200, 429} and len(statuses) > 50


def test_scaling_out_and_in_under_load_loses_nothing_and_is_recorded(deployment: Deployment) -> None:
    before = deployment.status()
    deployment.ctl("scale", "planner", "4")
    assert deployment.status()["replicas"] == before["replicas"] | {"planner": 4}
    assert deployment.settings.replicas["planner"] == 4
    with deployment.caller() as http:
        order = {"plan": "answer", "input": "under way", "model": "standin-slow"}
        accepted = [http.post("/v1/workflows", json=order).json()["id"] for _ in range(8)]
    deployment.ctl("scale", "planner", "1")
    assert deployment.status()["replicas"]["planner"] == 1
    states = [deployment.ended(one) for one in accepted]
    assert [(state["status"], state["effects"]) for state in states] == [("done", 1)] * 8
    deployment.ctl("scale", "planner", "2")
    assert deployment.status() == before
    deployment.ctl("--as", "read-only", "scale", "planner", "3", expect=77)
    assert deployment.status() == before
    records = json.loads(deployment.ctl("--as", "security", "audit", "--json"))["records"]
    scaled = [record for record in records if record["operation"] == "scale"]
    assert [record["outcome"] for record in scaled[-2:]] == ["allowed", "denied"]
    assert "service=planner replicas=2" in scaled[-2]["detail"]


def test_scaling_in_may_lose_work_where_it_is_thought_cancelled() -> None:
    home = Path(tempfile.mkdtemp(prefix="nxt-"))
    try:
        assert nexus("up", "--dir", str(home), "--defect", "scale-in-drops-tasks").returncode == 0
        lossy = Deployment(home)
        with lossy.caller() as http:
            order = {"plan": "answer", "input": "under way", "model": "standin-slow"}
            accepted = [http.post("/v1/workflows", json=order).json()["id"] for _ in range(12)]
        lossy.ctl("scale", "planner", "1")
        lossy.work("after all that went before")
        with lossy.caller() as http:
            states = [http.get(f"/v1/workflows/{one}").json() for one in accepted]
        assert [state for state in states if not state["tasks"]]
    finally:
        nexus("down", "--dir", str(home), "--wipe")
        shutil.rmtree(home, ignore_errors=True)


def test_down_leaves_nothing_even_after_supervisord_was_killed() -> None:
    home = Path(tempfile.mkdtemp(prefix="nxt-"))
    assert nexus("up", "--dir", str(home)).returncode == 0
    supervisord = Supervisor(home).process()
    assert supervisord is not None
    supervisord.kill()
    done = nexus("down", "--dir", str(home), "--wipe")
    assert done.returncode == 0, done.stderr
    assert not processes_of(home)
    assert not home.exists()


def test_a_mistake_of_the_user_is_one_line() -> None:
    mistakes = {("up", "--defect", "restore-promts"): 2, ("up", "--names", "/x"): 2, ("status", "--dir", "/x"): 1}
    for words, code in mistakes.items():
        done = nexus(*words)
        assert done.returncode == code
        assert len(done.stderr.splitlines()) == 1, done.stderr
