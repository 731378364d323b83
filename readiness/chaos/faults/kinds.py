"""The registry of faults: a function's name is the fault's, its signature its parameters, its docstring its limits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from readiness.chaos.field import Field as ChaosField
from readiness.descriptor import Part, ServicePart
from readiness.errors import UsageError
from readiness.loading.documents import Place, shown
from readiness.loading.mistakes import mistakes, nearest
from readiness.operations import Fault

Make = TypeVar("Make", bound=Callable[..., Fault])


class Between(Part):
    """A link by its two ends: parts of the system (`agent`, `provider`) or names of services."""

    caller: str = Field(alias="from")
    called: str = Field(alias="to")


LinkName = Between | str | None
"""A link by its two ends, by its name in the descriptor, or the only one that fits."""
Count = Annotated[int, Field(ge=1, le=1000)]
Share = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=600)]
Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
Bytes = Annotated[int, Field(ge=0, le=1 << 30)]
Rate = Annotated[int, Field(ge=1, le=1_000_000)]
Status = Annotated[int, Field(ge=400, le=599)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


def _part(given: str) -> str:
    known = get_args(ServicePart)
    if given not in known:
        raise ValueError(f"{shown(given)} is no part of a system{nearest(given, known)}")
    return given


PartName = Annotated[str, AfterValidator(_part)]


class _Parameters(BaseModel):
    """What every fault's parameters have in common: none is guessed, converted or left out."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One way of breaking something."""

    name: str
    about: str
    """What it does and what its limits are, as its function says it."""
    make: Callable[..., Fault]
    parameters: type[BaseModel]

    def fault(self, field: ChaosField, given: Mapping[str, Any]) -> Fault:
        """Make the fault for a field; raise UsageError with one line for parameters that cannot be."""
        found = mistakes_in(self.name, given)
        if found:
            raise UsageError(f"fault {self.name}: {'; '.join(text for _, text in found)}")
        values = self.parameters.model_validate(dict(given))
        return self.make(field, **{name: getattr(values, name) for name in self.parameters.model_fields})


FAULTS: dict[str, FaultKind] = {}
"""Every fault by its name."""


def fault(make: Make) -> Make:
    """Enter a function that makes a fault in the registry."""
    name = make.__name__
    hints = get_type_hints(make, include_extras=True)
    given = list(inspect.signature(make).parameters.values())[1:]
    fields: dict[str, Any] = {
        one.name: (hints[one.name], ... if one.default is inspect.Parameter.empty else one.default) for one in given
    }
    model: type[BaseModel] = create_model(name, __base__=_Parameters, **fields)
    FAULTS[name] = FaultKind(name, inspect.getdoc(make) or "", make, model)
    return make


def kind_of(name: object) -> FaultKind:
    """Give a fault by its name; raise UsageError with the nearest name for one that is none."""
    if not isinstance(name, str) or name not in FAULTS:
        raise UsageError(f"unknown fault {shown(name)}{nearest(str(name), FAULTS)}")
    return FAULTS[name]


def mistakes_in(name: str, given: Mapping[str, Any]) -> list[tuple[Place, str]]:
    """Give each mistake in a fault's parameters with its place in them."""
    kind = kind_of(name)
    try:
        kind.parameters.model_validate(dict(given))
    except ValidationError as error:
        return [(place, _said(place, text)) for place, text in mistakes(error, kind.parameters, given)]
    return []


def _said(place: Place, text: str) -> str:
    """The sentence in the words of this place: what is unknown here is a parameter, not a key."""
    return text.replace("unknown key", "unknown parameter", 1) if len(place) == 1 else text
