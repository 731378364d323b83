"""The defects that sit in the services: each is seen from outside when it is switched on, and renaming works."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from readiness.nexus import knowledge, registry, store
from readiness.nexus.defects import Defects
from readiness.nexus.names import Names
from readiness.nexus.settings import Settings
from tests.nexus.processes import Nexus, running, until

SWITCHED = (
    "failed-tasks-uncounted",
    "whole-second-timestamps",
    "raw-tracebacks",
    "correlation-lost-on-error",
    "key-in-error-log",
    "read-only-may-deploy",
    "bulk-bypasses-audit",
    "tool-calls-without-context",
    "emergency-locked-out",
    "clock-skew-logs=-3",
    "task-count-error=50",
)
SERVICES = ("provider", "knowledge", "orchestrator", "planner", "researcher", "writer", "reviewer", "gateway")
RENAMED = {
    "paths": {"ready": "/ok", "operations": "/api/acts", "audit": "/api/trail"},
    "headers": {"correlation": "X-Request-Chain"},
    "series": {"agent_tasks": "acme_jobs_total"},
    "labels": {"outcome": "result", "failed": "ko"},
    "log": {"time": "at", "correlation": "chain", "level": "severity", "input": "subject"},
    "components": {"planner": "chief"},
    "levels": {"read_only": "viewer"},
}


@pytest.fixture(scope="module")
def nexus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nexus]:
    """A renamed deployment with all defects of the services, after one task that failed for good."""
    settings = Settings.create(
        tmp_path_factory.mktemp("nexus") / "home",
        defects=Defects.parse(SWITCHED),
        names=Names.from_mapping(RENAMED),
    )
    with running(settings, dict.fromkeys(SERVICES, 1)) as started:
        started.ended(started.submit("good", **{"X-Request-Chain": "chain-good"}))
        started.ended(started.submit("bad", "standin-broken", **{"X-Request-Chain": "chain-bad"}))
        until(lambda: started.series("planner", 'acme_jobs_total{result="retried"') > 0, "the tasks are counted")
        yield started


def parsed(nexus: Nexus) -> list[dict[str, str]]:
    return [json.loads(line) for line in nexus.log_lines() if line.startswith("{")]


def test_the_names_are_those_that_were_chosen(nexus: Nexus) -> None:
    assert registry.lookup(nexus.settings, "planner")[0].name == "chief-1-r2.3.0"
    records = parsed(nexus)
    assert {"at", "severity", "component"} <= set(records[0])
    assert not {"ts", "level", "correlation_id", "input_ref"} & {key for record in records for key in record}
    assert {"chief", "writer"} <= {record["component"] for record in records if record.get("chain") == "chain-good"}


def test_failed_tasks_are_not_counted_and_the_others_wrongly(nexus: Nexus) -> None:
    assert nexus.series("planner", 'acme_jobs_total{result="ko"') == 0
    assert nexus.series("planner", 'acme_jobs_total{result="done"') == 1.5


def test_logs_have_every_fault_that_was_seeded(nexus: Nexus) -> None:
    records = parsed(nexus)
    assert len({line for line in nexus.log_lines() if line.startswith("Traceback")}) == 1
    assert {len(record["at"]) for record in records if record["component"] == "knowledge"} == {20}
    assert {len(record["at"]) for record in records if record["component"] == "chief"} == {24}
    lost = [record for record in records if record["severity"] == "ERROR" and record["component"] == "chief"]
    assert any("chain" not in record for record in lost)
    key = nexus.settings.secret("provider.key")
    assert all(key in json.dumps(record) for record in records if record["event"] == "provider.failed")
    starts = {
        r["component"]: r["at"] for r in records if r["event"] == "task.started" and r.get("chain") == "chain-good"
    }
    assert "knowledge" not in {record["component"] for record in records if record.get("chain") == "chain-good"}
    assert starts["researcher"] < starts["chief"] < starts["writer"]


def test_read_only_may_deploy_and_a_batch_leaves_no_trace(nexus: Nexus) -> None:
    def attempt(path: str, body: object) -> httpx.Response:
        headers = {"X-Request-Chain": "chain-batch"}
        return nexus.call("POST", f"/api/acts{path}", "viewer", json=body, headers=headers)

    assert attempt("/deploy", {"dry_run": True}).status_code == 200
    assert attempt("/restore", {"dry_run": True}).status_code == 403
    emergency = nexus.call("POST", "/api/acts/restore", "emergency", json={"dry_run": True})
    assert emergency.status_code == 403
    assert attempt("", {"batch": [{"operation": "restore"}], "dry_run": True}).status_code == 403
    trail = nexus.call("GET", "/api/trail?correlation=chain-batch", "security").json()["records"]
    assert [(record["actor"], record["operation"]) for record in trail] == [("viewer", "deploy"), ("viewer", "restore")]


def test_an_index_that_was_restored_empty_is_not_noticed(tmp_path_factory: pytest.TempPathFactory) -> None:
    for defects, wanted in (({}, 22), ({"index-restored-empty": ""}, 0)):
        settings = Settings.create(tmp_path_factory.mktemp("nexus") / "home", defects=Defects(defects))
        with running(settings, {"provider": 1, "knowledge": 1}) as started:
            name = "knowledge-1-r2.3.0"
            started.kill(name)
            with store.writing(settings.knowledge_engine()) as db:
                knowledge.SearchIndex().create_empty(db)
            started.start_again(name)
            until(started.ready, "knowledge says that it is ready")
            with store.reading(settings.knowledge_engine()) as db:
                assert knowledge.SearchIndex().entries(db) == wanted
