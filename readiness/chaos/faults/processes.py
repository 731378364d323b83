"""Faults on processes: replicas that die, stop in their tracks, or get too little of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field as Bounded

from readiness.chaos.faults.kinds import Count, PartName, Share, fault
from readiness.chaos.field import Field
from readiness.chaos.looking import every, serving
from readiness.errors import Missing
from readiness.operations import PROCEDURE, Fault, Operation
from readiness.target import Ends, Final, Instance, Lifted, Limits, Pauses

Kibibytes = Annotated[int, Bounded(ge=0, le=4 << 20)]
_KIB = 1 << 10


@fault
def killed(field: Field, *, part: PartName = "", service: str = "", replicas: Count = 1) -> Fault:
    """Ends replicas of one service as a crash would, in the middle of what they do.

    Somebody else must start them again (a supervisor); lifting waits for that, and starts the service else.
    """
    return _killed("killed", field, field.victims(part, service, replicas))


@fault
def all_killed(field: Field, *, part: PartName = "", service: str = "") -> Fault:
    """Ends every replica of one service at once, as the loss of its machine would.

    The declared blast radius must allow all of them (`max_replicas_share: 1.0`).
    """
    return _killed("all_killed", field, field.all_of(part, service))


@fault
def stopped(field: Field, *, part: PartName = "", service: str = "", replicas: Count = 1) -> Fault:
    """Asks replicas of one service to end in order (SIGTERM), as a service manager does before it moves them."""
    target = field.target
    if not isinstance(target, Ends):
        raise _cannot("stop a replica")
    victims = field.victims(part, service, replicas)
    return _final("stopped", "stop", victims, [target.stopping(one) for one in victims])


@fault
def frozen(field: Field, *, part: PartName = "", service: str = "", replicas: Count = 1) -> Fault:
    """Stops replicas of one service in their tracks: they answer nothing, their connections stay open.

    Where they go on, they do so as if no time had passed.
    """
    target = field.target
    if not isinstance(target, Pauses):
        raise _cannot("freeze a replica")
    _unless(target.pauses(), "freeze a replica")
    victims = field.victims(part, service, replicas)
    return _lifted("frozen", "freeze", victims, [target.freezing(one) for one in victims])


@fault
def starved(field: Field, *, part: PartName = "", service: str = "", replicas: Count = 1, share: Share = 0.05) -> Fault:
    """Leaves each of the replicas that share of one core."""
    target = _limits(field, "cpu", "take processor time away")
    victims, tag = field.victims(part, service, replicas), field.label("starved")
    plans = [target.starving(one, share, tag) for one in victims]
    return _lifted("starved", f"leave {share:g} of a core to", victims, plans)


@fault
def squeezed(
    field: Field, *, part: PartName = "", service: str = "", replicas: Count = 1, room_kib: Kibibytes = 0
) -> Fault:
    """Lets each of the replicas take only so much memory more than it has; the system ends it where it needs more."""
    target = _limits(field, "memory", "take memory away")
    victims, tag = field.victims(part, service, replicas), field.label("squeezed")
    plans = [target.squeezing(one, room_kib * _KIB, tag) for one in victims]
    return _lifted("squeezed", f"leave {room_kib} KiB more to", victims, plans)


@fault
def descriptors_exhausted(
    field: Field,
    *,
    part: PartName = "",
    service: str = "",
    replicas: Count = 1,
    spare: Annotated[int, Bounded(ge=0, le=1000)] = 0,
) -> Fault:
    """Lets each of the replicas open only so many files and connections more than it has open."""
    target = _limits(field, "descriptors", "limit open files")
    victims = field.victims(part, service, replicas)
    plans = [target.exhausting(one, spare) for one in victims]
    return _lifted("descriptors_exhausted", f"leave {spare} descriptors more to", victims, plans)


@fault
def files_capped(
    field: Field,
    *,
    part: PartName = "",
    service: str = "",
    replicas: Count = 1,
    file_bytes: Annotated[int, Bounded(ge=0, le=1 << 40)] = 0,
) -> Fault:
    """Lets no file grow beyond that size under the replicas' hands: close to a full disk, for them alone."""
    target = _limits(field, "file_size", "limit the size of files")
    victims = field.victims(part, service, replicas)
    plans = [target.capping(one, file_bytes) for one in victims]
    return _lifted("files_capped", f"cap files at {file_bytes} bytes for", victims, plans)


@fault
def skewed(field: Field, *, part: PartName = "", service: str = "", release: str = "") -> Fault:
    """Has one service run another release than the rest, by the operators' commands `pin` and `unpin`.

    Without `release` it is the declared previous one.
    """
    releases = field.descriptor.releases
    wanted = release or (releases.previous if releases else "") or ""
    if not wanted:
        raise Missing("no other release is declared", "releases.previous: <release>")
    for procedure in ("pin", "unpin"):
        if procedure not in field.descriptor.procedures:
            raise Missing(
                f"the procedure {procedure} is not declared", f"procedures.{procedure}: {{run: [<command>, …]}}"
            )
    name = field.victims(part, service, 1)[0].service
    return Fault(
        "skewed",
        f"have {name} run {wanted}",
        do=(Operation(PROCEDURE, "pin", {"service": name, "release": wanted}),),
        undo=(Operation(PROCEDURE, "unpin", {"service": name}),),
        witness=serving(name, wanted),
        service=name,
        replicas=1,
    )


def _killed(name: str, field: Field, victims: Sequence[Instance]) -> Fault:
    target = field.target
    if not isinstance(target, Ends):
        raise _cannot("kill a replica")
    return _final(name, "kill", victims, [target.killing(one) for one in victims])


def _final(name: str, verb: str, victims: Sequence[Instance], plans: Sequence[Final]) -> Fault:
    service = victims[0].service
    return Fault(
        name,
        f"{verb} {_names(victims)}",
        do=tuple(plan.do for plan in plans),
        undo=(Operation(PROCEDURE, "start", {"service": service}),),
        witness=every([plan.witness for plan in plans]),
        service=service,
        replicas=len(victims),
    )


def _lifted(name: str, verb: str, victims: Sequence[Instance], plans: Sequence[Lifted]) -> Fault:
    # The last one is shown to be healed; that the others are is seen by the state, which counts who is ready.
    return Fault(
        name,
        f"{verb} {_names(victims)}",
        do=tuple(plan.do for plan in plans),
        undo=tuple(plan.undo for plan in plans),
        witness=every([plan.witness for plan in plans]),
        healed=plans[-1].healed,
        service=victims[0].service,
        replicas=len(victims),
        lifted=True,
    )


def _limits(field: Field, resource: str, what: str) -> Limits:
    target = field.target
    if not isinstance(target, Limits):
        raise _cannot(what)
    _unless(target.limits(resource), what)
    return target


def _unless(why: str, what: str) -> None:
    if why:
        raise Missing(f"nobody can {what} here: {why}", "a machine, and rights on it, where that can be done")


def _cannot(what: str) -> Missing:
    return Missing(f"the driver cannot {what}", "a driver that can, as in `driver: process`")


def _names(victims: Sequence[Instance]) -> str:
    return ", ".join(one.name for one in victims)
