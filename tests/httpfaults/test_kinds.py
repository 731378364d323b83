"""What each kind of fault does, measured at the caller and at the backend."""

from __future__ import annotations

import time
from typing import Any

import h11
import httpx
import pytest

from readiness.waiting import eventually
from tests.httpfaults.backend import DOCUMENT
from tests.httpfaults.bench import Bench


def test_status_answers_in_the_backends_place_and_keeps_the_connection_in_step(bench: Bench) -> None:
    bench.fault("status", {"status": 429, "retry_after_s": 1.2, "body": "slow down"}, match={"method": "POST"})
    answer = bench.caller.post("/a", json={"n": 1})
    assert (answer.status_code, answer.headers["Retry-After"], answer.text) == (429, "2", "slow down")
    line = bench.connect()
    assert line.ask("POST", "/a", b"body")[0] == 429
    assert line.ask("GET", "/a")[0] == 200
    assert bench.lift() == (2, 2)
    assert line.ask("POST", "/a", b"body")[0] == 200
    line.close()
    assert [one.method for one in bench.backend.seen] == ["GET", "POST"]


@pytest.mark.parametrize("status", [204, 304, 401, 503, 599])
def test_any_status_is_well_formed(bench: Bench, status: int) -> None:
    bench.fault("status", {"status": status})
    line = bench.connect()
    assert [line.ask()[0] for _ in range(2)] == [status, status]
    line.close()
    assert bench.caller.head("/a").status_code == status


def test_hang_holds_the_caller_until_it_is_lifted(bench: Bench) -> None:
    bench.fault("hang")
    line = bench.connect()
    line.begin("POST", "/a", b"body")
    eventually(lambda: bench.counters() == (1, 1), within=20)
    line.socket.settimeout(0.2)
    with pytest.raises(TimeoutError):
        line.socket.recv(1)
    line.socket.settimeout(20)
    bench.lift()
    assert line.ended()
    line.close()
    assert bench.backend.seen == []
    assert bench.caller.get("/a").status_code == 200


@pytest.mark.parametrize(("path", "begin"), [("/a", b'{"choi'), ("/chunked", b"one,tw")])
def test_cut_ends_the_connection_in_the_middle(bench: Bench, path: str, begin: bytes) -> None:
    bench.fault("cut", {"after_bytes": 6})
    got = b""
    with pytest.raises(httpx.RemoteProtocolError), bench.caller.stream("GET", path) as answer:
        for piece in answer.iter_raw():
            got += piece
    assert got == begin
    assert bench.lift() == (1, 1)
    assert bench.caller.get(path).status_code == 200


def test_cut_spares_what_is_shorter(bench: Bench) -> None:
    bench.fault("cut", {"after_bytes": 13})
    line = bench.connect()
    assert line.ask("GET", "/chunked") == (200, b"one,two,three")
    assert line.ask("GET", "/nothing") == (204, b"")
    assert line.ask("GET", "/until-end") == (200, b"until the end")
    assert bench.counters() == (3, 0)
    line.close()


def test_trickle_brings_every_byte_and_takes_its_time(bench: Bench) -> None:
    whole = bench.caller.get("/events").content
    bench.fault("trickle", {"bytes_per_s": 100})
    began = time.monotonic()
    line = bench.connect()
    assert line.ask("GET", "/events") == (200, whole)
    assert time.monotonic() - began > 0.8 * len(whole) / 100
    assert bench.counters() == (1, 1)
    line.close()


def test_what_trickles_flows_once_the_fault_is_lifted(bench: Bench) -> None:
    bench.fault("trickle", {"bytes_per_s": 1})
    line = bench.connect()
    line.begin("GET", "/large")
    eventually(lambda: bench.counters() == (1, 1), within=20)
    bench.lift()
    assert line.answer() == (200, b"x" * 300_000)
    line.close()


@pytest.mark.parametrize(
    ("path", "arguments", "left"),
    [
        ("/chunked", {"keep_bytes": 5}, b"one,t"),
        ("/chunked", {"share": 0.5}, b"one,tw"),
        ("/a", {"keep_bytes": 0}, b""),
        ("/until-end", {"keep_bytes": 5}, b"until"),
    ],
)
def test_truncate_is_whole_http_with_less_in_it(
    bench: Bench, path: str, arguments: dict[str, float], left: bytes
) -> None:
    bench.fault("truncate", arguments)
    line = bench.connect()
    assert line.ask("GET", path) == (200, left)
    assert bench.lift() == (1, 1)
    line.close()


def test_truncate_spares_what_has_nothing_to_lose(bench: Bench) -> None:
    bench.fault("truncate", {"keep_bytes": 10_000})
    line = bench.connect()
    assert line.ask("GET", "/chunked") == (200, b"one,two,three")
    assert line.ask("GET", "/nothing") == (204, b"")
    assert bench.caller.head("/a").status_code == 200
    assert bench.counters() == (3, 0)
    line.close()


def test_replace_changes_the_answer(bench: Bench) -> None:
    bench.fault("replace", {"json": {"choices.0.message.content": "five", "usage": None, "added": 1}})
    answer = bench.caller.get("/a").json()
    assert answer == {"choices": [{"message": {"role": "assistant", "content": "five"}}], "added": 1}
    assert bench.backend.seen[0].headers["accept-encoding"] == "identity"
    assert bench.counters() == (1, 1)


def test_replace_spares_what_is_no_json_or_lacks_the_field(bench: Bench) -> None:
    bench.fault("replace", {"json": {"nowhere.to.be.found": 1}})
    assert bench.caller.get("/a").json() == DOCUMENT
    assert bench.caller.get("/chunked").text == "one,two,three"
    assert bench.counters() == (2, 0)


