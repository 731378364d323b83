"""Without a fault, a message goes through as if the proxy were not there."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import h11
import httpx
import pytest

from readiness.waiting import eventually
from tests.httpfaults.backend import DOCUMENT, Backend
from tests.httpfaults.bench import Bench


def test_an_answer_is_the_backends_own(bench: Bench) -> None:
    direct, through = httpx.get(f"{bench.backend.url}/a"), bench.caller.get("/a")
    assert through.json() == DOCUMENT
    assert dict(direct.headers).keys() == dict(through.headers).keys()
    first, second = bench.backend.seen
    assert {**second.headers, "host": ""} == {**first.headers, "host": ""}


def test_one_connection_serves_many_requests(bench: Bench) -> None:
    line = bench.connect()
    for n in range(20):
        assert line.ask("POST", "/echo", b"%d" % n)[1] == b'{"name": "first", "body": "%d"}' % n
    line.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("HEAD", "/a", 200, b""),
        ("HEAD", "/chunked", 200, b""),
        ("GET", "/nothing", 204, b""),
        ("GET", "/chunked", 200, b"one,two,three"),
        ("GET", "/large", 200, b"x" * 300_000),
    ],
)
def test_bodies_end_where_they_end(bench: Bench, method: str, path: str, status: int, body: bytes) -> None:
    line = bench.connect()
    for _ in range(2):
        got = line.ask(method, path) if method == "GET" else _head(bench, path)
        assert got == (status, body)
    assert line.ask("GET", "/a")[0] == 200
    line.close()


def _head(bench: Bench, path: str) -> tuple[int, bytes]:
    answer = bench.caller.head(path)
    return answer.status_code, answer.content


def test_a_body_that_ends_with_the_connection(bench: Bench) -> None:
    line = bench.connect()
    assert line.ask("GET", "/until-end") == (200, b"until the end")
    assert line.ended()
    line.close()


def test_chunks_of_a_request_pass(bench: Bench) -> None:
    pieces = (b"a" * n for n in (1, 70_000, 3))
    assert bench.caller.post("/echo", content=pieces).json()["body"] == "a" * 70_004


def test_a_caller_that_waits_to_continue_is_invited(bench: Bench) -> None:
    with socket.create_connection(bench.address, timeout=20) as raw:
        raw.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 100")
        raw.sendall(b"hello")
        assert b" 200 " in raw.recv(1000)


def test_requests_sent_at_once_are_answered_in_turn(bench: Bench) -> None:
    with socket.create_connection(bench.address, timeout=20) as raw:
        raw.sendall(b"".join(b"GET /p%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(5)))
        reader = h11.Connection(h11.CLIENT)
        got = b""
        while got.count(b"HTTP/1.1 200") < 5:
            piece = raw.recv(65536)
            assert piece
            got += piece
        assert reader.our_state is h11.IDLE
    assert bench.backend.paths() == [f"/p{n}" for n in range(5)]


def test_a_dead_upstream_is_a_lost_connection(bench: Bench) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()[1]
    bench.control.put("/proxies/link", json={"upstream": f"http://127.0.0.1:{nobody}"})
    with pytest.raises(httpx.RemoteProtocolError):
        bench.caller.get("/a")


def test_a_connection_that_the_backend_ends_between_requests_ends_for_the_caller(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        bench.control.put("/proxies/link", json={"upstream": f"http://127.0.0.1:{listening.getsockname()[1]}"})
        line = bench.connect()
        line.begin()
        backend, _ = listening.accept()
        with backend:
            backend.recv(65536)
            backend.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            assert line.answer() == (200, b"ok")
        assert line.ended()
        line.close()


def test_a_caller_that_leaves_early_leaves_the_backend_too(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        bench.control.put("/proxies/link", json={"upstream": f"http://127.0.0.1:{listening.getsockname()[1]}"})
        line = bench.connect()
        line.begin()
        backend, _ = listening.accept()
        with backend:
            backend.settimeout(20)
            assert backend.recv(65536)
            line.close()
            assert backend.recv(1) == b""


def test_an_event_comes_through_before_the_next_is_made(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        bench.control.put("/proxies/link", json={"upstream": f"http://127.0.0.1:{listening.getsockname()[1]}"})
        line = bench.connect()
        line.begin()
        backend, _ = listening.accept()
        with backend:
            backend.recv(65536)
            backend.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for n in range(3):
                event = b"data: %d\n\n" % n
                backend.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                got = b""
                while event not in got:
                    got += line.socket.recv(65536)
        line.close()


def test_another_upstream_gets_the_next_request_of_a_living_connection(bench: Bench) -> None:
    line = bench.connect()
    assert b'"first"' in line.ask("POST", "/echo", b"")[1]
    with Backend("second") as second:
        answer = bench.control.put("/proxies/link", json={"upstream": second.url}).json()
        assert answer == {"name": "link", "listen": bench.listen, "upstream": second.url}
        assert b'"second"' in line.ask("POST", "/echo", b"")[1]
    line.close()


def test_traffic_counts_requests_by_path_without_queries(bench: Bench) -> None:
    before = bench.doer.traffic()["link"].requests
    bench.caller.get("/a?token=1")
    bench.caller.get("/a?token=2")
    bench.caller.post("/b")
    traffic = bench.doer.traffic()["link"]
    assert traffic.requests == before + 3
    assert traffic.by_path == {"GET /a": 2, "POST /b": 1}


@pytest.mark.parametrize(
    "message",
    [
        b"no HTTP at all\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused_and_nothing_is_sent_on(bench: Bench, message: bytes) -> None:
    with socket.create_connection(bench.address, timeout=20) as raw:
        raw.sendall(message)
        assert raw.recv(100) == b""
    assert bench.backend.seen == []
    assert bench.caller.get("/a").status_code == 200


def test_a_caller_that_leaves_frees_its_connection(bench: Bench) -> None:
    bench.fault("hang")
    line = bench.connect()
    line.begin()
    eventually(lambda: bench.counters()[1] == 1, within=20)
    line.close()
    bench.lift()
    with ThreadPoolExecutor(8) as pool:
        assert {answer.status_code for answer in pool.map(bench.caller.get, ["/a"] * 40)} == {200}
