"""Killing replicas one at a time, and what a replacement is: a new process that is ready and stays."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from readiness.deployment import Deployment
from readiness.errors import Undecidable
from readiness.operations import Operation
from readiness.target import Instance
from readiness.units import format_duration
from readiness.waiting import NotInTime, eventually

KILLS_A_SERVICE = 2
"""Replicas that are killed of one service, one after the other: a fault of one replica only shows on that one."""
KILLING_S = 10.0
"""After this long no second replica of a service is killed."""
STEADY_S = 3.0
"""How long the replacements must then live: one that dies again and again is no replacement."""
STEADY_TRIES = 4
Process = tuple[int | None, float | None]


def can_be_judged(deployment: Deployment, name: str) -> bool:
    """Whether the driver knows the processes of a service; one that is declared and has none running is judged."""
    try:
        running = deployment.instances(name)
    except Undecidable:
        return False
    declared = deployment.descriptor.services[name].process is not None
    return declared or any(instance.pid is not None for instance in running)


def kill_replicas(deployment: Deployment, services: Sequence[str]) -> list[Instance]:
    """Kill one replica of every service, then, while there is time, another one of each; give the replacements."""
    began_s = time.monotonic()
    replacements: list[Instance] = []
    for again in range(KILLS_A_SERVICE):
        for name in services:
            if again and time.monotonic() - began_s > KILLING_S:
                return replacements
            new = {_process(one) for one in replacements}
            # what runs instead of a victim was shown to come back; another one was not
            chosen = [one for one in _complete(deployment, name) if one.pid is not None and _process(one) not in new]
            if chosen:
                with deployment.step(f"kill {'another' if again else 'a'} replica of {name}"):
                    replacements.append(_kill_one(deployment, random.choice(chosen)))
    return replacements


def _declared(deployment: Deployment, name: str) -> int:
    """Count the replicas that must be there, where each of them can be seen."""
    spec = deployment.descriptor.services[name]
    if spec.process is not None and spec.process.pidfile is None and spec.instances is None:
        return min(1, spec.replicas)
    return spec.replicas


def _ready(deployment: Deployment, name: str) -> list[Instance]:
    """Give the replicas that run and do not say that they cannot work."""
    return [one for one in deployment.instances(name) if one.pid is not None and deployment.ready(one) is not False]


def _complete(deployment: Deployment, name: str) -> list[Instance]:
    """Give the replicas of a service; ends the gate unless as many as are declared are ready before one is killed."""
    wanted, limit_s = _declared(deployment, name), deployment.limit("ready_s").value
    try:
        eventually(
            lambda: _ready(deployment, name),
            within=deployment.deadline.within(limit_s),
            until=lambda ready: len(ready) >= wanted,
        )
    except NotInTime as late:
        ready = len(late.last) if isinstance(late.last, list) else 0
        if deployment.deadline.expired:
            deployment.undecidable(f"of {name} {ready} of {wanted} replicas were ready when the time of the gate ended")
        deployment.measure(f"ready_replicas_of_{name}", ready, at_least=wanted, detail="before anything was killed")
        deployment.violated(f"{name} has {ready} ready replicas of {wanted} declared, before anything was killed")
    return deployment.instances(name)


def _kill_one(deployment: Deployment, victim: Instance) -> Instance:
    """Kill one replica and measure until it is replaced; gives the replacement."""
    name = victim.service
    before = {_process(instance) for instance in deployment.instances(name)}
    wanted = max(_declared(deployment, name), len(_ready(deployment, name)))
    undo = [Operation("procedure", "start", {"service": name})]
    replacement: Instance | None = None
    limit = deployment.limit("ready_s")
    with deployment.crash(victim, undo=undo):
        began_s = time.monotonic()
        try:
            replacement = eventually(
                lambda: _replacement(deployment, name, before, wanted),
                within=deployment.deadline.within(limit.value * 1.05 + 0.5),
            )
        except NotInTime as late:
            took_s = late.waited_s
        else:
            took_s = time.monotonic() - began_s
        if replacement is None and limit.holds(took_s):
            deployment.undecidable(
                f"{name} was not back after {took_s:.0f} s, when the time of the gate ended", "a later deadline"
            )
        detail = f"{victim.name} was killed; " + (
            f"{replacement.name} replaced it" if replacement else f"of {name} {_count(deployment, name)}"
        )
        deployment.measure(f"{name}_ready_again_s", round(took_s, 2), limit="ready_s", detail=detail)
        deployment.count(int(replacement is not None and limit.holds(took_s)), 1)
        if replacement is None:
            deployment.violated(f"{name} was not back {format_duration(took_s)} after {victim.name} was killed")
    return replacement


def _process(instance: Instance) -> Process:
    return instance.pid, instance.started


def _count(deployment: Deployment, name: str) -> str:
    return f"{len(_ready(deployment, name))} of {_declared(deployment, name)} replicas are ready"


def _replacement(deployment: Deployment, name: str, before: set[Process], wanted: int) -> Instance | None:
    """Give the new process of a service, once as many replicas are ready as there were and it works."""
    running = deployment.instances(name)
    new = [one for one in running if one.pid is not None and _process(one) not in before]
    if not new or len(running) < wanted:
        return None
    told_ready = {one.name: deployment.ready(one) for one in running}
    if any(ready is False for ready in told_ready.values()):
        return None
    if all(told_ready[one.name] is None for one in new) and not _works(deployment):
        return None
    return new[0]


def _works(deployment: Deployment) -> bool:
    """Whether a transaction succeeds: what stands in for a readiness that a service does not tell."""
    declared = deployment.descriptor.workload
    if declared.ok is None and declared.adapter is None:
        deployment.undecidable(
            "nothing tells whether the replacement is ready", "services.<service>.ready: <path>, or workload.ok"
        )
    return all(transaction.as_meant for transaction in deployment.transact("ok"))


def must_stay(deployment: Deployment, replaced: Sequence[Instance]) -> None:
    """Watch the processes of the services for a while; a replacement that dies again and again is none."""
    services = sorted({instance.service for instance in replaced})

    def processes() -> set[Process]:
        return {_process(one) for name in services for one in deployment.instances(name)}

    def changed_in_a_stretch() -> set[Process]:
        at_first, end_s = processes(), time.monotonic() + STEADY_S
        return eventually(
            lambda: processes() ^ at_first,
            within=deployment.deadline.within(STEADY_S + 5.0),
            every_s=0.5,
            until=lambda seen: bool(seen) or time.monotonic() >= end_s,
        )

    changed = next((seen for _ in range(STEADY_TRIES) if not (seen := changed_in_a_stretch())), None)
    detail = f"watched in at most {STEADY_TRIES} stretches of {STEADY_S:.0f} s"
    deployment.measure("new_processes", "stay" if changed is not None else "come and go", equals="stay", detail=detail)
