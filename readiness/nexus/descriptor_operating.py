"""The part of the descriptor that tells how the deployment is operated: its procedures and privileged operations."""

from __future__ import annotations

from typing import Any

from readiness.nexus.access import OPERATIONS, TOOLS
from readiness.nexus.settings import Settings

Part = dict[str, Any]


def procedures(settings: Settings) -> Part:
    """Return the operators' own commands."""
    level = settings.names.level

    def run(*words: str, within: str, by: str = "operator") -> Part:
        return {"run": ["bin/nexusctl", "--as", level(by), *words], "within": within}

    return {
        "deploy": run("deploy", "{release}", within="5m"),
        "rollback": run("rollback", within="5m"),
        "start": run("start", "{service}", within="1m"),
        "stop": run("stop", "{service}", "{instance}", within="1m"),
        "scale": run("scale", "{service}", "{replicas}", within="2m"),
        "recreate": run("recreate", "{service}", within="2m"),
        "use_tool": run(
            "use-tool", "{service}", "{tool}", "--correlation", "{correlation}", within="30s", by="security"
        ),
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
        "fill": run("fill", "{items}", "--json", within="1m"),
        "unfill": run("unfill", "--json", within="1m"),
        "sla": run("sla", "--since", "{since}", "--until", "{until}", "--json", within="30s"),
        "artifact": run("artifact", "{release}", "--json", within="30s"),
        "contract": run("contract", "{release}", "{other}", within="30s"),
        "audit": run("audit", "--json", "--correlation", "{correlation}", within="30s", by="security"),
        "audit_log": run("audit", "--json", within="30s", by="security"),
        "audit_verify": run("audit-verify", "--file", "{file}", within="30s", by="security"),
    }


def tools(settings: Settings) -> dict[str, list[str]]:
    """Return every tool with the agents that may use it."""
    names = sorted(frozenset[str]().union(*TOOLS.values()))
    return {tool: [settings.names.component(role) for role, may in TOOLS.items() if tool in may] for tool in names}


def operations(settings: Settings) -> Part:
    """Return every privileged operation with a harmless attempt at it."""
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
