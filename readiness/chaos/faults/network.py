"""Faults on the links between services, by the proxies of a Toxiproxy server that stand on them.

Whatever is started while such a fault is in force and gets a proxy of its own is not hit by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Bounded

from readiness.chaos.faults.kinds import Between, Bytes, Count, LinkName, Milliseconds, Rate, Share, fault
from readiness.chaos.field import TOXIPROXY, Field, Way, listed
from readiness.operations import Fault, Operation
from readiness.target import Argument

Stream = Literal["downstream", "upstream"]
DownFor = Annotated[float, Bounded(ge=0.1, le=60)]
SILENT_MS = 1500
"""So long nothing must come before a link counts as silent."""
_SLACK = 1.5
"""A thin link is one that lets at most this much more by than it was told: the first bytes pass at once."""


@fault
def slow(
    field: Field,
    *,
    link: LinkName = None,
    latency_ms: Milliseconds,
    jitter_ms: Annotated[int, Bounded(ge=0, le=600_000)] = 0,
    share: Share = 1.0,
) -> Fault:
    """Holds every answer on the link back for that long; `share` is of connections, not of requests."""
    way = _way(field, link)
    least_ms = max(1, latency_ms - jitter_ms)
    attributes = {"latency": latency_ms, "jitter": jitter_ms}
    return _toxic(field, way, "slow", "latency", attributes, f"by {latency_ms} ms", least_ms, share=share)


@fault
def thin(field: Field, *, link: LinkName = None, rate_kb_per_s: Rate, stream: Stream = "downstream") -> Fault:
    """Lets only so many kilobytes a second by, in one direction: answers (downstream) or requests (upstream)."""
    way = _way(field, link)
    most = int(rate_kb_per_s * 1000 * _SLACK)
    attributes = {"rate": rate_kb_per_s}
    return _toxic(field, way, "thin", "bandwidth", attributes, f"to {rate_kb_per_s} kB/s", most, stream=stream)


@fault
def refused(field: Field, *, link: LinkName = None) -> Fault:
    """Refuses every connection on the link and ends those that are open."""
    return _cut(_way(field, link), "refused")


@fault
def silent(field: Field, *, link: LinkName = None, share: Share = 1.0) -> Fault:
    """Takes what is sent on the link and lets nothing by: connections stay open, no answer comes."""
    way = _way(field, link)
    return _toxic(field, way, "silent", "timeout", {"timeout": 0}, "for good", SILENT_MS, share=share)


@fault
def reset(
    field: Field, *, link: LinkName = None, after_ms: Annotated[int, Bounded(ge=0, le=600_000)] = 0, share: Share = 1.0
) -> Fault:
    """Resets connections on the link (RST), at once or after a while."""
    way = _way(field, link)
    told = f"after {after_ms} ms"
    return _toxic(field, way, "reset", "reset_peer", {"timeout": after_ms}, told, after_ms, share=share)


@fault
def truncated(field: Field, *, link: LinkName = None, after_bytes: Bytes, share: Share = 1.0) -> Fault:
    """Closes each connection on the link after so many bytes of answers, in the middle of one.

    The effect is measured with a small request of its own: `after_bytes` must be less than that one's answer.
    """
    way = _way(field, link)
    told = f"after {after_bytes} bytes"
    return _toxic(field, way, "truncated", "limit_data", {"bytes": after_bytes}, told, 0, share=share)


@fault
def flapping(
    field: Field, *, link: LinkName = None, down_s: DownFor = 1.0, up_s: DownFor = 1.0, times: Count = 5
) -> Fault:
    """Cuts the link and mends it again, so often: refused for `down_s`, whole for `up_s`; the action lasts as long.

    Each cut is a fault of its own, written down before it begins and shown to be over before the next.
    """
    del down_s, up_s, times  # the rhythm is the action's: what is written down is one cut
    return _cut(_way(field, link), "flapping")


def _way(field: Field, link: LinkName) -> Way:
    if isinstance(link, Between):
        return field.way(caller=link.caller, called=link.called)
    return field.way(link or "")


def _toxic(
    field: Field,
    way: Way,
    name: str,
    kind: str,
    attributes: Mapping[str, int],
    told: str,
    at_least: float,
    *,
    share: float = 1.0,
    stream: Stream = "downstream",
) -> Fault:
    proxies, toxic = listed(way.proxies), field.label(name)
    set_up: dict[str, Argument] = {
        "type": kind,
        "stream": stream,
        "toxicity": share,
        "attributes": json.dumps(attributes),
    }
    part = "" if share == 1.0 else f", {share:.0%} of connections"
    look: dict[str, Argument] = {"proxies": proxies, "name": toxic, "path": way.path}
    return Fault(
        name,
        f"{way.name} ({way.told}) {name} {told}{part}",
        do=(Operation(TOXIPROXY, "add_toxic", {"proxies": proxies, "name": toxic, **set_up}),),
        undo=(Operation(TOXIPROXY, "remove_toxic", {"proxies": proxies, "name": toxic}),),
        witness=Operation(TOXIPROXY, "felt", {**look, "expect": name, "at_least": at_least}),
        healed=Operation(TOXIPROXY, "clear", look),
        lifted=True,
    )


def _cut(way: Way, name: str) -> Fault:
    proxies = listed(way.proxies)
    look: dict[str, Argument] = {"proxies": proxies, "name": "", "path": way.path}
    return Fault(
        name,
        f"{way.name} ({way.told}) refused",
        do=(Operation(TOXIPROXY, "disable", {"proxies": proxies}),),
        undo=(Operation(TOXIPROXY, "enable", {"proxies": proxies}),),
        witness=Operation(TOXIPROXY, "felt", {**look, "expect": "refused", "at_least": 0}),
        healed=Operation(TOXIPROXY, "clear", look),
        lifted=True,
    )
