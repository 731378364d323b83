"""The reference deployment for the length of one run, started and stopped by its own command."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from readiness.errors import ReadinessError
from readiness.nexus_command import COMMAND, unlisted

PREFIX = "readiness-"
HOME = "nexus"
OWNER = "owner.json"
"""Which process a deployment belongs to: its pid and start, so that a reused pid is not taken for it."""
UP_WITHIN_S = 120.0
"""Far more than a start takes: what is slower than this is not slow but stuck."""
DOWN_WITHIN_S = 60.0
END_WITHIN_S = 30.0


class NotStarted(ReadinessError):
    """The embedded deployment did not come up; there is nothing to judge."""


class Embedded:
    """One reference deployment in a private temporary folder."""

    def __init__(self, tell: Callable[[str], None], command: Sequence[str] = COMMAND) -> None:
        self._tell = tell
        self._command = tuple(command)
        self._folder: Path | None = None
        self._starting: subprocess.Popen[str] | None = None

    @classmethod
    def adopt(cls, folder: Path, tell: Callable[[str], None], command: Sequence[str] = COMMAND) -> Embedded:
        """Take over what a dead run has started: it is this process's now, to be stopped by it alone."""
        embedded = cls(tell, command)
        embedded._own(folder)
        return embedded

    @property
    def folder(self) -> Path | None:
        """Where it lives; None while it does not."""
        return self._folder

    def _own(self, folder: Path) -> None:
        self._folder, mine = folder, psutil.Process()
        (folder / OWNER).write_text(json.dumps([mine.pid, mine.create_time()]), encoding="utf-8")

    def start(self) -> Path:
        """Start it, pass its progress on, and return the path of its descriptor; raise NotStarted otherwise."""
        self._sweep()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._own(folder)
        lines: list[str] = []
        # Through proxies, so that experiments can break what is between its services.
        argv = (*self._command, "up", "--dir", str(folder / HOME))
        self._starting = process = _spawn(argv, folder)
        reader = threading.Thread(target=self._read, args=(process, lines), daemon=True)
        reader.start()
        try:
            code = process.wait(UP_WITHIN_S)
        except subprocess.TimeoutExpired:
            raise NotStarted(f"the embedded deployment was not up within {UP_WITHIN_S:.0f} s") from None
        reader.join(2.0)
        descriptor = Path(lines[-1]) if lines else Path()
        if code != 0 or not descriptor.is_file():
            said = lines[-1] if lines else "it said nothing"
            raise NotStarted(f"the embedded deployment did not start (exit {code}): {said}")
        return descriptor

    def _sweep(self) -> None:
        """Stop what a run that was killed left: it had no chance to."""
        for owner in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{OWNER}"):
            if _orphaned(owner):
                self._tell("stopping what a killed run left")
                Embedded.adopt(owner.parent, self._tell, self._command).stop()

    def stop(self) -> str:
        """Stop it and remove its folder, also when it was only half started; return what could not be done, or ""."""
        if self._folder is None:
            return ""
        folder, self._folder = self._folder, None
        if self._starting is not None and self._starting.poll() is None:
            _end(self._starting)
        process = _spawn((*self._command, "down", "--dir", str(folder / HOME)), folder)
        try:
            said, _ = process.communicate(timeout=DOWN_WITHIN_S)
        except subprocess.TimeoutExpired:
            _end(process)
            return f"the embedded deployment in {folder} did not stop within {DOWN_WITHIN_S:.0f} s"
        if process.returncode != 0:
            return f"the embedded deployment in {folder} did not stop: {(said.strip().splitlines() or ['?'])[-1]}"
        shutil.rmtree(folder, ignore_errors=True)
        return ""

    def _read(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        assert process.stdout is not None
        with process.stdout as said:
            for line in said:
                if text := line.strip():
                    lines.append(text)
                    if not text.endswith(".yaml"):
                        self._tell(text)


def _orphaned(owner: Path) -> bool:
    """Whether the run that started a deployment of this user is gone."""
    try:
        if owner.stat().st_uid != os.getuid():
            return False
        pid, started_s = json.loads(owner.read_bytes())
        return bool(abs(psutil.Process(pid).create_time() - started_s) > 2.0)
    except psutil.NoSuchProcess:
        return True
    except (OSError, ValueError, TypeError, psutil.Error):
        return False


def _spawn(argv: Sequence[str], folder: Path) -> subprocess.Popen[str]:
    """Start a command in a session of its own, so that Ctrl-C reaches this process alone and nothing dies halfway."""
    return subprocess.Popen(
        argv,
        env={**os.environ, **unlisted(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Ask a command to end, which cleans up; then end it with everything that it started in its session."""
    process.terminate()
    try:
        process.wait(END_WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
