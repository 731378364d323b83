"""The commands of `nexusctl` that are about data: backup, restore, inventory."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from readiness.nexus.console import alone, operator, say
from readiness.nexus.errors import NexusError, unknown
from readiness.nexus.settings import Settings

Add = Callable[[str, Callable[[Settings, argparse.Namespace], int]], argparse.ArgumentParser]


def backup(settings: Settings, given: argparse.Namespace) -> int:
    """Take a backup of all components and copy it off-site."""
    from readiness.nexus import backup as backups

    with alone(settings):
        operator(settings, given).act("backup", kind=given.kind)
        taken = backups.take(settings, given.kind, to=given.to)
    print(json.dumps({"id": taken}))
    return 0


def list_backups(settings: Settings, _given: argparse.Namespace) -> int:
    """List every backup with its files and their hashes."""
    from readiness.nexus.catalogue import Catalogue

    print(Catalogue.of(settings).as_json())
    return 0


def search_backup(settings: Settings, given: argparse.Namespace) -> int:
    """Look for a text in what a backup set would restore; exit 1 when it is not there."""
    from readiness.nexus.backup import image
    from readiness.nexus.catalogue import Catalogue
    from readiness.nexus.components import TABLES

    if given.component not in (None, *TABLES):
        raise unknown("component", given.component, TABLES)
    tables = [table.name for name in ([given.component] if given.component else TABLES) for table in TABLES[name]]
    rows = image(Catalogue.of(settings), given.set).rows
    found = [
        name for name in tables for row in rows[name].values() if given.text in json.dumps(row, ensure_ascii=False)
    ]
    if not found:
        raise NexusError(f"the text is not in {given.set}")
    print(json.dumps({"found": sorted(set(found))}))
    return 0


def verify_backup(settings: Settings, given: argparse.Namespace) -> int:
    """Check every copy of a backup set against the hashes of the catalogue."""
    from readiness.nexus.backup import broken_copies
    from readiness.nexus.catalogue import Catalogue

    problems = broken_copies(Catalogue.of(settings), given.set)
    if problems:
        raise NexusError("; ".join(problems))
    return 0


def restore(settings: Settings, given: argparse.Namespace) -> int:
    """Restore a backup set into a new environment, or into this one."""
    from readiness.nexus import restore as restoring

    with alone(settings):
        operator(settings, given).act("restore", set=given.set)
        path = restoring.restore(settings, given.set, given.into, say)
    print(json.dumps({"environment": given.into, "descriptor": str(path)}))
    return 0


def discard(settings: Settings, given: argparse.Namespace) -> int:
    """Stop and remove an environment that was restored."""
    from readiness.nexus.restore import discard as remove

    say("removed" if remove(settings, given.environment) else "there is none: nothing to do")
    return 0


def inventory(settings: Settings, given: argparse.Namespace) -> int:
    """Count and hash the content of an environment."""
    from readiness.nexus import inventory as counting
    from readiness.nexus.restore import environment_home

    home = environment_home(settings, given.of or settings.environment)
    print(json.dumps({"components": counting.of(settings if home == settings.home else Settings.load(home))}))
    return 0


def register(add: Add) -> None:
    """Add these commands to the parser."""
    one = add("backup", backup)
    one.add_argument("--kind", choices=("full", "incremental"), default="full")
    one.add_argument("--to", type=Path, help="folder of the first copy")
    add("backups", list_backups)
    one = add("search-backup", search_backup)
    one.add_argument("--set", required=True)
    one.add_argument("--for", dest="text", required=True)
    one.add_argument("--component")
    add("verify-backup", verify_backup).add_argument("set")
    one = add("restore", restore)
    one.add_argument("--from", dest="set", required=True)
    one.add_argument("--into", required=True)
    add("discard", discard).add_argument("environment")
    add("inventory", inventory).add_argument("--of")
