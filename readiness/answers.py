"""What an answer means to the transaction that asked: accepted, refused, ended, wrong. Pure; who sends is another's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from readiness.descriptor import Variant
from readiness.templates import field_of, fill

MEANT: Mapping[str, str] = {"invalid": "refused", "failing": "failure"}
"""What a variant is meant to end as where only an adapter describes it; the others are meant to succeed."""
WITHIN_S = 30.0
"""How long a transaction may take where only an adapter, and no variant, describes it."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the deployment said to a transaction that was handed in."""

    accepted: bool
    refused: bool = False
    status_code: int | None = None
    id: str | None = None
    release: str | None = None
    error: str = ""
    result: Mapping[str, Any] | None = None
    """The end of the transaction, where the answer already is its result."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What the deployment says about a transaction that was accepted."""

    final: bool
    success: bool = False
    result: Mapping[str, Any] | None = None
    release: str | None = None
    error: str = ""


def submitted(name: str, spec: Variant, status: int | None, body: Any, text: str, error: str = "") -> Submitted:
    """Judge the answer to a variant's `submit`: 2xx is accepted, a status in `refused` is the refusal it may want.

    `body` is the JSON of the answer or None, `error` what came instead of one.
    """
    if status is None or not 200 <= status < 300:
        told = error or f"HTTP {status}: {text[:200]}"
        return Submitted(False, status in spec.refused, status, error=told)
    found = field_of(body, spec.id)
    if spec.result is None:
        result = body if isinstance(body, dict) else {"text": text}
        return Submitted(True, False, status, text_of(found), result=result)
    if found is None:
        return Submitted(False, False, status, error=f"the answer has no field {spec.id!r} (workload.{name}.id)")
    return Submitted(True, False, status, text_of(found))


def looked(spec: Variant, status: int | None, body: Any, text: str, error: str = "") -> Looked:
    """Hold the answer to a variant's `result` against its `until` and `success`; anything but 2xx is no end."""
    if spec.result is None:
        return Looked(False, error="the variant has no result to look at")
    if status is None or not 200 <= status < 300 or not isinstance(body, dict):
        return Looked(False, error=error or f"HTTP {status}: {text[:200]}")
    final = all(_among(field_of(body, name), wanted) for name, wanted in spec.result.until.items())
    success = all(_among(field_of(body, name), [wanted]) for name, wanted in spec.result.success.items())
    said = field_of(body, "error")
    return Looked(final, success, body, error="" if success or not said else str(said))


def wrong(spec: Variant, result: Mapping[str, Any] | None, values: Mapping[str, str]) -> list[str]:
    """Say what a result lacks of what its variant promises (`expect`, `once`)."""
    lacks = []
    for name, template in spec.expect.items():
        wanted = fill(template, values, f"expect.{name}")
        if wanted not in str(field_of(result, name)):
            lacks.append(f"the field {name} does not contain {wanted!r}")
    for name, wanted_count in spec.once.items():
        found = field_of(result, name)
        if found != wanted_count:
            lacks.append(f"the field {name} is {found!r}, not {wanted_count}")
    return lacks


def look_s(left_s: float) -> float:
    """One look may take a third of what is left and at most 5 s, so that a hanging replica is asked again."""
    return min(5.0, max(1.0, left_s / 3))


def text_of(value: Any) -> str | None:
    """Give a value of JSON as text; None stays None."""
    return None if value is None else str(value)


def _among(value: Any, wanted: list[Any]) -> bool:
    """Whether the value is one of the wanted, a bool never standing for a number."""
    return any((type(value) is type(one) and value == one) or str(value) == str(one) for one in wanted)
