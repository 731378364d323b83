"""The faults that are in force: which request each of them strikes, and how many it did."""

from __future__ import annotations

import asyncio
import fnmatch
import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

from readiness.httpfaults.specification import Specification

_REMEMBERED = 1000


class Fault:
    """One fault in force."""

    def __init__(self, spec: Specification) -> None:
        self.spec = spec
        self.seen = 0
        """Requests that it was meant for."""
        self.hit = 0
        """Requests that it really spoiled."""
        self.lifted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.random = random.Random(spec.id)
        self.waiting: asyncio.Future[bool] | None = None
        """The message that is held back until the next one has overtaken it (done: whether it has)."""
        self._taken = 0
        self._proxies = [re.compile(fnmatch.translate(glob)) for glob in spec.proxies]
        self._path = re.compile(fnmatch.translate(spec.path or "*"))

    def stands_on(self, proxy: str) -> bool:
        """Whether it is meant for this proxy."""
        return any(glob.match(proxy) for glob in self._proxies)

    def matches(self, method: str, path: str) -> bool:
        """Whether it is meant for such a request."""
        return self.spec.method in ("", "*", method) and self._path.match(path) is not None

    def strike(self) -> Strike | None:
        """Draw whether this request is struck; None where the share or the limit spares it."""
        self.seen += 1
        if self.waiting is not None:
            self._taken += 1
            return Strike(self)
        if self.spec.limit and self._taken >= self.spec.limit:
            return None
        if self.spec.share < 1 and self.random.random() >= self.spec.share:
            return None
        self._taken += 1
        return Strike(self)

    def give_back(self) -> None:
        """Count a request that was to be struck and was not as spared."""
        self._taken -= 1

    def data(self) -> dict[str, Any]:
        """Give it as the API shows it."""
        return {**self.spec.data(), "seen": self.seen, "hit": self.hit}


class Strike:
    """One request that a fault is to spoil; what was not spoiled counts as spared."""

    __slots__ = ("_landed", "_overtakes", "fault")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._landed = False
        self._overtakes, fault.waiting = fault.waiting, None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments of the fault's kind."""
        return self.fault.spec.arguments

    def overtakes(self) -> bool:
        """Whether a message is held back until this one has passed it; this one itself is left as it is."""
        if self._overtakes is None:
            self._overtakes, self.fault.waiting = self.fault.waiting, None
        return self._overtakes is not None

    def passed(self, there: bool) -> None:
        """Free the message that is held back for this one: it has come through before it, or it has not."""
        if self._overtakes is not None and not self._overtakes.done():
            self._overtakes.set_result(there)

    def landed(self) -> None:
        """Count the request as really spoiled."""
        if not self._landed:
            self._landed = True
            self.fault.hit += 1

    def over(self) -> None:
        """The request is done with: where it was spared, the limit leaves room for the next."""
        self.passed(False)
        if not self._landed:
            self.fault.give_back()


class Faults:
    """All faults in force, in the order in which they were made."""

    def __init__(self) -> None:
        self._live: dict[str, Fault] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._past: dict[str, dict[str, Any]] = {}

    def get(self, name: str) -> Fault | None:
        """Give the fault in force of that id."""
        return self._live.get(name)

    def all(self) -> Iterable[Fault]:
        """Give the faults in force."""
        return self._live.values()

    def add(self, spec: Specification) -> Fault:
        """Put a fault in force until it is lifted or its lifetime is over."""
        fault = Fault(spec)
        self._live[spec.id] = fault
        self._timers[spec.id] = asyncio.get_running_loop().call_later(spec.lifetime_s, self.lift, spec.id)
        return fault

    def lift(self, name: str) -> dict[str, Any]:
        """Take a fault out of force and free what it holds; gives its last counters, also when it is gone already."""
        fault = self._live.pop(name, None)
        if fault is None:
            return self._past.get(name, {"id": name, "seen": 0, "hit": 0})
        self._timers.pop(name).cancel()
        fault.lifted.set_result(None)
        self._past[name] = fault.data()
        if len(self._past) > _REMEMBERED:
            del self._past[next(iter(self._past))]
        return self._past[name]

    def choose(self, proxy: str, method: str, path: str) -> Strike | None:
        """Give the first fault that strikes this request."""
        if not self._live:
            return None
        for fault in self._live.values():
            if fault.stands_on(proxy) and fault.matches(method, path) and (strike := fault.strike()) is not None:
                return strike
        return None
