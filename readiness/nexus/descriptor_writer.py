"""Writes the descriptor: this deployment as data, in the published format, by the names that it shows outside."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from readiness.nexus.access import OPERATIONS
from readiness.nexus.names import AGENT_ROLES, LEVELS
from readiness.nexus.releases import CURRENT_RELEASE, FIRST_RELEASE, RELEASES
from readiness.nexus.seeds import GOLDEN
from readiness.nexus.settings import Settings

OWNERS = {
    "gateway": "team-edge",
    "orchestrator": "team-workflows",
    "knowledge": "team-knowledge",
    "provider": "team-models",
}
CANDIDATE = "2.3.1"
KNOWN_BAD = "2.3.1-bad"
RESTORE_INTO = "readiness-restore"
Part = dict[str, Any]


def as_yaml(settings: Settings) -> str:
    """Return the descriptor as text; every path in it is relative to the home."""
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 110
    yaml.dump(descriptor(settings), text)
    return f"# The deployment in this folder, as its operators describe it.\n{text.getvalue()}"


def descriptor(settings: Settings) -> Part:
    """Return the descriptor as data."""
    main = settings.home.parent.name != "env"
    return {
        "readiness": 1,
        "name": "nexus" if main else f"nexus-{settings.environment}",
        "environment": "staging",
        "pattern": "microservices",
        "driver": "process",
        "state": "var/readiness",
        "blast_radius": {"max_services": 1, "max_replicas_share": "50%"},
        "services": {settings.names.component(name): _service(settings, name) for name in settings.replicas},
        "auth": {settings.names.component("gateway"): _bearer("caller.token")},
        "levels": {settings.names.level(name): _bearer(f"{settings.names.level(name)}.token") for name in LEVELS},
        "releases": {
            "current": settings.initial_release,
            "previous": FIRST_RELEASE,
            "candidate": CANDIDATE,
            "known_bad": KNOWN_BAD,
        }
        if settings.initial_release == CURRENT_RELEASE
        else {"current": settings.initial_release},
        "compatibility": _compatibility(),
        "workload": _workload(settings),
        "golden": [{"question": golden.question, "expect": golden.expected} for golden in GOLDEN],
        "signals": _signals(settings),
        "log_fields": _log_fields(settings),
        "audit_fields": {
            "actor": "actor",
            "operation": "operation",
            "outcome": "outcome",
            "correlation": "correlation_id",
        },
        "evidence": {
            "metrics": {"scrape": True},
            "logs": {"files": ["log/*.log"]},
            "reports": {
                "junit": "releases/{release}/junit.xml",
                "required_suites": ["unit", "contract", "migration"],
            },
        },
        "procedures": _procedures(settings),
        "operations": _operations(settings),
        "backups": {"failure_domains": {"primary": ["data", "backups", "log"], "offsite": ["offsite"]}},
        **({"recovery": _recovery()} if main else {}),
        "secrets": _secrets(settings),
        "objectives": {
            "rto": "2h",
            "rpo": "1h",
            "availability": "99.5%",
            "p95": "2s",
            # A rollback takes seconds here, and this team promises more than the five minutes of the gates.
            "limits": {"OPS-DEP-003": {"rollback_s": 90}, "OPS-DEP-004": {"serves_s": 90}},
        },
    }


def _service(settings: Settings, name: str) -> Part:
    paths, outward = settings.names.paths, settings.names.component(name)
    entry: Part = {"address": settings.public_url} if name == "gateway" else {}
    entry |= {
        "instances": {"file_sd": f"run/targets/{outward}.json"},
        "ready": paths.ready,
        "live": paths.live,
        "version": {"path": paths.version, "field": "version"},
        "metrics": paths.metrics,
        "owner": OWNERS.get(name, "team-agents"),
        "replicas": settings.replicas[name],
        "process": {"pidfile": f"run/{outward}-*.pid"},
    }
    if name in ("orchestrator", "knowledge"):
        entry["stateful"] = True
    if name == "provider":
        entry["released"] = False
    return entry


def _workload(settings: Settings) -> Part:
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
        "max_rate_per_s": 60,
    }


def _signals(settings: Settings) -> Part:
    names = settings.names
    series, labels = names.series, names.labels
    # Agents count what they finish; the orchestrator counts for agents that are gone.
    counting = [*(names.component(role) for role in AGENT_ROLES), names.component("orchestrator")]
    outcomes = {"done": labels.done, "failed": labels.failed, "retried": labels.retried}
    signals: Part = {
        f"tasks_{ours}_total": {"metric": series.agent_tasks, "labels": {labels.outcome: theirs}, "services": counting}
        for ours, theirs in outcomes.items()
    }
    orchestrator, gateway = [names.component("orchestrator")], [names.component("gateway")]
    for part in ("sum", "count"):
        metric = f"{series.agent_task_seconds}_{part}"
        signals[f"task_seconds_{part}"] = {"metric": metric, "services": counting[:-1]}
        metric = f"{series.workflow_seconds}_{part}"
        signals[f"workflow_seconds_{part}"] = {"metric": metric, "services": orchestrator}
    for ours in ("done", "failed"):
        matched = {labels.outcome: outcomes[ours]}
        signals[f"workflows_{ours}_total"] = {"metric": series.workflows, "labels": matched, "services": orchestrator}
    signals["workflows_submitted_total"] = {"metric": series.workflows_submitted, "services": gateway}
    signals["requests_total"] = {"metric": series.gateway_requests, "services": gateway}
    signals["queue_depth"] = {"metric": series.queue_depth, "services": orchestrator}
    return signals


def _log_fields(settings: Settings) -> Part:
    log = settings.names.log
    return {
        "time": log.time,
        "level": log.level,
        "correlation": log.correlation,
        "component": log.component,
        "subcomponent": log.subcomponent,
        "message": log.event,
        "operation": log.operation,
        "input": log.input,
        "cause": log.cause,
    }


def _procedures(settings: Settings) -> Part:
    level = settings.names.level

    def run(*words: str, within: str, by: str = "operator") -> Part:
        return {"run": ["bin/nexusctl", "--as", level(by), *words], "within": within}

    return {
        "deploy": run("deploy", "{release}", within="5m"),
        "rollback": run("rollback", within="5m"),
        "start": run("start", "{service}", within="1m"),
        "status": run("status", "--json", within="30s"),
        "backup": run("backup", "--kind", "full", within="2m"),
        "list_backups": run("backups", "--json", within="30s"),
        "search_backup": run(
            "search-backup", "--set", "{set}", "--component", "{component}", "--for", "{text}", within="1m"
        ),
        "verify_backup": run("verify-backup", "{set}", within="1m"),
        "restore": run("restore", "--from", "{backup}", "--into", "{environment}", within="2h", by="administrator"),
        "discard": run("discard", "{environment}", within="1m", by="administrator"),
        "inventory": run("inventory", "--json", "--of", "{environment}", within="30s"),
        "artifact": run("artifact", "{release}", "--json", within="30s"),
        "contract": run("contract", "{release}", "{other}", within="30s"),
        "audit": run("audit", "--json", "--correlation", "{correlation}", within="30s", by="security"),
        "audit_log": run("audit", "--json", within="30s", by="security"),
        "audit_verify": run("audit-verify", "--file", "{file}", within="30s", by="security"),
    }


def _operations(settings: Settings) -> Part:
    names = settings.names
    gateway = "{" + names.component("gateway") + "}"
    # Reading the status is an operation like the others here: it is asked for, decided and recorded.
    single: Part = {
        operation: {
            "as": sorted(names.level(level) for level in levels),
            "dry_run": {
                "method": "POST",
                "url": f"{gateway}{names.paths.operations}/{operation}",
                "json": {"dry_run": True},
            },
        }
        for operation, levels in OPERATIONS.items()
    }
    bulk = {
        f"bulk-{operation}": {
            "as": sorted(names.level(level) for level in OPERATIONS[operation]),
            "dry_run": {
                "method": "POST",
                "url": f"{gateway}{names.paths.operations}",
                "json": {"batch": [{"operation": operation}], "dry_run": True},
            },
        }
        for operation in ("deploy", "restore")
    }
    erase = {"as": [], "audited": False, "dry_run": {"method": "DELETE", "url": f"{gateway}{names.paths.audit}"}}
    return {**single, **bulk, "erase-audit": erase}


def _secrets(settings: Settings) -> Part:
    files = ["provider.key", "lease.key", "internal.token", "caller.token"]
    files += [f"{settings.names.level(level)}.token" for level in LEVELS]
    return {
        "canaries": {name.replace(".", "_"): {"file": f"secrets/{name}"} for name in files},
        "store": ["secrets/*"],
        "scan": ["descriptor.yaml", "bin/*", "etc/*", "run/*", "run/**/*", "releases/**/*", "audit/*"],
    }


def _compatibility() -> dict[str, list[str]]:
    return {version: [other for other in RELEASES if other != version] for version in RELEASES}


def _recovery() -> Part:
    return {"environment": RESTORE_INTO, "descriptor": f"env/{RESTORE_INTO}/descriptor.yaml"}


def _bearer(secret: str) -> Part:
    return {"bearer": {"file": f"secrets/{secret}"}}
