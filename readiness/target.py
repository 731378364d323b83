"""How a deployment is reached: the protocol every driver keeps, and the powers that only some have."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from readiness.errors import UsageError
from readiness.loading import DescriptorFile

Argument = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Instance:
    """One running replica of a service, as far as the descriptor lets us see it."""

    service: str
    name: str
    address: str | None = None
    pid: int | None = None
    started: float | None = None
    """When the process started, in seconds since the epoch: with `pid` it names the process for ever."""


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """What the system shows of one process to whoever may look."""

    pid: int
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] | None
    """None where the right to read it is missing."""
    open_files: tuple[str, ...] | None = None


class Target(Protocol):
    """A deployment that can be reached."""

    @property
    def scheme(self) -> str:
        """The driver's name, as in `driver: process`."""
        ...

    def services(self) -> Sequence[str]:
        """The names of the declared services."""
        ...

    def address(self, service: str) -> str:
        """The URL under which callers reach a service; raises `Missing` where none is declared."""
        ...

    def instances(self, service: str) -> Sequence[Instance]:
        """The replicas that run now; raises `TargetError` where they cannot be found out."""
        ...

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        """Do one of the driver's own operations, given as data; raises `TargetError`."""
        ...

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        """Look at something, asked as data: a text that shows it, no text where nothing does; raises `TargetError`."""
        ...


class Doer(Protocol):
    """Whoever does operations that are given as data: a driver, or a server of fault proxies."""

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        """Do it; doing it again changes nothing. Raises `TargetError` with one line."""
        ...

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        """Look: a text that shows what was asked for, no text where nothing shows it (yet)."""
        ...


@runtime_checkable
class Kills(Protocol):
    """A target that can end a replica at once, as a crash would."""

    def kill(self, service: str, instance: Instance) -> None:
        """End that very replica without warning; raises `TargetError` where it is not (or no longer) the service's."""
        ...


@runtime_checkable
class Pauses(Protocol):
    """A target that can stop a replica in its tracks and let it go on, as data: operations `freeze` and `resume`."""

    def pauses(self) -> str:
        """Why it cannot here, or no text."""
        ...


@runtime_checkable
class Limits(Protocol):
    """A target that can take resources away from a replica: operations `starve`, `squeeze`, `exhaust`, `relieve`."""

    def limits(self, resource: str) -> str:
        """Why this resource (`cpu`, `memory`, `descriptors`, `disk`, `clock`) cannot be taken away, or no text."""
        ...


@runtime_checkable
class Inspects(Protocol):
    """A target that can look at the processes of a service."""

    def processes(self, service: str) -> Sequence[ProcessFacts]:
        """The processes of a service and their descendants."""
        ...


@runtime_checkable
class ListsProcesses(Protocol):
    """A target that can list every process of the machine it runs on, as any user of that machine can."""

    def all_processes(self) -> Sequence[ProcessFacts]:
        """All processes with their arguments, those of this run left out; environments are not read."""
        ...


def attach(file: DescriptorFile) -> Target:
    """Give the target that the descriptor's `driver` names; nothing is contacted yet."""
    scheme, _, rest = file.descriptor.driver.partition(":")
    known = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).with_name("drivers"))]))
    if scheme not in known:
        raise UsageError(
            f"{file.path}: driver {file.descriptor.driver!r} is not known; allowed: {', '.join(known)}; "
            "write one of them, as in `driver: process`"
        )
    module = importlib.import_module(f"readiness.drivers.{scheme}")
    target: Target = module.attach(file, rest)
    return target


def capable(target: object, capability: type[Any]) -> bool:
    """Whether the target has a capability, given as its protocol."""
    return isinstance(target, capability)
