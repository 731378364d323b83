"""Faults of a model provider, as agents meet them: by the fault proxy of HTTP between the agents and it.

All of them hit the calls that a link declares as `ask`. The two that change an answer speak the chat-completions
format unless another `field` is given: the text at `choices.0.message.content`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field as Bounded

from readiness.chaos.faults.kinds import Bytes, LinkName, Rate, Share, Status, Text, fault
from readiness.chaos.faults.spoiling import spoiled
from readiness.chaos.field import Field
from readiness.operations import Fault

ANSWER, CHOICES = "choices.0.message.content", "choices"
"""Where the text of an answer stands, and what an answer without one lacks (OpenAI API reference, chat completions)."""
RetryAfter = Annotated[float, Bounded(ge=0, le=3600)]


@fault
def rate_limited(
    field: Field, *, link: LinkName = None, retry_after_s: RetryAfter | None = None, share: Share = 1.0
) -> Fault:
    """Answers calls with 429, with the header Retry-After where its seconds are given."""
    arguments: dict[str, Any] = {"status": 429}
    told = "answered 429"
    if retry_after_s is not None:
        arguments["retry_after_s"], told = retry_after_s, f"answered 429, Retry-After {retry_after_s:g} s"
    return _asked(field, "rate_limited", told, link, "status", arguments, share)


@fault
def unavailable(field: Field, *, link: LinkName = None, status: Status = 503, share: Share = 1.0) -> Fault:
    """Answers calls with an error status instead of passing them on."""
    return _asked(field, "unavailable", f"answered {status}", link, "status", {"status": status}, share)


@fault
def hanging(field: Field, *, link: LinkName = None, share: Share = 1.0) -> Fault:
    """Takes calls and never answers them, until it is lifted or the caller gives up."""
    return _asked(field, "hanging", "never answered", link, "hang", {}, share)


@fault
def cut_short(field: Field, *, link: LinkName = None, after_bytes: Bytes = 40, share: Share = 1.0) -> Fault:
    """Breaks the connection after so many bytes of the answer's body."""
    arguments = {"after_bytes": after_bytes}
    return _asked(field, "cut_short", f"cut after {after_bytes} bytes", link, "cut", arguments, share)


@fault
def slow_tokens(field: Field, *, link: LinkName = None, bytes_per_s: Rate = 20, share: Share = 1.0) -> Fault:
    """Lets the answer's body trickle at so many bytes a second."""
    arguments = {"bytes_per_s": bytes_per_s}
    return _asked(field, "slow_tokens", f"at {bytes_per_s} bytes/s", link, "trickle", arguments, share)


@fault
def truncated_answer(field: Field, *, link: LinkName = None, keep: Share = 0.5, share: Share = 1.0) -> Fault:
    """Gives only the first part of the answer's body, in a response that is whole as HTTP."""
    return _asked(field, "truncated_answer", f"cut to {keep:.0%}", link, "truncate", {"share": keep}, share)


@fault
def schema_broken(field: Field, *, link: LinkName = None, lacks: Text = CHOICES, share: Share = 1.0) -> Fault:
    """Takes a field out of the answer's JSON that callers count on."""
    told = f"without {lacks}"
    return _asked(field, "schema_broken", told, link, "replace", {"json": {lacks: None}}, share)


@fault
def wrong_answer(
    field: Field, *, link: LinkName = None, text: Text, answer_field: Text = ANSWER, share: Share = 1.0
) -> Fault:
    """Puts another text in the place of the answer: well formed, plausible and wrong."""
    arguments = {"json": {answer_field: text}}
    return _asked(field, "wrong_answer", "answered with another text", link, "replace", arguments, share)


def _asked(
    field: Field, name: str, told: str, link: LinkName, kind: str, arguments: dict[str, Any], share: float
) -> Fault:
    return spoiled(field, name, told, link=link, message="ask", kind=kind, arguments=arguments, share=share)
