"""Since when a gate fails on a deployment, across runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from readiness.model import Finding, Outcome
from readiness.records import instant
from readiness.state import State


class FailingSince:
    """Remembers in the state folder when a gate was first seen failing, until it passes."""

    def __init__(self, state: State) -> None:
        self._state = state

    def observe(self, finding: Finding) -> datetime | None:
        """Take a finding in; return since when the gate fails, or None when it does not (UNKNOWN changes nothing)."""
        name = f"failing/{finding.gate}.json"
        if finding.outcome is not Outcome.FAIL:
            if finding.outcome is Outcome.PASS:
                self._state.remove(name)
            return None
        since = self._earlier(name)
        if since is None or since > finding.observed_at:
            since = finding.observed_at
            self._state.write(name, {"since": instant(since)})
        return since

    def _earlier(self, name: str) -> datetime | None:
        try:
            since = datetime.fromisoformat(json.loads((self._state.folder / name).read_bytes())["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return since if since.tzinfo else since.replace(tzinfo=UTC)
