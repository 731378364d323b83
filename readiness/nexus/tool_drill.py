"""A compromised agent, simulated: it uses a tool with the credentials of its role, and claims to be another."""

from __future__ import annotations

import time

import httpx

from readiness.nexus import access, plain_http, registry
from readiness.nexus.authority import Operator
from readiness.nexus.errors import NexusError, NotPermittedError, unknown
from readiness.nexus.seeds import GOLDEN
from readiness.nexus.settings import Settings

ANSWER_WITHIN_S = 10.0
LEASED_S = 30.0


def use_tool(settings: Settings, operator: Operator, role: str, tool: str, correlation: str) -> None:
    """Use a tool as a role; raises NotPermittedError when the service refuses it."""
    if role not in access.TOOLS:
        raise unknown("role", role, access.TOOLS)
    known = sorted(frozenset[str]().union(*access.TOOLS.values()))
    if tool not in known:
        raise unknown("tool", tool, known)
    operator.act("use-tool", service=settings.names.component(role))
    lease = access.sign_lease(settings.secret("lease.key"), role, time.time() + LEASED_S)
    claimed = next(other for other, tools in access.TOOLS.items() if tool in tools)
    # Both tools only read; a document of this id need not exist.
    asked = {"lease": lease, "role": claimed, "question": GOLDEN[0].question, "id": "drill", "workflow_id": "drill"}
    headers = {
        "Authorization": f"Bearer {settings.secret('internal.token')}",
        settings.names.headers.correlation: correlation,
    }
    answer = _post(settings, f"/tools/{tool}", asked, headers)
    if answer.status_code == httpx.codes.FORBIDDEN:
        raise NotPermittedError(f"{settings.names.component(role)} may not use {tool}")
    if answer.status_code != httpx.codes.OK:
        raise NexusError(f"{tool}: the knowledge service answered {answer.status_code}")


def _post(settings: Settings, path: str, asked: dict[str, str], headers: dict[str, str]) -> httpx.Response:
    cause = "no instance is announced"
    with plain_http.client(ANSWER_WITHIN_S) as http:
        for instance in registry.lookup(settings, "knowledge"):
            try:
                return http.post(f"{instance.url}{path}", json=asked, headers=headers)
            except httpx.TransportError as error:
                cause = f"{instance.name}: {type(error).__name__}"
    raise NexusError(f"the knowledge service does not answer ({cause}); see log/")
