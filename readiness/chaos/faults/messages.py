"""Faults on messages between the parts of a system: twice, late, out of order, lost, spoiled.

`message` says which requests are hit, by the meaning that a link declares for them: `deliver` (a task is handed to
an agent), `acknowledge` (it reports), `submit` (work is handed in), `ask` and `tool` (it calls a model, a tool).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field as Bounded

from readiness.chaos.faults.kinds import LinkName, Seconds, Share, Text, fault
from readiness.chaos.faults.spoiling import spoiled
from readiness.chaos.field import Field
from readiness.descriptor import Meaning
from readiness.operations import Fault

NO_TASK = "this is no task"
TASK = "message"
"""Where the task stands in what is handed over, unless another `task_field` is given."""


@fault
def delivered_twice(
    field: Field, *, message: Meaning = "acknowledge", link: LinkName = None, share: Share = 1.0
) -> Fault:
    """Sends requests on twice, the second time after the first was answered; the caller gets the first answer."""
    told = "delivered twice"
    return spoiled(
        field, "delivered_twice", told, link=link, message=message, kind="duplicate", arguments={}, share=share
    )


@fault
def late(
    field: Field,
    *,
    message: Meaning = "acknowledge",
    link: LinkName = None,
    seconds: Seconds,
    jitter_s: Annotated[float, Bounded(ge=0, le=600)] = 0.0,
    share: Share = 1.0,
) -> Fault:
    """Holds requests back for that long before they are passed on."""
    arguments = {"seconds": seconds, "jitter_s": jitter_s}
    told = f"{seconds:g} s late"
    return spoiled(field, "late", told, link=link, message=message, kind="delay", arguments=arguments, share=share)


@fault
def reordered(field: Field, *, message: Meaning = "acknowledge", link: LinkName = None, share: Share = 1.0) -> Fault:
    """Holds a request until the next of its kind has passed (or a short while): the order is turned round."""
    told = "out of order"
    return spoiled(field, "reordered", told, link=link, message=message, kind="reorder", arguments={}, share=share)


@fault
def acknowledgement_lost(field: Field, *, link: LinkName = None, share: Share = 1.0) -> Fault:
    """Lets reports of agents take effect and loses the answer: the agent does not learn that it was heard."""
    return spoiled(
        field,
        "acknowledgement_lost",
        "taken, and the answer lost",
        link=link,
        message="acknowledge",
        kind="drop_response",
        arguments={},
        share=share,
    )


@fault
def handoff_lost(field: Field, *, link: LinkName = None, share: Share = 1.0) -> Fault:
    """Loses tasks on their way to an agent: they are given out, and nobody gets them."""
    return spoiled(
        field,
        "handoff_lost",
        "given out, and lost on the way",
        link=link,
        message="deliver",
        kind="drop_response",
        arguments={},
        share=share,
    )


@fault
def handoff_poisoned(
    field: Field, *, link: LinkName = None, task_field: Text = TASK, text: Text = NO_TASK, share: Share = 1.0
) -> Fault:
    """Puts a text where the task should be in what is handed to an agent: it can read the envelope, not the task."""
    return spoiled(
        field,
        "handoff_poisoned",
        f"with {task_field} spoiled",
        link=link,
        message="deliver",
        kind="replace",
        arguments={"json": {task_field: text}},
        share=share,
    )


@fault
def credential_expired(field: Field, *, message: Meaning = "ask", link: LinkName = None, share: Share = 1.0) -> Fault:
    """Answers requests with 401, as if the caller's credential had run out."""
    told = "answered 401"
    arguments = {"status": 401, "body": '{"error": "the credential has expired"}'}
    return spoiled(
        field, "credential_expired", told, link=link, message=message, kind="status", arguments=arguments, share=share
    )
