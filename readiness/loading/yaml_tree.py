"""The tree of one YAML document, built from the parser's events: bounded before anything recurses or multiplies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

MAX_DEPTH = 64
MAX_VALUES = 20_000
"""Values in a file, aliases written out: far beyond any honest descriptor, far below what hurts."""
STANDARD = "tag:yaml.org,2002:"


class NotAllowed(Exception):
    """The first thing in a file that is malformed or not read here, and its line (0: the file as a whole)."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text


@dataclass(slots=True)
class Node:
    """A value as written: `items` of a sequence, `pairs` of a mapping, or a `scalar`."""

    line: int
    scalar: ScalarEvent | None = None
    items: list[Node] | None = None
    pairs: list[tuple[Node, Node]] | None = None


class Composer:
    """Builds the tree of one document from its events, and stops at the first one that is not allowed."""

    def __init__(self) -> None:
        self._anchors: dict[str, Node] = {}
        self._count = 0

    def compose(self, text: str) -> Node:
        """Return the root of the only document."""
        yaml = YAML(typ="safe", pure=True)
        try:
            events = iter(yaml.parse(text))
            root = None
            for event in events:
                if isinstance(event, DocumentStartEvent):
                    if root is not None:
                        raise self._stop(event, "a second document begins; allowed: one document in a file")
                    root = self._node(next(events), events, 1)
        except NotAllowed:
            raise
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise NotAllowed(mark.line + 1 if mark else 0, _syntax(error)) from None
        except Exception as error:
            # What the parser raises on malformed input beside its own errors is not documented; fuzzing finds some.
            raise NotAllowed(0, f"not YAML ({type(error).__name__})") from None
        if root is None or _empty(root):
            raise NotAllowed(0, "empty; begin with a copy of an example")
        return root

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        assert isinstance(event, NodeEvent)
        line = event.start_mark.line + 1
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._stop(event, f"more than {MAX_VALUES} values; allowed: up to that")
        if depth > MAX_DEPTH:
            raise self._stop(event, f"nested more than {MAX_DEPTH} deep; allowed: up to that")
        if isinstance(event, AliasEvent):
            known = self._anchors.get(event.anchor)
            if known is None:
                raise self._stop(event, "alias without an anchor before it; quote text that begins with *")
            return known
        node = Node(line)
        if isinstance(event, ScalarEvent):
            node.scalar = event
        elif isinstance(event, CollectionStartEvent):
            self._refuse_tag(event)
            self._fill(node, event, events, depth)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _fill(self, node: Node, start: CollectionStartEvent, events: Iterator[Event], depth: int) -> None:
        if isinstance(start, SequenceStartEvent):
            node.items = []
            while not isinstance(event := next(events), SequenceEndEvent):
                node.items.append(self._node(event, events, depth + 1))
        else:
            node.pairs = []
            while not isinstance(event := next(events), MappingEndEvent):
                key = self._node(event, events, depth + 1)
                node.pairs.append((key, self._node(next(events), events, depth + 1)))

    def _refuse_tag(self, event: CollectionStartEvent) -> None:
        natural = "map" if isinstance(event, MappingStartEvent) else "seq"
        if event.tag is not None and str(event.tag) not in ("!", STANDARD + natural):
            raise self._stop(event, "a tag; allowed: none (quote text that begins with !)")

    def _stop(self, event: Event, text: str) -> NotAllowed:
        return NotAllowed(event.start_mark.line + 1, text)


def _empty(root: Node) -> bool:
    return root.scalar is not None and root.scalar.value == "" and root.scalar.implicit[0]


def _syntax(error: MarkedYAMLError) -> str:
    """The parser's own words without what stands in the file: it may be a secret in the wrong place."""
    if "'\\t'" in str(error.problem):
        return "a tab in the indentation; indent with spaces"
    problem = re.sub(r"'([^']*)'", _token, str(error.problem or "malformed"))
    return f"not YAML: {problem}" + ("; quote text that has special characters" if "character" in problem else "")


def _token(quoted: re.Match[str]) -> str:
    return quoted[0] if len(quoted[1]) < 3 or quoted[1].startswith("<") else "…"
