"""The links: proxies stand for every caller and instance, carry the calls, and come back when their server died."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from readiness.nexus import descriptor_writer, links, proxy_servers, registry
from readiness.nexus.names import Names
from readiness.nexus.peers import Peers, Unreachable
from readiness.nexus.proxies import FaultProxies, Proxies, ProxiesError, Proxy
from readiness.nexus.settings import LOOPBACK, Proxied, Settings, free_port
from tests.nexus.processes import until

TOXIPROXIES = [
    pytest.param(
        ("toxiproxy-server", "-"),
        id="real",
        marks=pytest.mark.skipif(shutil.which("toxiproxy-server") is None, reason="no toxiproxy-server on PATH"),
    ),
    pytest.param((sys.executable, "-m", "readiness.toxiproxy.server", "--"), id="embedded"),
]


class Instance(BaseHTTPRequestHandler):
    """An instance that is ready."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"status": "ready"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def instance() -> Iterator[int]:
    server = ThreadingHTTPServer((LOOPBACK, 0), Instance)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def answers(proxies: Proxies) -> bool:
    try:
        proxies.all()
    except ProxiesError:
        return False
    return True


class Servers:
    """Both servers of proxies as plain processes."""

    def __init__(self, toxiproxy: tuple[str, ...]) -> None:
        self.proxied = Proxied(f"http://{LOOPBACK}:{free_port()}", f"http://{LOOPBACK}:{free_port()}")
        *command, dash = toxiproxy
        self._commands = [
            ([*command], dash, self.proxied.toxiproxy),
            ([sys.executable, "-m", "readiness.httpfaults"], "--", self.proxied.http),
        ]
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        environment = os.environ | {"LOG_LEVEL": "error", "PYTHONPATH": str(Path(__file__).parents[2])}
        for command, dash, url in self._commands:
            at = [f"{dash}host", LOOPBACK, f"{dash}port", str(urlsplit(url).port)]
            self._processes.append(subprocess.Popen([*command, *at], stdout=subprocess.DEVNULL, env=environment))
        until(lambda: answers(Proxies(self.proxied.toxiproxy)), "the Toxiproxy answers")
        until(lambda: answers(FaultProxies(self.proxied.http)), "the fault proxy answers")

    def kill(self) -> None:
        while self._processes:
            process = self._processes.pop()
            process.kill()
            process.wait()


@pytest.fixture(params=TOXIPROXIES)
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    started = Servers(request.param)
    try:
        started.start()
        yield started
    finally:
        started.kill()


@pytest.fixture
def home(tmp_path: Path, servers: Servers) -> Settings:
    return Settings.create(tmp_path / "home", proxied=servers.proxied)


def reaches(settings: Settings, caller: str, service: str) -> bool:
    async def asking() -> bool:
        peers = Peers(settings, caller)
        try:
            return await peers.answers(service)
        finally:
            await peers.close()

    return asyncio.run(asking())


def test_a_link_carries_calls_can_be_cut_alone_and_follows_its_instance(home: Settings) -> None:
    assert home.proxied
    toxiproxy, faults = Proxies(home.proxied.toxiproxy), FaultProxies(home.proxied.http)
    with instance() as first, instance() as second:
        entry = registry.own_instance("provider-1", "", first)
        registry.announce(home, "provider", entry)
        assert links.furnish(home) is None
        assert set(toxiproxy.all()) == set(faults.all()) == {"planner-to-provider-1", "writer-to-provider-1"}
        assert registry.lookup(home, "provider") == [entry]
        through = links.lookup(home, "planner", "provider")
        assert [found.name for found in through] == ["provider-1"]
        assert through[0].address not in (entry.address, links.lookup(home, "writer", "provider")[0].address)
        assert reaches(home, "planner", "provider")

        toxiproxy._call("POST", "/proxies/planner-to-provider-1", {"enabled": False})
        assert links.furnish(home) is None
        assert not reaches(home, "planner", "provider")
        assert reaches(home, "writer", "provider")
        toxiproxy._call("POST", "/proxies/planner-to-provider-1", {"enabled": True})

        registry.announce(home, "provider", registry.own_instance("provider-1", "", second))
        assert links.furnish(home) is None
        assert links.lookup(home, "planner", "provider") == through
        assert faults.all()["planner-to-provider-1"].upstream == f"{LOOPBACK}:{second}"
        assert reaches(home, "planner", "provider")

    registry.forget(home, "provider", "provider-1")
    assert links.furnish(home) is None
    assert toxiproxy.all() == faults.all() == {}
    assert links.lookup(home, "planner", "provider") == []


