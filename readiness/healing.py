"""`readiness heal`: what earlier runs left open on a deployment, undone and verified, or told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from readiness.credentials import Credentials
from readiness.errors import UsageError
from readiness.executor import Healed
from readiness.heartbeat import Heartbeat
from readiness.history import History
from readiness.loading import DescriptorFile, load_descriptor
from readiness.operations import Operation
from readiness.policy import EMBEDDED_POLICY, Limits
from readiness.preamble import holder
from readiness.redaction import Redactor
from readiness.session import Session
from readiness.state import OpenUndo, State
from readiness.target import attach

LEASE_S = 60.0


def heal_deployment(path: Path, *, dry_run: bool, tell: Callable[[str], None], who: str = "readiness heal") -> bool:
    """Undo what is open (or only say what is); True when nothing is left open."""
    file = load_descriptor(path)
    state = State(file.resolve(file.descriptor.state), file.descriptor.name)
    opened = state.opened()
    if not opened:
        tell(f"nothing is open on {file.descriptor.name}")
        return True
    if dry_run:
        for undo in opened:
            tell(_told(undo))
        return False
    with _session(file, state, who) as session:
        healed = session.heal()
    for undo in healed.closed:
        tell(f"healed: {undo.what} (left by run {undo.run_id})")
    for failure in healed.failures:
        tell(f"NOT healed: {failure.what}: {failure.reason}; by hand: {failure.remedy}")
    return not healed.failures


def refuse_if_broken(healed: Healed, file: DescriptorFile) -> None:
    """Raise UsageError where something that an earlier run left could not be undone: no drill starts on top of it."""
    if healed.failures:
        told = "; ".join(f"{failure.what} ({failure.reason}; by hand: {failure.remedy})" for failure in healed.failures)
        raise UsageError(
            f"{file.descriptor.name}: an earlier run left open what cannot be undone: {told}; "
            f"mend it, then run `readiness heal --deployment {file.path}`"
        )


@contextmanager
def _session(file: DescriptorFile, state: State, who: str) -> Iterator[Session]:
    """Hold the deployment for healing; what is done is recorded beside the state, since there is no run."""
    redactor = Redactor()
    credentials, target, now = Credentials.load(file, redactor), attach(file), datetime.now(UTC)
    run_id = f"heal-{now:%Y-%m-%dT%H%M%S.%fZ}"
    folder = state.folder / "healed" / run_id
    with (
        state.lease(holder(who), LEASE_S) as lease,
        Heartbeat(lease.renew, LEASE_S / 3),
        History.create(folder, redactor) as history,
    ):
        limits = Limits(EMBEDDED_POLICY, file.descriptor.objectives, [], now)
        session = Session(file, target, credentials, history, state, redactor, limits, folder, run_id)
        try:
            yield session
        finally:
            session.reach.web.close()


def _told(undo: OpenUndo) -> str:
    operations = "; ".join(str(Operation.from_data(one)) for one in undo.undo)
    return f"open: {undo.what} (gate {undo.gate}, run {undo.run_id}); undo: {operations}"
