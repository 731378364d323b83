"""Processes on this machine: found by pid file, by port, or in a supervisor's list."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import psutil

from readiness.drivers.process import cgroups, groups, limits, rlimits, signals
from readiness.drivers.process.finding import Found, find
from readiness.drivers.process.victims import Victim, protected
from readiness.errors import Missing, TargetError, UsageError
from readiness.loading import DescriptorFile
from readiness.target import Argument, Final, Instance, Lifted, ProcessFacts

_MAX_TARGETS_BYTES = 1 << 20
Arguments = Mapping[str, Argument]
_BEGIN: dict[str, Callable[[psutil.Process, Victim, Arguments], None]] = {
    "kill": signals.kill,
    "stop": signals.stop,
    "freeze": signals.freeze,
    "starve": groups.starve,
    "squeeze": groups.squeeze,
    "exhaust": rlimits.exhaust,
    "cap": rlimits.cap,
}
"""Done to a process that was shown to be the service's own, now."""
_END: dict[str, Callable[[Victim, Arguments], None]] = {"resume": signals.resume, "relieve": limits.relieve}
"""Done to that very process, whatever has become of its service; nothing where it has ended."""
_LOOK: dict[str, Callable[[Victim, Arguments], str]] = {
    "gone": signals.gone,
    "stopped": signals.stopped,
    "running": signals.running,
    "throttled": groups.throttled,
    "squeezed": groups.squeezed,
    "killed_for_memory": groups.killed_for_memory,
    "limited": rlimits.limited,
    "unlimited": limits.unlimited,
}


def attach(file: DescriptorFile, rest: str) -> ProcessTarget:
    """Give the target for `driver: process`."""
    if rest:
        raise UsageError(f"{file.path}: driver 'process:{rest}' has an argument; write `driver: process`")
    return ProcessTarget(file)


