"""What the team promises, and how much the deployment is meant to carry."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from readiness.descriptor.values import CLOCK, Duration, Part, Rate, Share


class WindowSpec(Part):
    """A maintenance window, by the clock of its zone; one that ends before it begins ends on the next day."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] = Field(min_length=1)
    start: str = Field(alias="from", pattern=CLOCK)
    end: str = Field(alias="to", pattern=CLOCK)
    zone: str
    """An IANA name, such as `Europe/Berlin`."""

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone; write its IANA name, as in Europe/Berlin") from None
        return zone


class ScalingSpec(Part):
    """How the deployment grows: the services that are scaled together by `procedures.scale`, and the load for each."""

    services: list[str] = Field(min_length=1)
    """All that must grow for more work to be done; each gets the same number of replicas."""
    replicas: list[int] = Field(default_factory=lambda: [1, 2, 4], min_length=2)
    """Numbers of replicas to measure at, ascending."""
    variant: str = "ok"
    """The transaction that they work on."""
    rate_per_replica: Rate
    """Transactions a second that one replica of each service is offered: slightly more than it can do."""

    @field_validator("replicas")
    @classmethod
    def _ascending(cls, given: list[int]) -> list[int]:
        if given[0] < 1 or given != sorted(set(given)):
            raise ValueError(f"{given} must ascend and begin with 1 or more, as in [1, 2, 4]")
        return given


class VolumeSpec(Part):
    """How much the deployment must hold; `procedures.fill` brings it there, `unfill` takes that out again."""

    items: int = Field(gt=10)
    """Items (documents and ended work alike) that it must hold without becoming slow."""
    variant: str = "ok"
    """The transaction whose latency is measured at a tenth of that volume and at all of it."""


class Objectives(Part):
    """What the team promises; a stricter promise than a gate's default is held, a weaker one needs the policy."""

    rto: Duration | None = None
    """Recovery time objective."""
    rpo: Duration | None = None
    """Recovery point objective."""
    availability: Share | None = None
    p95: Duration | None = None
    """The latency that 95 % of requests keep."""
    peak_rate: Rate | None = None
    """Transactions of the variant `ok` in the busiest hour, as in `2/s`: what the deployment is built to carry."""
    maintenance_windows: list[WindowSpec] = Field(default_factory=list)
    limits: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Gate → limit's name → a stricter value, in the limit's own unit."""
