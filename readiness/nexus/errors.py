"""What Nexus tells its operators when it cannot do what was asked: always one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NexusError(Exception):
    """Carries one line: what was given, what is allowed, what to do."""


class WrongUsageError(NexusError):
    """What was asked for does not exist; nothing was begun."""


class NotPermittedError(NexusError):
    """The level may not do this operation; the attempt stands in the audit log."""


def unknown(kind: str, given: str, known: Iterable[str], where: str = "") -> WrongUsageError:
    """Names the unknown value, the nearest known one and all known ones in one line."""
    allowed = sorted(known)
    nearest = difflib.get_close_matches(given, allowed, n=2, cutoff=0.4)
    hint = f"; did you mean {' or '.join(repr(name) for name in nearest)}?" if nearest else ";"
    place = f" in {where}" if where else ""
    return WrongUsageError(f"unknown {kind} {given!r}{place}{hint} known: {', '.join(allowed)}")
