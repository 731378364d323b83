"""What pydantic found wrong, as sentences: what was given, what is allowed, what to do."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from readiness.loading.documents import Place, shown

_SECRET_PLACES = frozenset(
    {"auth", "levels", "secrets", "canaries", "bearer", "password", "header", "headers", "env", "trusted_keys"}
)
"""Below these keys a value given is never shown: somebody may have written the secret itself."""
_ALLOWED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "path_type": "a path",
    "datetime_type": "an instant such as 2026-12-31T00:00:00Z",
    "datetime_parsing": "an instant such as 2026-12-31T00:00:00Z",
    "datetime_from_date_parsing": "an instant such as 2026-12-31T00:00:00Z",
    "timezone_aware": "an instant with its zone, such as 2026-12-31T00:00:00Z",
}
_PLAIN = (str, int, float, bool, type(None), Path)


def nearest(given: str, known: Iterable[str], listing: str = "") -> str:
    """Return `; did you mean 'x'? known: x, y` for a name that is none; `listing` stands for the names known."""
    names = sorted(known)
    near = _near(given, names)
    listing = listing or f"known: {', '.join(names) or 'none'}"
    return f"; did you mean {near!r}? {listing}" if near else f"; {listing}"


def _near(given: str, known: list[str]) -> str | None:
    """The most similar name, or the only one that begins with what was given."""
    similar = difflib.get_close_matches(given[:100], known, n=1, cutoff=0.6)
    longer = [name for name in known if len(given) > 2 and name.startswith(given)]
    return similar[0] if similar else longer[0] if len(longer) == 1 else None


def mistakes(error: ValidationError, model: type[BaseModel], data: Mapping[str, Any]) -> list[tuple[Place, str]]:
    """Return each mistake with the place of its value in the data, one for a place."""
    by_place: dict[Place, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        by_place.setdefault(_place(details, data), []).append(details)
    places = list(by_place)
    found = []
    for place, group in by_place.items():
        deeper = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        told = [item for item in group if not (deeper and item["type"] in _ALLOWED)]
        if told:
            found.append((place, _sentence(place, told, model)))
    return found


def _place(details: ErrorDetails, data: object) -> Place:
    """The part of pydantic's location that stands in the data; names of union members do not."""
    place: list[str | int] = []
    last = len(details["loc"]) - 1
    for index, part in enumerate(details["loc"]):
        if isinstance(data, dict | list) and _has(data, part):
            data = data[part]  # type: ignore[index]
        elif not (index == last and details["type"] == "missing"):
            continue
        place.append(part)
    return tuple(place)


def _has(data: dict[str, Any] | list[Any], part: str | int) -> bool:
    return part in data if isinstance(data, dict) else isinstance(part, int) and part < len(data)


def _sentence(place: Place, group: list[ErrorDetails], model: type[BaseModel]) -> str:
    first = group[0]
    where = ".".join(map(str, place))
    if first["type"] == "extra_forbidden":
        return _unknown_key(place, _keys(model, place[:-1]))
    if first["type"] == "missing":
        return f"{where} is missing; add it"
    if first["type"] == "value_error":
        text = str(first.get("ctx", {}).get("error", first["msg"]))
    elif "string_type" in {item["type"] for item in group} and isinstance(first["input"], int | float):
        text = f"{_given(place, first['input'])} is no text; write it in quotes"
    else:
        allowed = " or ".join(dict.fromkeys(_allowed(item) for item in group))
        text = f"{_given(place, first['input'])} is not allowed; allowed: {allowed}"
    return f"{where}: {text}" if where else text


def _unknown_key(place: Place, known: Iterable[str]) -> str:
    key = str(place[-1])
    inside = f" in {'.'.join(map(str, place[:-1]))}" if place[:-1] else ""
    secret = bool(_SECRET_PLACES & set(place)) and not key.isidentifier()
    name = "(not shown: it may be secret)" if secret else shown(key)
    return f"unknown key {name}{inside}{nearest(key, known)}"


def _given(place: Place, value: object) -> str:
    if not isinstance(value, _PLAIN):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None:
        return "nothing"
    return "the value (not shown: it may be secret)" if _SECRET_PLACES & set(place) else shown(value)


def _allowed(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _ALLOWED:
        return _ALLOWED[kind]
    if kind == "literal_error":
        known = [part.strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(", ")]
        near = _near(str(details["input"]), known)
        return ", ".join(known) + (f" (did you mean {near!r}?)" if near else "")
    if kind == "too_short":
        return "one or more items"
    if kind == "string_too_short":
        return "text that is not empty"
    if kind == "string_pattern_mismatch":
        return f"text that matches {context['pattern']}"
    return details["msg"].removeprefix("Input should ").removeprefix("be ")


def _keys(model: type[BaseModel], place: Place) -> set[str]:
    """The keys that a mapping at this place may have: those of each model that the annotations allow there."""
    kinds: list[Any] = [model]
    for part in place:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return {field.alias or name for kind in models for name, field in kind.model_fields.items()}


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                yield from _members(field.annotation)
    elif get_origin(kind) is not None and get_args(kind):
        yield from _members(get_args(kind)[-1] if get_origin(kind) is dict else get_args(kind)[0])


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation
