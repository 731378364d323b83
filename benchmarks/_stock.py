"""Stock Locust beside ours: locustfiles as its documentation shows them, and what a child process uses."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PACED = """
from locust import FastHttpUser, constant_throughput, task
class Paced(FastHttpUser):
    wait_time = constant_throughput({each})
    @task
    def one(self):
        self.client.get("/")
"""
FULL_SPEED = """
from locust import HttpUser, task
class FullSpeed(HttpUser):
    @task
    def one(self):
        self.client.get("/")
"""


@contextmanager
def stock(text: str, folder: Path, host: str, users: int, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a locustfile with the stock command, headless, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "stock.py"
    file.write_text(text, encoding="utf-8")
    argv = [sys.executable, "-m", "locust", "-f", str(file), "--headless", "--only-summary", "--host", host]
    argv += ["-u", str(users), "-r", str(users), *more]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("READINESS_")}
    with (
        (folder / "stock.log").open("wb") as log,
        subprocess.Popen(
            argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def until(check: Callable[[], object], within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not check():
        if time.monotonic() > end:
            raise TimeoutError("what the benchmark waits for does not come")
        time.sleep(0.05)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and its children so far."""
    root = psutil.Process(pid)
    times = [each.cpu_times() for each in (root, *root.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def per_request(pid: int, requests: Callable[[], int], seconds: float) -> tuple[float, float]:
    """CPU seconds a request, and requests a second, of a child that is running, over so many seconds."""
    cpu, count, at = cpu_s(pid), requests(), time.monotonic()
    time.sleep(seconds)
    used, served, lasted = cpu_s(pid) - cpu, requests() - count, time.monotonic() - at
    return used / max(served, 1), served / lasted
