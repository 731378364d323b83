"""Gates that end in every way a gate can end; the tests of the plugin put them in the place of the real ones."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import psutil

from readiness.gate import at_most, gate
from readiness.needs import procedure
from readiness.operations import Operation

WORDS: dict[str, Any] = {"version": 1, "why": "why", "measures": "how", "red": "what", "mend": "mend it"}


@gate("OBS-MET-901", risk="high", blocking=True, mode="observe", **WORDS)
def all_is_well(deployment: Any) -> None:
    """All is well."""
    deployment.measure("places", 3, at_least=2)


@gate("OBS-LOG-901", risk="low", blocking=False, mode="observe", limits={"lag_s": at_most(5, "s")}, **WORDS)
def lag_is_small(deployment: Any) -> None:
    """The lag is small."""
    deployment.measure("lag", 9.0, limit="lag_s")


@gate("OBS-LOG-902", risk="low", blocking=False, mode="observe", **WORDS)
def logs_can_be_read(_deployment: Any) -> None:
    """The logs can be read."""
    raise ConnectionError("no route with token tiny-fake-canary-secret")


@gate("OPS-DEP-901", risk="high", blocking=True, mode="probe", **WORDS)
def sum_is_right(_deployment: Any) -> None:
    """The sum is right."""
    found = 1 + 1
    assert found == 3


@gate("OPS-DEP-902", risk="high", blocking=True, mode="probe", **WORDS)
def library_is_whole(_deployment: Any) -> None:
    """An assertion of a library is not the gate's own judgement."""
    json.loads("1", object_hook=None, parse_int=_library)


def _library(text: str) -> int:
    raise AssertionError(f"inside a library: {text}")


@gate("OPS-REC-901", risk="critical", blocking=True, mode="drill", needs=[procedure("set")], **WORDS)
def switch_can_be_turned(deployment: Any) -> None:
    """The switch can be turned, and is turned back."""
    with deployment.change("turn the switch off", undo=[_turn("on")], do=_turn("off")):
        assert json.loads(deployment.run("status").stdout) == {"switch": "off"}
        if number := os.environ.get("FAKE_SIGNAL"):
            if number == "SIGKILL":  # its reaper too, as when the machine dies
                for child in psutil.Process().children():
                    child.kill()
            os.kill(os.getpid(), getattr(signal, number))


@gate("OPS-REC-902", risk="critical", blocking=True, mode="drill", needs=[procedure("set")], **WORDS)
def switch_stays_broken(deployment: Any) -> None:
    """The switch cannot be turned back."""
    with deployment.change("break the switch", undo=[_turn("nowhere")], do=_turn("off")):
        pass


@gate("OPS-BAK-901", risk="low", blocking=False, mode="observe", needs=[procedure("list_backups")], **WORDS)
def backups_are_listed(_deployment: Any) -> None:
    """The backups are listed."""


@gate("PAT-SL-901", risk="low", blocking=False, mode="observe", patterns=["serverless"], **WORDS)
def functions_start_fast(_deployment: Any) -> None:
    """Functions start fast."""


def _turn(way: str) -> Operation:
    return Operation("procedure", "set", {"text": way})
