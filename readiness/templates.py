"""Templates of the descriptor filled in: `{gateway}`, `{marker}`, `{id}` and what else a request or command names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from readiness.errors import Undecidable

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_.-]*)\}")


def fill(template: str, values: Mapping[str, str], where: str = "") -> str:
    """Fill the placeholders in; one that has no value is Undecidable and names itself."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1])
        if found is None:
            raise Undecidable(
                f"{where or template!r}: nothing is known for the placeholder {{{match[1]}}}",
                f"known here: {', '.join(sorted(values)) or 'none'}",
            )
        return found

    return PLACEHOLDER.sub(value, template)


def fill_url(template: str, addresses: Mapping[str, str], values: Mapping[str, str]) -> str:
    """Fill a URL in: addresses as they are, every other value quoted, so that it cannot change the path."""
    quoted = {name: quote(value, safe="") for name, value in values.items()}
    return fill(template, {**quoted, **addresses})


def fill_data(data: Any, values: Mapping[str, str]) -> Any:
    """Fill every text inside JSON-like data in."""
    if isinstance(data, str):
        return fill(data, values)
    if isinstance(data, Mapping):
        return {fill(str(key), values): fill_data(value, values) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [fill_data(value, values) for value in data]
    return data


def named_in(template: str) -> list[str]:
    """Name the placeholders of a template, in order."""
    return PLACEHOLDER.findall(template)


def field_of(data: Any, path: str) -> Any:
    """Give the field at a dotted path (`status.phase`, `items.0.id`), or None where there is none."""
    for part in path.split("."):
        if isinstance(data, Mapping) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdecimal() and int(part) < len(data):
            data = data[int(part)]
        else:
            return None
    return data
