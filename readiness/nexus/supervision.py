"""The processes of one home, kept alive by supervisord and spoken to over its unix socket."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xmlrpc.client import Error as XmlRpcError
from xmlrpc.client import Fault, ServerProxy

import psutil

from readiness.nexus.processes import clean_environment, ended

LONGEST_SOCKET_PATH = 95
"""In characters: the system takes 107, and supervisord first binds a name that has its pid appended."""
STOP_WAIT_S = 10
_GONE = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")
_ALIVE = ("STARTING", "RUNNING", "BACKOFF")
_ROUND_S = 1.5
"""Supervisord starts what has exited within its next round, which comes at least once a second."""


class SupervisionError(Exception):
    """Supervisord could not be started, reached or told; the text says which."""


@dataclass(frozen=True, slots=True)
class Program:
    """One supervised process: its name, its argument list, and whether it comes back by itself."""

    name: str
    command: tuple[str, ...]
    autorestart: bool = True
    log: str = "log"
    """The folder of the home that its output goes to."""
    environment: Mapping[str, str] = field(default_factory=dict)


class Supervisor:
    """The supervisord of one home; its programs are the files in `run/programs`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.run = home / "run"
        self.socket = _socket_of(self.run)
        self.pidfile = self.run / "supervisord.pid"
        self.conf = self.run / "supervisord.conf"
        self.programs = self.run / "programs"

    def configure(self, programs: Iterable[Program]) -> None:
        """Write the configuration for exactly these programs."""
        self.programs.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, exist_ok=True)
        (self.home / "log").mkdir(mode=0o700, exist_ok=True)
        for stale in self.programs.glob("*.conf"):
            stale.unlink()
        for program in programs:
            self._write(program)
        self.conf.write_text(_SUPERVISORD.format(run=_escape(self.run), socket=_escape(self.socket)))
        self.conf.chmod(0o600)

    def launch(self, within_s: float = 10.0, environment: Mapping[str, str] | None = None) -> None:
        """Start supervisord in a session of its own and wait until it answers; no-op while one lives."""
        if self.process() is not None:
            return
        self.socket.unlink(missing_ok=True)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)],
            cwd=self.home,
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            umask=0o077,
        )
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if daemon.poll() is not None:
                raise SupervisionError(
                    f"supervisord ended at once with {daemon.returncode}; see {self.run}/supervisord.log"
                )
            if self.answers():
                return
            time.sleep(0.05)
        daemon.kill()
        raise SupervisionError(f"supervisord did not answer on {self.socket} within {within_s:.0f} s")

    def answers(self) -> bool:
        """Say whether supervisord takes calls."""
        try:
            with self._calls() as calls:
                return bool(calls.getState()["statename"] == "RUNNING")
        except SupervisionError:
            return False

    def process(self) -> psutil.Process | None:
        """Find the living supervisord of this home: the pid of its file, proved by its command line."""
        try:
            process = psutil.Process(int(self.pidfile.read_text()))
            alive = process.status() != psutil.STATUS_ZOMBIE and str(self.conf) in process.cmdline()
        except (OSError, ValueError, psutil.Error):
            return None
        return process if alive else None

    def states(self) -> dict[str, dict[str, Any]]:
        """List the programs by name, each with `statename` and `pid`."""
        with self._calls() as calls:
            return {info["name"]: info for info in calls.getAllProcessInfo()}

    def add(self, programs: Iterable[Program]) -> None:
        """Start new programs, all at once; a program that is there already with this command stays as it is."""
        wanted = list(programs)
        changed = [program for program in wanted if self._write(program)]
        with self._calls() as calls:
            known = {info["name"]: info["statename"] for info in calls.getAllProcessInfo()}
            stale = [p.name for p in changed if p.name in known]
        self.remove(stale, forget=False)
        with self._calls() as calls:
            calls.reloadConfig()
            for program in wanted:
                if program.name not in known or program.name in stale:
                    calls.addProcessGroup(program.name)
                elif known[program.name] in _GONE:
                    calls.startProcess(program.name, False)

    def remove(self, names: Iterable[str], *, forget: bool = True) -> None:
        """Stop programs in the orderly way, all at once, and take them out of the configuration."""
        wanted = set(names)
        if not wanted:
            return
        if forget:
            for name in wanted:
                (self.programs / f"{name}.conf").unlink(missing_ok=True)
        self.stop(wanted)
        with self._calls() as calls:
            for name in wanted & {info["group"] for info in calls.getAllProcessInfo()}:
                calls.removeProcessGroup(name)
            calls.reloadConfig()

    def stop(self, names: Iterable[str]) -> None:
        """Stop programs in the orderly way, all at once; they stay configured."""
        wanted = set(names)
        exited: dict[str, float] = {}
        deadline = time.monotonic() + STOP_WAIT_S + 5
        while time.monotonic() < deadline:
            states = {name: info["statename"] for name, info in self.states().items() if name in wanted}
            # Asked again on every look: one that died of itself is started anew within supervisord's next round.
            self._ask_to_stop(name for name, state in states.items() if state in _ALIVE)
            now = time.monotonic()
            exited = {name: exited.get(name, now) for name, state in states.items() if state == "EXITED"}
            if all(state in _GONE for state in states.values()) and all(
                now - since > _ROUND_S for since in exited.values()
            ):
                return
            time.sleep(0.05)
        raise SupervisionError(f"did not stop within {STOP_WAIT_S + 5} s: {', '.join(sorted(wanted))}")

    def _ask_to_stop(self, names: Iterable[str]) -> None:
        from supervisor.xmlrpc import Faults  # type: ignore[import-untyped]

        with self._calls() as calls:
            for name in names:
                try:
                    calls.stopProcess(name, False)
                except Fault as problem:
                    # It ended between the look and the call; the next look tells.
                    if problem.faultCode != Faults.NOT_RUNNING:
                        raise

    def start(self, names: Iterable[str]) -> None:
        """Start configured programs that are not running."""
        states = self.states()
        with self._calls() as calls:
            for name in names:
                if name in states and states[name]["statename"] in _GONE:
                    calls.startProcess(name, False)

    def shutdown(self, within_s: float = STOP_WAIT_S + 5) -> None:
        """Stop everything, all at once, and then supervisord; kill what is left of it at the deadline."""
        process = self.process()
        if process is None:
            return
        try:
            self.stop(self.states())
            with self._calls() as calls:
                calls.shutdown()
        except SupervisionError:
            process.terminate()
        if not ended(process.pid, within_s):
            process.kill()
            ended(process.pid, 5)

    def forget_socket(self) -> None:
        """Remove the socket, and its folder where that lies outside the home."""
        self.socket.unlink(missing_ok=True)
        if self.socket.parent != self.run:
            shutil.rmtree(self.socket.parent, ignore_errors=True)

    def _write(self, program: Program) -> bool:
        """Write one program's section; true when it is new or changed."""
        path = self.programs / f"{program.name}.conf"
        text = _section(program, self.home)
        if path.exists() and path.read_text() == text:
            return False
        path.write_text(text)
        path.chmod(0o600)
        return True

    @contextmanager
    def _calls(self) -> Iterator[Any]:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, serverurl=f"unix://{self.socket}")
        try:
            yield ServerProxy("http://localhost", transport=transport).supervisor
        except (OSError, XmlRpcError) as error:
            raise SupervisionError(f"supervisord on {self.socket}: {error}") from None
        finally:
            transport.close()


