"""The services as processes: work, access, kills, releases."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from readiness.nexus import audit, registry, schema, store
from readiness.nexus.access import sign_lease
from readiness.nexus.seeds import CONFIGURATION, GOLDEN
from readiness.nexus.settings import Settings
from tests.nexus.processes import Nexus, running, until

REPLICAS = {
    "provider": 1,
    "knowledge": 1,
    "orchestrator": 1,
    "planner": 2,
    "researcher": 1,
    "writer": 1,
    "reviewer": 1,
    "gateway": 2,
}


@pytest.fixture(scope="module")
def nexus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nexus]:
    """One healthy deployment for all tests of this module; each leaves it as it was."""
    with running(Settings.create(tmp_path_factory.mktemp("nexus") / "home"), REPLICAS) as started:
        yield started


def test_an_answer_carries_the_input_and_the_right_document(nexus: Nexus) -> None:
    golden = GOLDEN[0]
    state = nexus.ended(nexus.submit(golden.question))
    assert (state["status"], state["effects"], state["release"]) == ("done", 1, "2.3.0")
    assert golden.question in state["answer"]
    assert golden.expected in state["answer"]
    assert state["citations"][0] == golden.document
    assert [task["role"] for task in state["tasks"]] == ["planner", "researcher", "writer", "reviewer"]


def test_each_model_behaves_as_its_name_says_and_is_counted(nexus: Nexus) -> None:
    def counts() -> dict[str, float]:
        label = 'nexus_agent_tasks_total{outcome="%s",role="planner"}'
        return {outcome: nexus.series("planner", label % outcome) for outcome in ("done", "failed", "retried")}

    before = counts()
    states = {model: nexus.ended(nexus.submit("x", model)) for model in ("standin-flaky", "standin-slow")}
    broken = nexus.ended(nexus.submit("x", "standin-broken"))
    assert nexus.series("orchestrator", "nexus_queue_depth") == 0
    assert {state["status"] for state in states.values()} == {"done"}
    assert states["standin-flaky"]["tasks"][0]["attempts"] == 2
    assert (broken["status"], broken["effects"], broken["tasks"][0]["attempts"]) == ("failed", 0, 3)
    assert "500" in broken["error"]
    wanted = {"done": before["done"] + 2, "failed": before["failed"] + 1, "retried": before["retried"] + 3}
    until(lambda: counts() == wanted, f"counters reach {wanted}")


def test_what_is_not_a_workflow_is_refused(nexus: Nexus) -> None:
    orders: list[object] = [
        {},
        [],
        {"plan": "answer"},
        {"plan": "x", "input": "y"},
        {"plan": "answer", "input": "y", "z": 1},
    ]
    for order in orders:
        answer = nexus.call("POST", "/v1/workflows", json=order)
        assert answer.status_code == 422
        assert answer.json()["error"]
    assert httpx.post(f"{nexus.settings.public_url}/v1/workflows", json={}, trust_env=False).status_code == 401
    assert nexus.call("POST", "/v1/workflows", "operator", json={}).status_code == 403
    assert nexus.call("GET", "/v1/workflows/" + "0" * 32).status_code == 404


def test_an_idempotency_key_makes_one_workflow(nexus: Nexus) -> None:
    identities = {nexus.submit("same", **{"Idempotency-Key": "k1"}) for _ in range(3)}
    assert len(identities) == 1
    assert nexus.ended(identities.pop())["effects"] == 1


def test_every_hop_logs_the_context_that_the_caller_gave(nexus: Nexus) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X-Correlation-Id": "hop-test", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    order = {"plan": "answer", "input": GOLDEN[1].question, "model": "standin-flaky"}
    answer = nexus.call("POST", "/v1/workflows", json=order, headers=headers)
    assert answer.headers["X-Correlation-Id"] == "hop-test"
    assert answer.headers["traceparent"].split("-")[1] == trace
    assert answer.headers["X-Release"] == "2.3.0"
    nexus.ended(answer.json()["id"])
    records = [record for record in nexus.records() if record.get("correlation_id") == "hop-test"]
    assert {record["component"] for record in records} == set(REPLICAS)
    assert {record["trace_id"] for record in records} == {trace}
    errors = [record for record in records if record["level"] == "ERROR"]
    assert errors
    assert all(record["operation"] and record["input_ref"] and record["cause"] for record in errors)


def test_preferences_are_kept_replaced_and_removed(nexus: Nexus) -> None:
    path = "/v1/users/u1/preferences"
    assert nexus.call("GET", path).status_code == 404
    assert nexus.call("PUT", path, json={"tone": "short"}).status_code == 200
    assert nexus.call("PUT", path, json={"tone": "long"}).status_code == 200
    assert nexus.call("GET", path).json() == {"tone": "long"}
    assert nexus.call("PUT", path, json=["no object"]).status_code == 422
    assert nexus.call("DELETE", path).status_code == 204
    assert nexus.call("GET", path).status_code == 404


def test_operations_are_decided_by_level_and_every_attempt_is_audited(nexus: Nexus) -> None:
    def attempt(holder: str, path: str, body: object) -> httpx.Response:
        return nexus.call("POST", f"/v1/operations{path}", holder, json=body, headers={"X-Correlation-Id": "ops"})

    assert attempt("read-only", "/deploy", {"dry_run": True}).status_code == 403
    assert attempt("operator", "/deploy", {"dry_run": True}).json() == {"operation": "deploy", "dry_run": True}
    assert attempt("operator", "/deploy", {}).json()["permit"]
    assert attempt("caller", "/status", {}).status_code == 403
    batch = {"batch": [{"operation": "status"}, {"operation": "restore"}], "dry_run": True}
    assert attempt("operator", "", batch).status_code == 403
    assert attempt("administrator", "", batch).status_code == 200
    answer = nexus.call("GET", "/v1/audit?correlation=ops", "security")
    found = [(record["actor"], record["operation"], record["outcome"]) for record in answer.json()["records"]]
    assert found == [
        ("read-only", "deploy", "denied"),
        ("operator", "deploy", "allowed"),
        ("operator", "deploy", "allowed"),
        ("caller", "status", "denied"),
        ("operator", "status", "allowed"),
        ("operator", "restore", "denied"),
        ("administrator", "status", "allowed"),
        ("administrator", "restore", "allowed"),
    ]
    assert nexus.call("GET", "/v1/audit", "operator").status_code == 403
    assert nexus.call("DELETE", "/v1/audit", "administrator").status_code == 405
    assert audit.verify(nexus.settings.audit_log) is None


def test_configuration_is_changed_by_administrators_and_limits_the_rate(nexus: Nexus) -> None:
    def configure(key: str, value: object, holder: str = "administrator") -> int:
        return nexus.call("PUT", f"/v1/configuration/{key}", holder, json={"value": value}).status_code

    before = nexus.call("GET", "/v1/configuration", "read-only").json()
    assert configure("rate_limit_burst", 1, "operator") == 403
    assert configure("rate_limit_burst", "many") == 422
    tight, loose = [("rate_limit_burst", 1), ("rate_limit_per_s", 1)], ["rate_limit_per_s", "rate_limit_burst"]
    for key, value in tight:
        assert configure(key, value) == 200

    def refused() -> bool:
        answers = [nexus.call("GET", "/v1/users/nobody/preferences") for _ in range(10)]
        return any(answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1 for answer in answers)

    until(refused, "requests beyond the rate are refused")
    for key in loose:
        until(lambda key=key: configure(key, before[key]) == 200, f"{key} is lifted")  # type: ignore[misc]
    until(lambda: not refused(), "requests are allowed again")
    history = nexus.call("GET", "/v1/configuration/history", "security").json()["history"]
    changes = [(change["key"], change["old"], change["new"]) for change in history]
    assert changes == [(key, before[key], value) for key, value in tight] + [
        (key, dict(tight)[key], before[key]) for key in loose
    ]


def test_a_tool_is_for_the_roles_that_may_use_it(nexus: Nexus) -> None:
    url = registry.lookup(nexus.settings, "knowledge")[0].url
    token = {"Authorization": f"Bearer {nexus.settings.secret('internal.token')}"}

    def use(tool: str, lease: str) -> int:
        asked = {"lease": lease, "question": "x", "id": "kb-lease", "workflow_id": "w"}
        return httpx.post(f"{url}/tools/{tool}", json=asked, headers=token, trust_env=False).status_code

    leases = {role: sign_lease(nexus.settings.secret("lease.key"), role, 0) for role in ("researcher", "writer")}
    assert use("search_knowledge", leases["researcher"]) == 200
    assert use("read_document", leases["researcher"]) == 403
    assert use("search_knowledge", leases["writer"]) == 403
    assert use("search_knowledge", leases["writer"].replace("writer", "researcher")) == 403
    assert httpx.post(f"{url}/tools/search_knowledge", json={}, trust_env=False).status_code == 401


def test_the_provider_speaks_the_chat_interface_and_streams(nexus: Nexus) -> None:
    url = f"{registry.lookup(nexus.settings, 'provider')[0].url}/v1/chat/completions"
    key = {"Authorization": f"Bearer {nexus.settings.secret('provider.key')}"}
    asked = {"model": "standin", "messages": [{"role": "user", "content": "one\ntwo"}]}
    whole = httpx.post(url, json=asked, headers=key, trust_env=False).json()
    assert whole["choices"][0]["message"]["content"] == "one\ntwo"
    stream = httpx.post(url, json=asked | {"stream": True}, headers=key, trust_env=False)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text.count("data: ") == 4
    assert stream.text.endswith("data: [DONE]\n\n")
    assert httpx.post(url, json=asked, trust_env=False).status_code == 401


@pytest.mark.parametrize("victim", ["writer-1-r2.3.0", "orchestrator-1-r2.3.0", "gateway-1-r2.3.0"])
def test_accepted_work_ends_exactly_once_when_a_process_is_killed(nexus: Nexus, victim: str) -> None:
    accepted = [nexus.submit(f"before {number}", "standin-slow") for number in range(3)]
    nexus.kill(victim)
    nexus.start_again(victim)
    accepted += [nexus.submit(f"after {number}") for number in range(3)]
    states = [nexus.ended(identity) for identity in accepted]
    assert [(state["status"], state["effects"]) for state in states] == [("done", 1)] * len(accepted)
    with store.reading(nexus.settings.engine()) as db:
        assert len(db.execute(store.dead_letters.select()).all()) <= 1  # of the model that always fails
    until(nexus.ready, "everything is ready again")


def test_what_is_too_much_is_refused_before_it_is_accepted_and_what_was_accepted_is_done(nexus: Nexus) -> None:
    def limit(number: int) -> None:
        path = "/v1/configuration/queue_limit"
        assert nexus.call("PUT", path, "administrator", json={"value": number}).status_code == 200

    before = nexus.series("gateway", "nexus_workflows_refused_total")
    limit(2)
    try:
        order = {"plan": "answer", "input": "one of many", "model": "standin-slow"}
        answers = [nexus.call("POST", "/v1/workflows", json=order) for _ in range(12)]
    finally:
        limit(CONFIGURATION["queue_limit"])
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    assert nexus.series("gateway", "nexus_workflows_refused_total") - before == len(refused)
    accepted = [answer.json()["id"] for answer in answers if answer.status_code == 202]
    assert len(accepted) + len(refused) == 12
    assert [(state["status"], state["effects"]) for state in map(nexus.ended, accepted)] == [("done", 1)] * len(
        accepted
    )


def test_readiness_tells_the_truth(nexus: Nexus) -> None:
    knowledge = "knowledge-1-r2.3.0"
    ready = f"{registry.lookup(nexus.settings, 'researcher')[0].url}/readyz"
    assert nexus.stop(knowledge) == [0]
    assert registry.lookup(nexus.settings, "knowledge") == []
    assert not registry.pid_file(nexus.settings, knowledge).exists()
    until(lambda: nexus.get(ready) == 503, "a researcher without knowledge is not ready")
    nexus.start_again(knowledge)
    until(nexus.ready, "everything is ready again")


def test_two_releases_work_beside_each_other_and_the_bad_one_fails(nexus: Nexus) -> None:
    roles = ("planner", "researcher", "writer", "reviewer")
    added = [nexus.start(role, 1, release) for release in ("2.2.4", "2.3.1-bad") for role in roles]
    until(nexus.ready, "the agents of three releases say that they are ready")
    internal = nexus.settings.secret("internal.token")
    for release, wanted in (("2.2.4", "done"), ("2.3.1-bad", "failed")):
        headers = {"X-Release-Pin": release, "Authorization": f"Bearer {internal}"}
        state = nexus.ended(nexus.submit("pinned", **headers))
        assert (state["release"], state["status"]) == (release, wanted)
        assert {task["release"] for task in state["tasks"]} == {release}
    assert nexus.call("GET", "/v1/ping", headers={"X-Release-Pin": "2.2.4"}).headers["X-Release"] == "2.3.0"
    assert set(nexus.stop(*added)) == {0}
    for name in added:
        del nexus.processes[name]


def test_an_orchestrator_refuses_a_schema_of_another_release(nexus: Nexus) -> None:
    orchestrator = "orchestrator-1-r2.3.0"
    nexus.stop(orchestrator)
    schema.migrate(nexus.settings, "0001")
    nexus.start_again(orchestrator)
    assert nexus.processes[orchestrator].wait(60) != 0
    schema.migrate(nexus.settings, "0002")
    nexus.start_again(orchestrator)
    until(nexus.ready, "everything is ready again")
    assert any(record["level"] == "FATAL" and "revision" in record["cause"] for record in nexus.records())


def test_at_last_everything_stops_in_order_and_every_line_was_json(nexus: Nexus) -> None:
    assert set(nexus.stop(*nexus.processes)) == {0}
    assert not list(nexus.settings.run.glob("*.pid"))
    secrets = [path.read_text().strip() for path in nexus.settings.home.glob("secrets/*")]
    assert not any(secret in line for line in nexus.log_lines() for secret in secrets)
    for record in nexus.records():
        assert record["ts"].endswith("Z")
        assert len(record["ts"]) == len("2026-11-24T06:00:00.000Z")
        assert record["level"] in ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
        assert record["component"]
        assert record["subcomponent"]
