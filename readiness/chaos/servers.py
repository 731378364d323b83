"""The servers of fault proxies that a descriptor names: who does operations there, and which proxies stand there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from readiness.chaos.field import HTTP, HTTP_FAULTS, TOXIPROXY
from readiness.descriptor import Descriptor
from readiness.httpfaults.client import HttpFaultsDoer
from readiness.target import Doer
from readiness.toxiproxy import ToxiproxyDoer

Standing = Mapping[str, Callable[[], Sequence[str]]]


def servers_of(descriptor: Descriptor) -> tuple[dict[str, Doer], Standing]:
    """Give the doers of the declared servers, and for each kind of proxy how to learn which stand there now."""
    doers: dict[str, Doer] = {}
    standing: dict[str, Callable[[], Sequence[str]]] = {}
    if descriptor.faults.toxiproxy is not None:
        toxiproxy = ToxiproxyDoer(descriptor.faults.toxiproxy)
        doers[TOXIPROXY] = toxiproxy
        standing[TOXIPROXY] = lambda: sorted(toxiproxy.server.proxies())
    if descriptor.faults.http is not None:
        http = HttpFaultsDoer(descriptor.faults.http)
        doers[HTTP_FAULTS] = http
        standing[HTTP] = lambda: sorted(http.traffic())
    return doers, standing
