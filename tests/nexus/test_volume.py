"""A filled deployment: as much as was asked for, as fast and as right as before, and nothing of it left afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, text

from readiness.baselines import METRICS, Baseline
from readiness.nexus import backup, baseline, components, first_state, inventory, schema, store, volume, workflow_state
from readiness.nexus.catalogue import Catalogue
from readiness.nexus.defects import Defects
from readiness.nexus.knowledge import SearchIndex
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.queue import Queue
from readiness.nexus.releases import release_of
from readiness.nexus.seeds import GOLDEN
from readiness.nexus.settings import MEMORY_LIMIT_BYTES, Settings
from readiness.nexus.specimens import workflow_id
from tests.nexus.processes import Nexus, running, until

ITEMS = 250
SERVICES = ("provider", "knowledge", "orchestrator", *AGENT_ROLES, "gateway")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(volume, "AT_ONCE", 100)
    made = Settings.create(tmp_path / "home")
    first_state.plant(made)
    return made


def read(settings: Settings, version: str, number: int) -> dict[str, Any]:
    with store.reading(settings.engine()) as db:
        found = workflow_state.read(db, release_of(version), workflow_id(number))
    assert found is not None
    return found


def test_filling_goes_up_and_down_to_the_number_and_leaves_nothing(settings: Settings) -> None:
    empty = inventory.of(settings)
    for items in (30, ITEMS, ITEMS, 120):
        volume.fill(settings, items)
        assert volume.counted(settings) == {"documents": items, "workflows": items}
        found = inventory.of(settings)
        assert found["knowledge"]["count"] == empty["knowledge"]["count"] + items
        assert found["operational_state"]["count"] == empty["operational_state"]["count"] + items * 6
    volume.fill(settings, 0)
    assert inventory.of(settings) == empty
    with store.reading(settings.knowledge_engine()) as db:
        assert SearchIndex().entries(db) == empty["knowledge"]["count"]


def test_what_was_filled_in_is_like_what_was_done_at_either_schema(settings: Settings) -> None:
    volume.fill(settings, 3)
    new = read(settings, "2.3.0", 2)
    assert (new["status"], new["effects"], len(new["tasks"])) == ("done", 1, 4)
    assert "filled question 2" in new["answer"]
    schema.migrate(settings, "0001")
    assert read(settings, "2.2.4", 2)["answer"] == new["answer"]
    volume.fill(settings, 0)
    with store.writing(settings.engine()) as db:
        db.execute(store.deployments.insert().values(release="2.2.4", action="rollback", actor="x", at="x"))
    volume.fill(settings, 3)
    assert read(settings, "2.2.4", 2)["answer"] == new["answer"]
    schema.migrate(settings, "0002")
    assert read(settings, "2.3.0", 2) == new | {"release": "2.2.4", "tasks": read(settings, "2.3.0", 2)["tasks"]}


def test_questions_are_answered_by_the_right_document_while_filled(settings: Settings) -> None:
    volume.fill(settings, ITEMS)
    index = SearchIndex()
    with store.reading(settings.knowledge_engine()) as db:
        for search in (index.find, index.scan):
            assert [search(db, golden.question)[0] for golden in GOLDEN] == [golden.document for golden in GOLDEN]


def test_a_backup_of_a_filled_deployment_holds_every_row(settings: Settings) -> None:
    volume.fill(settings, ITEMS)
    taken = backup.take(settings, backup.FULL)
    assert backup.image(Catalogue.of(settings), taken).rows == components.read_rows(settings)


def test_no_query_of_the_work_reads_a_whole_table(settings: Settings) -> None:
    """A query without an index is as fast as any while there is little; the plan tells it at once."""
    volume.fill(settings, 5)
    engine, asked = settings.engine(), list[tuple[str, Any]]()

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    release = release_of("2.3.0")
    queue, order = Queue(release, "key"), {"plan": "answer", "input": "x", "model": "standin", "release": "2.3.0"}
    order |= {"id": "a" * 32, "caller": "caller", "correlation_id": "c", "traceparent": "00-1-2-01"}
    with store.writing(engine) as db:
        queue.accept(db, order)
        found: Any = {"steps": [], "facts": [], "draft": "x", "approved": True}
        for role in AGENT_ROLES:
            delivery, _ = queue.lease(db, role, "2.3.0", f"{role}-1", ["v2"])
            assert delivery is not None
            assert queue.renew(db, delivery["lease"])
            queue.expire(db)
            queue.depth(db)
            assert queue.complete(db, delivery["lease"], found)
        state = workflow_state.read(db, release, order["id"])
        assert state is not None
        assert state["status"] == "done"
        workflow_state.open_workflows(db, "2.3.0")
        explained = [
            (statement, [row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)])
            for statement, parameters in list(asked)
            if statement.startswith(("SELECT", "UPDATE", "DELETE"))
        ]
    scans = [(statement, step) for statement, steps in explained for step in steps if step.startswith("SCAN")]
    assert len(explained) > 20
    assert not scans


@pytest.mark.parametrize(
    ("defect", "lacking"), [("baseline-without-errors", ["error_share"]), ("baseline-averages-only", list(METRICS))]
)
def test_the_teams_baseline_lacks_what_was_forgotten(tmp_path: Path, defect: str, lacking: list[str]) -> None:
    assert baseline.write(Settings.create(tmp_path / "healthy")) is None
    path = baseline.write(Settings.create(tmp_path / "home", defects=Defects({defect: ""})))
    assert path is not None
    assert Baseline.model_validate(json.loads(path.read_text())).lacks() == lacking


@pytest.fixture(scope="module")
def nexus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nexus]:
    """A filled deployment with defects that show in how it uses time and memory."""
    seeded = ("full-table-scan", "unbounded-history", "slower-everywhere", "cache-fills-memory", "bursty-housekeeping")
    settings = Settings.create(tmp_path_factory.mktemp("nexus") / "home", defects=Defects.parse(seeded))
    with running(settings, dict.fromkeys(SERVICES, 1)) as started:
        volume.fill(settings, ITEMS)
        yield started


def test_defects_of_volume_and_of_use_show_where_they_would(nexus: Nexus) -> None:
    state = nexus.ended(nexus.submit(GOLDEN[1].question))
    assert GOLDEN[1].expected in state["answer"]
    assert len(state["history"]) == ITEMS + 1
    tasks = nexus.series("planner", "nexus_agent_task_seconds_count")
    assert nexus.series("planner", "nexus_agent_task_seconds_sum") >= 0.06 * tasks > 0
    assert nexus.series("knowledge", "process_resident_memory_bytes") > 0.8 * MEMORY_LIMIT_BYTES
    used_s = nexus.series("knowledge", "process_cpu_seconds_total")
    until(lambda: nexus.series("knowledge", "process_cpu_seconds_total") > used_s + 1, "knowledge is busy with itself")


def test_the_documents_of_a_running_deployment_change_under_its_feet(nexus: Nexus) -> None:
    volume.fill(nexus.settings, 0)
    until(nexus.ready, "all instances are ready after that")
    with store.reading(nexus.settings.knowledge_engine()) as db:
        assert not db.execute(select(store.documents.c.id).where(store.documents.c.id.startswith("fill-"))).all()
        assert db.scalar(text("SELECT count(*) FROM documents_index WHERE documents_index MATCH 'critical'")) == 2
