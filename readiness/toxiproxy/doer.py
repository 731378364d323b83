"""Operations on the proxies of a Toxiproxy server, given as data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from readiness.errors import TargetError
from readiness.target import Argument
from readiness.together import at_once
from readiness.toxiproxy.client import ProxyState, Toxiproxy
from readiness.toxiproxy.effects import EFFECTS, WHOLE_S, Way, passes
from readiness.toxiproxy.probing import Address
from readiness.toxiproxy.toxics import Toxic

T = TypeVar("T")

SCHEME = "toxiproxy"
SURE = 0.99
MOST_CONNECTIONS = 20
"""A toxicity is drawn for each connection: so many are tried to meet one that is hit, with the certainty `SURE`."""
_DEFAULT_PATH = "/readyz"


class ToxiproxyDoer:
    """Adds and removes toxics, disables and enables proxies, and measures what that does."""

    def __init__(self, base_url: str) -> None:
        self.server = Toxiproxy(base_url)
        self._acts: dict[str, Callable[[_Given], None]] = {
            "add_toxic": self._add,
            "remove_toxic": self._remove,
            "disable": self._disable,
            "enable": self._enable,
        }
        self._looks: dict[str, Callable[[_Given], str]] = {"felt": self._felt, "clear": self._clear}

    @property
    def scheme(self) -> str:
        """By what name operations call this doer."""
        return SCHEME

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        """Do one of add_toxic, remove_toxic, disable, enable; again changes nothing. Raises `TargetError`."""
        self._known(operation, self._acts)(_Given(operation, arguments))

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        """Measure: `felt` tells an effect that is in force on every proxy, `clear` that none is left on any."""
        return self._known(operation, self._looks)(_Given(operation, arguments))

    def _known(self, operation: str, known: Mapping[str, T]) -> T:
        if operation not in known:
            raise TargetError(f"{SCHEME} cannot {operation!r} here; it can: {', '.join(known)}")
        return known[operation]

    def _there(self, names: list[str]) -> list[ProxyState]:
        """Give the proxies, all of them or none: a fault on some of its proxies would be another fault."""
        there = self.server.proxies()
        missing = [name for name in names if name not in there]
        if missing:
            self.server.proxy(missing[0])
        return [there[name] for name in names if name in there]

    def _add(self, given: _Given) -> None:
        toxic = given.toxic()
        for proxy in self._there(given.proxies()):
            self.server.add(proxy.name, toxic)

    def _remove(self, given: _Given) -> None:
        _every(given.proxies(), lambda name: self.server.remove(name, given.text("name")))

    def _disable(self, given: _Given) -> None:
        for proxy in self._there(given.proxies()):
            self.server.disable(proxy.name)

    def _enable(self, given: _Given) -> None:
        there = self.server.proxies()
        _every([name for name in given.proxies() if name in there], self.server.enable)

    def _felt(self, given: _Given) -> str:
        effect = given.text("expect")
        measure = EFFECTS.get(effect)
        if measure is None:
            raise TargetError(f"{SCHEME} felt: expect {effect!r} is not known; allowed: {', '.join(EFFECTS)}")
        there, name, at_least = self.server.proxies(), given.text("name", ""), given.number("at_least", 0)
        plans: list[tuple[Way, int]] = []
        for proxy in given.proxies():
            state = there.get(proxy)
            toxic = _toxic(state, name) if state else None
            if state is None or (name and toxic is None) or (effect == "refused" and state.enabled):
                return ""
            plans.append((self._way(state, given, toxic), _connections(toxic)))
        return _together(plans, lambda way: measure(way, at_least))

    def _clear(self, given: _Given) -> str:
        there, name = self.server.proxies(), given.text("name", "")
        gone, plans = [], []
        for proxy in given.proxies():
            state = there.get(proxy)
            if state is None:
                gone.append(f"proxy {proxy} is not on {self.server} any more")
            elif not state.enabled or (name and _toxic(state, name)):
                return ""
            else:
                plans.append((self._way(state, given, None), 1))
        passed = _together(plans, lambda way: passes(way, WHOLE_S)) if plans else ""
        return "; ".join([*gone, passed] if passed else gone) if passed or not plans else ""

    def _way(self, state: ProxyState, given: _Given, toxic: Toxic | None) -> Way:
        try:
            listen, upstream = Address.of(state.listen, self.server.host), Address.of(state.upstream)
        except ValueError:
            raise TargetError(
                f"{self.server}: proxy {state.name} leads from {state.listen!r} to {state.upstream!r}: "
                "nothing can be measured there; give both as host:port with a number"
            ) from None
        return Way(state.name, listen, upstream, given.path(), toxic.stream if toxic else "downstream")


class _Given:
    """The arguments of an operation, checked as they are read."""

    def __init__(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        self._operation = operation
        self._arguments = arguments

    def text(self, name: str, default: str | None = None) -> str:
        """Give a text."""
        value = self._arguments.get(name, default)
        if not isinstance(value, str) or (not value and default is None):
            raise self._wrong(name, value, "a text")
        return value

    def path(self) -> str:
        """Give the path of a request."""
        path = self.text("path", _DEFAULT_PATH)
        if not path.startswith("/") or not path.isascii() or not path.isprintable() or " " in path:
            raise self._wrong("path", path, "a path without spaces, as in /readyz")
        return path

    def number(self, name: str, default: float) -> float:
        """Give a number."""
        value = self._arguments.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self._wrong(name, value, "a number")
        return float(value)

    def proxies(self) -> list[str]:
        """Give the names of the proxies, at least one."""
        names = self._json("proxies", "")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise self._wrong("proxies", self._arguments.get("proxies"), 'a JSON list of names, as in ["a-to-b"]')
        return list(dict.fromkeys(names))

    def toxic(self) -> Toxic:
        """Give the toxic that is described."""
        attributes = self._json("attributes", "{}")
        if not isinstance(attributes, dict):
            raise self._wrong("attributes", self._arguments.get("attributes"), 'a JSON object, as in {"latency": 300}')
        stream, toxicity = self.text("stream", "downstream"), self.number("toxicity", 1.0)
        return Toxic(self.text("name"), self.text("type"), stream, toxicity, attributes)

    def _json(self, name: str, default: str) -> Any:
        try:
            return json.loads(self.text(name, default))
        except ValueError:
            return None

    def _wrong(self, name: str, value: object, wanted: str) -> TargetError:
        return TargetError(f"{SCHEME} {self._operation}: {name} is {value!r}; give {wanted}")


def _toxic(state: ProxyState, name: str) -> Toxic | None:
    return next((toxic for toxic in state.toxics if toxic.name == name), None)


def _connections(toxic: Toxic | None) -> int:
    """Give how many connections to try until one is hit almost surely."""
    if toxic is None or toxic.toxicity >= 1:
        return 1
    if toxic.toxicity <= 0:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, math.ceil(math.log(1 - SURE) / math.log(1 - toxic.toxicity)))


def _together(plans: list[tuple[Way, int]], look: Callable[[Way], str]) -> str:
    """Look at all ways at once; a text only where every one of them shows it."""

    def tried(plan: tuple[Way, int]) -> str:
        way, times = plan
        return next((text for _ in range(times) if (text := look(way))), "")

    texts = [tried(plans[0])] if len(plans) == 1 else at_once([partial(tried, plan) for plan in plans])
    return "; ".join(texts) if all(texts) else ""


def _every(names: list[str], act: Callable[[str], object]) -> None:
    """Act on each, also after one failed; raises for those that did."""
    problems = []
    for name in names:
        try:
            act(name)
        except TargetError as error:
            problems.append(str(error))
    if problems:
        raise TargetError("; ".join(dict.fromkeys(problems)))
