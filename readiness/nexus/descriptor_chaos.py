"""The part of the descriptor that tells what can be broken: the links and their proxies, and what work may cost."""

from __future__ import annotations

from typing import Any

from readiness.nexus.links import CALLERS, proxy_name
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.settings import Settings

Part = dict[str, Any]
PARTS = {"gateway": "entrance", "orchestrator": "coordinator", "knowledge": "knowledge", "provider": "provider"}
"""Service -> what it is in a multi-agent system; whatever is not named is an agent."""
OF_PROCESSES = {
    "agent-killed": "an agent dies with work in hand",
    "agent-frozen": "an agent stops for longer than its lease, and wakes up",
    "agent-starved": "an agent gets hardly any processor time",
    "agent-squeezed": "an agent runs out of memory",
    "coordinator-killed": "the orchestrator dies under work",
    "knowledge-killed": "the knowledge service dies and comes back",
}
OF_LINKS = {
    "knowledge-refused": "agents cannot reach the knowledge service",
    "knowledge-slow": "the knowledge service answers slowly",
    "provider-rate-limited": "the model provider says that it is too much",
    "provider-unavailable": "the model provider is down for a while",
    "provider-hangs": "calls of the model never end",
    "provider-cut-short": "answers of the model end in the middle",
    "provider-answers-wrongly": "the model answers plausibly and wrongly",
    "credential-expired": "the provider refuses the credential",
    "acknowledgement-lost": "an agent does not learn that its report was taken",
    "message-delivered-twice": "reports of agents arrive twice",
    "orders-delivered-twice": "orders arrive twice",
    "messages-reordered": "reports of agents overtake each other",
    "handoff-poisoned": "work is handed over in a form that cannot be read",
    "queue-link-flapping": "the way to the orchestrator comes and goes",
    "queue-link-silent": "the way to the orchestrator swallows what is sent",
}
"""What can be shown only where proxies stand on the links."""
MOST_STEPS, MOST_TOKENS = 32, 4_000
"""Four tasks, each tried three times and lost by an agent as often, and four calls for each of two completions;

a completion of the stand-in takes 50 tokens."""
_QUEUE = {
    "deliver": {"method": "POST", "path": "/internal/lease"},
    "acknowledge": {"method": "POST", "path": "/internal/complete"},
}
_MESSAGES: dict[str, dict[str, Part]] = {
    "entrance-coordinator": {"submit": {"method": "POST", "path": "/internal/workflows"}},
    "agents-coordinator": _QUEUE,
    "agents-knowledge": {"tool": {"method": "POST", "path": "/tools/*"}},
    "agents-provider": {"ask": {"method": "POST", "path": "/v1/chat/completions"}},
}


def part(service: str) -> str:
    """Return what a service is in a multi-agent system."""
    return PARTS.get(service, "agent")


def failure_modes(settings: Settings) -> dict[str, str]:
    """Return the ways of failing that this team counts with; those of links where there are proxies to show them."""
    return OF_PROCESSES | (OF_LINKS if settings.proxied is not None else {})


def links(settings: Settings) -> Part:
    """Return who calls whom through which proxies, and where the proxies' servers are; nothing without proxies."""
    if settings.proxied is None:
        return {}
    found: Part = {}
    for service, callers in CALLERS.items():
        for ours, of_part in (("entrance", ["gateway"]), ("agents", list(AGENT_ROLES))):
            calling = [caller for caller in of_part if caller in callers]
            if calling:
                name = f"{ours}-{part(service)}"
                found[name] = _link(settings, calling, service) | {"messages": _MESSAGES[name]}
    return {"links": found, "faults": {"toxiproxy": settings.proxied.toxiproxy, "http": settings.proxied.http}}


def accounts() -> Part:
    """Return which fields of a workflow's state tell what it came to."""
    return {
        "effects": "effects",
        "steps": "tasks.steps",
        "tokens": "tasks.tokens",
        "answer": "answer",
        "correlation": "correlation_id",
    }


def bounds() -> Part:
    """Return the most that one workflow may take, whatever is broken."""
    return {"steps": MOST_STEPS, "tokens": MOST_TOKENS}


def _link(settings: Settings, callers: list[str], service: str) -> Part:
    component = settings.names.component
    proxies = [proxy_name(settings, caller, f"{component(service)}-*") for caller in callers]
    # A copy for each: YAML would write the second as a reference to the first.
    return {"from": [component(caller) for caller in callers], "to": component(service)} | {
        "toxiproxy": list(proxies),
        "http": list(proxies),
    }
