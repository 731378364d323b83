"""Faults on HTTP messages as operations: `HttpFaultsDoer` speaks to a server of `readiness.httpfaults`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from readiness.errors import TargetError
from readiness.target import Argument

TIMEOUT_S = 5.0
_DONE = {
    "status": "were answered {status}",
    "hang": "were left without an answer",
    "cut": "had their answer cut after {after_bytes} bytes",
    "trickle": "got their answer at {bytes_per_s} bytes/s",
    "truncate": "got a truncated answer",
    "replace": "got an answer with changed fields",
    "replace_request": "arrived with changed fields",
    "duplicate": "arrived twice",
    "delay": "were held back for {seconds} s",
    "reorder": "were overtaken by the next one",
    "drop_response": "took effect and lost their answer",
    "drop_request": "were lost",
    "strip_authorization": "lost their credential",
}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was asked of one proxy since it is there."""

    requests: int
    by_path: Mapping[str, int]
    """Requests of each method and path, as in `POST /v1/tasks`."""
    unreadable: int = 0
    """Connections that ended because what came on them was not HTTP/1.1."""


class HttpFaultsDoer:
    """Puts faults on messages and takes them off: `add`, `remove`; looks at them: `hit`, `clear`."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        # No certificates are loaded and no connection is kept: the server is local, and may be another one next time.
        self._client = httpx.Client(
            timeout=TIMEOUT_S, trust_env=False, verify=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        """Do `add` or `remove`; doing it again changes nothing. Raises `TargetError` with one line."""
        name = _name(operation, arguments)
        if operation == "add":
            self._add(name, arguments)
        elif operation == "remove":
            self._call("DELETE", f"/faults/{quote(name, safe='')}")
            if self._fault(name) is not None:
                raise TargetError(f"{self.base_url}: fault {name!r} is still in force after it was lifted")
        else:
            raise TargetError(f"httpfaults does not know {operation!r}; allowed: add, remove")

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        """Look with `hit` or `clear`: a text that shows it, no text where nothing does (yet)."""
        name = _name(operation, arguments)
        if operation == "hit":
            at_least = arguments.get("at_least", 1)
            if not isinstance(at_least, int | float):
                raise TargetError(f"httpfaults hit: at_least is {at_least!r}; give a number of requests")
            return _hits(self._fault(name), at_least)
        if operation == "clear":
            return "" if self._fault(name) is not None else f"no fault {name} is in force on {self.base_url}"
        raise TargetError(f"httpfaults does not know {operation!r}; allowed: hit, clear")

    def proxies(self) -> tuple[str, ...]:
        """Give the names of the proxies that stand there now; raises `TargetError`."""
        return tuple(self._named("/proxies", "name"))

    def in_force(self, prefix: str = "") -> tuple[str, ...]:
        """Give the ids of the faults in force that begin so; raises `TargetError`."""
        return tuple(name for name in self._named("/faults", "id") if name.startswith(prefix))

    def traffic(self) -> Mapping[str, Traffic]:
        """Give what was asked of each proxy since it is there; raises `TargetError`."""
        answer = self._call("GET", "/traffic")
        try:
            return {
                name: Traffic(int(one["requests"]), dict(one["by_path"]), int(one["unreadable"]))
                for name, one in answer.items()
            }
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise TargetError(f"{self.base_url}/traffic: this is no server of HTTP faults") from error

    def _add(self, name: str, arguments: Mapping[str, Argument]) -> None:
        asked = {
            "proxies": _json(name, "proxies", arguments.get("proxies", "[]")),
            "match": {"method": str(arguments.get("method", "")), "path": str(arguments.get("path", ""))},
            "kind": arguments.get("kind", ""),
            "arguments": _json(name, "arguments", arguments.get("arguments", "{}")),
            "share": arguments.get("share", 1.0),
            "limit": arguments.get("limit", 0),
            "lifetime_s": arguments.get("lifetime_s", 0),
        }
        self._call("PUT", f"/faults/{quote(name, safe='')}", asked)
        there = self._fault(name)
        if there is None:
            raise TargetError(f"{self.base_url}: fault {name!r} was taken and is not in force")
        wrong = [key for key, value in asked.items() if _plain(there.get(key)) != _plain(value)]
        if wrong:
            raise TargetError(f"{self.base_url}: fault {name!r} has another {wrong[0]} than was asked for")

    def _fault(self, name: str) -> Mapping[str, Any] | None:
        return self._named("/faults", "id").get(name)

    def _named(self, path: str, key: str) -> Mapping[str, Mapping[str, Any]]:
        """Give what stands under a path by the name that each has."""
        answer = self._call("GET", path)
        if not isinstance(answer, list) or not all(isinstance(one, dict) and key in one for one in answer):
            raise TargetError(f"{self.base_url}{path}: this is no server of HTTP faults")
        return {str(one[key]): one for one in answer}

    def _call(self, method: str, path: str, data: object = None) -> Any:
        where = f"{method} {self.base_url}{path}"
        try:
            answer = self._client.request(method, f"{self.base_url}{path}", json=data)
            content = answer.json()
        except httpx.TimeoutException as error:
            raise TargetError(f"{where}: no answer within {TIMEOUT_S:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise TargetError(f"{where}: {type(error).__name__}; is the server of HTTP faults running?") from error
        except ValueError as error:
            raise TargetError(f"{where}: the answer is no JSON; this is no server of HTTP faults") from error
        if answer.status_code != 200:
            told = content.get("error") if isinstance(content, dict) else None
            raise TargetError(f"{where}: {told or answer.status_code}")
        return content


def _name(operation: str, arguments: Mapping[str, Argument]) -> str:
    name = arguments.get("id")
    if not isinstance(name, str) or not name:
        raise TargetError(f"httpfaults {operation}: id is {name!r}; give the fault's id, a text")
    return name


def _json(name: str, key: str, text: Argument) -> object:
    try:
        value: object = json.loads(str(text))
    except ValueError as error:
        raise TargetError(f"fault {name!r}: {key} is {str(text)[:60]!r}; give it as a JSON text") from error
    return value


def _plain(value: object) -> object:
    """Give a value as it compares: 1 and 1.0 are one number, a method is in capitals."""
    if isinstance(value, dict) and set(value) == {"method", "path"}:
        return {**value, "method": str(value["method"]).upper()}
    return value


def _hits(fault: Mapping[str, Any] | None, at_least: float) -> str:
    if fault is None or fault.get("hit", 0) < max(1, at_least):
        return ""
    match = fault["match"]
    which = f" of {match['method']} {match['path'] or '*'}".replace("  ", " ") if any(match.values()) else ""
    done = _DONE[fault["kind"]].format(**fault["arguments"])
    return f"{fault['hit']} of {fault['seen']} requests{which} {done}"