def test_replace_request_poisons_what_arrives(bench: Bench) -> None:
    bench.fault("replace_request", {"json": {"goal": "another"}})
    assert bench.caller.post("/echo", json={"goal": "mine", "n": 1}).status_code == 200
    assert bench.caller.post("/echo", content=b"no json").status_code == 200
    assert [one.body for one in bench.backend.seen] == [b'{"goal":"another","n":1}', b"no json"]
    assert bench.counters() == (2, 1)


def test_duplicate_arrives_twice_and_is_answered_once(bench: Bench) -> None:
    bench.fault("duplicate")
    line = bench.connect()
    assert line.ask("POST", "/echo", b"once") == (200, b'{"name": "first", "body": "once"}')
    eventually(lambda: bench.counters() == (1, 1), within=20)
    assert [one.body for one in bench.backend.seen] == [b"once", b"once"]
    bench.lift()
    assert line.ask("GET", "/chunked") == (200, b"one,two,three")
    line.close()


def test_delay_is_late(bench: Bench) -> None:
    bench.fault("delay", {"seconds": 0.4, "jitter_s": 0.1})
    began = time.monotonic()
    assert bench.caller.get("/a").status_code == 200
    assert time.monotonic() - began >= 0.3
    assert bench.counters() == (1, 1)


def test_a_late_message_arrives_although_its_sender_has_left(bench: Bench) -> None:
    bench.fault("delay", {"seconds": 0.5})
    line = bench.connect()
    line.begin("POST", "/echo", b"late")
    eventually(lambda: bench.counters()[0] == 1, within=20)
    line.close()
    eventually(lambda: [one.body for one in bench.backend.seen] == [b"late"], within=20)


def test_what_is_delayed_goes_on_at_once_when_the_fault_is_lifted(bench: Bench) -> None:
    bench.fault("delay", {"seconds": 600})
    line = bench.connect()
    line.begin()
    eventually(lambda: bench.counters()[0] == 1, within=20)
    bench.lift()
    assert line.answer()[0] == 200
    line.close()


def test_reorder_swaps_two_messages(bench: Bench) -> None:
    bench.fault("reorder", match={"path": "/echo*"})
    first, second = bench.connect(), bench.connect()
    first.begin("POST", "/echo/1", b"1")
    eventually(lambda: bench.counters()[0] == 1, within=20)
    assert second.ask("POST", "/echo/2", b"2")[0] == 200
    assert first.answer()[0] == 200
    assert bench.backend.paths() == ["/echo/2", "/echo/1"]
    assert bench.counters() == (2, 1)
    first.close()
    second.close()


def test_reorder_lets_go_of_a_message_that_nothing_follows(bench: Bench) -> None:
    bench.fault("reorder")
    assert bench.caller.get("/a").status_code == 200
    assert bench.counters() == (1, 0)


def test_drop_response_takes_effect_and_loses_the_answer(bench: Bench) -> None:
    bench.fault("drop_response")
    with pytest.raises(httpx.RemoteProtocolError):
        bench.caller.post("/echo", content=b"done")
    assert [one.body for one in bench.backend.seen] == [b"done"]
    assert bench.lift() == (1, 1)
    assert bench.caller.get("/a").status_code == 200


def test_drop_request_never_arrives(bench: Bench) -> None:
    bench.fault("drop_request")
    with pytest.raises(httpx.RemoteProtocolError):
        bench.caller.post("/echo", content=b"lost")
    assert bench.lift() == (1, 1)
    assert bench.backend.seen == []


def test_strip_authorization_takes_the_credential_alone(bench: Bench) -> None:
    bench.fault("strip_authorization")
    bench.caller.post("/echo", content=b"x", headers={"Authorization": "Bearer s3cret", "X-Other": "stays"})
    bench.caller.get("/a")
    assert "authorization" not in bench.backend.seen[0].headers
    assert (bench.backend.seen[0].headers["x-other"], bench.backend.seen[0].body) == ("stays", b"x")
    assert bench.counters() == (2, 1)


def test_a_connection_is_in_step_after_every_kind_that_keeps_it(bench: Bench) -> None:
    line = bench.connect()
    kinds: dict[str, dict[str, Any]] = {
        "status": {"status": 500},
        "trickle": {"bytes_per_s": 100_000},
        "truncate": {"keep_bytes": 3},
        "replace": {"json": {"usage": 1}},
        "replace_request": {"json": {"n": 2}},
        "duplicate": {},
        "delay": {"seconds": 0.01},
        "strip_authorization": {},
    }
    for kind, arguments in kinds.items():
        bench.fault(kind, arguments)
        line.ask("POST", "/chunked", b'{"n": 1}', Authorization="Bearer x")
        line.ask("POST", "/a", b'{"n": 1}', Authorization="Bearer x")
        seen, hit = bench.lift()
        assert (kind, seen, hit >= 1) == (kind, 2, True)
        assert line.ask("POST", "/echo", b"in step") == (200, b'{"name": "first", "body": "in step"}')
    line.close()


def test_an_answer_too_large_to_hold_passes_and_counts_as_spared(bench: Bench) -> None:
    bench.fault("replace_request", {"json": {"n": 2}})
    large = b'{"n": "' + b"x" * 9_000_000 + b'"}'
    assert bench.caller.post("/a", content=large).status_code == 200
    assert bench.backend.seen[0].body == large
    assert bench.counters() == (1, 0)


def test_h11_notices_a_lost_answer(bench: Bench) -> None:
    bench.fault("drop_request")
    line = bench.connect()
    with pytest.raises(h11.RemoteProtocolError):
        line.ask()
    line.close()
