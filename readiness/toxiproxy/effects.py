"""What a fault on a proxy does to a request, measured through the proxy and, for comparison, without it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

from readiness.toxiproxy.probing import Address, Probe, probe

SILENCE_S = 1.5
"""As long as this without a byte is silence, where no other time is asked for."""
WHOLE_S = 3.0
"""A request that is to end has this long."""
PAIRS = 15
PAIRS_S = 2.0
THIN_S = 0.002
"""What a thin connection must add to one request at the least; less cannot be told from chance."""
PLAIN_PAIRS = 3
PLAIN_S = 0.04
PLAIN_RATIO = 5
"""After so many pairs it is enough where the proxy adds that much, and so many times what a request takes alone."""


@dataclass(frozen=True, slots=True)
class Way:
    """The two ways to an upstream: through a proxy, and without it."""

    proxy: str
    through: Address
    upstream: Address
    path: str
    stream: str = "downstream"
    """The direction that the toxic is on."""

    def by_proxy(self, within_s: float) -> Probe:
        """Ask through the proxy."""
        return probe(self.through, self.path, within_s)

    def direct(self, within_s: float) -> Probe:
        """Ask the upstream itself."""
        return probe(self.upstream, self.path, within_s)

    def __str__(self) -> str:
        return f"GET {self.path} through {self.proxy}"


def slow(way: Way, at_least: float) -> str:
    """Tell that the first byte came later than `at_least` ms, and by the proxy's doing."""
    through = way.by_proxy(at_least / 1000 + WHOLE_S)
    if not through.received_bytes or through.first_byte_s * 1000 < at_least:
        return ""
    direct = way.direct(WHOLE_S)
    if _alone(direct):
        return f"{way} took {_ms(through.first_byte_s)}"
    if not direct.whole or (through.first_byte_s - direct.first_byte_s) * 1000 < at_least / 2:
        return ""
    return f"{way} took {_ms(through.first_byte_s)}, {_ms(direct.first_byte_s)} without it"


def thin(way: Way, at_least: float) -> str:
    """Tell that at most `at_least` bytes a second came by: the bytes over the time that the proxy adds to them.

    Pairs of requests with and without the proxy: the middle of the differences is not moved by a busy machine.
    """
    added: list[float] = []
    alone: list[float] = []
    size = 0
    spent_s = 0.0
    while len(added) < PAIRS and spent_s < PAIRS_S:
        through, direct = way.by_proxy(PAIRS_S), way.direct(PAIRS_S)
        size = through.sent_bytes if way.stream == "upstream" else through.received_bytes
        if not size or not direct.whole or through.ending not in ("whole", "unfinished"):
            return ""
        if way.stream == "upstream" and not through.whole:
            return ""
        added.append(through.ended_s - direct.ended_s)
        alone.append(direct.ended_s)
        spent_s += through.ended_s + direct.ended_s
        if len(added) >= PLAIN_PAIRS and min(added) >= max(PLAIN_S, PLAIN_RATIO * max(alone)):
            break
    added_s = statistics.median(added)
    if added_s < max(THIN_S, statistics.median(alone)) or size / added_s > at_least:
        return ""
    return f"{size} bytes of {way} took {_ms(added_s)} longer than without it: {size / added_s:.0f} bytes/s"


def refused(way: Way, at_least: float) -> str:  # noqa: ARG001 - every effect is asked alike
    """Tell that the proxy's port refuses connections."""
    return f"{way}: connection to {way.through} refused" if way.by_proxy(WHOLE_S).ending == "refused" else ""


def silent(way: Way, at_least: float) -> str:
    """Tell that a connection is taken and no byte comes within `at_least` ms, while the upstream answers."""
    wait_s = at_least / 1000 if at_least > 0 else SILENCE_S
    if way.by_proxy(wait_s).ending != "silent" or not _sound(way.direct(wait_s)):
        return ""
    return f"{way}: connected, no byte of an answer within {_ms(wait_s)}"


def reset(way: Way, at_least: float) -> str:
    """Tell that the connection is reset, while the upstream answers."""
    through = way.by_proxy(at_least / 1000 + WHOLE_S)
    if through.ending != "reset" or not _sound(way.direct(WHOLE_S)):
        return ""
    return f"{way}: connection reset after {_ms(through.ended_s)} and {through.received_bytes} bytes"


def truncated(way: Way, at_least: float) -> str:
    """Tell that the connection closes before the answer is whole, while the upstream gives a whole one."""
    through = way.by_proxy(at_least / 1000 + WHOLE_S)
    if through.ending != "closed" or not _sound(direct := way.direct(WHOLE_S)):
        return ""
    of = f" of {direct.received_bytes}" if direct.whole else ""
    return f"{way}: closed after {through.received_bytes}{of} bytes of the answer"


EFFECTS: dict[str, Callable[[Way, float], str]] = {
    "slow": slow,
    "thin": thin,
    "refused": refused,
    "silent": silent,
    "reset": reset,
    "truncated": truncated,
}


def passes(way: Way, within_s: float) -> str:
    """Tell that a whole answer comes through the proxy, or that the upstream itself gives none."""
    through = way.by_proxy(within_s)
    if through.whole:
        return f"{way} was answered in {_ms(through.ended_s)}"
    direct = way.direct(within_s)
    if direct.ending in ("refused", "silent", "reset", "closed"):
        return f"{way}: the proxy is as it was, but its upstream {way.upstream} does not answer ({direct.ending})"
    return ""


def _alone(direct: Probe) -> bool:
    """Whether the upstream cannot be reached from here at all, so that there is nothing to compare with."""
    return direct.ending == "unreachable"


def _sound(direct: Probe) -> bool:
    return direct.whole or _alone(direct)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
