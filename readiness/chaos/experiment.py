"""An experiment as a file: a plain one of the Chaos Toolkit, with what this product reads of it as an extension."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from readiness.chaos.windows import promises
from readiness.descriptor import Duration, Part, Rate
from readiness.loading.documents import Document, Place, Problem, read_document, refusal

OURS = "readiness.chaos.actions"
OUR_PROBES = "readiness.chaos.probes"
EXTENSION = "readiness"


class TrafficSpec(Part):
    """The transactions that are sent before, during and after."""

    variant: str = "ok"
    rate: Rate = 3.0


class Trial(Part):
    """What an experiment is as a gate: the extension called `readiness`."""

    name: Literal["readiness"]
    failure_mode: str = Field(min_length=1)
    """The failure mode of the descriptor that it shows."""
    traffic: TrafficSpec = TrafficSpec()
    before: Duration = timedelta(seconds=5)
    """How long the deployment is watched before the first fault."""
    after: Duration = timedelta(seconds=8)
    """How long it is watched after it has recovered."""
    recovery: Duration = timedelta(seconds=20)
    """In what time it must have recovered, from the undo on."""
    needs: list[str] = Field(default_factory=list)
    """What the descriptor must give for it, by name."""
    promises: dict[str, dict[str, str]] = Field(default_factory=dict)
    """What holds `during` and `after` the fault: `errors: "<= 5%"`."""

    @field_validator("promises")
    @classmethod
    def _readable(cls, given: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
        promises(given)
        return given


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment's file."""

    path: Path
    document: Document
    trial: Trial | None
    """None where the file has no extension `readiness`, or one that cannot be read."""

    @property
    def name(self) -> str:
        """What it is called: the file's name without its ending."""
        return self.path.stem

    @property
    def sha256(self) -> str:
        """The digest of what stands in the file."""
        return hashlib.sha256(json.dumps(self.document.data, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def title(self) -> str:
        """Its title, else its name."""
        return str(self.document.data.get("title") or self.name)

    @property
    def data(self) -> dict[str, Any]:
        """The whole experiment, a copy for each who asks: the library changes what it runs."""
        given: dict[str, Any] = copy.deepcopy(self.document.data)
        return given

    @property
    def faults(self) -> tuple[str, ...]:
        """The faults that its method injects, in order."""
        return tuple(
            str(provider_of(one).get("arguments", {}).get("fault"))
            for _, one in activities(self.document.data, "method")
            if provider_of(one).get("module") == OURS and provider_of(one).get("func") == "inject"
        )


def read_experiment(path: Path) -> Experiment:
    """Read an experiment (YAML or JSON); what cannot be read at all is a UsageError with its line."""
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise refusal(path, [Problem(1, "not a mapping; an experiment has title, description, method, …")])
    place = extension_place(document.data)
    trial = None
    if place is not None:
        try:
            trial = Trial.model_validate(document.data["extensions"][place[1]])
        except ValueError:  # the check tells what is wrong with it
            trial = None
    return Experiment(path, document, trial)


def activities(data: dict[str, Any], *sections: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Give each activity of the sections with its place: `hypothesis`, `method`, `rollbacks` (all of them without)."""
    for section in sections or ("hypothesis", "method", "rollbacks"):
        holder: Any = data
        place: Place = (section,)
        if section == "hypothesis":
            holder, place = data.get("steady-state-hypothesis"), ("steady-state-hypothesis", "probes")
        listed = holder.get(place[-1]) if isinstance(holder, dict) else None
        for index, one in enumerate(listed if isinstance(listed, list) else []):
            if isinstance(one, dict):
                yield (*place, index), one


def provider_of(activity: dict[str, Any]) -> dict[str, Any]:
    """Give an activity's provider, an empty one where it has none that could be read."""
    provider = activity.get("provider")
    return provider if isinstance(provider, dict) else {}


def extension_place(data: dict[str, Any]) -> tuple[str, int] | None:
    """Where the extension `readiness` stands, or None."""
    listed = data.get("extensions")
    for index, one in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(one, dict) and one.get("name") == EXTENSION:
            return "extensions", index
    return None
