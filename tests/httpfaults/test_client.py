"""The doer: what a harness does with faults on messages, and what it is told."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from readiness.errors import TargetError
from readiness.httpfaults.client import HttpFaultsDoer
from readiness.target import Argument, Doer
from tests.httpfaults.bench import Bench

ADD: dict[str, Argument] = {
    "id": "rd-1-refused",
    "proxies": '["li*"]',
    "method": "post",
    "path": "/a",
    "kind": "status",
    "arguments": '{"status": 429}',
    "share": 1.0,
    "limit": 3,
    "lifetime_s": 60,
}
ID: dict[str, Argument] = {"id": "rd-1-refused"}


def test_it_adds_shows_removes_and_clears(bench: Bench) -> None:
    doer: Doer = bench.doer
    assert "no fault rd-1-refused" in doer.ask("clear", ID)
    doer.perform("add", ADD)
    doer.perform("add", ADD)
    assert bench.doer.proxies() == ("link",)
    assert (bench.doer.in_force("rd-1-"), bench.doer.in_force("rd-2-")) == (("rd-1-refused",), ())
    assert doer.ask("clear", ID) == ""
    assert doer.ask("hit", ID) == ""
    bench.caller.get("/a")
    assert doer.ask("hit", ID) == "", "nothing was hit: the witness has nothing to say"
    for _ in range(4):
        bench.caller.post("/a")
    assert doer.ask("hit", {**ID, "at_least": 3}) == "3 of 4 requests of POST /a were answered 429"
    assert doer.ask("hit", {**ID, "at_least": 4}) == ""
    doer.perform("remove", ID)
    doer.perform("remove", ID)
    assert doer.ask("clear", ID) != ""
    assert doer.ask("hit", ID) == ""


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ({"method": "", "path": ""}, "1 of 1 requests were answered 429"),
        ({"method": "GET", "path": ""}, "1 of 1 requests of GET * were answered 429"),
        ({"method": "", "path": "/a*"}, "1 of 1 requests of /a* were answered 429"),
    ],
)
def test_the_witness_names_what_was_hit(bench: Bench, match: dict[str, Argument], told: str) -> None:
    bench.doer.perform("add", {**ADD, **match})
    bench.caller.get("/ab")
    assert bench.doer.ask("hit", ID) == told


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("hang", {}),
        ("cut", {"after_bytes": 1}),
        ("trickle", {"bytes_per_s": 1}),
        ("truncate", {"share": 0.5}),
        ("replace", {"json": {"a": 1}}),
        ("replace_request", {"json": {"a": None}}),
        ("duplicate", {}),
        ("delay", {"seconds": 1}),
        ("reorder", {}),
        ("drop_response", {}),
        ("drop_request", {}),
        ("strip_authorization", {}),
    ],
)
def test_every_kind_is_taken_and_silent_where_nothing_was_hit(
    bench: Bench, kind: str, arguments: dict[str, object]
) -> None:
    bench.doer.perform("add", {**ADD, "kind": kind, "arguments": json.dumps(arguments)})
    assert bench.doer.ask("hit", {**ID, "at_least": 0}) == ""
    bench.doer.perform("remove", ID)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"proxies": '["nobody"]'}, "no proxy is called nobody; there are: link"),
        ({"proxies": "nobody"}, "give it as a JSON text"),
        ({"kind": "stauts"}, "kind is 'stauts'"),
        ({"share": 2.0}, "share is 2.0"),
        ({"id": ""}, "give the fault's id"),
        ({"lifetime_s": 0}, "lifetime_s is 0"),
    ],
)
def test_a_mistake_is_one_line(bench: Bench, change: dict[str, Argument], told: str) -> None:
    with pytest.raises(TargetError) as raised:
        bench.doer.perform("add", {**ADD, **change})
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_unknown_operations_are_named(bench: Bench) -> None:
    with pytest.raises(TargetError, match="allowed: add, remove"):
        bench.doer.perform("ad", ID)
    with pytest.raises(TargetError, match="allowed: hit, clear"):
        bench.doer.ask("hits", ID)
    with pytest.raises(TargetError, match="give a number of requests"):
        bench.doer.ask("hit", {**ID, "at_least": "many"})


def test_a_server_that_is_not_there_or_is_another_is_one_line(bench: Bench) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = HttpFaultsDoer(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(TargetError, match="is the server of HTTP faults running"):
            nobody.perform("remove", ID)
    with pytest.raises(TargetError, match="no server of HTTP faults"):
        HttpFaultsDoer(bench.backend.url).ask("clear", ID)


def test_a_server_that_does_not_keep_what_it_took_is_found_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_forgetful, args=(listening,))
        thread.start()
        with pytest.raises(TargetError, match="was taken and is not in force"):
            HttpFaultsDoer(f"http://127.0.0.1:{listening.getsockname()[1]}").perform("add", ADD)
        thread.join(20)


def _forgetful(listening: socket.socket) -> None:
    for answer in (b"{}", b"[]"):
        connection, _ = listening.accept()
        with connection:
            received = b""
            while not received.endswith((b"\r\n\r\n", b"}")):
                received += connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n" + answer)
