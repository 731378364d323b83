"""Programs that tests start as the service `worker` of a process deployment, and take resources from."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from readiness.drivers.process import ProcessTarget
from readiness.loading import load_descriptor
from readiness.target import Instance, Operation
from readiness.waiting import eventually

DESCRIPTOR = """\
readiness: 1
name: programs
environment: development
driver: process
state: state
services:
  worker: {process: {pidfile: worker-*.pid}}
"""
_STARTED = "open('started', 'w').close()\n"
BUSY = """
import pathlib, time
count, said = 0, time.monotonic()
while True:
    count += 1
    if time.monotonic() - said > 0.02:
        pathlib.Path("count.new").write_text(str(count)); pathlib.Path("count.new").rename("count")
        said = time.monotonic()
"""
IDLE = """
import time
while True:
    time.sleep(0.05)
"""
ALLOCATING = """
import pathlib, time
kept = []
while True:
    if pathlib.Path("go").exists():
        kept.append(bytearray(b"x" * (1 << 20)))
    time.sleep(0.01)
"""
OPENING = """
import pathlib, time
while True:
    try:
        with open("/dev/null"):
            said = "opened"
    except OSError as error:
        said = str(error.errno)
    try:
        pathlib.Path("said.new").write_text(said)
        pathlib.Path("said.new").rename("said")
    except OSError:
        print(said, flush=True)
    time.sleep(0.01)
"""
GROWING = """
import time
with open("grown", "ab", buffering=0) as stream:
    while True:
        try:
            stream.write(b"x" * 512)
            print("wrote", flush=True)
        except OSError as error:
            print(error.errno, flush=True)
        time.sleep(0.01)
"""


class Worker:
    """One program that runs, its target, and the pipe that it writes to."""

    def __init__(self, home: Path, program: str) -> None:
        self.home = home
        (home / "descriptor.yaml").write_text(DESCRIPTOR)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", _STARTED + program],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        (home / "worker-1.pid").write_text(str(self.process.pid))
        eventually((home / "started").exists, within=60, every_s=0.01)
        self.target = ProcessTarget(load_descriptor(home / "descriptor.yaml"))

    @property
    def instance(self) -> Instance:
        (instance,) = self.target.instances("worker")
        return instance

    def perform(self, operation: Operation) -> None:
        self.target.perform(operation.name, operation.arguments)

    def ask(self, operation: Operation) -> str:
        return self.target.ask(operation.name, operation.arguments)

    def shown(self, operation: Operation) -> str:
        return eventually(lambda: self.ask(operation), within=60, every_s=0.02)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def working(home: Path, program: str) -> Iterator[Worker]:
    """Start a program, and end it."""
    worker = Worker(home, program)
    try:
        yield worker
    finally:
        worker.end()
