"""The JSON Schemas of the files that people write: editors check and complete with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from readiness.descriptor import Descriptor
from readiness.policy import Policy
from readiness.scenario import Scenario

FOLDER = Path(__file__).resolve().parent / "schemas"
MODELS: dict[str, type[BaseModel]] = {"descriptor": Descriptor, "policy": Policy, "scenario": Scenario}
"""Schema's name → the model it is made from."""


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a format, made from its model."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **MODELS[name].model_json_schema(mode="validation"),
    }


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
