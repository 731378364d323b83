"""Recovery: a backup becomes a working deployment again, in time, whole, and as able as before."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from readiness.deployment import Deployment, Restored
from readiness.errors import Undecidable
from readiness.evidence.backups import Backup, parse_listing
from readiness.gate import at_most, gate
from readiness.gates.questions import answered, telling
from readiness.gates.rollouts import first_words, work_again
from readiness.inventory import ComponentCount
from readiness.needs import golden, procedure, recovery, variant, workload
from readiness.procedures import Ran

COMPONENTS = ("configuration", "knowledge", "operational_state", "user_data", "logs_and_metrics")
GROWS = "logs_and_metrics"
"""The component that a restored environment adds to by itself as soon as it runs."""
DAILY = "knowledge"
RPO_DAILY_S = 86400.0
ASKS = re.compile(r"\[y/n\]|\(y/n\)|\(yes/no\)|password|passphrase|continue\?|are you sure|press (enter|any key)", re.I)
DEPLOYMENTS_OWN = "recovery.descriptor: the descriptor of the restored environment, with addresses of its own"
FOUND = "found"
RESTORE_NEEDS = (procedure("backup"), procedure("restore"), procedure("discard"), procedure("inventory"), recovery())


def _restored(deployment: Deployment) -> tuple[Restored, Deployment]:
    """Give the restored environment; UNKNOWN when there is none, or when it is the source itself."""
    restored = deployment.restored()
    there = restored.deployment
    if there is None:
        deployment.undecidable(
            f"nothing was restored that could be compared: {restored.error or restored.ran.told()}",
            "OPS-REC-002 judges the restore itself",
        )
    _must_be_another(deployment, there)
    return restored, there


def _must_be_another(deployment: Deployment, there: Deployment) -> None:
    """A descriptor that leads back to the source would compare the source with itself."""
    ours = _addresses(deployment)
    shared = sorted(ours & _addresses(there))
    if shared:
        deployment.undecidable(f"the restored environment is served at the source's own {shared[0]}", DEPLOYMENTS_OWN)
    if deployment.file.path.resolve() == there.file.path.resolve():
        deployment.undecidable("the restored environment is described by the source's own descriptor", DEPLOYMENTS_OWN)


def _addresses(deployment: Deployment) -> set[str]:
    """Give where the services of a deployment are reached; what is not replaced by a deploy may be shared."""
    released = {name for name, spec in deployment.descriptor.services.items() if spec.released}
    declared = {deployment.descriptor.services[name].address for name in released}
    running = {instance.address for instance in deployment.instances() if instance.service in released}
    return {address.rstrip("/") for address in declared | running if address}


@gate(
    "OPS-REC-002",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""A restore that was never done in full takes longer than anybody thinks, or stops at a question that nobody
        is there to answer. The time to recover is a promise only when it was measured.""",
    measures="""Restores this run's backup with the operators' own command, standard input closed, into the declared
        environment, and takes the time until every service there is ready and a transaction succeeds.""",
    red="""The command fails, waits for an answer, takes longer than the recovery time objective (2 h unless a
        stricter one is declared), or what it restored does not do its work.""",
    mend="""Do the restore by hand as the gate does, `<command> </dev/null`, and look at the last line; replace each
        question by an option, and time the steps that take longest.""",
    needs=[*RESTORE_NEEDS, variant("ok")],
    limits={"rto_s": at_most(7200.0, "s", "seed: Severity 1 is resolved within 2 h")},
    typical_s=12.0,
    within_s=600.0,
)
def restore_ends_within_the_objective(deployment: Deployment) -> None:
    """A full restore into a clean environment ends unattended, within the recovery time objective, and works."""
    with deployment.step("restore the backup of this run"):
        restored = _attempted(deployment)
    _judge_command(deployment, restored)
    there = restored.deployment
    if there is None:
        deployment.measure("rto_s", round(restored.seconds, 2), limit="rto_s", detail=restored.error)
        deployment.violated(f"the restore command ended well, but {restored.error}")
    _must_be_another(deployment, there)
    with deployment.step("have the restored environment do work"):
        tried = work_again(there, 2)
    worked = [transaction for transaction in tried if transaction.as_meant]
    took_s = restored.seconds + min((t.latency_s or 0.0 for t in worked), default=0.0)
    deployment.measure("rto_s", round(took_s, 2), limit="rto_s", detail=f"the command took {restored.ran.duration_s} s")
    deployment.measure("work_done_after_restore", len(worked), at_least=1, detail=first_words(tried))


