"""What each toxic does to real connections, measured alike on both servers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from readiness.toxiproxy import ProxyState, Toxic, Toxiproxy
from readiness.waiting import eventually
from tests.toxiproxy.servers import LARGE, SMALL, WITHIN_S, Backend, Echo, Wire, reset_or_end

Proxied = Callable[[str], ProxyState]
Wired = Callable[[str], Wire]
STREAMS = pytest.mark.parametrize("stream", ["downstream", "upstream"])


def toxic(kind: str, stream: str = "downstream", **attributes: int) -> Toxic:
    return Toxic("t", kind, stream, 1.0, attributes)


def took(wire: Wire, size: int) -> float:
    """Send so many bytes through an echo, and give the seconds until all are back."""
    began = time.monotonic()
    wire.send(b"z" * size)
    left = size
    while left:
        left -= len(wire.receive())
    return time.monotonic() - began


def test_without_a_toxic_every_byte_goes_by(proxied: Proxied, wired: Wired, backend: Backend) -> None:
    wire = wired(proxied(backend.address).listen)
    assert [wire.get(path)[2] for path in ("/small", "/large", "/small")] == [len(SMALL), len(LARGE), len(SMALL)]


def test_both_ways_at_once(proxied: Proxied, wired: Wired, echo: Echo) -> None:
    wire = wired(proxied(echo.address).listen)
    sent = bytes(range(256)) * 512
    wire.send(sent)
    back = b""
    while len(back) < len(sent):
        back += wire.receive()
    assert back == sent


@STREAMS
def test_latency_delays_and_its_removal_ends_that(
    stream: str, server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    wire = wired(proxy.listen)
    wire.get()
    server.add(proxy.name, toxic("latency", stream, latency=300))
    assert wire.get()[0] >= 0.29, "a living connection feels it"
    assert wired(proxy.listen).get()[0] >= 0.29, "so does a new one"
    server.remove(proxy.name, "t")
    assert eventually(lambda: wire.get()[0] < 0.29, within=WITHIN_S)


def test_latency_does_not_make_a_stream_thin(
    server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, toxic("latency", latency=600))
    first_s, whole_s, got = wired(proxy.listen).get("/large")
    assert got == len(LARGE)
    assert whole_s - first_s < 1.2, "the chunks are delayed side by side, not one after the other"


def test_jitter_varies_the_delay(server: Toxiproxy, proxied: Proxied, wired: Wired, echo: Echo) -> None:
    proxy = proxied(echo.address)
    server.add(proxy.name, toxic("latency", latency=60, jitter=50))
    wire = wired(proxy.listen)
    spans = [took(wire, 1) for _ in range(12)]
    assert min(spans) >= 0.009
    assert max(spans) - min(spans) > 0.01


def test_two_latencies_add_up(server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    for number in (1, 2):
        server.add(proxy.name, Toxic(f"t{number}", "latency", attributes={"latency": 150}))
    assert wired(proxy.listen).get()[0] >= 0.29


def test_one_of_two_toxics_is_removed(server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    wire = wired(proxy.listen)
    server.add(proxy.name, Toxic("first", "latency", attributes={"latency": 1000}))
    server.add(proxy.name, Toxic("second", "latency", attributes={"latency": 200}))
    server.remove(proxy.name, "first")
    assert eventually(lambda: 0.19 <= wire.get()[0] < 1.0, within=WITHIN_S)


@STREAMS
def test_bandwidth_lets_so_many_bytes_by(
    stream: str, server: Toxiproxy, proxied: Proxied, wired: Wired, echo: Echo
) -> None:
    proxy = proxied(echo.address)
    wire = wired(proxy.listen)
    free_s = took(wire, 50_000)
    server.add(proxy.name, toxic("bandwidth", stream, rate=100))
    thin_s = took(wire, 50_000)
    assert thin_s >= 0.4, "50 kB at 100 kB/s"
    assert thin_s > free_s
    server.remove(proxy.name, "t")
    assert eventually(lambda: took(wire, 50_000) < 0.4, within=WITHIN_S)


def test_removal_gives_on_what_bandwidth_held(server: Toxiproxy, proxied: Proxied, wired: Wired, echo: Echo) -> None:
    proxy = proxied(echo.address)
    wire = wired(proxy.listen)
    server.add(proxy.name, toxic("bandwidth", rate=1))
    wire.send(b"z" * 20_000)
    began = time.monotonic()
    server.remove(proxy.name, "t")
    got = 0
    while got < 20_000:
        got += len(wire.receive())
    assert time.monotonic() - began < 15, "20 kB at 1 kB/s would take 20 s"


@STREAMS
def test_timeout_closes_after_its_time(
    stream: str, server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, toxic("timeout", stream, timeout=300))
    wire = wired(proxy.listen)
    began = time.monotonic()
    assert wire.get()[2] == 0
    assert time.monotonic() - began >= 0.25


@STREAMS
def test_a_black_hole_holds_until_it_goes_and_then_closes(
    stream: str, server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    living = wired(proxy.listen)
    living.get()
    server.add(proxy.name, toxic("timeout", stream, timeout=0))
    new = wired(proxy.listen)
    for wire in (living, new):
        wire.send(b"GET /small HTTP/1.1\r\n\r\n")
        assert wire.silent(0.4)
    server.remove(proxy.name, "t")
    assert [reset_or_end(wire) in ("end", "reset") for wire in (living, new)] == [True, True]
    assert wired(proxy.listen).get()[2] == len(SMALL)


@STREAMS
def test_reset_peer_resets(stream: str, server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, toxic("reset_peer", stream, timeout=0))
    wire = wired(proxy.listen)
    wire.send(b"GET /small HTTP/1.1\r\n\r\n")
    assert reset_or_end(wire) == "reset"


def test_reset_peer_waits_its_time(server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, toxic("reset_peer", timeout=300))
    wire = wired(proxy.listen)
    began = time.monotonic()
    wire.send(b"GET /small HTTP/1.1\r\n\r\n")
    assert reset_or_end(wire) == "reset"
    assert time.monotonic() - began >= 0.29


def test_limit_data_closes_after_so_many_bytes(server: Toxiproxy, proxied: Proxied, wired: Wired, echo: Echo) -> None:
    proxy = proxied(echo.address)
    server.add(proxy.name, toxic("limit_data", bytes=1000))
    wire = wired(proxy.listen)
    assert took(wire, 700) >= 0
    wire.send(b"z" * 700)
    rest = b""
    while data := wire.receive():
        rest += data
    assert len(rest) == 300


def test_slicer_cuts_into_pieces(server: Toxiproxy, proxied: Proxied, wired: Wired, echo: Echo) -> None:
    proxy = proxied(echo.address)
    wire = wired(proxy.listen)
    server.add(proxy.name, toxic("slicer", average_size=100, size_variation=20, delay=20_000))
    began = time.monotonic()
    wire.send(b"z" * 1000)
    sizes: list[int] = []
    while sum(sizes) < 1000:
        sizes.append(len(wire.receive()))
    assert sizes[0] <= 140, "the first slice comes alone"
    assert len(sizes) >= 3
    assert time.monotonic() - began >= 0.1, "the slices come 20 ms apart: the delay is in microseconds"


def test_slow_close_delays_the_end(server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, toxic("limit_data", bytes=0))
    server.add(proxy.name, Toxic("s", "slow_close", attributes={"delay": 400}))
    wire = wired(proxy.listen)
    began = time.monotonic()
    assert wire.get()[2] == 0
    assert time.monotonic() - began >= 0.39


def test_a_disabled_proxy_closes_and_refuses_and_listens_again(
    server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    living = wired(proxy.listen)
    living.get()
    server.disable(proxy.name)
    assert reset_or_end(living) in ("end", "reset")
    with pytest.raises(ConnectionRefusedError):
        Wire(proxy.listen)
    server.enable(proxy.name)
    assert wired(proxy.listen).get()[2] == len(SMALL), "at the same address"


def test_disabled_many_times(server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    for _ in range(10):
        server.disable(proxy.name)
        server.enable(proxy.name)
        assert wired(proxy.listen).get()[2] == len(SMALL)
    assert server.proxy(proxy.name).listen == proxy.listen


def test_an_upstream_that_is_not_there_ends_the_connection(proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    backend.close()
    assert reset_or_end(wired(proxy.listen)) in ("end", "reset")


def test_a_toxicity_of_one_half_is_drawn_for_each_connection(
    server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, Toxic("t", "limit_data", "downstream", 0.5, {"bytes": 100}))
    cut = [wired(proxy.listen).get()[2] < len(SMALL) for _ in range(40)]
    assert 0 < sum(cut) < 40, "all alike happens once in 10^12"


def test_a_toxicity_of_zero_hits_nobody(url: str, proxied: Proxied, wired: Wired, backend: Backend) -> None:
    proxy = proxied(backend.address)
    server = Toxiproxy(url)
    body = {"name": "t", "type": "timeout", "toxicity": 0, "attributes": {"timeout": 0}}
    assert server.request("POST", f"/proxies/{proxy.name}/toxics", body).status_code == 200
    assert [wired(proxy.listen).get()[2] for _ in range(5)] == [len(SMALL)] * 5


def test_a_changed_toxic_changes_living_connections(
    server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend
) -> None:
    proxy = proxied(backend.address)
    server.add(proxy.name, toxic("latency", latency=1))
    wire = wired(proxy.listen)
    wire.get()
    server.request("POST", f"/proxies/{proxy.name}/toxics/t", {"attributes": {"latency": 300}})
    assert wire.get()[0] >= 0.29


def test_a_new_upstream_takes_effect(
    server: Toxiproxy, proxied: Proxied, wired: Wired, backend: Backend, echo: Echo
) -> None:
    proxy = proxied(backend.address)
    server.request("POST", f"/proxies/{proxy.name}", {"upstream": echo.address})
    assert server.proxy(proxy.name).listen == proxy.listen
    wire = wired(proxy.listen)
    wire.send(b"echoed")
    assert wire.receive() == b"echoed"


def test_a_slow_reader_is_not_read_ahead_for(proxied: Proxied, wired: Wired, echo: Echo) -> None:
    """Bytes that the reader does not take must not pile up in the proxy: sending stalls, and nothing is lost."""
    wire = wired(proxied(echo.address).listen)
    wire.socket.setblocking(False)
    sent, stalled = 0, 0
    while sent < 64 * 1024 * 1024 and stalled < 50:
        try:
            sent += wire.socket.send(b"z" * 65536)
            stalled = 0
        except BlockingIOError:
            stalled += 1
            time.sleep(0.01)
    assert sent < 64 * 1024 * 1024
    wire.socket.settimeout(WITHIN_S)
    got = 0
    while got < sent:
        got += len(wire.receive())
    assert got == sent
