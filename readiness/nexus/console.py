"""What the commands of `nexusctl` share: who acts, one at a time, and what is printed where."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from readiness.nexus.errors import NexusError
from readiness.nexus.settings import Settings

if TYPE_CHECKING:
    from readiness.nexus.authority import Operator

BUSY_FOR_S = 20.0
"""How long a command waits for another one that changes the same deployment."""


def say(line: str) -> None:
    """Tell the operator how far it is; results alone go to stdout."""
    print(line, file=sys.stderr, flush=True)


def operator(settings: Settings, given: argparse.Namespace) -> Operator:
    """Take up the level that was asked for."""
    from readiness.nexus.authority import Operator

    return Operator.at(settings, given.level)


def alone(settings: Settings) -> AbstractContextManager[object]:
    """Keep other commands that change this deployment out for the length of a `with` block."""
    lock = FileLock(settings.run / "operations.lock", timeout=BUSY_FOR_S, mode=0o600)
    try:
        return lock.acquire()
    except Timeout:
        raise NexusError("another nexusctl is changing this deployment; try again when it has finished") from None


def show(content: dict[str, Any], given: argparse.Namespace) -> None:
    """Print a result: on one line for programs, else for people."""
    print(json.dumps(content, indent=None if given.json else 1, sort_keys=False))