def _attempted(deployment: Deployment) -> Restored:
    restored = deployment.restored()
    deployment.keep("restore", f"{restored.ran.told()}\n\n{restored.ran.stdout}\n{restored.ran.stderr}")
    return restored


def _judge_command(deployment: Deployment, restored: Restored) -> None:
    ran = restored.ran
    if ran.ok:
        return
    limit = deployment.limit("rto_s")
    question = _question(ran)
    if question:
        deployment.violated(f"the restore asks {question!r}, and nobody is there to answer: {ran.told()}")
    if ran.timed_out and not limit.holds(ran.duration_s):
        deployment.measure("rto_s", ran.duration_s, limit="rto_s", detail="and it still went on")
    deployment.violated(f"the restore failed: {ran.told()}")


def _question(ran: Ran) -> str:
    """Find the question in what a command said last, where it reads like one."""
    said = [line.strip() for line in (*ran.stdout.splitlines()[-2:], *ran.stderr.splitlines()[-2:])]
    return next((line[:160] for line in said if ASKS.search(line)), "")


@gate(
    "OPS-REC-003",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""A restore that leaves a component out, or brings half of it back, looks like a success until a user misses
        something. What came back has to be compared with what was there.""",
    measures="""Counts and hashes each component of the source right before and right after the backup, and of the
        restored environment before anybody works in it, with the operators' own `inventory`; reads there what a user
        saved before the backup; and takes how far the backup lies behind the moment it was asked for.""",
    red="""A component is missing or differs from the source, what the user saved is gone, or the restored state is
        older than the recovery point objective (1 h, knowledge 24 h).""",
    mend="""Compare the list of what is dumped with the list of what is loaded, table by table; let the restore count
        what it loaded against the manifest of the backup and fail on a difference.""",
    needs=[*RESTORE_NEEDS, workload("remember")],
    limits={"rpo_s": at_most(3600.0, "s", "seed: hourly incremental of critical data")},
    typical_s=3.0,
    within_s=600.0,
)
def restored_environment_equals_the_source(deployment: Deployment) -> None:
    """All five components of the restored environment equal the source, and a user's last save is in it."""
    with deployment.step("restore, unless this run has done it"):
        restored, there = _restored(deployment)
    held = restored.held
    if held is None:
        deployment.undecidable(
            "the restored environment cannot be counted",
            "procedures.inventory in the restored environment's descriptor",
        )
    before, after = restored.backup.before, restored.backup.after
    for name, when in (("before", before), ("after", after), ("restored", held)):
        deployment.keep(f"inventory-{name}", {key: [count.count, count.hash] for key, count in when.items()})
    doubtful = [why for name in _compared(deployment, before, after) if (why := _compare(deployment, name, restored))]
    found = there.recall(restored.backup.canary_marker)
    if found is not None:
        deployment.measure("saved_data_in_restored", _seen(found), equals=FOUND, detail=restored.backup.canary_marker)
    _judge_recovery_point(deployment, restored)
    if found is None:
        doubtful.append("what the user saved could not be asked for in the restored environment")
    if doubtful:
        deployment.undecidable("; ".join(doubtful), "procedures.inventory, or a quieter moment")


def _compared(
    deployment: Deployment, before: Mapping[str, ComponentCount], after: Mapping[str, ComponentCount]
) -> list[str]:
    """Name what is compared; UNKNOWN unless the inventory accounts for all five components.

    The operators may call them otherwise: by the names of `backups.components`, or by five or more names of theirs.
    """
    named = deployment.descriptor.backups.components
    counted = sorted({*before, *after})
    unknown = [seed for seed in COMPONENTS if seed not in counted and named.get(seed) not in counted]
    if unknown and len(counted) < len(COMPONENTS):
        deployment.undecidable(
            f"the inventory counts {', '.join(counted)} and not {', '.join(unknown)}",
            f"procedures.inventory: count {unknown[0]}, or backups.components.{unknown[0]}: <their name for it>",
        )
    return counted


def _compare(deployment: Deployment, name: str, restored: Restored) -> str:
    """Hold one component against the source; gives why it cannot be decided, or an empty text."""
    assert restored.held is not None
    sources = [found for when in (restored.backup.before, restored.backup.after) if (found := when.get(name))]
    now = restored.held.get(name)
    counts = sorted({source.count for source in sources})
    said = (
        f"the source had {' to '.join(map(str, counts))}, the restored environment has {now.count if now else 'none'}"
    )
    equal = now is not None and now in sources
    moved = len(set(sources)) > 1 or len(sources) < 2
    grown = now is not None and now.count > counts[-1] and name in _growing(deployment)
    between = moved and now is not None and now.count >= counts[0]
    if not equal and (grown or between):
        return f"{name} went on changing meanwhile ({said}), so its content cannot be compared"
    deployment.measure(name, "equal" if equal else "different", equals="equal", detail=said)
    return ""


def _seen(found: bool) -> str:
    return FOUND if found else "missing"


def _growing(deployment: Deployment) -> set[str]:
    return {GROWS, deployment.descriptor.backups.components.get(GROWS, GROWS)}


def _judge_recovery_point(deployment: Deployment, restored: Restored) -> None:
    """Hold how far the restored backups lie behind the moment at which the backup was asked for."""
    if not isinstance(restored.backup.listing, Mapping):
        return
    mine = [b for b in _listed(restored.backup.listing) if restored.backup.set in (b.set, b.id)]
    daily = {DAILY, deployment.descriptor.backups.components.get(DAILY, DAILY)}
    for kind, chosen in (
        ("rpo_s", [b for b in mine if b.component not in daily]),
        ("rpo_knowledge_s", [b for b in mine if b.component in daily]),
    ):
        behind = [max(0.0, (restored.backup.taken_at - backup.taken_at).total_seconds()) for backup in chosen]
        if behind and kind == "rpo_s":
            deployment.measure(kind, round(max(behind), 1), limit="rpo_s", detail=f"set {restored.backup.set}")
        elif behind:
            deployment.measure(kind, round(max(behind), 1), unit="s", at_most=RPO_DAILY_S)


def _listed(listing: object) -> list[Backup]:
    try:
        return list(parse_listing(json.dumps(listing)).backups)
    except Undecidable:
        return []


@gate(
    "OPS-REC-004",
    risk="high",
    blocking=True,
    mode="drill",
    version=1,
    why="""A restored system can be up, ready and empty: search finds nothing, answers get worse, and no alarm goes
        off. Only questions whose answers are known tell the difference.""",
    measures="""Asks every golden question of the source and of the restored environment and compares which are
        answered rightly; has the restored environment do a transaction.""",
    red="""A question that the source answers is not answered by the restored environment, or its transaction
        fails.""",
    mend="""Rebuild the index as a part of the restore and let readiness ask a question whose answer is known, not
        whether the index exists.""",
    needs=[*RESTORE_NEEDS, variant("ok"), variant("ask"), golden()],
    typical_s=5.0,
    within_s=600.0,
)
def restored_environment_answers_like_the_source(deployment: Deployment) -> None:
    """The restored environment does its work and answers rightly every known question that the source answers."""
    with deployment.step("restore, unless this run has done it"):
        _, there = _restored(deployment)
    asked = telling(deployment)
    with deployment.step("ask the source"):
        ours = answered(deployment, asked)
    if not ours:
        deployment.undecidable(
            "the source itself answers no golden question rightly", "golden: questions it can answer"
        )
    with deployment.step("ask the restored environment"):
        theirs = answered(there, asked)
    lost = [known.question for known in asked if known.question in ours - theirs]
    deployment.count(len(ours & theirs), len(ours))
    deployment.measure("answered_by_source", len(ours), detail=f"of {len(asked)}")
    deployment.measure("answers_lost", len(lost), equals=0, detail=f"of {len(ours)}: {'; '.join(lost[:3])}")
    deployment.measure("answered_by_restored_alone", len(theirs - ours), detail="; ".join(sorted(theirs - ours)[:3]))
    tried = work_again(there, 2)
    done = sum(transaction.as_meant for transaction in tried)
    deployment.measure("work_done", done, at_least=len(tried), detail=first_words(tried))
