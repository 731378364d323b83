"""What can be broken in a deployment: its links and the proxies on them, its failure modes, and what work may cost."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from readiness.descriptor.values import Part

ServicePart = Literal["entrance", "coordinator", "agent", "knowledge", "provider", "store", "other"]
"""What a service is in a multi-agent system: experiments speak of parts, never of a team's names."""
Meaning = Literal["submit", "deliver", "acknowledge", "ask", "tool"]
"""What a message is: work handed in, a task given to an agent, its report, a call of the model, of a tool."""


class Message(Part):
    """Which requests of a link carry a message: a method, and a path as a glob."""

    method: str = "POST"
    path: str


class Link(Part):
    """Who calls whom, and the proxies that stand between: through them experiments slow, cut and spoil it."""

    from_services: list[str] = Field(alias="from", min_length=1)
    """The services that call."""
    to: str
    """The service that is called."""
    toxiproxy: list[str] = Field(default_factory=list)
    """Names (globs) of this link's proxies on `faults.toxiproxy`."""
    http: list[str] = Field(default_factory=list)
    """Names (globs) of this link's proxies on `faults.http`."""
    messages: dict[Meaning, Message] = Field(default_factory=dict)
    """Meaning → its requests: `ask`, `tool`, `deliver`, `acknowledge`, `submit`."""

    @model_validator(mode="after")
    def _through_something(self) -> Link:
        if not self.toxiproxy and not self.http:
            raise ValueError("no proxy stands on this link; name its proxies in toxiproxy or http")
        return self


class FaultServers(Part):
    """Where the proxies of links are told what to do."""

    toxiproxy: str | None = None
    """The HTTP API of a Toxiproxy server, as in `http://127.0.0.1:8474`."""
    http: str | None = None
    """The HTTP API of the fault proxy of this product, as in `http://127.0.0.1:8475`."""


class Accounts(Part):
    """Fields of a transaction's result that tell what it came to; a field that is a list is summed."""

    effects: str | None = None
    """How often its effect happened."""
    steps: str | None = None
    """How many attempts its tasks took, in all."""
    tokens: str | None = None
    cost: str | None = None
    answer: str | None = None
    """The text that was answered."""
    correlation: str | None = None
    """The correlation id that was handed in."""


class Bounds(Part):
    """The most that one transaction may take, under faults too."""

    steps: int | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)
    cost: float | None = Field(default=None, gt=0)
