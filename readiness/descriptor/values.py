"""What the parts of a descriptor are made of: durations, shares, sizes, secrets."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from readiness.units import parse_duration, parse_rate, parse_share, parse_size

_DURATION = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*(ms|s|m|h|d)\s*$")]
Duration = Annotated[timedelta, BeforeValidator(parse_duration, json_schema_input_type=_DURATION)]
"""A length of time with its unit: `400ms`, `30s`, `5m`, `2h`, `7d`."""
Share = Annotated[float, BeforeValidator(parse_share, json_schema_input_type=float | str)]
"""A share between 0 and 1, or a percentage such as `50%`."""
_SIZE = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*(B|KB|MB|GB|KiB|MiB|GiB)\s*$")]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | _SIZE)]
"""A number of bytes with its unit: `512MB`, `2GiB`."""
_RATE = Annotated[str, Field(pattern=r"^\s*\d+(\.\d+)?\s*/\s*(s|m|h)\s*$")]
Rate = Annotated[float, BeforeValidator(parse_rate, json_schema_input_type=float | _RATE)]
"""How often something arrives: `2/s`, `90/m`, `1000/h`."""
CLOCK = r"^([01]\d|2[0-3]):[0-5]\d$"
"""A time of day, from 00:00 to 23:59."""
Template = str
"""Text with placeholders in braces: a service (`{gateway}` is its address), `{marker}`, `{id}`, `{candidate}`."""


class Part(BaseModel):
    """A part of a descriptor or policy: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Secret(Part):
    """Where a secret comes from; never its value."""

    env: str | None = None
    """Name of an environment variable."""
    file: Path | None = None
    """A file that holds it alone."""
    command: list[str] | None = None
    """A command that prints it."""

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if sum(x is not None for x in (self.env, self.file, self.command)) != 1:
            raise ValueError("give exactly one of env, file, command")
        return self
