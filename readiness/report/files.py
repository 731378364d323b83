"""Writing what a report is made of: UTF-8, the same bytes for the same text on every machine."""

from __future__ import annotations

import json
from pathlib import Path

from readiness.records import to_data


def write_text(path: Path, text: str) -> None:
    """Write text without changing its line ends."""
    path.write_bytes(text.encode("utf-8"))


def json_text(value: object) -> str:
    """Data or a dataclass as JSON, two spaces an indent, keys in the order given."""
    return json.dumps(to_data(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """Write data or a dataclass as JSON."""
    write_text(path, json_text(value))
