"""How a deployment is reached: the protocol every driver keeps, and the powers that only some have."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from readiness.errors import UsageError
from readiness.loading import DescriptorFile

Argument = str | int | float | bool
PROCEDURE = "procedure"


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


@dataclass(frozen=True, slots=True)
class Operation:
    """One act as data: by the operators' `procedure`, or by the driver (its scheme), with plain arguments."""

    by: str
    name: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)

    def __str__(self) -> str:
        given = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        return f"{self.by} {self.name}" + (f" ({given})" if given else "")

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Operation:
        """Read an operation that was written down."""
        return cls(str(data["by"]), str(data["name"]), dict(data.get("arguments", {})))


class Lifted(NamedTuple):
    """A fault that ends at once when it is lifted, in four operations of its driver."""

    do: Operation
    undo: Operation
    """Idempotent, and right too where the fault never came to be, or its process has ended."""
    witness: Operation
    """Asked until it shows the effect, measured."""
    healed: Operation
    """Asked after the undo until it shows that the effect is gone."""


class Final(NamedTuple):
    """A fault after which something has to start again."""

    do: Operation
    witness: Operation


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
class Ends(Protocol):
    """A target that can plan the end of a replica as data."""

    def killing(self, instance: Instance) -> Final:
        """Plan a crash (`kill`, witness `gone`); raises `Missing` where its process is not known."""
        ...

    def stopping(self, instance: Instance) -> Final:
        """Plan an end in order, as a service manager asks for it (`stop`, witness `gone`); raises `Missing`."""
        ...


@runtime_checkable
class Pauses(Protocol):
    """A target that can stop a replica in its tracks and let it go on."""

    def pauses(self) -> str:
        """Why it cannot here, in one line, or no text."""
        ...

    def freezing(self, instance: Instance) -> Lifted:
        """Plan a pause as data (`freeze`, `resume`, witness `stopped`, healed `running`)."""
        ...


@runtime_checkable
class Limits(Protocol):
    """A target that can take resources away from a replica; each plan raises `Missing` where it cannot be had here."""

    def limits(self, resource: str) -> str:
        """Why it cannot be taken away here, in one line, or no text.

        Resources: `cpu`, `memory`, `descriptors`, `file_size`, `disk`, `clock`.
        """
        ...

    def starving(self, instance: Instance, share: float, tag: str) -> Lifted:
        """Plan to leave it that share of one core; shown by the kernel's count of how often it was made to wait.

        `tag` carries the run, in small letters, digits and dashes: it names what is made for the fault.
        """
        ...

    def squeezing(self, instance: Instance, room_bytes: int, tag: str) -> Lifted:
        """Plan to let it take that much memory *more* than it has, from 0; shown by how often it ran into that limit.

        Beyond it the kernel ends the process, so a squeezed replica may have to be started again. One that works
        within what it has (as a small service may, for minutes) never meets the limit, and nothing is shown.
        """
        ...

    def exhausting(self, instance: Instance, spare: int = 0) -> Lifted:
        """Plan to let it open that many descriptors more; shown once the next one cannot be opened."""
        ...

    def capping(self, instance: Instance, file_bytes: int = 0) -> Lifted:
        """Plan that no file grows beyond that size under its hands (EFBIG): close to a full disk."""
        ...


@runtime_checkable
class NoticesFaults(Protocol):
    """A target that can tell replicas that a fault still holds, at next to no cost."""

    def unusual(self, instances: Sequence[Instance]) -> Sequence[str]:
        """Name those that are stopped, or limited by something of this package's making."""
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
