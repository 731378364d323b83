"""What can be taken away from a replica, and how each is given back."""

from __future__ import annotations

from collections.abc import Mapping

from readiness.drivers.process import groups, rlimits
from readiness.drivers.process.victims import Victim
from readiness.errors import TargetError
from readiness.target import Argument

RESOURCES = (*groups.CONTROLLERS, *rlimits.RESOURCES, "disk", "clock")
_NEVER = {
    "disk": "a disk cannot be filled under a running process without filling it for all that share it; "
    "take file_size instead, where no file grows beyond a limit",
    "clock": "the clock of a running process cannot be set apart from that of the machine: "
    "libfaketime has to be there when it starts",
}


def cannot(resource: str) -> str:
    """Say why a resource cannot be taken away here, or nothing."""
    if resource in _NEVER:
        return _NEVER[resource]
    if resource in groups.CONTROLLERS:
        return groups.cannot(resource)
    if resource in rlimits.RESOURCES:
        return rlimits.cannot(resource)
    return f"the driver process cannot take {resource!r} away; it knows: {', '.join(RESOURCES)}"


def relieve(victim: Victim, arguments: Mapping[str, Argument]) -> None:
    """Give back what was taken; right where nothing was taken, and where the process has ended."""
    resource = _resource(arguments)
    if resource in groups.CONTROLLERS:
        groups.relieve(resource, arguments)
    else:
        rlimits.relieve(resource, victim, arguments)


def unlimited(victim: Victim, arguments: Mapping[str, Argument]) -> str:
    """Show that it has again what was taken from it, or that it has ended."""
    resource = _resource(arguments)
    if resource in groups.CONTROLLERS:
        return groups.unlimited(resource, victim, arguments)
    return rlimits.unlimited(resource, victim, arguments)


def _resource(arguments: Mapping[str, Argument]) -> str:
    resource = str(arguments.get("resource"))
    if resource not in groups.CONTROLLERS and resource not in rlimits.RESOURCES:
        known = ", ".join((*groups.CONTROLLERS, *rlimits.RESOURCES))
        raise TargetError(f"nothing of the resource {resource!r} was taken; allowed: {known}")
    return resource
