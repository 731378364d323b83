"""The operator at the keyboard: which level he acts as, and the permits that the gateway gives him."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import httpx

from readiness.nexus import access, plain_http, store
from readiness.nexus.errors import NexusError, NotPermittedError
from readiness.nexus.settings import Settings

PATIENCE_S = 15.0
"""How long to ask again while the gateways are being restarted."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who acts at an access level, under one correlation id for the whole command."""

    settings: Settings
    level: str
    correlation_id: str

    @classmethod
    def at(cls, settings: Settings, outward_level: str) -> Operator:
        """Take up a level by the name that this deployment gives it."""
        settings.names.canonical_level(outward_level)
        return cls(settings, outward_level, secrets.token_hex(16))

    def ask(self, operation: str, *, dry_run: bool, **detail: str) -> str | None:
        """Ask the gateway whether this level may; it audits the attempt and, unless it is a dry run, gives a permit."""
        names = self.settings.names
        url = f"{self.settings.public_url}{names.paths.operations}/{operation}"
        headers = {
            "Authorization": f"Bearer {self.settings.secret(f'{self.level}.token')}",
            names.headers.correlation: self.correlation_id,
        }
        answer = _post(url, {"dry_run": dry_run, **detail}, headers)
        if answer.status_code == httpx.codes.FORBIDDEN:
            raise NotPermittedError(f"{self.level} may not {operation}; the attempt was recorded in the audit log")
        if answer.status_code != httpx.codes.OK:
            raise NexusError(f"{operation}: the gateway answered {answer.status_code}: {answer.text[:200]}")
        permit = answer.json().get("permit")
        return None if permit is None else str(permit)

    def act(self, operation: str, **detail: str) -> None:
        """Get a permit for an operation and use it up; raises NotPermittedError or NexusError."""
        permit = self.ask(operation, dry_run=False, **detail)
        engine = self.settings.engine()
        with store.writing(engine) as db:
            if permit is None or not access.redeem_permit(db, permit, operation):
                raise NexusError(f"{operation}: the gateway gave no valid permit; try again")
        engine.dispose()


def _post(url: str, body: dict[str, object], headers: dict[str, str]) -> httpx.Response:
    deadline = time.monotonic() + PATIENCE_S
    with plain_http.client(10.0) as http:
        while True:
            try:
                answer = http.post(url, json=body, headers=headers)
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise NexusError(f"no gateway answers on {url}: {type(error).__name__}; see log/") from None
            else:
                if answer.status_code not in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS):
                    return answer
                if time.monotonic() > deadline:
                    raise NexusError(f"{url} answered {answer.status_code} for {PATIENCE_S:.0f} s")
            time.sleep(0.2)