def test_servers_that_died_are_furnished_again_and_until_then_a_call_is_lost(home: Settings, servers: Servers) -> None:
    with instance() as port:
        registry.announce(home, "provider", registry.own_instance("provider-1", "", port))
        assert links.furnish(home) is None
        before = links.lookup(home, "planner", "provider")
        servers.kill()
        assert links.furnish(home)
        assert not reaches(home, "planner", "provider")
        servers.start()
        assert links.furnish(home) is None
        assert links.lookup(home, "planner", "provider") == before
        assert reaches(home, "planner", "provider")


def test_a_shared_server_keeps_what_is_not_ours(home: Settings) -> None:
    assert home.proxied
    toxiproxy = Proxies(home.proxied.toxiproxy)
    toxiproxy.stand("planner-to-provider-1", f"{LOOPBACK}:9", None)
    ours = replace(home, proxied=replace(home.proxied, prefix="abc-"))
    ours.save()
    with instance() as port:
        registry.announce(ours, "provider", registry.own_instance("provider-1", "", port))
        assert links.furnish(ours) is None
        assert len(toxiproxy.all()) == 3
        assert reaches(ours, "writer", "provider")
    links.forsake(ours.home)
    assert set(toxiproxy.all()) == {"planner-to-provider-1"}


def test_without_proxies_callers_reach_instances_directly(tmp_path: Path) -> None:
    settings = Settings.create(tmp_path / "home")
    entry = registry.own_instance("provider-1", "", 9)
    registry.announce(settings, "provider", entry)
    assert links.furnish(settings) is None
    assert links.lookup(settings, "planner", "provider") == [entry]
    assert "links" not in descriptor_writer.descriptor(settings)


def test_a_port_that_was_taken_meanwhile_is_replaced(home: Settings) -> None:
    assert home.proxied
    with socket.create_server((LOOPBACK, 0)) as taken:
        held = f"{LOOPBACK}:{taken.getsockname()[1]}"
        at = Proxies(home.proxied.toxiproxy).stand("x", f"{LOOPBACK}:9", None, held)
    assert at != held
    assert Proxies(home.proxied.toxiproxy).all()["x"] == Proxy(at, f"{LOOPBACK}:9")


def test_the_descriptor_names_links_by_the_names_of_the_deployment(tmp_path: Path) -> None:
    names = Names.from_mapping({"components": {"planner": "chief", "provider": "oracle"}})
    settings = Settings.create(tmp_path / "home", names=names, proxied=Proxied("http://t:1", "http://h:2", "abc-"))
    written = descriptor_writer.descriptor(settings)
    link = written["links"]["agents-provider"]
    assert link["from"] == ["chief", "writer"]
    assert link["to"] == "oracle"
    assert link["toxiproxy"] == link["http"] == ["abc-chief-to-oracle-*", "abc-writer-to-oracle-*"]
    assert written["faults"] == {"toxiproxy": "http://t:1", "http": "http://h:2"}
    assert {written["services"]["chief"]["part"], written["services"]["oracle"]["part"]} == {"agent", "provider"}


def test_a_toxiproxy_that_runs_elsewhere_is_shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(proxy_servers.ELSEWHERE, raising=False)
    own = proxy_servers.planned(tmp_path)
    assert not own.shared
    assert {program.name for program in proxy_servers.programs(own)} == proxy_servers.PROGRAMS
    monkeypatch.setenv(proxy_servers.ELSEWHERE, "http://127.0.0.1:8474/")
    one, other = proxy_servers.planned(tmp_path / "a"), proxy_servers.planned(tmp_path / "b")
    assert one.toxiproxy == "http://127.0.0.1:8474"
    assert one.prefix != other.prefix
    assert [program.name for program in proxy_servers.programs(one)] == [proxy_servers.HTTP_FAULTS]


def test_a_gateway_with_the_defect_never_asks_again(tmp_path: Path) -> None:
    from readiness.nexus.defects import Defects

    def goes_on(*defects: str) -> bool:
        settings = Settings.create(tmp_path / "-".join(("home", *defects)), defects=Defects.parse(defects))

        async def asking() -> bool:
            peers = Peers(settings, "gateway")
            registry.announce(settings, "orchestrator", registry.own_instance("o-1", "2.3.0", free_port()))
            for _ in range(6):
                with pytest.raises(Unreachable):
                    await peers.call("orchestrator", "/", patience_s=0)
            with instance() as port:
                registry.announce(settings, "orchestrator", registry.own_instance("o-1", "2.3.0", port))
                answered = await peers.answers("orchestrator")
            await peers.close()
            return answered

        return asyncio.run(asking())

    assert goes_on()
    assert not goes_on("gateway-gives-up")
