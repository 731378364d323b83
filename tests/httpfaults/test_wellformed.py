"""Whatever comes and however it is cut into pieces: what leaves the proxy is HTTP, as h11 reads it."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import h11
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readiness.httpfaults.edits import edited
from readiness.httpfaults.exchange import Exchange
from readiness.httpfaults.faults import Fault, Strike
from readiness.httpfaults.messages import Request
from readiness.httpfaults.specification import specification
from readiness.httpfaults.spoiling import TREATMENTS, Treatment
from readiness.httpfaults.wire import Wire

REQUEST = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
PATHS = st.lists(st.sampled_from(["a", "b", "c", "0", "1"]), min_size=1, max_size=3).map(".".join)
FAULTS = st.one_of(
    st.builds(lambda n: ("truncate", {"keep_bytes": n}), st.integers(0, 60)),
    st.builds(lambda share: ("truncate", {"share": share}), st.floats(0, 1)),
    st.builds(lambda fields: ("replace", {"json": fields}), st.dictionaries(PATHS, JSON, min_size=1, max_size=3)),
)


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _Route:
    upstream = ("127.0.0.1", 1)


class _Exchange(Exchange):
    """An exchange whose upstream is already there."""

    def __init__(self, caller: Wire, upstream: Wire) -> None:
        super().__init__(caller, _Route())
        self._there = upstream

    async def upstream(self) -> Wire:
        return self._there


def _answer(content: bytes, cuts: list[int], framing: str) -> bytes:
    if framing == "length":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content)
    if framing == "end":
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + content
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(piece), piece) for piece in _pieces(content, cuts) if piece)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: 1\r\n\r\n"


def _pieces(message: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted({cut for cut in cuts if 0 < cut < len(message)}), len(message)]
    return [message[a:b] for a, b in itertools.pairwise(at)]


async def _answered(treatment: Treatment, strike: Strike, answer: bytes, cuts: list[int]) -> bytes:
    """Give what the caller gets where the answer comes from upstream in pieces."""
    caller, upstream = Wire(), Wire()
    out = _Transport()
    caller.connection_made(out)
    upstream.connection_made(_Transport())
    caller.data_received(REQUEST)
    raw = await caller.head()
    assert raw is not None
    treating = asyncio.ensure_future(treatment(_Exchange(caller, upstream), Request(raw, caller), strike))
    for piece in _pieces(answer, cuts):
        upstream.data_received(piece)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    upstream.eof_received()
    await treating
    return out.written


async def _treated(kind: str, arguments: dict[str, Any], answer: bytes, cuts: list[int]) -> tuple[bytes, int]:
    fault = Fault(specification("f", {"proxies": ["p"], "kind": kind, "arguments": arguments, "lifetime_s": 60}))
    return await _answered(TREATMENTS[kind], Strike(fault), answer, cuts), fault.hit


def _read(message: bytes) -> bytes:
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(message)
    reader.receive_data(b"")
    body = b""
    while not isinstance(event := reader.next_event(), h11.EndOfMessage):
        body += bytes(event.data) if isinstance(event, h11.Data) else b""
    assert reader.trailing_data[0] == b""
    return body


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    FAULTS,
    JSON.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=80),
    st.sampled_from(["length", "chunked", "end"]),
    st.lists(st.integers(0, 300), max_size=8),
)
def test_a_spoiled_answer_is_well_formed(
    fault: tuple[str, dict[str, Any]], content: bytes, framing: str, cuts: list[int]
) -> None:
    kind, arguments = fault
    written, hit = asyncio.run(_treated(kind, arguments, _answer(content, cuts, framing), cuts))
    got = _read(written)
    assert (hit == 1) == (got != content)
    if kind == "truncate":
        assert content.startswith(got)
    elif hit:
        json.loads(got)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=80), st.sampled_from(["length", "chunked", "end"]), st.lists(st.integers(0, 300), max_size=8))
def test_an_answer_without_a_fault_keeps_every_byte(content: bytes, framing: str, cuts: list[int]) -> None:
    async def untouched(exchange: Exchange, request: Request, _: Strike) -> bool:
        return await exchange.forward(request)

    async def through(answer: bytes) -> bytes:
        fault = Fault(specification("f", {"proxies": ["p"], "kind": "hang", "lifetime_s": 60}))
        return await _answered(untouched, Strike(fault), answer, cuts)

    answer = _answer(content, cuts, framing)
    assert asyncio.run(through(answer)) == answer


@given(JSON, st.dictionaries(PATHS, JSON, min_size=1, max_size=3))
def test_a_change_is_a_change_and_is_made_once(document: Any, fields: dict[str, Any]) -> None:
    before = json.dumps(document).encode()
    after = edited(before, {path: value for path, value in fields.items() if value is not None})
    if after is not None:
        assert json.loads(after) != document or json.dumps(json.loads(after)) != json.dumps(document)


def test_fields_are_set_added_and_deleted() -> None:
    document = b'{"a": [{"b": 1}, 2], "c": {"d": 3}}'
    assert edited(document, {"a.0.b": "x", "c.e": 4}) == b'{"a":[{"b":"x"},2],"c":{"d":3,"e":4}}'
    assert edited(document, {"a.0": None, "c.d": None}) == b'{"a":[2],"c":{}}'
    assert edited(document, {"a.7": 1, "c.d.x": 1, "nowhere.at.all": 1, "c.z": None}) is None
    assert edited(b"no json", {"a": 1}) is None
