"""How a caller uses the system: synthetic transactions as data."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field

from readiness.descriptor.chaos import Accounts, Bounds
from readiness.descriptor.values import Duration, Part, Template


class Request(Part):
    """One HTTP request; `url`, `json` and header values are templates."""

    method: str = "GET"
    url: Template
    json_body: Any = Field(default=None, alias="json")
    headers: dict[str, Template] = Field(default_factory=dict)
    as_level: str | None = Field(default=None, alias="as")
    """The access level whose credentials are used; without it `auth` of the service in `url`."""


class ResultAt(Part):
    """Where and until when a submitted transaction is awaited: `until` maps a JSON field to its final values."""

    url: Template
    until: dict[str, list[str | int | bool]]
    success: dict[str, str | int | bool]


class Variant(Part):
    """One synthetic transaction: submit, await, check.

    `expect` maps a field of the result to text it must contain (a template); `once` maps a field to the number
    that shows the effect happened exactly once; `counts` maps a signal's meaning to its true increase for one
    transaction; `hops` are the components whose logs carry it; `refused` are the status codes of a refusal that
    is the right answer; `outcome` is what this variant is meant to end as.
    """

    submit: Request
    id: str = "id"
    """Field of the answer that holds the transaction's id, `{id}` in `result.url`."""
    result: ResultAt | None = None
    """Where its end is awaited; without it the answer is the result."""
    outcome: Literal["success", "failure", "refused"] = "success"
    refused: list[int] = Field(default_factory=lambda: [400, 422])
    expect: dict[str, Template] = Field(default_factory=dict)
    answer: str | None = None
    once: dict[str, int] = Field(default_factory=dict)
    counts: dict[str, float] = Field(default_factory=dict)
    lasts_at_least: Duration | None = None
    """Time that the tasks of one transaction are known to take at least (the `slow` variant), in all."""
    hops: list[str] = Field(default_factory=list)
    within: Duration = timedelta(seconds=30)
    """How long it may take until its end."""


class Remember(Part):
    """How a caller stores, reads and removes something of a user (`{marker}`): the canary of backups."""

    write: Request
    read: Request
    forget: Request


class VersionOf(Part):
    """Which release served a request: a header of the answer, or a field of the transaction's result."""

    response_header: str | None = None
    result_field: str | None = None
    request: Request | None = None
    """A cheap request that is routed like any other; without it transactions of the variant `ok` are sent."""


class Correlation(Part):
    """How a caller hands in a correlation id."""

    request_header: str


class WorkloadSpec(Part):
    """How a caller uses the system; gates ask for variants by name."""

    ok: Variant | None = None
    invalid: Variant | None = None
    slow: Variant | None = None
    retried: Variant | None = None
    failing: Variant | None = None
    ask: Variant | None = None
    """A question (`{question}`) whose answer is the field `answer` of the result."""
    remember: Remember | None = None
    correlation: Correlation | None = None
    version_at: VersionOf | None = None
    adapter: str | None = None
    """`package.module:Class` where HTTP templates cannot describe the transaction."""
    adapter_options: dict[str, Any] = Field(default_factory=dict)
    accounts: Accounts = Accounts()
    bounds: Bounds = Bounds()
    max_rate_per_s: float = Field(default=20.0, gt=0)
    """The most synthetic transactions a second that gates may send."""


class Golden(Part):
    """A question whose right answer contains `expect`."""

    question: str
    expect: str
