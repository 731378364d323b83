"""Writes the descriptor: this deployment as data, in the published format, by the names that it shows outside."""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML

from readiness.nexus.descriptor_chaos import failure_modes, links, part
from readiness.nexus.descriptor_operating import operations, procedures, tools
from readiness.nexus.descriptor_workload import signals, workload
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
VOLUME_ITEMS = 20_000
PEAK_RATE = "2/s"
"""A fifth of what two cores do: one replica of each service may be away, and others work on the same machine."""
RATE_PER_REPLICA = "2/s"
"""A planner or writer that waits half a second for the provider does 1.8 tasks a second."""
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
        "workload": workload(settings),
        "golden": [{"question": golden.question, "expect": golden.expected} for golden in GOLDEN],
        "signals": signals(settings),
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
            "baselines": "var/baselines/{profile}.json",
        },
        **links(settings),
        "failure_modes": failure_modes(settings),
        "procedures": procedures(settings),
        "operations": operations(settings),
        "tools": tools(settings),
        "scaling": {
            "services": [settings.names.component(role) for role in AGENT_ROLES],
            "replicas": [1, 2, 4],
            "variant": "slow",
            "rate_per_replica": RATE_PER_REPLICA,
        },
        "backups": {"failure_domains": {"primary": ["data", "backups", "log"], "offsite": ["offsite"]}},
        **({"recovery": _recovery()} if main else {}),
        "secrets": _secrets(settings),
        "volume": {"items": VOLUME_ITEMS, "variant": "ok"},
        "objectives": {
            "rto": "2h",
            "rpo": "1h",
            "availability": "99.5%",
            "p95": "2s",
            "peak_rate": PEAK_RATE,
            # A rollback takes seconds here, and so does coming back from an overload: this team promises more than
            # the five minutes of the gates.
            "limits": {
                "OPS-DEP-003": {"rollback_s": 90},
                "OPS-DEP-004": {"serves_s": 90},
                "PRF-LOD-001": {"recovery_s": 60},
                "PRF-LOD-003": {"recovery_s": 60},
            },
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
        "part": part(name),
        "replicas": settings.replicas[name],
        "limits": {"cpu": 1.0, "memory": "256MB"},
        "process": {"pidfile": f"run/{outward}-*.pid"},
    }
    if name in ("orchestrator", "knowledge"):
        entry["stateful"] = True
    if name == "provider":
        entry["released"] = False
    return entry


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
