"""This process's one hold on a deployment: given to it by a run, else taken alone, and given back at its end."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from chaoslib.exceptions import ActivityFailed  # type: ignore[import-untyped]

from readiness.chaos.acting import Acting, under
from readiness.chaos.orders import VARIABLE, Orders
from readiness.credentials import Credentials
from readiness.errors import ReadinessError, UsageError
from readiness.history import History
from readiness.loading import load_descriptor
from readiness.redaction import Redactor
from readiness.state import State

ARM = "READINESS_ARM"
"""Names the deployment in production that may be broken."""
_LOG = logging.getLogger("chaostoolkit")
_HELD: list[Acting] = []


def this_process() -> Acting:
    """Give this process's hold on the deployment in use; taken when it is first asked for."""
    if threading.current_thread() is not threading.main_thread():
        raise UsageError("activities of readiness.chaos act in the main thread; take `background: true` away")
    if not _HELD:
        ordered = os.environ.get(VARIABLE)
        hold(under(Orders.read(Path(ordered))) if ordered else _alone())
    return _HELD[0]


def hold(acting: Acting) -> None:
    """Let this process act through it; whatever ends the process, all that is in force is lifted before."""
    _HELD[:] = [acting]
    end_in_order()
    # Threads can be started no more when the handlers of `atexit` run, and reading the state takes some.
    register: Callable[[Callable[[], object]], object] = getattr(threading, "_register_atexit", atexit.register)
    register(acting.end)


def end_in_order() -> None:
    """Have SIGTERM and SIGHUP end this process as SystemExit, which no activity's `except Exception` swallows."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _leave)


@contextmanager
def in_one_line() -> Iterator[None]:
    """Let what goes wrong fail the activity with one line."""
    try:
        yield
    except ReadinessError as error:
        remedy = getattr(error, "remedy", "")
        text = " ".join(str(error).split()) + (f"; {remedy}" if remedy else "")
        redactor = _HELD[0].redactor if _HELD else Redactor()
        raise ActivityFailed(redactor.redact(text)) from None


def _alone() -> Acting:
    """Hold the deployment in use without a run: with a lease, a ledger and a reaper of our own."""
    from readiness.healing import LEASE_S, refuse_if_broken
    from readiness.heartbeat import Heartbeat
    from readiness.nexus_command import deployment_in_use
    from readiness.preamble import holder
    from readiness.reaper import Reaper

    file = load_descriptor(deployment_in_use(None))
    redactor = Redactor()
    credentials = Credentials.load(file, redactor)
    state = State(file.resolve(file.descriptor.state), file.descriptor.name)
    run_id = f"chaos-{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}"
    folder = state.folder / "chaos" / run_id
    armed = os.environ.get(ARM) == file.descriptor.name
    with contextlib.ExitStack() as holding:
        lease = holding.enter_context(state.lease(holder(f"chaos run {_title()}".strip()), LEASE_S))
        beat = holding.enter_context(Heartbeat(lease.renew, LEASE_S / 3))
        history = holding.enter_context(History.create(folder, redactor))
        orders = Orders(
            str(file.path), str(folder), run_id, "chaos", lease.holder.token, armed=armed, traffic=False, seed=_seed()
        )
        acting = Acting(file, orders, history, redactor, credentials)
        refuse_if_broken(acting.executor.heal(_LOG.warning), file)
        acting.beat = beat
        reaper = holding.enter_context(Reaper(file.path))
        if not reaper.failure:
            acting.executor.heals_otherwise = "reaper"
        acting.holding = holding.pop_all()
    _LOG.info("what is broken is written down in %s", folder)
    return acting


def _seed() -> int:
    """The seed that is given in READINESS_SEED, else one that is drawn; which replicas it chose is in the ledger."""
    given = os.environ.get("READINESS_SEED", "")
    return int(given) if given.isdecimal() else int.from_bytes(os.urandom(4))


def _title() -> str:
    """What the experiment that `chaos run` was given is called, for whoever finds the deployment held."""
    from readiness.loading.documents import read_document

    for argument in sys.argv[1:]:
        path = Path(argument)
        if path.suffix in {".yaml", ".yml", ".json"} and path.is_file():
            with contextlib.suppress(UsageError):
                data = read_document(path).data
                return str(data.get("title", path.name)) if isinstance(data, dict) else path.name
    return ""


def _leave(signum: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)
