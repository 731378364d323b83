"""Changes of single fields in a JSON document, by dotted paths: `choices.0.message.content`."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any


def edited(document: bytes, fields: Mapping[str, Any]) -> bytes | None:
    """Give the document with fields set (or, with the value None, deleted); None where that changes nothing.

    A field is added where the object that would hold it is there; a path that leads nowhere is left out.
    """
    try:
        before = json.loads(document)
    except (ValueError, RecursionError):
        return None
    after = copy.deepcopy(before)
    for path, value in fields.items():
        _edit(after, path.split("."), value)
    text = json.dumps(after, ensure_ascii=False, separators=(",", ":"))
    if text == json.dumps(before, ensure_ascii=False, separators=(",", ":")):
        return None
    return text.encode("utf-8", "surrogatepass")


def _edit(document: Any, path: list[str], value: Any) -> None:
    *way, last = path
    for step in way:
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            return
    if isinstance(document, dict):
        if value is None:
            document.pop(last, None)
        else:
            document[last] = value
    elif isinstance(document, list) and last.isdecimal() and int(last) < len(document):
        if value is None:
            del document[int(last)]
        else:
            document[int(last)] = value
