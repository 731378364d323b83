"""The embedded server as a process: it starts, says so, leaks nothing and ends when it is told to."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from readiness.toxiproxy import Toxic, Toxiproxy
from readiness.waiting import eventually
from tests.toxiproxy.servers import LARGE, WITHIN_S, Backend, Wire, answers

ARGV = [sys.executable, "-m", "readiness.toxiproxy.server"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """An embedded server of the test's own, with its address in `ready`."""
    argv = [*ARGV, "--port", "0", "--ready-file", str(tmp_path / "ready")]
    with subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        eventually((tmp_path / "ready").exists, within=WITHIN_S)
        yield process
        process.kill()


@pytest.fixture
def address(process: subprocess.Popen[str], tmp_path: Path) -> str:  # noqa: ARG001 - it must have started
    """Its address."""
    return (tmp_path / "ready").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_under_traffic(
    number: signal.Signals, process: subprocess.Popen[str], address: str, backend: Backend
) -> None:
    server = Toxiproxy(f"http://{address}")
    listen = server.create("p", backend.address).listen
    server.add("p", Toxic("t", "timeout", "upstream"))
    wires = [Wire(listen) for _ in range(5)]
    for wire in wires:
        wire.send(b"GET /small HTTP/1.1\r\n\r\n")
    process.send_signal(number)
    told, complained = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, told, complained) == (0, "", "")
    for wire in wires:
        wire.close()


def test_the_address_that_it_says_answers(process: subprocess.Popen[str], address: str) -> None:
    assert process.poll() is None
    assert answers(f"http://{address}")


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run([*ARGV, "--port", port], check=False, capture_output=True, text=True, timeout=WITHIN_S)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"127.0.0.1:{port} cannot be listened on" in ended.stderr and "--port" in ended.stderr


@pytest.mark.parametrize(
    "toxic",
    [
        None,
        Toxic("t", "latency", attributes={"latency": 50}),
        Toxic("t", "bandwidth", attributes={"rate": 1}),
        Toxic("t", "timeout", "upstream"),
        Toxic("t", "reset_peer"),
        Toxic("t", "slicer", attributes={"average_size": 10, "delay": 1000}),
        Toxic("t", "limit_data", attributes={"bytes": 10}),
        Toxic("t", "slow_close", attributes={"delay": 50}),
    ],
    ids=lambda toxic: toxic.type if toxic else "none",
)
def test_clients_that_leave_half_way_leave_nothing_open(
    toxic: Toxic | None, process: subprocess.Popen[str], address: str, backend: Backend
) -> None:
    server = Toxiproxy(f"http://{address}")
    listen = server.create("p", backend.address).listen
    if toxic:
        server.add("p", toxic)
    files = psutil.Process(process.pid)
    before = files.num_fds()
    for number in range(30):
        wire = Wire(listen)
        if number % 3:
            wire.send(b"GET /large HTTP/1.1\r\n\r\n")
        if number % 3 == 2 and toxic is None:
            assert len(wire.receive(100)) <= len(LARGE)
        wire.close()
    assert eventually(lambda: files.num_fds() <= before, within=WITHIN_S)
    server.delete("p")
    process.send_signal(signal.SIGTERM)
    _, complained = process.communicate(timeout=WITHIN_S)
    assert complained == ""
