"""Whatever stands in a file, the loaders say so in lines of the file, and in no other way."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readiness.errors import UsageError
from readiness.loading import load_descriptor
from readiness.loading.documents import read_document
from readiness.policy import load_policy
from readiness.scenario import find_scenario

EXAMPLE = Path(__file__).with_name("descriptor.yaml")
TEXT = EXAMPLE.read_text(encoding="utf-8")
DATA = read_document(EXAMPLE).data
POLICY = {
    "readiness_policy": 1,
    "trusted_keys": {},
    "limits": [{"gate": "A", "limit": "b", "value": 1, "reason": "r", "owner": "o", "expires": "2999-01-01T00:00:00Z"}],
    "not_yet": [{"gate": "A", "owner": "o", "until": "2999-01-01T00:00:00Z", "reason": "r"}],
    "waivers": [],
}
SCENARIO = {"name": "x", "about": "y", "gates": ["*", "!OPS-*"], "threshold": 0.5, "time_budget": "5m"}

Loader = Callable[[Path], object]
LOADERS: list[tuple[Loader, Any]] = [
    (load_descriptor, DATA),
    (load_policy, POLICY),
    (lambda path: find_scenario(str(path), path.parent), SCENARIO),
]
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

SNIPPETS = [
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "&a ",
    "*a",
    "!!x ",
    "<<: ",
    "\t",
    "\n",
    "'",
    '"',
    "|",
    "%",
    "---\n",
    "? ",
    "#",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(
        ["", "{gateway}", "{x}", "5m", "1e9d", "9" * 400 + "h", "NaN%", "-1%", "2026-01-01", "\0", "\ud800"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def check(load: Loader, content: bytes) -> None:
    """Load the content; fail on any exception but UsageError, and on a line that does not name the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file.yaml"
        path.write_bytes(content)
        try:
            load(path)
        except UsageError as error:
            lines = str(error).split("\n")
            assert 1 <= len(lines) <= 21
            assert all(line.startswith(f"{path}:") and line.isprintable() for line in lines), lines


@FUZZ
@given(content=st.binary(max_size=300))
def test_bytes(content: bytes) -> None:
    check(load_descriptor, content)


@FUZZ
@given(content=st.lists(st.sampled_from(SNIPPETS) | st.text(max_size=5), max_size=30).map("".join))
def test_text_made_of_syntax(content: str) -> None:
    check(load_descriptor, content.encode("utf-8", "surrogatepass"))


@FUZZ
@given(at=st.integers(0, len(TEXT)), cut=st.integers(0, 40), put=st.sampled_from(SNIPPETS) | st.text(max_size=5))
def test_a_descriptor_with_a_slip_of_the_pen(at: int, cut: int, put: str) -> None:
    check(load_descriptor, (TEXT[:at] + put + TEXT[at + cut :]).encode("utf-8", "surrogatepass"))


def places(data: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in JSON-like data but its root."""
    items: Any = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*place, key)
        yield from places(value, (*place, key))


def changed(original: Any, place: tuple[str | int, ...], change: str, value: object) -> Any:
    """A copy of the data with one value replaced, removed, or moved to another key."""
    data = copy.deepcopy(original)
    parent = data
    for part in place[:-1]:
        parent = parent[part]
    old = parent.pop(place[-1])
    if change == "replace":
        old = value
    key = str(value) if change == "rename" else place[-1]
    if change != "remove" and isinstance(parent, list):
        parent.append(old)
    elif change != "remove":
        parent[key] = old
    return data


@pytest.mark.parametrize("loader", range(len(LOADERS)))
@FUZZ
@given(choice=st.data(), change=st.sampled_from(["replace", "remove", "rename"]), value=VALUES)
def test_valid_files_with_one_change(loader: int, choice: st.DataObject, change: str, value: object) -> None:
    load, original = LOADERS[loader]
    place = choice.draw(st.sampled_from(list(places(original))))
    check(load, json.dumps(changed(original, place, change, value)).encode())


@pytest.mark.parametrize("loader", range(len(LOADERS)))
def test_the_originals_are_valid(loader: int, tmp_path: Path) -> None:
    load, original = LOADERS[loader]
    path = tmp_path / "file.yaml"
    path.write_text(json.dumps(original))
    load(path)
