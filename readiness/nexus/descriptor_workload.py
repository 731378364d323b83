"""The part of the descriptor that tells what work is, and by which series it is counted."""

from __future__ import annotations

from typing import Any

from readiness.nexus.descriptor_chaos import accounts, bounds
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.settings import Settings

Part = dict[str, Any]
PROCESS_SERIES = {
    "cpu_seconds_total": "process_cpu_seconds_total",
    "memory_bytes": "process_resident_memory_bytes",
    "open_descriptors": "process_open_fds",
}


def workload(settings: Settings) -> Part:
    """Return the transactions that callers make."""
    names = settings.names
    paths, gateway = names.paths, "{" + names.component("gateway") + "}"
    agents = [names.component(role) for role in AGENT_ROLES]
    serving = [names.component(name) for name in ("gateway", "orchestrator", "knowledge", "provider")]
    preferences = f"{gateway}{paths.users}/{{marker}}/{paths.preferences}"

    def variant(model: str, text: str = "{marker}", **more: Any) -> Part:
        order = {"plan": "answer", "input": text, "model": model}
        return {
            "submit": {"method": "POST", "url": gateway + paths.workflows, "json": order},
            "id": "id",
            "result": {
                "url": f"{gateway}{paths.workflows}/{{id}}",
                "until": {"status": ["done", "failed"]},
                "success": {"status": "done"},
            },
            "within": "30s",
            **more,
        }

    good: Part = {"expect": {"answer": "{marker}"}, "once": {"effects": 1}, "hops": [*serving, *agents]}
    steps = len(agents)
    done = {"tasks_done_total": steps, "tasks_failed_total": 0, "tasks_retried_total": 0, "workflows_done_total": 1}
    # The planner and the writer each wait half a second for the provider.
    slow = variant("standin-slow", **good, counts=done, lasts_at_least="1s")
    retried = variant("standin-flaky", **good, counts=done | {"tasks_retried_total": 1})
    failing = variant(
        "standin-broken",
        outcome="failure",
        once={"effects": 0},
        hops=[names.component(name) for name in ("gateway", "orchestrator", "provider", "planner")],
        counts={"tasks_done_total": 0, "tasks_failed_total": 1, "tasks_retried_total": 2, "workflows_failed_total": 1},
    )
    return {
        "ok": variant("standin", **good, counts=done),
        "invalid": {
            "submit": {"method": "POST", "url": gateway + paths.workflows, "json": {"plan": "answer", "input": ""}},
            "outcome": "refused",
            "refused": [422],
            "hops": [names.component("gateway")],
        },
        "slow": slow,
        "retried": retried,
        "failing": failing,
        "ask": variant("standin", "{question}", answer="answer"),
        "remember": {
            "write": {"method": "PUT", "url": preferences, "json": {"note": "{marker}"}},
            "read": {"method": "GET", "url": preferences},
            "forget": {"method": "DELETE", "url": preferences},
        },
        "correlation": {"request_header": names.headers.correlation},
        "version_at": {
            "response_header": names.headers.release,
            "result_field": "release",
            "request": {"method": "GET", "url": gateway + paths.ping},
        },
        "accounts": accounts(),
        "bounds": bounds(),
        "max_rate_per_s": 60,
    }


def signals(settings: Settings) -> Part:
    """Return the meaning of the series."""
    names = settings.names
    series, labels = names.series, names.labels
    # Agents count what they finish; the orchestrator counts for agents that are gone.
    counting = [*(names.component(role) for role in AGENT_ROLES), names.component("orchestrator")]
    outcomes = {"done": labels.done, "failed": labels.failed, "retried": labels.retried}
    found: Part = {
        f"tasks_{ours}_total": {"metric": series.agent_tasks, "labels": {labels.outcome: theirs}, "services": counting}
        for ours, theirs in outcomes.items()
    }
    orchestrator, gateway = [names.component("orchestrator")], [names.component("gateway")]
    for part in ("sum", "count"):
        metric = f"{series.agent_task_seconds}_{part}"
        found[f"task_seconds_{part}"] = {"metric": metric, "services": counting[:-1]}
        metric = f"{series.workflow_seconds}_{part}"
        found[f"workflow_seconds_{part}"] = {"metric": metric, "services": orchestrator}
    for ours in ("done", "failed"):
        matched = {labels.outcome: outcomes[ours]}
        found[f"workflows_{ours}_total"] = {"metric": series.workflows, "labels": matched, "services": orchestrator}
    found["workflows_submitted_total"] = {"metric": series.workflows_submitted, "services": gateway}
    found["requests_total"] = {"metric": series.gateway_requests, "services": gateway}
    found["workflows_refused_total"] = {"metric": series.workflows_refused, "services": gateway}
    everywhere = [names.component(name) for name in settings.replicas]
    # The names by which every Prometheus client tells of its process.
    for ours, theirs in PROCESS_SERIES.items():
        found[ours] = {"metric": theirs, "services": everywhere}
    found["queue_depth"] = {"metric": series.queue_depth, "services": orchestrator}
    return found
