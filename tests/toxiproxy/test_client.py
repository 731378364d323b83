"""The wrapper: every error one line, what was written read back, two servers in one process, leftovers reaped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.errors import TargetError
from readiness.together import at_once
from readiness.toxiproxy import Leftover, ProxyState, Toxic, Toxiproxy, toxic_name
from readiness.toxiproxy.toxics import ATTRIBUTES, STREAMS, fault_in, prefix_of
from tests.toxiproxy.fakes import Memory, faked
from tests.toxiproxy.servers import Backend, embedded

SLOW = Toxic("t", "latency", attributes={"latency": 5, "jitter": 0})


def raised(act: Callable[[], object]) -> str:
    """Give the one line that it ends with."""
    with pytest.raises(TargetError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("toxic", "said"),
    [
        (Toxic("t", "latency", attributes={"latancy": 5}), "no attribute 'latancy' (did you mean latency?)"),
        (Toxic("t", "latency", attributes={"latency": -5}), "latency: -5 is not allowed"),
        (Toxic("t", "latency", attributes={"latency": True}), "latency: True is not allowed"),
        (Toxic("t", "latency"), "latency and jitter at 0 is no fault"),
        (Toxic("t", "latency", toxicity=5, attributes={"latency": 5}), "a toxicity of 5 is not allowed"),
        (Toxic("t", "latency", toxicity=0, attributes={"latency": 5}), "a toxicity of 0 is not allowed"),
        (Toxic("t", "latenzy", attributes={"latency": 5}), "'latenzy' is not known (did you mean latency?)"),
        (Toxic("t", "latency", "downstraem", attributes={"latency": 5}), "did you mean downstream?"),
        (Toxic("t/../u", "timeout"), "the name 't/../u' is not allowed"),
        (Toxic("t", "bandwidth", attributes={"rate": 0}), "rate at 0 is no fault"),
        (Toxic("t", "slicer", attributes={"average_size": 5, "size_variation": 5}), "less than average_size"),
    ],
)
def test_a_toxic_that_would_do_nothing_is_refused_before_anything_is_sent(toxic: Toxic, said: str) -> None:
    memory = Memory()
    with faked(memory) as url:
        told = raised(lambda: Toxiproxy(url).add("p", toxic))
    assert said in told
    assert url in told and "proxy p" in told
    assert memory.asked == []


@given(
    kind=st.sampled_from(sorted(ATTRIBUTES)),
    stream=st.sampled_from(STREAMS),
    toxicity=st.floats(0.001, 1),
    numbers=st.lists(st.integers(1, 10**9), min_size=3, max_size=3),
)
def test_every_toxic_with_numbers_that_mean_something_is_sound(
    kind: str, stream: str, toxicity: float, numbers: list[int]
) -> None:
    attributes = dict(zip(ATTRIBUTES[kind], sorted(numbers, reverse=True), strict=False))
    if kind == "slicer":
        attributes["size_variation"] = attributes["average_size"] - 1
    assert fault_in(Toxic("t", kind, stream, toxicity, attributes)) == ""


@given(run=st.text(), fault=st.text(max_size=60))
def test_a_name_carries_its_run_and_is_always_allowed(run: str, fault: str) -> None:
    name = toxic_name(run, fault)
    assert name.startswith(prefix_of(run)) and name.startswith("rd-")
    assert fault_in(Toxic(name, "timeout")) == ""


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ({"attributes": {"latency": 0, "jitter": 0}}, "its latency is 0, not 5"),
        ({"toxicity": 0.1}, "its toxicity is 0.1, not 1.0"),
        ({"stream": "upstream"}, "its stream is upstream, not downstream"),
        ({"type": "timeout"}, "its type is timeout, not latency"),
        ({"name": "other"}, "it is not there"),
    ],
)
def test_what_stands_there_must_be_what_was_written(spoilt: dict[str, Any], said: str) -> None:
    memory = Memory()

    def spoiling(method: str, path: str, body: Any) -> tuple[int, Any]:
        return memory(method, path, {**body, **spoilt} if path.endswith("/toxics") and body else body)

    with faked(spoiling) as url:
        assert said in raised(lambda: Toxiproxy(url).add("p", SLOW))


def test_the_same_toxic_again_is_fine_and_another_of_its_name_is_not() -> None:
    with faked(Memory()) as url:
        server = Toxiproxy(url)
        server.add("p", SLOW)
        server.add("p", SLOW)
        assert "its latency is 5, not 6" in raised(
            lambda: server.add("p", Toxic("t", "latency", attributes={"latency": 6}))
        )
        assert server.proxy("p").toxics == (SLOW,)


def test_a_switch_that_does_not_switch_is_noticed() -> None:
    memory = Memory()

    def stuck(method: str, path: str, body: Any) -> tuple[int, Any]:
        return (200, memory.proxy) if method == "POST" else memory(method, path, body)

    with faked(stuck) as url:
        assert "was disabled and is not" in raised(lambda: Toxiproxy(url).disable("p"))


def test_a_removal_that_removes_nothing_is_noticed() -> None:
    memory = Memory()

    def stuck(method: str, path: str, body: Any) -> tuple[int, Any]:
        return (204, b"") if method == "DELETE" else memory(method, path, body)

    with faked(stuck) as url:
        Toxiproxy(url).add("p", SLOW)
        assert "is still there" in raised(lambda: Toxiproxy(url).remove("p", "t"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((500, {"error": "out of order", "status": 500}), "with 500: out of order"),
        ((403, b"User agent not allowed"), "with 403: User agent not allowed"),
        ((302, b""), "with 302"),
        ((200, b"<html>hello</html>"), "not one of Toxiproxy's API"),
        ((200, [1, 2]), "not one of Toxiproxy's API"),
        ((200, {"p": {"nothing": 1}}), "not one of Toxiproxy's API"),
    ],
)
def test_an_answer_that_is_none_is_one_line(answer: tuple[int, Any], said: str) -> None:
    with faked(lambda *_: answer) as url:
        told = raised(Toxiproxy(url).proxies)
    assert said in told and url in told


def test_nobody_there_is_one_line() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        told = raised(lambda: Toxiproxy(url).remove("p", "t"))
    assert told.startswith(f"Toxiproxy at {url} does not answer (connection refused): start it, or correct")


def test_a_server_that_never_answers_is_waited_for_so_long_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = Toxiproxy(f"http://127.0.0.1:{deaf.getsockname()[1]}", answer_s=0.2)
        assert "no answer in time" in raised(server.version)


def test_a_toxic_on_a_proxy_that_is_not_there(url: str) -> None:
    told = raised(lambda: Toxiproxy(url).add("nobody", SLOW))
    assert f"Toxiproxy at {url} has no proxy 'nobody'" in told and "links.*.toxiproxy" in told


def test_a_proxy_that_is_made_twice(server: Toxiproxy, proxied: Callable[[str], ProxyState], backend: Backend) -> None:
    proxy = proxied(backend.address)
    assert "already exists" in raised(lambda: server.create(proxy.name, backend.address))


def test_a_port_that_is_taken(server: Toxiproxy, backend: Backend) -> None:
    told = raised(lambda: server.create("taken", backend.address, backend.address))
    assert "with 500" in told and "in use" in told
    assert "taken" not in server.proxies()


def test_two_servers_in_one_process_at_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with embedded(tmp_path / "a") as one, embedded(tmp_path / "b") as other:
        servers = {"one": Toxiproxy(one), "other": Toxiproxy(other)}
        for name, server in servers.items():
            server.create(name, "127.0.0.1:1")

        def work(name: str) -> set[str]:
            seen: set[str] = set()
            for number in range(15):
                servers[name].add(name, Toxic(f"{name}-{number}", "timeout"))
                seen |= set(servers[name].proxies())
            return seen

        assert at_once([lambda: work("one"), lambda: work("other")]) == [{"one"}, {"other"}]
        for name, server in servers.items():
            assert {toxic.name for toxic in server.proxy(name).toxics} == {f"{name}-{number}" for number in range(15)}


def test_a_server_that_dies_half_way_is_one_line(tmp_path: Path) -> None:
    with embedded(tmp_path) as url:
        server = Toxiproxy(url)
        server.create("p", "127.0.0.1:1")
        server.add("p", SLOW)
    for act in (lambda: server.add("p", SLOW), lambda: server.remove("p", "t"), lambda: server.enable("p")):
        assert "does not answer" in raised(act)


def test_leftovers_of_a_run_are_found_and_reaped(
    server: Toxiproxy, proxied: Callable[[str], ProxyState], backend: Backend
) -> None:
    one, other = (proxied(backend.address).name for _ in range(2))
    ours, theirs = toxic_name("ours", "slow"), toxic_name("theirs", "slow")
    for proxy, name in ((one, ours), (other, ours), (one, theirs), (one, "by-hand")):
        server.add(proxy, Toxic(name, "latency", attributes={"latency": 1}))
    found = [Leftover(one, ours), Leftover(other, ours)]
    assert sorted(server.leftovers(prefix_of("ours")), key=str) == sorted(found, key=str)
    assert sorted(server.reap(prefix_of("ours")), key=str) == sorted(found, key=str)
    assert server.leftovers(prefix_of("ours")) == []
    assert server.reap("rd-") == [Leftover(one, theirs)]
    assert [toxic.name for toxic in server.proxy(one).toxics] == ["by-hand"]


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_added_and_removed_in_any_order_is_what_stands(data: st.DataObject) -> None:
    wanted: set[str] = set()
    with faked(Memory()) as url:
        server = Toxiproxy(url)
        for _ in range(data.draw(st.integers(1, 5))):
            name = data.draw(st.sampled_from(["a", "b"]))
            if data.draw(st.booleans()):
                server.add("p", Toxic(name, "timeout"))
                wanted.add(name)
            else:
                assert server.remove("p", name) is (name in wanted)
                wanted.discard(name)
        assert {toxic.name for toxic in server.proxy("p").toxics} == wanted
