from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from readiness.credentials import Credentials
from readiness.descriptor import Descriptor
from readiness.errors import Missing
from readiness.loading import DescriptorFile
from readiness.probe_traffic import THREADS, ProbeTraffic, probe_request, sender
from readiness.reach import Reach
from readiness.redaction import Redactor
from readiness.target import Target
from readiness.waiting import Deadline, Pace, eventually


class Counting(ThreadingHTTPServer):
    """Answers every request, and counts connections and requests; `broken` answers with an error."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.connections = self.requests = 0
        self.broken = False


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Counting

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(503 if self.server.broken else 200)
        self.send_header("X-Release", "2.0")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[Counting]:
    made = Counting()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def described(address: str, **workload: Any) -> Descriptor:
    version_at = {"response_header": "X-Release", "request": {"method": "GET", "url": "{front}/ping"}}
    return Descriptor.model_validate(
        {
            "readiness": 1,
            "name": "counting",
            "environment": "staging",
            "services": {"front": {"address": address, "live": "/live"}},
            "workload": {"version_at": version_at, **workload},
        }
    )


@pytest.fixture
def reach(server: Counting, tmp_path: Path) -> Iterator[Reach]:
    file = DescriptorFile(described(f"http://127.0.0.1:{server.server_port}"), tmp_path / "readiness.yaml")
    redactor = Redactor()
    made = Reach.of(file, cast("Target", _Nobody()), Credentials.load(file, redactor), redactor, "run")
    yield made
    made.web.close()


class _Nobody:
    def instances(self, _service: str) -> list[Any]:
        return []


def probing(reach: Reach, rate_per_s: float = 200.0) -> ProbeTraffic:
    return ProbeTraffic(sender(reach), [Pace(rate_per_s)], Deadline.after(120))


def test_half_of_the_requests_keep_their_connection(reach: Reach, server: Counting) -> None:
    with probing(reach) as probes:
        eventually(lambda: len(probes.outcomes) >= 100, within=60)
    sent = probes.finish()
    kept = [one for one in sent if one.kept]
    assert all(not one.error and one.release == "2.0" for one in sent)
    assert kept and len(kept) < len(sent) == server.requests
    assert server.connections <= len(sent) - len(kept) + THREADS // 2
    assert sent == sorted(sent, key=lambda one: one.at)


def test_whatever_is_no_success_is_a_failure_with_its_reason(reach: Reach, server: Counting) -> None:
    with probing(reach) as probes:
        eventually(lambda: len(probes.outcomes) >= 10, within=60)
        server.broken = True
        eventually(lambda: any("HTTP 503" in one.error for one in probes.outcomes), within=60)
        server.shutdown()
        server.server_close()
        eventually(lambda: any(one.error and one.release is None for one in probes.outcomes), within=60)
    assert not all(one.error for one in probes.finish())


def test_the_rate_is_an_upper_bound(reach: Reach) -> None:
    began_s = time.monotonic()
    with probing(reach, 40.0) as probes:
        eventually(lambda: len(probes.outcomes) >= 20, within=60)
    sent = len(probes.finish())
    assert sent <= 40.0 * (time.monotonic() - began_s) + 1


def test_without_a_cheap_request_the_entrance_is_asked_whether_it_lives() -> None:
    ok = {"submit": {"method": "POST", "url": "{front}/work"}}
    assert probe_request(described("http://127.0.0.1:1", version_at=None, ok=ok)) is not None
    found = probe_request(described("http://127.0.0.1:1", version_at={"result_field": "release"}, ok=ok))
    assert found is not None and found.url == "{front}/live"
    with pytest.raises(Missing, match="cheap request"):
        probe_request(described("http://127.0.0.1:1", version_at=None))
