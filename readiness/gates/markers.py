"""Markers in everything that a deployment keeps: written once, and read again after something happened to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from readiness.deployment import Deployment
from readiness.errors import Undecidable
from readiness.gates.questions import answered, telling
from readiness.gates.rollouts import changed, first_words, forgotten
from readiness.inventory import ComponentCount
from readiness.workload import Transaction

SAVED = 3
DONE = 3
"""Stored canaries and finished transactions; one may lie where nothing happens to it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What must be there afterwards."""

    saved: Sequence[str]
    done: Sequence[Transaction]
    answered: frozenset[str]
    held: Mapping[str, ComponentCount]
    """The inventory; empty where it is not declared."""
    backup: str
    """What the operators' commands know the backup by that was taken before; no text where there is none."""


def write_markers(deployment: Deployment) -> Written:
    """Take a backup, write the markers, and look at what is there now; UNKNOWN where nothing can be written."""
    backup = _backup(deployment)
    saved = [f"rd-{deployment.run_id[-12:]}-keep-{n}".lower().replace("_", "-") for n in range(SAVED)]
    for marker in saved:
        deployment.remember(marker)
    tried = deployment.transact("ok", DONE)
    done = [one for one in tried if one.accepted and one.as_meant]
    if not done:
        deployment.undecidable(f"no work could be done before: {first_words(tried)}", "workload.ok")
    known = answered(deployment, telling(deployment)) if _asks(deployment) else set()
    held = deployment.inventory() if "inventory" in deployment.descriptor.procedures else {}
    return Written(saved, done, frozenset(known), held, backup)


def _asks(deployment: Deployment) -> bool:
    workload = deployment.descriptor.workload
    return bool(deployment.descriptor.golden) and (workload.ask is not None or workload.adapter is not None)


def _backup(deployment: Deployment) -> str:
    """Take a backup where there is a command for it: what a faulty volume loses must not be lost for good."""
    declared = deployment.descriptor.procedures
    if "backup" not in declared or "inventory" not in declared:
        return ""
    taken = deployment.backup()
    if not taken.ran.ok:
        raise Undecidable(
            f"nothing would bring back what a faulty volume loses: {taken.ran.told()}", "OPS-BAK-003 judges backups"
        )
    return taken.set


def judge_markers(deployment: Deployment, written: Written, name: str) -> bool:
    """Read all markers again; false where something was lost with the service of that name."""
    gone = [f"stored {marker}" for marker in forgotten(deployment, written.saved)]
    gone += changed(deployment, written.done)
    still = answered(deployment, telling(deployment)) if written.answered else set()
    gone += [f"not answered any more: {question}" for question in sorted(written.answered - still)]
    now = deployment.inventory() if written.held else {}
    gone += [told for component, was in written.held.items() if (told := _shrunk(component, was, now.get(component)))]
    markers = len(written.saved) + len(written.done) + len(written.answered) + len(written.held)
    deployment.keep(
        f"after-{name}", {"lost": gone, "inventory": {key: [one.count, one.hash] for key, one in now.items()}}
    )
    deployment.count(markers - len(gone), markers)
    kept = f"; backup {written.backup} holds what was there" if gone and written.backup else ""
    return deployment.measure(
        f"markers_lost_with_{name}",
        len(gone),
        limit="markers_lost",
        detail=f"of {markers}: {'; '.join(gone[:3])}{kept}",
    )


def _shrunk(component: str, was: ComponentCount, now: ComponentCount | None) -> str:
    """Say what a component has lost; one that grew or moved meanwhile has lost nothing that can be told here."""
    if now is None:
        return f"{component} is not counted any more"
    return f"{component} has {now.count} of {was.count}" if now.count < was.count else ""
