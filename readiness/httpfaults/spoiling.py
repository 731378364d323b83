"""What each kind of fault does to a request; each counts a hit only where the message was really spoiled."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from readiness.httpfaults.edits import edited
from readiness.httpfaults.exchange import Exchange, Relay, connected
from readiness.httpfaults.faults import Strike
from readiness.httpfaults.messages import Body, Request, Response
from readiness.httpfaults.wire import Lost, Unreadable

BODY_LIMIT_BYTES = 8 * 1024 * 1024
"""The longest body that is held in memory; longer ones pass as they are."""
OVERTAKEN_WITHIN_S = 2.0
ASIDE_S = 60.0
_SLICES_PER_S = 20
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
Treatment = Callable[[Exchange, Request, Strike], Awaitable[bool]]
"""Treats one request; False where the caller's connection is to end after it."""


async def status(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Answer in the upstream's place."""
    waits = request.waits
    if not waits:
        await request.body.discard()
    keeps = request.keeps and not waits
    await exchange.caller.write(_answer(request, strike, keeps=keeps))
    strike.landed()
    return keeps


def _answer(request: Request, strike: Strike, *, keeps: bool) -> bytes:
    code: int = strike.arguments["status"]
    phrase = HTTPStatus(code).phrase if code in set(HTTPStatus) else "Fault"
    text = strike.arguments.get("body")
    told = json.dumps({"error": {"message": phrase, "code": code}}) if text is None else text
    content = told.encode("utf-8", "replace")
    lines = [f"HTTP/1.1 {code} {phrase}"]
    if "retry_after_s" in strike.arguments:
        # RFC 9110, section 10.2.3: whole seconds.
        lines.append(f"Retry-After: {math.ceil(strike.arguments['retry_after_s'])}")
    if code not in (204, 304):
        kind = "application/json" if content[:1] in (b"{", b"[") else "text/plain; charset=utf-8"
        lines += [f"Content-Type: {kind}", f"Content-Length: {len(content)}"]
    if not keeps:
        lines.append("Connection: close")
    silent = request.method == "HEAD" or code in (204, 304)
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if silent else content)


