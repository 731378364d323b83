"""The control API: which requests a fault strikes, how long it stands, and what is refused."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest

from readiness.waiting import eventually
from tests.httpfaults.bench import Bench

STATUS = {"kind": "status", "arguments": {"status": 503}, "proxies": ["link"], "lifetime_s": 60}


def test_the_server_tells_its_name(bench: Bench) -> None:
    assert bench.control.get("/version").json()["name"] == "readiness-httpfaults"


def test_a_limit_is_the_most_that_is_hit(bench: Bench) -> None:
    bench.fault("status", {"status": 503}, limit=2)
    assert [bench.caller.get("/a").status_code for _ in range(5)] == [503, 503, 200, 200, 200]
    assert bench.counters() == (5, 2)


def test_a_spared_request_leaves_the_limit_to_the_next(bench: Bench) -> None:
    bench.fault("strip_authorization", limit=1)
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer y"}):
        bench.caller.get("/a", headers=headers)
    assert [one.headers.get("authorization") for one in bench.backend.seen] == [None, None, "Bearer y"]
    assert bench.counters() == (3, 1)


@pytest.mark.parametrize(("share", "low", "high"), [(0, 0, 0), (1, 60, 60), (0.5, 10, 50)])
def test_a_share_is_drawn_for_each_request(bench: Bench, share: float, low: int, high: int) -> None:
    bench.fault("status", {"status": 503}, share=share)
    for _ in range(60):
        bench.caller.get("/a")
    seen, hit = bench.counters()
    assert seen == 60
    assert low <= hit <= high


def test_the_same_id_draws_the_same_requests(bench: Bench) -> None:
    def pattern() -> list[int]:
        bench.fault("status", {"status": 503}, share=0.5)
        codes = [bench.caller.get("/a").status_code for _ in range(30)]
        bench.lift()
        return codes

    first = pattern()
    assert set(first) == {200, 503}
    assert pattern() == first


def test_the_first_fault_made_wins(bench: Bench) -> None:
    bench.fault("status", {"status": 503}, name="one", match={"path": "/a*"})
    bench.fault("status", {"status": 429}, name="two")
    assert [bench.caller.get(path).status_code for path in ("/abc", "/b")] == [503, 429]
    bench.lift("one")
    assert bench.caller.get("/abc").status_code == 429


def test_a_fault_strikes_only_where_it_stands(bench: Bench) -> None:
    bench.control.put("/proxies/another", json={"upstream": bench.backend.url})
    bench.fault("status", {"status": 503}, proxies=["anoth*"])
    assert bench.caller.get("/a").status_code == 200
    bench.control.delete("/proxies/another")


def test_a_fault_lifts_itself_and_frees_what_hangs(bench: Bench) -> None:
    bench.fault("hang", lifetime_s=0.5)
    line = bench.connect()
    line.begin()
    assert line.ended()
    line.close()
    assert bench.control.get("/faults").json() == []
    assert bench.caller.get("/a").status_code == 200


def test_adding_again_changes_nothing_and_lifting_again_is_fine(bench: Bench) -> None:
    assert bench.control.put("/faults/f", json=STATUS).status_code == 200
    bench.caller.get("/a")
    assert bench.control.put("/faults/f", json=STATUS).json()["hit"] == 1
    assert bench.control.put("/faults/f", json={**STATUS, "limit": 3}).status_code == 409
    for _ in range(2):
        answer = bench.control.delete("/faults/f")
        assert (answer.status_code, answer.json()["hit"]) == (200, 1)
    assert bench.control.delete("/faults/never-there").json() == {"id": "never-there", "seen": 0, "hit": 0}


def test_deleting_a_proxy_ends_its_connections(bench: Bench) -> None:
    line = bench.connect()
    assert line.ask()[0] == 200
    for _ in range(2):
        assert bench.control.delete("/proxies/link").status_code == 200
    assert line.ended()
    line.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(bench.address, timeout=20)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"kind": "stats"}, "kind is 'stats'; allowed: one of status, hang"),
        ({"kind": None}, "kind is None"),
        ({"arguments": {}}, "status is missing; give a status from 200 to 599"),
        ({"arguments": {"status": 42}}, "status is 42; allowed: a status from 200 to 599"),
        ({"arguments": {"status": True}}, "status is True"),
        ({"arguments": {"status": 429, "retry_after": 3}}, "did you mean 'retry_after_s'?"),
        ({"kind": "truncate", "arguments": {}}, "give keep_bytes or share, one of the two"),
        ({"kind": "replace", "arguments": {"json": {"a..b": 1}}}, "an object of dotted paths"),
        ({"kind": "trickle", "arguments": {"bytes_per_s": 0}}, "bytes_per_s is 0"),
        ({"share": 5}, "share is 5; allowed: a number from 0 to 1"),
        ({"limit": -1}, "limit is -1"),
        ({"lifetime_s": 0}, "lifetime_s is 0; allowed: a number of seconds above 0, at most 3600"),
        ({"lifetime_s": 3601}, "lifetime_s is 3601"),
        ({"proxies": []}, "proxies is []"),
        ({"match": {"pth": "/"}}, "did you mean 'path'?"),
        ({"toxicity": 1}, "'toxicity' is not known"),
    ],
)
def test_a_wrong_fault_is_refused_in_one_line(bench: Bench, change: dict[str, Any], told: str) -> None:
    answer = bench.control.put("/faults/f", json={**STATUS, **change})
    assert answer.status_code == 400
    assert told in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert bench.control.get("/faults").json() == []


def test_a_fault_needs_a_lifetime_and_a_proxy_that_is_there(bench: Bench) -> None:
    without = {key: value for key, value in STATUS.items() if key != "lifetime_s"}
    assert "lifetime_s is missing" in bench.control.put("/faults/f", json=without).json()["error"]
    answer = bench.control.put("/faults/f", json={**STATUS, "proxies": ["lnik"]})
    assert (answer.status_code, answer.json()["error"]) == (404, "fault 'f': no proxy is called lnik; there are: link")
    assert bench.control.get("/faults").json() == []


@pytest.mark.parametrize(
    ("data", "status", "told"),
    [
        ({}, 400, "upstream is missing"),
        ({"upstream": "https://127.0.0.1:1"}, 400, "allowed: http://HOST:PORT"),
        ({"upstream": "http://127.0.0.1"}, 400, "allowed: http://HOST:PORT"),
        ({"upstream": "http://127.0.0.1:99999"}, 400, "allowed: http://HOST:PORT"),
        ({"upstream": "http://127.0.0.1:1", "listen": "0.0.0.0:0"}, 400, "allowed: a loopback address"),
        ({"upstream": "http://127.0.0.1:1", "listen": "127.0.0.1"}, 400, "allowed: a loopback address"),
        ([1], 400, "is no object"),
    ],
)
def test_a_wrong_proxy_is_refused_in_one_line(bench: Bench, data: object, status: int, told: str) -> None:
    answer = bench.control.put("/proxies/another", json=data)
    assert (answer.status_code, told in answer.json()["error"]) == (status, True)


def test_a_port_that_is_taken_is_a_conflict(bench: Bench) -> None:
    data = {"upstream": bench.backend.url, "listen": bench.listen}
    assert bench.control.put("/proxies/link", json=data).status_code == 200
    answer = bench.control.put("/proxies/another", json=data)
    assert (answer.status_code, "give a free port" in answer.json()["error"]) == (409, True)
    moved = bench.control.put("/proxies/link", json={**data, "listen": "127.0.0.1:1"})
    assert (moved.status_code, "delete it first" in moved.json()["error"]) == (409, True)


def test_what_is_not_there_and_what_is_no_json(bench: Bench) -> None:
    assert bench.control.get("/fautls").status_code == 404
    assert bench.control.post("/faults/f", json=STATUS).status_code == 404
    assert bench.control.put("/faults/f", content=b"{").json() == {"error": "the body is no JSON; give an object"}


def test_a_password_in_an_address_is_not_repeated(bench: Bench) -> None:
    answer = bench.control.put("/proxies/another", json={"upstream": "ftp://me:s3cret@127.0.0.1:1"})
    assert "s3cret" not in answer.text


def test_a_server_whose_port_is_taken_says_so_in_one_line(bench: Bench) -> None:
    argv = [sys.executable, "-m", "readiness.httpfaults", "--port", bench.server.rpartition(":")[2]]
    ended = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "give a free --port" in ended.stderr


def test_a_server_that_is_told_to_end_ends_without_a_word(bench: Bench) -> None:
    argv = [sys.executable, "-m", "readiness.httpfaults", "--port", "0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        with httpx.Client(base_url=url, trust_env=False) as control:
            made = control.put("/proxies/link", json={"upstream": bench.backend.url}).json()
            control.put("/faults/f", json={**STATUS, "kind": "hang", "arguments": {}})
            host, _, port = made["listen"].rpartition(":")
            with socket.create_connection((host, int(port)), timeout=20) as hanging:
                hanging.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                eventually(lambda: control.get("/faults").json()[0]["hit"] == 1, within=20)
                process.terminate()
                assert hanging.recv(1) == b""
        assert process.communicate(timeout=20)[1] == ""
        assert process.returncode == 0


def test_a_hit_is_counted_while_it_is_in_force(bench: Bench) -> None:
    bench.fault("hang")
    lines = [bench.connect() for _ in range(3)]
    for line in lines:
        line.begin()
    eventually(lambda: bench.counters() == (3, 3), within=20)
    bench.lift()
    assert all(line.ended() for line in lines)
    for line in lines:
        line.close()
