"""A thousand requests under faults that come and go leave the proxy as it was."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.httpfaults.bench import Bench

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("status", {"status": 503}),
    ("cut", {"after_bytes": 4}),
    ("trickle", {"bytes_per_s": 50_000}),
    ("truncate", {"share": 0.3}),
    ("replace", {"json": {"usage": None}}),
    ("replace_request", {"json": {"n": 0}}),
    ("duplicate", {}),
    ("delay", {"seconds": 0.01}),
    ("reorder", {}),
    ("drop_response", {}),
    ("drop_request", {}),
    ("hang", {}),
]
PATHS = ["/a", "/chunked", "/events", "/nothing", "/until-end", "/echo"]
WORKERS = 8


def test_a_thousand_requests_under_random_faults(bench: Bench) -> None:
    draw = random.Random(5)

    def work(seed: int) -> int:
        mine = random.Random(seed)
        answered = 0
        with httpx.Client(base_url=str(bench.caller.base_url), trust_env=False, verify=False, timeout=1) as caller:
            for n in range(25):
                try:
                    caller.request(mine.choice(["GET", "POST"]), mine.choice(PATHS), json={"n": n})
                except httpx.TransportError:
                    continue
                answered += 1
        return answered

    answered = 0
    for round_ in range(5):
        for n, (kind, arguments) in enumerate(draw.sample(FAULTS, 4)):
            bench.fault(kind, arguments, name=f"{round_}-{n}", share=0.15, lifetime_s=60)
        with ThreadPoolExecutor(WORKERS) as pool:
            answered += sum(pool.map(work, range(round_ * WORKERS, (round_ + 1) * WORKERS)))
        for fault in bench.control.get("/faults").json():
            assert bench.lift(fault["id"])[0] > 0
    assert answered > 300
    line = bench.connect()
    for n in range(20):
        assert line.ask("POST", "/echo", b"%d" % n) == (200, b'{"name": "first", "body": "%d"}' % n)
    line.close()
    assert bench.doer.traffic()["link"].unreadable == 0
