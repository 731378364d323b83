"""The rules of the services that need no process: names, access, audit chain, messages, search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.nexus import access, audit, first_state, knowledge, messages, seeds, store
from readiness.nexus.audit import AuditLog
from readiness.nexus.defects import ALL, VALUED, Defects
from readiness.nexus.errors import NexusError
from readiness.nexus.messages import Fact, Result, Task
from readiness.nexus.names import COMPONENTS, LEVELS, Names
from readiness.nexus.settings import Settings
from readiness.nexus.telemetry import TRACEPARENT, Context
from readiness.nexus.traffic import Buckets

texts = st.text(max_size=30)
facts = st.lists(st.builds(Fact, id=texts, text=texts), max_size=3).map(tuple)
tasks = st.builds(
    Task,
    task_id=texts,
    workflow_id=texts,
    role=st.sampled_from(["planner", "writer"]),
    plan=texts,
    input=texts,
    model=texts,
    priority=st.sampled_from(messages.PRIORITIES),
    steps=st.lists(texts, max_size=3).map(tuple),
    facts=facts,
    draft=texts,
)
results = st.builds(Result, answer=texts, citations=st.lists(texts, max_size=3).map(tuple))


@given(task=tasks)
def test_v2_keeps_a_task_whole_and_v1_all_but_the_priority(task: Task) -> None:
    newest = messages.encode_task(task, "v2")
    assert messages.decode_task(json.loads(json.dumps(newest)), "v2") == task
    there_and_back = messages.convert_task(messages.convert_task(newest, "v1"), "v2")
    newest["workflow"]["priority"] = messages.NORMAL
    assert there_and_back == newest


@given(result=results, version=st.sampled_from(["v1", "v2"]))
def test_results_survive_every_conversion(result: Result, version: str) -> None:
    stored = messages.encode_result(result, version)
    for target in ("v1", "v2", "v1"):
        stored = messages.convert_result(stored, target)
        assert messages.decode_result(stored, target) == result


@given(task=tasks)
def test_the_old_release_cannot_read_the_new_format(task: Task) -> None:
    with pytest.raises(messages.MessageFormatError):
        messages.decode_task(messages.encode_task(task, "v2"), "v1")


def test_every_name_can_be_changed_and_is_kept(tmp_path: Path) -> None:
    mapping = {"paths": {"ready": "/ok"}, "levels": {"operator": "crew"}, "components": {"planner": "chief"}}
    names = Names.from_mapping(mapping)
    settings = Settings.create(tmp_path / "home", names=names)
    loaded = Settings.load(settings.home)
    assert loaded.names == names
    assert names.canonical_component("chief") == "planner"
    assert names.canonical_level("crew") == "operator"
    assert settings.secret("crew.token")
    assert {Names().component(name) for name in COMPONENTS} == set(COMPONENTS)


@pytest.mark.parametrize("mapping", [{"path": {}}, {"paths": {"redy": "/x"}}, {"paths": 3}, {"log": {"time": ""}}])
def test_a_wrong_name_file_is_refused_in_one_line(mapping: dict[str, object]) -> None:
    with pytest.raises(NexusError) as caught:
        Names.from_mapping(mapping)
    assert "\n" not in str(caught.value)


def test_defects_are_known_by_name() -> None:
    given_defects = [f"{name}=2" if name in VALUED else name for name in ALL]
    defects = Defects.parse(given_defects)
    assert all(defects.on(name) for name in ALL)
    assert defects.value("slow-restore") == 2
    assert Defects().value("slow-restore") == 0
    for wrong in ("nope", "slow-restart", "slow-restart=soon", "no-restart=3"):
        with pytest.raises(NexusError):
            Defects.parse([wrong])
    with pytest.raises(NexusError, match="did you mean 'no-restart'"):
        Defects.parse(["no-restarts"])


def test_each_operation_is_for_the_levels_of_the_seed_alone(tmp_path: Path) -> None:
    settings = Settings.create(tmp_path / "home")
    allowed = {
        operation: {level for level in (*LEVELS, "caller") if access.may(settings, level, operation)}
        for operation in (*access.OPERATIONS, "format-disk")
    }
    assert allowed["status"] == set(LEVELS)
    assert allowed["deploy"] == {"operator", "administrator", "emergency"}
    assert allowed["rotate"] == allowed["grant"] == {"security"}
    assert allowed["break-glass"] == {"emergency"}
    assert allowed["format-disk"] == set()


def test_tokens_are_private_and_recognised_until_replaced(tmp_path: Path) -> None:
    settings = Settings.create(tmp_path / "home")
    tokens, old = access.Tokens(settings), settings.secret("operator.token")
    assert tokens.holder_of(old) == "operator"
    assert tokens.holder_of("") is tokens.holder_of("x") is None
    assert all(path.stat().st_mode & 0o077 == 0 for path in settings.home.glob("secrets/*"))
    settings.secret_path("operator.token").write_text("another\n")
    assert tokens.holder_of(old) is None
    assert tokens.holder_of("another") == "operator"


def test_a_lease_token_is_good_for_its_role_only() -> None:
    token = access.sign_lease("key", "planner", 1.5)
    assert access.lease_role("key", token) == "planner"
    assert access.lease_role("other", token) is None
    assert access.lease_role("key", token.replace("planner", "researcher")) is None
    assert access.lease_role("key", "") is None


def test_a_permit_can_be_used_once(tmp_path: Path) -> None:
    settings = Settings.create(tmp_path / "home")
    first_state.plant(settings)
    with store.writing(settings.engine()) as db:
        permit = access.issue_permit(db, "deploy", "operator", "c")
        assert not access.redeem_permit(db, permit, "restore")
        assert access.redeem_permit(db, permit, "deploy")
        assert not access.redeem_permit(db, permit, "deploy")


def test_the_audit_chain_shows_every_tampering(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(3):
        AuditLog(path).append("operator", "deploy", audit.ALLOWED, f"c{number}")
    assert audit.verify(path) is None
    assert [record["correlation_id"] for record in AuditLog(path).read("c1")] == ["c1"]
    lines = path.read_text().splitlines(keepends=True)
    for tampered in (
        [lines[0], lines[1].replace("operator", "emergency"), lines[2]],
        [lines[0], lines[2]],
        [lines[1], lines[0], lines[2]],
        [lines[0], "nonsense\n", lines[2]],
    ):
        path.write_text("".join(tampered))
        assert "record" in (audit.verify(path) or "")
    path.write_text("".join([lines[0], lines[1].replace("operator", "emergency"), lines[2]]))
    assert audit.verify(path, links_only=True) is None


def test_a_record_torn_by_a_kill_is_replaced_by_the_next(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    log.append("operator", "deploy", audit.ALLOWED, "c0")
    with log.path.open("a") as stream:
        stream.write('{"ts": "20')
    log.append("operator", "backup", audit.DENIED, "c1")
    assert audit.verify(log.path) is None
    assert [record["operation"] for record in log.read()] == ["deploy", "backup"]


def test_each_golden_question_finds_its_document_first(tmp_path: Path) -> None:
    settings = Settings.create(tmp_path / "home")
    first_state.plant(settings)
    bodies = {document.id: document.body for document in seeds.DOCUMENTS}
    with store.reading(settings.knowledge_engine()) as db:
        for golden in seeds.GOLDEN:
            assert knowledge.SearchIndex().find(db, golden.question)[0] == golden.document
            assert golden.expected in bodies[golden.document]


@given(question=st.text(max_size=200))
def test_no_question_breaks_the_search(question: str) -> None:
    engine = store.open_engine("sqlite://")
    with store.writing(engine) as db:
        store.knowledge.create_all(db)
        assert knowledge.SearchIndex().rebuild(db) == 0
        assert knowledge.SearchIndex().find(db, question) == []
    engine.dispose()


@given(correlation=st.none() | st.text(), trace=st.none() | st.text())
def test_whatever_a_caller_sends_the_context_is_well_formed(correlation: str | None, trace: str | None) -> None:
    context = Context.accept(correlation, trace)
    assert TRACEPARENT.fullmatch(context.traceparent)
    following = Context.accept(context.correlation_id, context.traceparent)
    assert following.correlation_id == context.correlation_id
    assert following.traceparent.split("-")[1] == context.traceparent.split("-")[1]
    assert following.traceparent != context.traceparent


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    buckets = Buckets()
    waits = [buckets.wait_s("caller", rate_per_s=0.001, burst=5) for _ in range(7)]
    assert waits[:5] == [0.0] * 5
    assert min(waits[5:]) > 0
    assert buckets.wait_s("another", rate_per_s=0.001, burst=5) == 0.0