async def hang(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Take the request and never answer it."""
    await _invite(exchange, request)
    await request.body.discard()
    strike.landed()
    await _pause(strike, None, exchange.caller.gone)
    return False


async def cut(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """End the connection in the middle of the answer's body."""

    async def relay(response: Response) -> bool:
        left: int = strike.arguments["after_bytes"]
        body = response.body
        head = response.raw
        while not body.finished or head:
            _, data = await body.next() if not body.finished else (b"", b"")
            await exchange.caller.write(head + _framed(body, data[:left]))
            head = b""
            if len(data) > left:
                strike.landed()
                exchange.leave_upstream()
                return False
            left -= len(data)
        await _finish(exchange, body)
        return response.keeps

    return await exchange.forward(request, relay=relay)


async def trickle(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Bring the answer's body slowly, as slow tokens come."""
    rate: float = strike.arguments["bytes_per_s"]
    step = max(1, int(rate / _SLICES_PER_S))

    async def relay(response: Response) -> bool:
        body = response.body
        await exchange.caller.write(response.raw)
        while not body.finished:
            _, data = await body.next()
            while data:
                if strike.fault.lifted.done():
                    piece, data = data, b""
                else:
                    piece, data = data[:step], data[step:]
                    await _pause(strike, len(piece) / rate, exchange.caller.gone)
                    strike.landed()
                await exchange.caller.write(_framed(body, piece))
        await _finish(exchange, body)
        return response.keeps

    return await exchange.forward(request, relay=relay)


def _framed(body: Body, data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if body.chunked and data else data


async def _finish(exchange: Exchange, body: Body) -> None:
    if body.chunked:
        await exchange.caller.write(b"0\r\n\r\n")


async def truncate(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Let the answer's content end early, in a message that is whole."""

    def shorter(content: bytes) -> bytes | None:
        given = strike.arguments
        keep = given["keep_bytes"] if "keep_bytes" in given else int(len(content) * given["share"])
        return content[:keep] if keep < len(content) else None

    return await _changed_answer(exchange, request, strike, shorter)


async def replace(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Change fields of the answer's JSON."""
    fields: Mapping[str, object] = strike.arguments["json"]
    return await _changed_answer(exchange, request, strike, lambda content: edited(content, fields))


async def _changed_answer(
    exchange: Exchange, request: Request, strike: Strike, change: Callable[[bytes], bytes | None]
) -> bool:
    async def relay(response: Response) -> bool:
        if response.body.finished:
            return await exchange.relay(response)
        raw, content = await response.body.collect(BODY_LIMIT_BYTES)
        changed = change(content) if response.body.finished else None
        if changed is None:
            return await exchange.relay(response, raw)
        await exchange.caller.write(response.with_length(len(changed)) + changed)
        strike.landed()
        return response.keeps

    plain = request.rewritten(add={b"Accept-Encoding": b"identity"})
    return await exchange.forward(request, prefix=plain, relay=relay)


async def replace_request(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Change fields of the request's JSON."""
    raw, content = await _gathered(exchange, request)
    changed = edited(content, strike.arguments["json"]) if request.body.finished else None
    if changed is None:
        return await exchange.forward(request, prefix=_again(request, raw, content))
    prefix = request.with_length(len(changed)) + changed
    return await exchange.forward(request, prefix=prefix, relay=_landing(exchange, strike))


async def strip_authorization(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Take the caller's credential off the request."""
    if b"authorization" not in request.fields:
        return await exchange.forward(request)
    prefix = request.rewritten(drop=(b"authorization",))
    return await exchange.forward(request, prefix=prefix, relay=_landing(exchange, strike))


async def duplicate(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Send the request a second time once the first is answered, and throw the second answer away."""
    raw, content = await _gathered(exchange, request)
    prefix = _again(request, raw, content)
    if not request.body.finished:
        return await exchange.forward(request, prefix=prefix)
    second: list[asyncio.Task[None]] = []

    async def relay(response: Response) -> bool:
        second.append(asyncio.create_task(_aside(exchange.route.upstream, prefix, request.method, strike)))
        return await exchange.relay(response)

    try:
        return await exchange.forward(request, prefix=prefix, relay=relay)
    finally:
        for task in second:
            await _pause(strike, None, task)
            task.cancel()


async def _aside(address: tuple[str, int], message: bytes, method: str, strike: Strike) -> None:
    try:
        async with asyncio.timeout(ASIDE_S):
            wire = await connected(address)
            try:
                await wire.write(message)
                while (raw := await wire.head()) is not None:
                    response = Response(raw, wire, to=method)
                    if response.status >= 200:
                        strike.landed()
                        await response.body.discard()
                        return
            finally:
                wire.abort()
    except (Lost, Unreadable, TimeoutError):
        return


async def delay(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Hold the request back for a while; a caller that leaves meanwhile does not take it back."""
    raw, content = await _gathered(exchange, request)
    prefix = _again(request, raw, content)
    if request.body.finished:
        jitter_s = strike.arguments.get("jitter_s", 0)
        late_s = strike.arguments["seconds"] + strike.fault.random.uniform(-jitter_s, jitter_s)
        await _pause(strike, max(0.0, late_s))
        strike.landed()
        _still_wanted(exchange, strike)
    return await exchange.forward(request, prefix=prefix)


async def reorder(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Hold the request back until the next one has passed it."""
    raw, content = await _gathered(exchange, request)
    prefix = _again(request, raw, content)

    async def relay(response: Response) -> bool:
        strike.passed(True)
        return await exchange.relay(response)

    if not strike.overtakes() and request.body.finished and not strike.fault.lifted.done():
        if await _overtaken(strike):
            strike.landed()
        _still_wanted(exchange, strike)
    return await exchange.forward(request, prefix=prefix, relay=relay)


async def _overtaken(strike: Strike) -> bool:
    fault = strike.fault
    fault.waiting = waiting = asyncio.get_running_loop().create_future()
    try:
        await _pause(strike, OVERTAKEN_WITHIN_S, waiting)
        if fault.waiting is not waiting:
            await _pause(strike, None, waiting)
    finally:
        if fault.waiting is waiting:
            fault.waiting = None
    return waiting.done() and waiting.result()


async def drop_response(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Let the request take effect and lose its answer."""

    async def relay(response: Response) -> bool:
        await response.body.discard()
        strike.landed()
        return False

    return await exchange.forward(request, relay=relay)


async def drop_request(exchange: Exchange, request: Request, strike: Strike) -> bool:
    """Lose the request."""
    await _invite(exchange, request)
    await request.body.discard()
    strike.landed()
    return False


async def _invite(exchange: Exchange, request: Request) -> None:
    if request.waits:
        await exchange.caller.write(_CONTINUE)


async def _gathered(exchange: Exchange, request: Request) -> tuple[bytes, bytes]:
    await _invite(exchange, request)
    return await request.body.collect(BODY_LIMIT_BYTES)


def _again(request: Request, raw: bytes, content: bytes) -> bytes:
    """Give the request as it came; one that was invited to send its body does not ask upstream again."""
    if b"expect" in request.fields and request.body.finished:
        return request.with_length(len(content)) + content
    return request.raw + raw


def _landing(exchange: Exchange, strike: Strike) -> Relay:
    async def relay(response: Response) -> bool:
        strike.landed()
        return await exchange.relay(response)

    return relay


async def _pause(strike: Strike, seconds: float | None, *until: asyncio.Future[Any]) -> None:
    await asyncio.wait({strike.fault.lifted, *until}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)


def _still_wanted(exchange: Exchange, strike: Strike) -> None:
    # What is on its way arrives although its sender has left; what a lifted fault held back does not.
    if strike.fault.lifted.done() and exchange.caller.gone.done():
        raise Lost


TREATMENTS: Mapping[str, Treatment] = {
    treatment.__name__: treatment
    for treatment in (
        *(status, hang, cut, trickle, truncate, replace, replace_request),
        *(duplicate, delay, reorder, drop_response, drop_request, strip_authorization),
    )
}
