"""The child of a run: `python -m readiness.chaos.child WORK EXPERIMENT ORDERS JOURNAL PIPE PARENT`.

The Chaos Toolkit's library swallows Ctrl-C, loses its journal to an exception and keeps its state in globals: it runs
here, once, in the main thread of a process that ends with the one that started it. Started by `runner` alone.
"""

from __future__ import annotations

import copy
import ctypes
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chaoslib.caching import cache_activities  # type: ignore[import-untyped]
from chaoslib.configuration import load_configuration  # type: ignore[import-untyped]
from chaoslib.experiment import run_experiment  # type: ignore[import-untyped]
from chaoslib.hypothesis import run_steady_state_hypothesis  # type: ignore[import-untyped]
from chaoslib.rollback import run_rollbacks  # type: ignore[import-untyped]
from chaoslib.run import EventHandlerRegistry  # type: ignore[import-untyped]
from chaoslib.secret import load_secrets  # type: ignore[import-untyped]

from readiness.chaos.acting import Acting, under
from readiness.chaos.experiment import read_experiment
from readiness.chaos.holding import end_in_order, hold
from readiness.chaos.journal import one_line
from readiness.chaos.orders import Orders
from readiness.chaos.relaying import Relay, RelayedHistory, Telling, plainly
from readiness.errors import ReadinessError
from readiness.redaction import Redactor

SETTINGS = {"runtime": {"rollbacks": {"strategy": "always"}}}
"""What the library heeds; `runtime` of the file is for its command line alone."""
_PR_SET_PDEATHSIG = 1


def main(work: str, experiment: str, orders: str, journal: str, pipe: str, parent: str) -> int:
    """Do one piece of work and tell the parent what came of it."""
    end_with(int(parent))
    os.set_inheritable(int(pipe), False)
    logging.getLogger("chaostoolkit").addHandler(logging.NullHandler())
    logging.getLogger("chaostoolkit").propagate = False
    redactor = Redactor()
    relay = Relay(int(pipe), redactor)
    try:
        ordered = Orders.read(Path(orders))
        acting = under(ordered, RelayedHistory(Path(ordered.folder), relay), redactor)
        data = read_experiment(Path(experiment)).data
    except ReadinessError as error:
        relay.tell("escaped", text=" ".join(str(error).split()))
        return 4
    hold(acting)
    if work == "hypothesis":
        return _try_hypothesis(data, relay, acting)
    return _run(data, relay, acting, Path(journal))


def end_with(parent: int) -> None:
    """Have the kernel end this process as soon as its parent (the thread that started it) has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _run(data: dict[str, Any], relay: Relay, acting: Acting, path: Path) -> int:
    telling = Telling(relay, end_in_order)
    journal: Mapping[str, Any] | None = None
    try:
        journal = run_experiment(copy.deepcopy(data), settings=SETTINGS, event_handlers=[telling])
    except BaseException as error:
        relay.tell("escaped", text=_told(error))
        if not telling.rolled_back:
            _roll_back(data, telling)
    finally:
        try:
            acting.end()
        finally:
            written = relay.redactor.redact_data(plainly(dict(journal if journal is not None else telling.journal)))
            _write(path, written)
    relay.tell("ended", status=(journal or telling.journal).get("status") or "")
    return 0 if journal is not None else 3


def _roll_back(data: dict[str, Any], telling: Telling) -> None:
    """Play the rollbacks that the library leaves out when an exception has left it."""
    registry = EventHandlerRegistry()
    registry.register(telling)
    telling.start_rollbacks(data)
    cache_activities(data)
    played: list[Any] = []
    with ThreadPoolExecutor(1) as pool:
        try:
            for _ in run_rollbacks(data, telling.configuration, telling.secrets, pool, None, registry, played):
                pass
        except BaseException as error:  # an undo of theirs that fails must not keep ours from being done
            played.append({"exception": _told(error)})
    telling.journal["rollbacks"] = played


def _try_hypothesis(data: dict[str, Any], relay: Relay, acting: Acting) -> int:
    """Try each probe of the hypothesis by itself: the library would stop at the first that does not hold."""
    configuration = load_configuration(data.get("configuration", {}))
    secrets = load_secrets(data.get("secrets", {}), configuration)
    cache_activities(data)
    hypothesis = data.get("steady-state-hypothesis") or {}
    end_in_order()
    for probe in hypothesis.get("probes", []):
        alone = {**data, "steady-state-hypothesis": {**hypothesis, "probes": [probe]}}
        met, text = False, ""
        try:
            state = run_steady_state_hypothesis(alone, configuration, secrets, None, EventHandlerRegistry())
            met = bool(state and state["steady_state_met"])
            failed = [one.get("exception") for one in (state or {}).get("probes", []) if one.get("exception")]
            text = one_line(failed[-1]) if failed else ""
        except Exception as error:  # a tolerance that raises does not hold
            text = _told(error)
        relay.tell("probe", name=probe.get("name") or probe.get("ref"), met=met, error=text)
    acting.end()
    relay.tell("ended", status="")
    return 0


def _write(path: Path, journal: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(json.dumps(journal, indent=2), encoding="utf-8")
    draft.replace(path)


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
