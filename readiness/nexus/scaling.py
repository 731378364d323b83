"""Scaling: how many replicas of a service run, from now on and after every restart, deploy and rollback."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import psutil

from readiness.nexus import store
from readiness.nexus.authority import Operator
from readiness.nexus.errors import WrongUsageError, unknown
from readiness.nexus.fleet import MOST_REPLICAS, SINGLE, Placed
from readiness.nexus.rollout import Rollout

Say = Callable[[str], None]


def scale(rollout: Rollout, operator: Operator, service: str, replicas: int, say: Say) -> None:
    """Make a service have so many replicas: new ones are awaited, those that go give their work back first."""
    outward, most = rollout.settings.names.component(service), 1 if service in SINGLE else MOST_REPLICAS
    if not 1 <= replicas <= most:
        raise WrongUsageError(f"{outward} cannot have {replicas} replicas; give a number from 1 to {most}")
    operator.act("scale", service=outward, replicas=str(replicas))
    before = rollout.settings.replicas[service]
    try:
        _bring_to(rollout, service, replicas)
    except BaseException:
        say(f"abort: {outward} stays at {before}")
        _bring_to(rollout, service, before)
        raise
    say(f"{outward}: {replicas}")


def stop(rollout: Rollout, operator: Operator, service: str, name: str, say: Say) -> None:
    """Stop one replica in the orderly way; it stays down until the service is started."""
    replicas = [instance.name for instance in rollout.running().values() if instance.service == service]
    outward = rollout.settings.names.component(service)
    if name not in replicas:
        raise unknown("instance", name, replicas, outward)
    operator.act("stop", service=outward, instance=name)
    rollout.supervisor.stop([name])
    say(f"{name} is down")


def _bring_to(rollout: Rollout, service: str, replicas: int) -> None:
    settings = replace(rollout.settings, replicas=rollout.settings.replicas | {service: replicas})
    # First what is meant, then what is: whoever is killed in between finds the rest done by the next command.
    settings.save()
    leaving = [p for p in rollout.running().values() if p.service == service and p.number > replicas]
    if settings.defects.on("scale-in-drops-tasks"):
        _cancel(rollout, leaving)
    rollout.retire(leaving)
    replace(rollout, settings=settings).start_ready(rollout.current(), [service])


def _cancel(rollout: Rollout, instances: Iterable[Placed]) -> None:
    states = rollout.supervisor.states()
    for instance in instances:
        if states[instance.name]["pid"]:
            psutil.Process(states[instance.name]["pid"]).kill()
        with store.writing(rollout.engine) as db:
            held = (store.tasks.c.instance == instance.name) & (store.tasks.c.status == "leased")
            db.execute(store.tasks.delete().where(held))
