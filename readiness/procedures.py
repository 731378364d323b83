"""The operators' own commands: run as they would be on the day, bounded, recorded, and never asked a question."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from readiness.credentials import Credentials
from readiness.errors import Missing, ProcedureFailed, Undecidable
from readiness.loading import DescriptorFile
from readiness.model import Mode
from readiness.redaction import Redactor
from readiness.templates import fill
from readiness.waiting import Deadline, NotInTime, eventually

_MAX_OUTPUT_BYTES = 8 << 20  # an audit log of some years of drills
_MAX_WRITTEN_BYTES = 64 << 20
_GRACE_S = 2.0
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "SYSTEMROOT")
_READING = frozenset({"status", "inventory", "artifact", "contract", "audit", "ready", "version", "describe"})
_READING_PREFIXES = ("list_", "show_", "verify_", "search_", "audit_", "get_", "read_", "check_")
_PROBING = frozenset({"backup"})


def effect_of(procedure: str) -> Mode:
    """Give the least mode that a procedure of this name needs: reading ones observe, `backup` probe, others drill."""
    if procedure in _READING or procedure.startswith(_READING_PREFIXES):
        return Mode.OBSERVE
    return Mode.PROBE if procedure in _PROBING else Mode.DRILL


@dataclass(frozen=True, slots=True)
class Ran:
    """How one command ended."""

    name: str
    argv: tuple[str, ...]
    exit_code: int | None
    """None when it was ended at its deadline, or could not be started."""
    stdout: str
    stderr: str
    duration_s: float
    timed_out: bool = False
    within_s: float = 0.0
    """The time it was given, in seconds."""

    @property
    def ok(self) -> bool:
        """Whether it ended by itself with exit code 0."""
        return self.exit_code == 0

    def json(self) -> Any:
        """Give the output as JSON; raise `ProcedureFailed` where it is none or the command failed."""
        if not self.ok:
            raise ProcedureFailed(self.told(), f"procedures.{self.name} must end with 0")
        try:
            return json.loads(self.stdout)
        except (ValueError, RecursionError):
            raise ProcedureFailed(
                f"procedures.{self.name} printed no JSON (it begins with {self.stdout.strip()[:80]!r})",
                f"procedures.{self.name}.run must print one JSON document on standard output",
            ) from None

    def told(self) -> str:
        """Say in one line how it ended."""
        if self.timed_out:
            ended = f"did not end within {self.within_s:.0f} s and was ended"
        elif self.exit_code is None:
            ended = "could not be started"
        else:
            ended = f"ended with {self.exit_code} after {self.duration_s:.1f} s"
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return f"procedures.{self.name} {ended}" + (f": {lines[-1][:200]}" if lines else "")


class Procedures:
    """Runs the commands of one descriptor."""

    def __init__(self, file: DescriptorFile, credentials: Credentials, redactor: Redactor) -> None:
        self._file = file
        self._credentials = credentials
        self._redactor = redactor
        self._addresses = {name: spec.address or "" for name, spec in file.descriptor.services.items()}

    def declared(self, name: str) -> bool:
        """Whether the descriptor has a procedure of this name."""
        return name in self._file.descriptor.procedures

    def run(self, name: str, *, deadline: Deadline, **arguments: str) -> Ran:
        """Run a procedure with its placeholders filled in; the earlier of its `within` and the deadline ends it."""
        procedure = self._file.descriptor.procedures.get(name)
        if procedure is None:
            raise Missing(
                f"the procedure {name} is not declared", f"procedures.{name}: {{run: [<command>, …], within: 5m}}"
            )
        values = {**self._addresses, **roles(self._file), **{key: str(value) for key, value in arguments.items()}}
        argv = [fill(part, values, f"procedures.{name}.run") for part in procedure.run]
        environment = {key: fill(value, values, f"procedures.{name}.env") for key, value in procedure.env.items()}
        environment.update(self._credentials.environment(name))
        within = deadline.within(procedure.within.total_seconds())
        return self.execute(name, argv, environment=environment, deadline=within)

    def execute(
        self, name: str, argv: Sequence[str], *, deadline: Deadline, environment: Mapping[str, str] | None = None
    ) -> Ran:
        """Run a command in the descriptor's folder: no input, a process group of its own, bounded output.

        Its environment has the variables that a program needs to start, and those given.
        """
        program = argv[0]
        if "/" in program and not Path(program).is_absolute():
            program = str(self._file.folder.resolve() / program)
        kept = {key: os.environ[key] for key in _KEPT_VARIABLES if key in os.environ}
        shown = tuple(self._redactor.redact(part) for part in argv)
        began_s, within_s = time.monotonic(), deadline.left_s
        if within_s <= 0:
            raise Undecidable(f"no time was left to run {name}", "a later deadline of the gate")
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                process = subprocess.Popen(
                    [program, *argv[1:]],
                    cwd=self._file.folder,
                    env={**kept, **(environment or {})},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "it holds a NUL"
                raise Undecidable(
                    f"the command {shown[0]!r} of {name} cannot be run: {why}",
                    f"procedures.{name}.run: its first word must be a program that exists and may be run",
                ) from None
            timed_out = not _ended(process, deadline, (out, err))
            ended_s = time.monotonic()
            return Ran(
                name,
                shown,
                None if timed_out else process.returncode,
                self._text(out),
                self._text(err),
                round(ended_s - began_s, 3),
                timed_out,
                round(within_s, 1),
            )

    def _text(self, stream: IO[bytes]) -> str:
        stream.seek(0)
        raw = stream.read(_MAX_OUTPUT_BYTES + 1)
        text = raw[:_MAX_OUTPUT_BYTES].decode("utf-8", "replace")
        return self._redactor.redact(text) + ("\n[cut at 8 MiB]" if len(raw) > _MAX_OUTPUT_BYTES else "")


def _ended(process: subprocess.Popen[bytes], deadline: Deadline, outputs: Sequence[IO[bytes]]) -> bool:
    """Await the end; at the deadline, at too much output, or when we are interrupted, end the whole group.

    Output goes to files, not pipes: a service that the command leaves running may keep them open.
    """
    try:
        while not deadline.expired and sum(os.fstat(out.fileno()).st_size for out in outputs) < _MAX_WRITTEN_BYTES:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=min(1.0, deadline.left_s))
                return True
        return False
    finally:
        if process.poll() is None:
            _end_group(process)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(NotInTime):
            eventually(lambda: process.poll() is not None, within=_GRACE_S, every_s=0.02)
    process.wait()


def roles(file: DescriptorFile) -> dict[str, str]:
    """The declared releases by their role, as placeholders: `{current}`, `{previous}`, …"""
    releases = file.descriptor.releases
    if releases is None:
        return {}
    return {role: value for role, value in releases.model_dump().items() if isinstance(value, str)}
