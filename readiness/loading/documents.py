"""YAML files as plain data that knows its lines: bounded, one document, no key twice, nothing executed."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import ScalarEvent
from ruamel.yaml.nodes import ScalarNode

from readiness.errors import UsageError
from readiness.loading.yaml_tree import MAX_DEPTH, MAX_VALUES, STANDARD, Composer, Node, NotAllowed

MAX_BYTES = 1024 * 1024
MAX_PROBLEMS = 20
MAX_WHOLE = 2**53
"""Whole numbers beyond it are not exact in JSON."""

Place = tuple[str | int, ...]
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_AS_TEXT = {STANDARD + "timestamp", STANDARD + "value"}
"""Dates stay text: a release may be called 2026-11-24, and a model that wants an instant reads it itself."""
_READ = {STANDARD + name for name in ("str", "int", "float", "bool", "null")}


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file, at its line (0: the file as a whole)."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one YAML file, and where each value stands."""

    path: Path
    data: Any
    lines: dict[Place, int]
    content: bytes = field(repr=False)

    def line(self, place: Place) -> int:
        """Return the line of a value, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def refusal(path: Path, problems: list[Problem]) -> UsageError:
    """Return the error that names each problem of a file in a line of its own, in the order of the file."""
    ordered = sorted(set(problems))
    lines = [f"{path}:{p.line}: {p.text}" if p.line else f"{path}: {p.text}" for p in ordered[:MAX_PROBLEMS]]
    if len(ordered) > MAX_PROBLEMS:
        lines.append(f"{path}: … and {len(ordered) - MAX_PROBLEMS} more")
    return UsageError("\n".join(map(_printable, lines)))


def _printable(line: str) -> str:
    """The text as one line that a terminal shows as it is; keys and paths may hold anything."""
    return "".join(char if char.isprintable() else "?" for char in line)


def read_document(path: Path) -> Document:
    """Read a YAML file; whatever is wrong with it is a UsageError with a line for each problem."""
    content = _content(path)
    text = _text(path, content)
    try:
        root = Composer().compose(text)
    except NotAllowed as stop:
        raise refusal(path, [Problem(stop.line, stop.text)]) from None
    reading = _Reading()
    data = reading.read(root, ())
    if reading.problems:
        raise refusal(path, reading.problems)
    return Document(path, data, reading.lines, content)


def _content(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise refusal(path, [Problem(0, "not a regular file; give the path of a YAML file")])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise refusal(path, [Problem(0, "no such file; give the path of a YAML file")]) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise refusal(path, [Problem(0, f"cannot be read: {why}")]) from None
    if len(content) > MAX_BYTES:
        raise refusal(path, [Problem(0, f"larger than {MAX_BYTES // 1024} KiB; allowed: up to that")])
    return content


def _text(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = content[error.start]
        raise refusal(path, [Problem(line, f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8 text")]) from None
    found = _UNPRINTABLE.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        what = f"control character U+{ord(found[0]):04X}; allowed: printable text"
        raise refusal(path, [Problem(line, what)])
    return text


class _Reading:
    """Turns the tree into data, remembering lines and collecting problems."""

    def __init__(self) -> None:
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._overflown = False
        self._scalar = _scalar_reader()

    def read(self, node: Node, place: Place, line: int | None = None) -> Any:
        """Return the data of a node; `line` is its key's, where it has one."""
        self.lines[place] = line or node.line
        if len(self.lines) > MAX_VALUES or len(place) > MAX_DEPTH:
            if not self._overflown:
                self._add(node, f"aliases written out make more than {MAX_VALUES} values or {MAX_DEPTH} levels")
            self._overflown = True
            return None
        if node.scalar is not None:
            return self._value(node, node.scalar)
        if node.items is not None:
            return [self.read(item, (*place, index)) for index, item in enumerate(node.items)]
        return self._mapping(node, place)

    def _mapping(self, node: Node, place: Place) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.pairs or ():
            key = self._key(key_node)
            if key is None:
                continue
            if key in data:
                first = self.lines[(*place, key)]
                self._add(key_node, f"key {shown(key)} stands twice, first in line {first}; keep one")
                continue
            data[key] = self.read(value_node, (*place, key), key_node.line)
        return data

    def _key(self, node: Node) -> str | None:
        if node.scalar is None:
            self._add(node, "a list or mapping as key; allowed: text (quote a value that begins with { or [)")
            return None
        if node.scalar.value == "<<" and node.scalar.implicit[0]:
            self._add(node, "merge key <<; allowed: keys written out")
            return None
        key = self._value(node, node.scalar)
        if not isinstance(key, str):
            self._add(node, f"key {shown(node.scalar.value)} is not text; write it in quotes")
            return None
        return key

    def _value(self, node: Node, event: ScalarEvent) -> Any:
        try:
            value = self._scalar(event)
        except ValueError as error:
            self._add(node, str(error))
            return None
        if isinstance(value, str) and ("\0" in value or any("\ud800" <= char <= "\udfff" for char in value)):
            self._add(node, "text with a NUL or half a surrogate pair; allowed: printable text")
        elif isinstance(value, float) and not math.isfinite(value):
            self._add(node, f"{shown(event.value)} is not a finite number")
        elif isinstance(value, int) and abs(value) > MAX_WHOLE:
            self._add(node, f"a number beyond {MAX_WHOLE}; allowed: smaller ones, or text in quotes")
        else:
            return value
        return None

    def _add(self, node: Node, text: str) -> None:
        if len(self.problems) <= 10 * MAX_PROBLEMS:
            self.problems.append(Problem(node.line, text))


def _scalar_reader() -> Callable[[ScalarEvent], Any]:
    """Return the function that reads a scalar by YAML 1.2's core schema; ValueError says what is not allowed."""
    yaml = YAML(typ="safe", pure=True)

    def read(event: ScalarEvent) -> Any:
        tag = None if event.tag is None else str(event.tag)
        if tag is None or tag == "!":
            tag = str(yaml.resolver.resolve(ScalarNode, event.value, event.implicit))
        if tag in _AS_TEXT:
            return event.value
        if tag not in _READ:
            raise ValueError("a tag; allowed: none (quote text that begins with !)")
        try:
            return yaml.constructor.construct_object(ScalarNode(tag, event.value), deep=True)
        except Exception:
            # The constructor raises KeyError, ValueError and more, by what it trips over.
            raise ValueError(f"{shown(event.value)} cannot be read as a value; write text in quotes") from None

    return read


def shown(value: object) -> str:
    """Return a value as an error shows it: quoted, escaped, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…" + text[0] * isinstance(value, str)