class ProcessTarget:
    """A deployment whose services are processes of this machine."""

    scheme = "process"

    def __init__(self, file: DescriptorFile) -> None:
        self._file = file
        self._services = file.descriptor.services

    def services(self) -> Sequence[str]:
        """Name the declared services."""
        return list(self._services)

    def address(self, service: str) -> str:
        """Give the URL of a service."""
        address = self._services[service].address
        if address is None:
            raise Missing(f"{service} has no address", f"services.{service}.address: http://127.0.0.1:…")
        return address

    def instances(self, service: str) -> Sequence[Instance]:
        """Give the running replicas: the processes found, with the addresses that the target list gives them.

        Without a way to find processes, the target list alone; without either, the service as one replica.
        """
        spec = self._services[service]
        listed = self._listed(service)
        if spec.process is None:
            if spec.instances is not None:
                return [Instance(service, name, address) for name, address in listed.items()]
            return [Instance(service, service, spec.address)] if spec.address else []
        found = find(self._file, service, spec.process)
        alone = spec.address if spec.instances is None and len(found) == 1 else None
        return [Instance(service, one.name, _address(one, listed) or alone, one.pid, one.started) for one in found]

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        """Do one of the operations of the tables above; all name service, instance, pid and started."""
        if operation not in _BEGIN and operation not in _END:
            known = ", ".join(sorted({*_BEGIN, *_END}))
            raise TargetError(f"the driver process has no operation {operation!r}; it has: {known}")
        victim = Victim.read(operation, arguments)
        with _told(operation, victim):
            if operation in _END:
                _END[operation](victim, arguments)
            else:
                _BEGIN[operation](self._own(victim), victim, arguments)

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        """Look at what the kernel says of one process."""
        if operation not in _LOOK:
            raise TargetError(
                f"the driver process cannot be asked {operation!r}; it can be asked: {', '.join(sorted(_LOOK))}"
            )
        victim = Victim.read(operation, arguments)
        with _told(operation, victim):
            return _LOOK[operation](victim, arguments)

    def kill(self, service: str, instance: Instance) -> None:
        """End a replica with SIGKILL, after it was shown to be that process of that service, and none of ours."""
        if instance.pid is None or instance.started is None:
            raise TargetError(f"{instance.name}: its process is not known")
        self.perform("kill", Victim(service, instance.name, instance.pid, instance.started).arguments())

    def killing(self, instance: Instance) -> Final:
        """Plan a crash."""
        return signals.killing(self.scheme, Victim.of(instance))

    def stopping(self, instance: Instance) -> Final:
        """Plan an end in order."""
        return signals.stopping(self.scheme, Victim.of(instance))

    def pauses(self) -> str:
        """Say why no replica can be frozen here, or nothing."""
        return signals.cannot_pause()

    def freezing(self, instance: Instance) -> Lifted:
        """Plan a pause."""
        return signals.freezing(self.scheme, Victim.of(instance))

    def limits(self, resource: str) -> str:
        """Say why it cannot be taken away from a replica here, or nothing."""
        return limits.cannot(resource)

    def starving(self, instance: Instance, share: float, tag: str) -> Lifted:
        """Plan to leave a replica a share of one core."""
        return groups.starving(self.scheme, Victim.of(instance), share, tag)

    def squeezing(self, instance: Instance, room_bytes: int, tag: str) -> Lifted:
        """Plan to let a replica take that much memory more than it has."""
        return groups.squeezing(self.scheme, Victim.of(instance), room_bytes, tag)

    def exhausting(self, instance: Instance, spare: int = 0) -> Lifted:
        """Plan to let a replica open that many descriptors more."""
        return rlimits.exhausting(self.scheme, Victim.of(instance), spare)

    def capping(self, instance: Instance, file_bytes: int = 0) -> Lifted:
        """Plan that no file grows beyond that size under a replica's hands."""
        return rlimits.capping(self.scheme, Victim.of(instance), file_bytes)

    def unusual(self, instances: Sequence[Instance]) -> Sequence[str]:
        """Name the replicas that are stopped, or in a control group of this package's making."""
        return [told for one in instances if one.pid is not None for told in _unusual(one.name, one.pid)]

    def all_processes(self) -> Sequence[ProcessFacts]:
        """List every process of this machine with its arguments, but not this run's own and what started it."""
        mine = protected() - {1}
        return [
            ProcessFacts(process.pid, process.info["name"] or "", tuple(process.info["cmdline"] or ()), None)
            for process in psutil.process_iter(["name", "cmdline"])
            if process.pid not in mine
        ]

    def processes(self, service: str) -> Sequence[ProcessFacts]:
        """Look at the processes of a service and at all their descendants."""
        place = self._services[service].process
        if place is None:
            raise Missing(
                f"the processes of {service} are not known",
                f"services.{service}.process: {{pidfile: run/{service}.pid}}",
            )
        seen: dict[int, ProcessFacts] = {}
        for one in find(self._file, service, place):
            try:
                parent = psutil.Process(one.pid)
                for process in (parent, *parent.children(recursive=True)):
                    seen[process.pid] = _facts(process)
            except psutil.Error:
                continue  # it ended while we looked
        return list(seen.values())

    def _own(self, victim: Victim) -> psutil.Process:
        """The process, after it was shown to be one of the service's own now, and neither the system's nor ours."""
        service = victim.service
        place = self._services[service].process if service in self._services else None
        if place is None:
            raise Missing(
                f"the processes of {service} are not known",
                f"services.{service}.process: {{pidfile: run/{service}.pid}}",
            )
        if victim.pid in protected():
            raise TargetError(f"{victim} is the system's or this run's own and is not touched")
        mine = find(self._file, service, place)
        if not any(one.pid == victim.pid and victim.started_as(one.started) for one in mine):
            raise TargetError(f"{victim} is not (or no longer) one of {service}")
        process = victim.process()
        if process is None:
            raise TargetError(f"{victim} has ended by itself")
        return process

    def _listed(self, service: str) -> dict[str, str]:
        """The replicas in the service's target list (`file_sd`): name → address; an unreadable list is an error."""
        spec = self._services[service]
        if spec.instances is None:
            return {}
        path = self._file.resolve(spec.instances.file_sd)
        line = f"services.{service}.instances.file_sd"
        try:
            with path.open("rb") as stream:
                groups = json.loads(stream.read(_MAX_TARGETS_BYTES))
            scheme = urlsplit(spec.address or "").scheme or "http"
            return {
                str(group.get("labels", {}).get("instance", target)): f"{scheme}://{target}"
                for group in groups
                for target in group["targets"]
            }
        except FileNotFoundError:
            return {}  # nothing runs, or nothing has registered yet
        except OSError as error:
            raise TargetError(f"{path}: {error.strerror}", line) from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise TargetError(f"{path}: not a list of targets in Prometheus's file_sd format", line) from None


def _address(found: Found, listed: Mapping[str, str]) -> str | None:
    """The address listed under the process's name, else the listed one whose port the process listens on."""
    if found.name in listed or not listed:
        return listed.get(found.name)
    try:
        ports = {
            c.laddr.port for c in psutil.Process(found.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN
        }
    except psutil.Error:
        return None
    return next((address for address in listed.values() if urlsplit(address).port in ports), None)


@contextmanager
def _told(operation: str, victim: Victim) -> Iterator[None]:
    """What the system refuses, as one line."""
    try:
        yield
    except psutil.NoSuchProcess:
        raise TargetError(f"{operation}: {victim} has ended by itself") from None
    except (psutil.AccessDenied, PermissionError):
        raise TargetError(
            f"{operation}: no right to {victim}", f"run as root, or as the user that {victim.service} runs as"
        ) from None
    except OSError as error:
        raise TargetError(f"{operation} of {victim}: {error.strerror or error}") from None


def _unusual(name: str, pid: int) -> list[str]:
    told = [f"{name} is in the control group {group}" for group in cgroups.ours(pid)]
    try:
        stopped = psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.Error:
        return told
    return [f"{name} is stopped", *told] if stopped else told


def _facts(process: psutil.Process) -> ProcessFacts:
    with process.oneshot():
        name, argv = process.name(), tuple(process.cmdline())
        try:
            environment: Mapping[str, str] | None = process.environ()
        except (psutil.AccessDenied, OSError):
            environment = None
        try:
            files: tuple[str, ...] | None = tuple(file.path for file in process.open_files())
        except (psutil.AccessDenied, OSError):
            files = None
    return ProcessFacts(process.pid, name, argv, environment, files)
