from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.httpfaults.backend import Backend
from tests.httpfaults.bench import Bench


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of HTTP faults: the URL of its control API."""
    argv = [sys.executable, "-m", "readiness.httpfaults", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()
            assert process.wait(20) == 0


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as one:
        yield one


@pytest.fixture
def bench(server: str, backend: Backend) -> Iterator[Bench]:
    """A proxy `link` before the backend, and a client that keeps its connections."""
    with httpx.Client(base_url=server, trust_env=False, verify=False) as control:
        made = control.put("/proxies/link", json={"upstream": backend.url}).json()
        with httpx.Client(base_url=f"http://{made['listen']}", trust_env=False, verify=False, timeout=20) as caller:
            bench = Bench(server, made["listen"], control, caller, backend)
            yield bench
            for fault in control.get("/faults").json():
                control.delete(f"/faults/{fault['id']}")
            control.delete("/proxies/link")
