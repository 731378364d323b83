"""Who may do what: access levels, tokens, permits of the operators' command, and the tools of each agent role."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

from readiness.nexus.names import LEVELS
from readiness.nexus.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

CALLER = "caller"
INTERNAL = "internal"
PERMIT_LIFETIME_S = 300.0

OPERATIONS = {
    "status": frozenset(LEVELS),
    "read-audit": frozenset({"administrator", "security"}),
    "backup": frozenset({"operator", "administrator", "emergency"}),
    "deploy": frozenset({"operator", "administrator", "emergency"}),
    "rollback": frozenset({"operator", "administrator", "emergency"}),
    "scale": frozenset({"operator", "administrator", "emergency"}),
    "stop": frozenset({"operator", "administrator", "emergency"}),
    "recreate": frozenset({"operator", "administrator", "emergency"}),
    "restore": frozenset({"administrator", "emergency"}),
    "configure": frozenset({"administrator", "emergency"}),
    "grant": frozenset({"security"}),
    "revoke": frozenset({"security"}),
    "rotate": frozenset({"security"}),
    "use-tool": frozenset({"security"}),
    "break-glass": frozenset({"emergency"}),
}
"""Operation -> the levels that may; whatever is not named is refused."""

TOOLS = {
    "planner": frozenset[str](),
    "researcher": frozenset({"search_knowledge"}),
    "writer": frozenset[str](),
    "reviewer": frozenset({"read_document"}),
}
"""Agent role -> the tools it may use, enforced where the tools are, whatever a prompt says."""


def may(settings: Settings, level: str, operation: str) -> bool:
    """Tells whether a level may do an operation."""
    allowed = OPERATIONS.get(operation, frozenset())
    if settings.defects.on("read-only-may-deploy") and operation == "deploy":
        allowed = allowed | {"read-only"}
    if settings.defects.on("emergency-locked-out") and operation == "restore":
        allowed = allowed - {"emergency"}
    return level in allowed


class Tokens:
    """Recognises bearer tokens by the hash of their value; a replaced token file counts at once."""

    def __init__(self, settings: Settings) -> None:
        files = {CALLER: "caller.token", INTERNAL: "internal.token"}
        files |= {level: f"{settings.names.level(level)}.token" for level in LEVELS}
        self._paths = {holder: settings.secret_path(name) for holder, name in files.items()}
        self._known: dict[str, tuple[int, str]] = {}

    def holder_of(self, token: str) -> str | None:
        """Returns `caller`, `internal` or a level, or None for a token that nobody holds."""
        given = _sha256(token)
        found = None
        for holder in self._paths:
            # No early end: how long the comparison takes must not tell which token was near.
            if hmac.compare_digest(given, self._digest(holder)):
                found = holder
        return found

    def _digest(self, holder: str) -> str:
        path = self._paths[holder]
        try:
            changed = path.stat().st_mtime_ns
            if self._known.get(holder, (0, ""))[0] != changed:
                self._known[holder] = (changed, _sha256(path.read_text("ascii").strip()))
        except OSError:
            return ""
        return self._known[holder][1]


def bearer(header: str | None) -> str:
    """Takes the token out of an Authorization header, or returns an empty text."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def issue_permit(connection: Connection, operation: str, level: str, correlation_id: str) -> str:
    """Gives out a permit that can be redeemed once; only its hash is stored."""
    from readiness.nexus import store

    permit = secrets.token_urlsafe(24)
    connection.execute(
        store.permits.insert().values(
            digest=_sha256(permit),
            operation=operation,
            level=level,
            correlation_id=correlation_id,
            issued_at=time.time(),
        )
    )
    return permit


def redeem_permit(connection: Connection, permit: str, operation: str) -> bool:
    """Uses a permit up; False when it is unknown, used, too old or meant for another operation."""
    from readiness.nexus import store

    table, now = store.permits, time.time()
    used = connection.execute(
        table.update()
        .where(
            table.c.digest == _sha256(permit),
            table.c.operation == operation,
            table.c.used_at.is_(None),
            table.c.issued_at > now - PERMIT_LIFETIME_S,
        )
        .values(used_at=now)
    )
    return used.rowcount == 1


def sign_lease(key: str, role: str, until: float) -> str:
    """Makes a lease token that carries the role it was given to, signed so that no agent can claim another."""
    claim = f"{role}.{until:.3f}.{secrets.token_hex(8)}"
    return f"{claim}.{_mac(key, claim)}"


def lease_role(key: str, token: str) -> str | None:
    """Returns the role that a lease token was given to, or None when it is not genuine."""
    claim, _, signature = token.rpartition(".")
    return claim.partition(".")[0] if hmac.compare_digest(signature, _mac(key, claim)) else None


def _mac(key: str, claim: str) -> str:
    return hmac.new(key.encode(), claim.encode(), hashlib.sha256).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
