"""The reference of the descriptor as Markdown, made from its JSON Schema: every key, what it may hold, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from readiness.schemas import schema

PAGE = Path("docs/descriptor.md")
_HEAD = """# The descriptor, key by key

Made from the models of the program; [your-deployment.md](your-deployment.md) tells how to begin. Durations carry their
unit (`400ms`, `30s`, `5m`, `2h`, `7d`), paths are relative to the descriptor's folder, an unknown key is an error.
"""
_ROOT = "Descriptor"
Schema = Mapping[str, Any]


def descriptor_page() -> str:
    """The whole page, parts in the order in which they are first named."""
    root = schema("descriptor")
    definitions: Mapping[str, Schema] = {**root["$defs"], _ROOT: root}
    sections = [_section(name, definitions[name]) for name in _reached(definitions)]
    return "\n".join([_HEAD, *sections])


def _reached(definitions: Mapping[str, Schema]) -> list[str]:
    order = {_ROOT: None}
    waiting = [_ROOT]
    while waiting:
        named = [other for other in _named(definitions[waiting.pop(0)].get("properties", {})) if other not in order]
        order |= dict.fromkeys(named)
        waiting += dict.fromkeys(named)
    return list(order)


def _named(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        if isinstance(reference := part.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in part.values():
            yield from _named(value)
    elif isinstance(part, list):
        for value in part:
            yield from _named(value)


def _section(name: str, part: Schema) -> str:
    required = set(part.get("required", ()))
    rows = [
        f"| `{key}`{' *' if key in required else ''} | {_kind(held)} | {_about(held)} |"
        for key, held in part["properties"].items()
    ]
    about = " ".join(part.get("description", "").split())
    return "\n".join([f"## {name}", "", f"{about}", "", "| key (* needed) | holds | |", "|---|---|---|", *rows, ""])


def _about(held: Schema) -> str:
    about = " ".join(str(held.get("description", "")).split())
    default = held.get("default")
    shown = f"Default: `{default}`." if default not in (None, "", [], {}) and "$ref" not in str(held) else ""
    return " ".join(text for text in (about, shown) if text).replace("|", "\\|")


def _kind(held: Schema) -> str:
    """What a key may hold, in a few words."""
    if "$ref" in held:
        name = str(held["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in held:
        return " or ".join(f"`{value}`" for value in held["enum"])
    if "const" in held:
        return f"`{held['const']}`"
    if "anyOf" in held:
        return " or ".join(dict.fromkeys(_kind(one) for one in held["anyOf"] if one.get("type") != "null"))
    if held.get("type") == "array":
        return f"list of {_kind(held.get('items', {}))}"
    if held.get("type") == "object":
        inner = held.get("additionalProperties", {})
        return f"name → {_kind(inner)}" if isinstance(inner, Mapping) else "mapping"
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "yes or no"}
    return {"path": "path"}.get(str(held.get("format")), words.get(str(held.get("type")), "anything"))


if __name__ == "__main__":
    PAGE.write_text(descriptor_page(), encoding="utf-8")
