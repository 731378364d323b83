"""The shipped JSON Schemas are those of the models, and say the same about real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from readiness.loading.documents import read_document
from readiness.schemas import FOLDER, MODELS, schema, schema_text

EXAMPLE = Path(__file__).with_name("descriptor.yaml")
SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


@pytest.mark.parametrize("name", MODELS)
def test_the_shipped_schema_is_current(name: str) -> None:
    shipped = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert shipped == schema_text(name), "run: python -c 'from readiness.schemas import write_schemas; write_schemas()'"
    Draft202012Validator.check_schema(json.loads(shipped))


def test_real_files_keep_their_schema() -> None:
    assert len(SCENARIOS) == 4
    for name, path in [("descriptor", EXAMPLE), *(("scenario", path) for path in SCENARIOS)]:
        errors = [error.message for error in Draft202012Validator(schema(name)).iter_errors(read_document(path).data)]
        assert errors == [], path


def test_an_unknown_key_breaks_the_schema() -> None:
    data = {**read_document(EXAMPLE).data, "servces": {}}
    assert not Draft202012Validator(schema("descriptor")).is_valid(data)