def as_command(parts: Mapping[str, str]) -> tuple[str, ...]:
    """Write options as an argument list: `{"home": "/x"}` becomes `--home /x`."""
    return tuple(word for name, value in parts.items() for word in (f"--{name}", value))


def _socket_of(run: Path) -> Path:
    """Choose where the socket lies: in the home, or in a folder of our own when the home's path is too long."""
    inside = run / "supervisord.sock"
    if len(str(inside)) <= LONGEST_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(str(run).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"nexus-{os.getuid()}-{digest}" / "supervisord.sock"


def _escape(text: object) -> str:
    return str(text).replace("%", "%%")


def _section(program: Program, home: Path) -> str:
    command = " ".join(f'"{_escape(word)}"' for word in program.command)
    return _PROGRAM.format(
        name=program.name,
        command=command,
        log=_escape(home / program.log / f"{program.name}.log"),
        environment=",".join(f'{name}="{_escape(value)}"' for name, value in program.environment.items()),
        autorestart=str(program.autorestart).lower(),
        wait=STOP_WAIT_S,
    )


# startsecs=0: a process that is killed in its first second is simply started again; with any other value supervisord
# counts it as a failed start, waits longer and longer, and gives up at last.
_PROGRAM = """[program:{name}]
command={command}
autostart=true
autorestart={autorestart}
startsecs=0
startretries=1000
stopwaitsecs={wait}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
environment={environment}
"""
_SUPERVISORD = """[supervisord]
nodaemon=true
pidfile={run}/supervisord.pid
logfile={run}/supervisord.log
logfile_maxbytes=1MB
logfile_backups=0
loglevel=warn
minfds=1024
strip_ansi=false
environment=NEXUS_SUPERVISED="1"

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[include]
files={run}/programs/*.conf
"""
