"""The commands of `nexusctl` for trials under load: fill, unfill, and the figures of the SLA dashboard."""

from __future__ import annotations

import argparse
from datetime import datetime

from readiness.nexus.console import alone, operator, show
from readiness.nexus.ctl_data import Add
from readiness.nexus.settings import Settings

MOST_ITEMS = 1_000_000


def fill(settings: Settings, given: argparse.Namespace) -> int:
    """Bring the filled-in documents and ended workflows to a number each."""
    return _bring_to(settings, given, given.items)


def unfill(settings: Settings, given: argparse.Namespace) -> int:
    """Take out everything that was filled in."""
    return _bring_to(settings, given, 0)


def sla(settings: Settings, given: argparse.Namespace) -> int:
    """Show the share of the callers' workflows that ended well in a window, and what is left of the error budget."""
    from readiness.nexus.sla import figures

    show(figures(settings, given.since, given.until), given)
    return 0


def register(add: Add) -> None:
    """Add these commands to the parser."""
    add("fill", fill).add_argument("items", type=_items)
    add("unfill", unfill)
    one = add("sla", sla)
    one.add_argument("--since", type=_moment, required=True, metavar="MOMENT")
    one.add_argument("--until", type=_moment, required=True, metavar="MOMENT")


def _bring_to(settings: Settings, given: argparse.Namespace, items: int) -> int:
    from readiness.nexus import volume
    from readiness.nexus.audit import ALLOWED, AuditLog

    acting = operator(settings, given)
    with alone(settings):
        AuditLog.of(settings).append(acting.level, "fill", ALLOWED, acting.correlation_id, f"items={items}")
        volume.fill(settings, items)
    show(volume.counted(settings), given)
    return 0


def _items(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text) <= MOST_ITEMS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of items: write a number from 0 to {MOST_ITEMS}")
    return int(text)


def _moment(text: str) -> float:
    """Read an instant: ISO 8601 with its zone, or seconds since the epoch."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment: write 2026-01-31T09:00:00Z or seconds since the epoch"
        )
    return moment.timestamp()
