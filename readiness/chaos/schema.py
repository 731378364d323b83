"""The keys that a Chaos Toolkit experiment may have: its own validation lets every other one pass without a word.

After the Chaos Toolkit's open API (experiment, activities, providers, controls) and what its library reads.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Keys(BaseModel):
    """Some keys and no others; the values are looked at elsewhere."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PythonProvider(Keys):
    """A function of a module."""

    type: Literal["python"]
    module: str
    func: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    secrets: list[str] = Field(default_factory=list)
    timeout: Any = None


class ProcessProvider(Keys):
    """A command."""

    type: Literal["process"]
    path: str
    arguments: Any = None
    timeout: Any = None
    secrets: list[str] = Field(default_factory=list)


class HttpProvider(Keys):
    """A request."""

    type: Literal["http"]
    url: str
    method: str = "GET"
    headers: dict[str, Any] = Field(default_factory=dict)
    arguments: Any = None
    timeout: Any = None
    verify_tls: Any = None
    max_retries: Any = None
    secrets: list[str] = Field(default_factory=list)


Provider = Annotated[PythonProvider | ProcessProvider | HttpProvider, Field(discriminator="type")]
Pause = Annotated[float, Field(ge=0, le=3600)] | Annotated[str, Field(pattern=r"^\$\{\w+\}$")]


class Pauses(Keys):
    """How long to wait before and after an activity, in seconds."""

    before: Pause | None = None
    after: Pause | None = None


class ControlProvider(Keys):
    """The module of a control."""

    type: Literal["python"]
    module: str
    arguments: dict[str, Any] = Field(default_factory=dict)
    secrets: Any = None


class Control(Keys):
    """What looks at an experiment from outside."""

    name: str
    provider: ControlProvider
    scope: Literal["before", "after"] | None = None
    automatic: bool = True


class Activity(Keys):
    """An action or a probe, or a reference to one."""

    ref: str | None = None
    type: Literal["action", "probe"] | None = None
    name: str | None = None
    provider: Provider | None = None
    background: bool = False
    pauses: Pauses | None = None
    timeout: Any = None
    dry: Any = None
    controls: list[Control] = Field(default_factory=list)
    configuration: Any = None
    secrets: Any = None


class HypothesisProbe(Activity):
    """A probe with the values that it may have."""

    tolerance: Any = None


class Hypothesis(Keys):
    """What is steady."""

    title: str
    probes: list[HypothesisProbe] = Field(default_factory=list)
    controls: list[Control] = Field(default_factory=list)


class HypothesisRuntime(Keys):
    """When the hypothesis is tried; the command line reads it."""

    strategy: str = "default"
    frequency: float | None = None
    fail_fast: bool | None = None
    fail_fast_ratio: float | None = None


class RollbacksRuntime(Keys):
    """When rollbacks are played; the command line reads it."""

    strategy: Literal["default", "always", "never", "deviated"]


class Runtime(Keys):
    """How the command line runs an experiment."""

    hypothesis: HypothesisRuntime | None = None
    rollbacks: RollbacksRuntime | None = None


class ExperimentKeys(Keys):
    """The keys of a whole experiment."""

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    method: list[Activity]
    version: Any = None
    tags: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    contributions: dict[str, Any] = Field(default_factory=dict)
    configuration: dict[str, Any] = Field(default_factory=dict)
    secrets: dict[str, Any] = Field(default_factory=dict)
    extensions: list[dict[str, Any]] = Field(default_factory=list)
    controls: list[Control] = Field(default_factory=list)
    runtime: Runtime | None = None
    dry: Any = None
    hypothesis: Hypothesis | None = Field(default=None, alias="steady-state-hypothesis")
    rollbacks: list[Activity] = Field(default_factory=list)
