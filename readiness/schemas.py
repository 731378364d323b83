"""The JSON Schemas of the files that people write: editors check and complete with them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from readiness.descriptor import Descriptor
from readiness.policy import Policy
from readiness.scenario import Scenario

FOLDER = Path(__file__).resolve().parent / "schemas"
MODELS: dict[str, type[BaseModel]] = {"descriptor": Descriptor, "policy": Policy, "scenario": Scenario}
"""Schema's name → the model it is made from."""
_ISO_DURATION = re.compile(r"P(T?\d)")


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a format, made from its model."""
    made = MODELS[name].model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_iso_durations(made)}


def _without_iso_durations(part: Any) -> Any:
    """Take out the defaults that pydantic writes as ISO 8601 durations: the files do not read that form."""
    if isinstance(part, dict):
        iso = isinstance(part.get("default"), str) and _ISO_DURATION.match(part["default"])
        return {key: _without_iso_durations(value) for key, value in part.items() if not (iso and key == "default")}
    return [_without_iso_durations(item) for item in part] if isinstance(part, list) else part


def schema_text(name: str) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema(name), indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path = FOLDER) -> list[Path]:
    """Write every schema anew, and return the paths."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name in MODELS:
        path = folder / f"{name}.json"
        path.write_text(schema_text(name), encoding="utf-8")
        paths.append(path)
    return paths
