"""A process that outlives the run it watches: when the run dies, what it left broken is healed within a second.

Started by the run in a session of its own, it imports everything that healing takes, says `ready`, and blocks on its
standard input. The run's last word is `done`; the end of the input without it is the death of the run.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import psutil

from readiness.embedded import Embedded
from readiness.errors import ReadinessError
from readiness.healing import heal_deployment
from readiness.loading import load_descriptor
from readiness.records import instant
from readiness.state import State, runs
from readiness.target import attach
from readiness.waiting import NotInTime, eventually

COMMAND = (sys.executable, "-m", "readiness.reaper")
LOG = "reaper.log"
DONE = b"done\n"
_TICK_S = 0.2
"""How often it looks whether the run was halted and whether its deployment is still there, in seconds."""
_DYING_S = 0.01
_DYING_LOOKS = 50
"""So often it is looked closely: who has closed our input for ten seconds and lives is not dying."""
_END_S = 2.0


@dataclass(frozen=True, slots=True)
class Watched:
    """Which process is watched, over which deployment."""

    descriptor: str
    pid: int
    started: float
    owner: str | None = None
    """The folder of an embedded deployment that ends with the run."""


class Reaper:
    """The run's side: starts the reaper for a block, and tells it at the end that there is nothing to do.

    It never raises: a run without a reaper is healed by the next run or by `readiness heal`, and `failure` says so.
    """

    def __init__(self, descriptor: Path, *, embedded: Path | None = None) -> None:
        me = psutil.Process()
        owner = str(embedded.resolve()) if embedded is not None else None
        self._watched = Watched(str(descriptor.resolve()), me.pid, me.create_time(), owner)
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._failure = ""
        self._ended = False

    def __enter__(self) -> Reaper:
        try:
            file = load_descriptor(Path(self._watched.descriptor))
            folder = file.resolve(file.descriptor.state)
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                self._process = subprocess.Popen(
                    COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, start_new_session=True
                )
            finally:
                os.close(log)
            self._say(json.dumps(asdict(self._watched)).encode() + b"\n")
        except (OSError, ReadinessError) as error:
            self._failure = str(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        self._failure, self._ended = self._why_not(), True
        if not self._failure and self.ready:
            with suppress(OSError):
                self._say(DONE)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        if process.poll() is None:
            process.kill()  # it holds nothing while the run lives
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    @property
    def pid(self) -> int | None:
        """Its process; None where it could not be started."""
        return None if self._process is None else self._process.pid

    @property
    def ready(self) -> bool:
        """Whether it has said that it watches."""
        said = self._process.stdout if self._process is not None else None
        if not self._ready and said is not None and _to_read(said.fileno(), 0.0):
            self._ready = os.read(said.fileno(), 64).startswith(b"ready")
        return self._ready

    @property
    def failure(self) -> str:
        """Why nobody watches this run, in one line, or no text."""
        why = self._failure if self._ended else self._why_not()
        return f"no reaper watched this run ({why}): after a crash run `readiness heal`" if why else ""

    def _why_not(self) -> str:
        """Why it does not watch: it could not be started, or has ended before it was told to."""
        ended = self._process is not None and self._process.poll() is not None
        return self._failure or (f"it ended with {self._process.returncode}" if ended and self._process else "")

    def _say(self, line: bytes) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


class Watch:
    """The reaper's side: waits for the end of the run, and tells which end it was."""

    def __init__(self, watched: Watched, state: State, said: bytes) -> None:
        self._watched = watched
        self._state = state
        self._said = said
        self._listening = True
        self._asked = False
        self._looks = 0

    def died(self) -> bool:
        """Block until the run has ended: True where it died, False where it said `done` or its deployment is gone."""
        while True:
            if self._said.endswith(DONE) or not Path(self._watched.descriptor).exists():
                return False
            if not self._alive():
                return True
            self._listen() if self._listening else self._look()
            if not self._asked and self._halted():
                self._asked = True
                _tell(f"halted: asking process {self._watched.pid} to end")
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(self._watched.pid, signal.SIGTERM)

    def _listen(self) -> None:
        if _to_read(0, _TICK_S):
            heard = os.read(0, 4096)
            self._said += heard
            self._listening = bool(heard)

    def _look(self) -> None:
        """The input has ended, so the run is just dying; wait until it is dead, or its lease would still stand."""
        self._looks += 1
        every_s = _DYING_S if self._looks < _DYING_LOOKS else _TICK_S
        with suppress(NotInTime):
            eventually(lambda: not self._alive(), within=_TICK_S, every_s=every_s)

    def _alive(self) -> bool:
        return runs(self._watched.pid, self._watched.started)

    def _halted(self) -> bool:
        try:
            return self._alive() and self._state.halted()
        except ReadinessError:
            return False


def main() -> int:
    """Watch one run; heal what it leaves."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    line, said = _first_line()
    watched = Watched(**json.loads(line))
    path = Path(watched.descriptor)
    file = load_descriptor(path)
    attach(file)  # imports the driver now, and not when there is no time
    state = State(file.resolve(file.descriptor.state), file.descriptor.name)
    with suppress(BrokenPipeError):
        print("ready", flush=True)
    if not Watch(watched, state, said).died():
        return 0
    _tell(f"process {watched.pid} died; healing what it left on {file.descriptor.name}")
    embedded = Embedded.adopt(Path(watched.owner), _tell) if watched.owner and Path(watched.owner).exists() else None
    try:
        healed = heal_deployment(path, dry_run=False, tell=_tell, who="readiness reaper")
    except ReadinessError as error:
        _tell(str(error))
        healed = False
    if embedded is not None and (failure := embedded.stop()):
        _tell(failure)
    return 0 if healed else 1


def _to_read(descriptor: int, within_s: float) -> bool:
    """Whether there is something to read, or its end; `select` would know no descriptor beyond 1023."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(within_s * 1000))


def _first_line() -> tuple[bytes, bytes]:
    said = b""
    while b"\n" not in said:
        heard = os.read(0, 4096)
        if not heard:
            break
        said += heard
    line, _, rest = said.partition(b"\n")
    return line, rest


def _tell(text: str) -> None:
    print(f"{instant(datetime.now(UTC))} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
