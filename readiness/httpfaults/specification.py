"""What a fault may be: the kinds, their arguments, and one line for each mistake."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LIFETIME_MAX_S = 3600.0


class Invalid(Exception):
    """What was asked for cannot be; `status` is the answer's."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Rule:
    """What a value must be."""

    allowed: str
    holds: Callable[[Any], bool]
    needed: bool = False


def _number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _fields(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(path and all(path.split(".")) for path in value)


def _text(value: Any) -> bool:
    return isinstance(value, str)


_BYTES = Rule("a whole number of bytes, 0 or more", _whole(0, 2**40))
_REPLACED = {"json": Rule("an object of dotted paths and their new values, null deletes", _fields, needed=True)}
KINDS: Mapping[str, Mapping[str, Rule]] = {
    "status": {
        "status": Rule("a status from 200 to 599", _whole(200, 599), needed=True),
        "retry_after_s": Rule("a number of seconds from 0 to 86400", _number(0, 86400)),
        "body": Rule("a text", _text),
    },
    "hang": {},
    "cut": {"after_bytes": Rule(_BYTES.allowed, _BYTES.holds, needed=True)},
    "trickle": {"bytes_per_s": Rule("a number of bytes per second from 1 to 1e9", _number(1, 1e9), needed=True)},
    "truncate": {"keep_bytes": _BYTES, "share": Rule("a share of the body from 0 to 1", _number(0, 1))},
    "replace": _REPLACED,
    "replace_request": _REPLACED,
    "duplicate": {},
    "delay": {
        "seconds": Rule("a number of seconds from 0 to 3600", _number(0, LIFETIME_MAX_S), needed=True),
        "jitter_s": Rule("a number of seconds from 0 to 3600", _number(0, LIFETIME_MAX_S)),
    },
    "reorder": {},
    "drop_response": {},
    "drop_request": {},
    "strip_authorization": {},
}
_FAULT = {
    "proxies": Rule(
        "a list of one or more names of proxies or globs",
        lambda value: isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value),
        needed=True,
    ),
    "match": Rule('an object such as {"method": "POST", "path": "/v1/*"}', lambda value: isinstance(value, dict)),
    "kind": Rule(f"one of {', '.join(KINDS)}", lambda value: isinstance(value, str) and value in KINDS, needed=True),
    "arguments": Rule("an object", lambda value: isinstance(value, dict)),
    "share": Rule("a number from 0 to 1", _number(0, 1)),
    "limit": Rule("a whole number, 0 for no limit", _whole(0, 10**9)),
    "lifetime_s": Rule(
        f"a number of seconds above 0, at most {LIFETIME_MAX_S:g}", _number(1e-3, LIFETIME_MAX_S), needed=True
    ),
}
_MATCH = {"method": Rule("a method or a text without one", _text), "path": Rule("a path or a glob", _text)}


@dataclass(frozen=True, slots=True)
class Specification:
    """One fault, as it was asked for."""

    id: str
    proxies: tuple[str, ...]
    method: str
    path: str
    kind: str
    arguments: Mapping[str, Any]
    share: float
    limit: int
    lifetime_s: float

    def data(self) -> dict[str, Any]:
        """Give it as the API shows it."""
        return {
            "id": self.id,
            "proxies": list(self.proxies),
            "match": {"method": self.method, "path": self.path},
            "kind": self.kind,
            "arguments": dict(self.arguments),
            "share": self.share,
            "limit": self.limit,
            "lifetime_s": self.lifetime_s,
        }


def specification(name: str, data: Any) -> Specification:
    """Read a fault; raises `Invalid` with one line that says what was given and what is allowed."""
    where = f"fault {name!r}"
    given = checked(where, data, _FAULT)
    match = checked(f"{where}: match", given.get("match", {}), _MATCH)
    kind = given["kind"]
    arguments = checked(f"{where}: arguments of {kind}", given.get("arguments", {}), KINDS[kind])
    if kind == "truncate" and len(arguments) != 1:
        raise Invalid(f"{where}: arguments of truncate: give keep_bytes or share, one of the two")
    return Specification(
        name,
        tuple(given["proxies"]),
        match.get("method", "").upper(),
        match.get("path", ""),
        kind,
        arguments,
        float(given.get("share", 1)),
        given.get("limit", 0),
        float(given["lifetime_s"]),
    )


def checked(where: str, data: Any, rules: Mapping[str, Rule]) -> Mapping[str, Any]:
    """Check an object against its rules."""
    if not isinstance(data, dict):
        raise Invalid(f"{where}: {_shown(data)} is no object; allowed: {_list(rules)}")
    for key, value in data.items():
        if key not in rules:
            near = difflib.get_close_matches(key, rules, 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise Invalid(f"{where}: {_shown(key)} is not known; {hint}allowed: {_list(rules)}")
        if not rules[key].holds(value):
            raise Invalid(f"{where}: {key} is {_shown(value)}; allowed: {rules[key].allowed}")
    for key, rule in rules.items():
        if rule.needed and key not in data:
            raise Invalid(f"{where}: {key} is missing; give {rule.allowed}")
    return data


def _list(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
