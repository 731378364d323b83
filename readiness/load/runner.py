"""Runs a locustfile in a child process from a plan, and sees to its end; what it measured lies in a folder afterwards.

The child is in a session of its own and ends with this process. Locust is never imported here: it would turn this
process's threads into greenlets.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from readiness.errors import UsageError
from readiness.load.plan import CLOSED, FILE, Plan, write
from readiness.waiting import Deadline, NotInTime, eventually

ATTACH = Path(__file__).with_name("child") / "attach.py"
PLAN, RESULTS, DEPLOYMENT = "READINESS_LOAD_PLAN", "READINESS_LOAD_RESULTS", "READINESS_DEPLOYMENT"
"""What tells the child what to send, where to, and where what it measures is written."""
PARENT = "READINESS_LOAD_PARENT"
"""Set by whoever starts a load run and wants it to end with it: the pid."""
LOG, ZERO = "locust.log", "zero.json"
BEGINS_WITHIN_S = 60.0
"""From the start of the child to the run's zero: imports on a slow machine, and workers that connect."""
STOPS_WITHIN_S = 15.0
MORE_S = 30.0
"""What a whole run may take beyond its duration, its drain and its start."""


class Running:
    """A load run that goes on in a child process."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self.folder = folder

    @property
    def zero_s(self) -> float | None:
        """The run's zero on the wall clock, in seconds since the epoch; None until it is fixed."""
        try:
            return float(json.loads((self.folder / ZERO).read_bytes())["wall_s"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def pid(self) -> int:
        """The process id of the child, which is also its process group."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the child has ended."""
        return self._process.poll() is not None

    def wait(self, deadline: Deadline) -> int:
        """Wait for the child's end and return its exit code; raise `NotInTime` at the deadline."""
        eventually(lambda: self.ended, within=deadline, every_s=0.05)
        return int(self._process.returncode)

    def stop(self) -> None:
        """End the child and what it started: asked first, so that it writes what is in flight, then killed."""
        if not self.ended:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(NotInTime):
                eventually(lambda: self.ended, within=STOPS_WITHIN_S, every_s=0.05)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


@contextmanager
def running(
    plan: Plan,
    *,
    locustfile: Path,
    folder: Path,
    descriptor: Path | None,
    host: str | None = None,
    processes: int = 1,
    environment: Mapping[str, str] | None = None,
    deployment: str = "",
    release: str = "",
    keep_alive: bool = True,
) -> Iterator[Running]:
    """Start a load run and yield it once its zero is fixed; whatever of it still runs at the end is stopped.

    What cannot begin (no Locust, a locustfile that raises, no such variant) is a UsageError in one line.
    """
    if importlib.util.find_spec("locust") is None:
        raise UsageError("locust is not installed; install nexus-readiness with its dependencies")
    if not locustfile.is_file():
        raise UsageError(f"{locustfile}: no such locustfile; give one of loadtests/*.py or a locustfile of your own")
    argv = _argv(plan, locustfile, processes)
    _write_plan(
        folder,
        plan,
        deployment=deployment,
        release=release,
        locustfile=str(locustfile),
        command=argv,
        keep_alive=keep_alive,
    )
    more = {PLAN: str((folder / FILE).absolute()), RESULTS: str(folder.absolute()), PARENT: str(os.getpid())}
    more |= {DEPLOYMENT: str(descriptor.absolute())} if descriptor is not None else {}
    more |= {"LOCUST_HOST": host} if host else {}
    dropped = {DEPLOYMENT, "LOCUST_HOST", "PYTEST_CURRENT_TEST"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            argv,
            env={**kept, **(environment or {}), **more},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    child = Running(process, folder)
    try:
        _await_zero(child, locustfile)
        yield child
    finally:
        child.stop()


def run(plan: Plan, *, folder: Path, deadline: Deadline | None = None, **given: object) -> Path:
    """Run a plan to its end and return the folder with what was measured; a run that takes too long is stopped.

    Takes what `running` takes. Without a deadline the plan's own duration and drain bound it.
    """
    within = deadline or Deadline.after(BEGINS_WITHIN_S + plan.duration_s + plan.drain_s + MORE_S)
    with running(plan, folder=folder, **given) as child, contextlib.suppress(NotInTime):  # type: ignore[arg-type]
        child.wait(within)
    return folder


def _argv(plan: Plan, locustfile: Path, processes: int) -> list[str]:
    argv = [sys.executable, "-m", "locust", "-f", f"{ATTACH},{locustfile}", "--headless", "--only-summary"]
    argv += ["--exit-code-on-error", "0"]
    if processes > 1:
        argv += ["--processes", str(processes), "--expect-workers-max-wait", f"{BEGINS_WITHIN_S:.0f}"]
        # Locust's own port is one for all: workers of two runs on a machine would register with either's master
        host, port = "127.0.0.1", str(_free_port())
        argv += ["--master-bind-host", host, "--master-bind-port", port, "--master-host", host, "--master-port", port]
    if plan.model == CLOSED:
        argv += ["--users", str(plan.users), "--spawn-rate", str(min(100, plan.users))]
        argv += ["--stop-timeout", f"{plan.drain_s:.0f}"]
    return argv


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_plan(folder: Path, plan: Plan, **more: object) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / FILE).exists():
            raise UsageError(f"{folder}: holds a load run already; give an empty folder")
        write(folder, plan, **more)
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}; give a folder of your own") from None


def _await_zero(child: Running, locustfile: Path) -> None:
    try:
        eventually(lambda: child.zero_s is not None or child.ended, within=BEGINS_WITHIN_S, every_s=0.02)
    except NotInTime:
        raise UsageError(
            f"{locustfile}: the load did not begin within {BEGINS_WITHIN_S:.0f} s; see {child.folder / LOG}"
        ) from None
    if child.zero_s is None:
        said = (child.folder / LOG).read_text(encoding="utf-8", errors="replace")
        raise UsageError(_one_line(said, locustfile))


def _one_line(said: str, locustfile: Path) -> str:
    """What a child that did not begin has to say: our own line, or the end of a traceback with its place."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    ours = [line.removeprefix("readiness: ") for line in lines if line.startswith("readiness: ")]
    if ours:
        return "\n".join(dict.fromkeys(ours))
    raised = [line for line in lines if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Interrupt|Warning)\b", line)]
    place = re.findall(rf'File "[^"]*{re.escape(locustfile.name)}", line (\d+)', said)
    last = (raised or lines or ["Locust said nothing"])[-1][:300]
    return f"{locustfile}{f', line {place[-1]}' if place else ''}: cannot be run: {last}"
