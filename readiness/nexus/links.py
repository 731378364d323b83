"""Links: who calls whom, and the proxies through which they do, so that an experiment can spoil what is between them.

A call goes from the caller to its proxy on Toxiproxy, on to the proxy of the same name on the fault proxy, and on to
the instance. Every calling service has proxies of its own, so that each link can be spoilt alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from readiness.nexus import registry
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.proxies import FaultProxies, Proxies, ProxiesError
from readiness.nexus.registry import Instance
from readiness.nexus.settings import Proxied, Settings, write_private

CALLERS: dict[str, tuple[str, ...]] = {
    "orchestrator": ("gateway", *AGENT_ROLES),
    "knowledge": ("researcher", "reviewer"),
    "provider": ("planner", "writer"),
}
"""Service -> the services that call it."""
LOCKED_WITHIN_S = 5.0


def proxy_name(settings: Settings, caller: str, instance: str) -> str:
    """Return `<caller>-to-<instance>`, marked where others use the same server; a glob for an instance is one too."""
    prefix = settings.proxied.prefix if settings.proxied else ""
    return f"{prefix}{settings.names.component(caller)}-to-{instance}"


def lookup(settings: Settings, caller: str, service: str) -> list[Instance]:
    """Return the instances of a service at the addresses at which a caller reaches them."""
    instances = registry.lookup(settings, service)
    if settings.proxied is None or caller not in CALLERS.get(service, ()):
        return instances
    known = _read(settings)
    named = [(instance, known.get(proxy_name(settings, caller, instance.name))) for instance in instances]
    return [Instance(instance.name, instance.release, proxy["at"]) for instance, proxy in named if proxy]


def furnish(settings: Settings) -> str | None:
    """Make exactly the proxies stand that the announced instances need; return what could not be done, or None.

    It may be called at any time by anybody: what is right stays untouched, and what a server has lost by dying it is
    given again.
    """
    if settings.proxied is None:
        return None
    try:
        with FileLock(_file(settings).with_suffix(".lock"), timeout=LOCKED_WITHIN_S, mode=0o600):
            known = _read(settings)
            wanted = _wanted(settings)
            found = dict(known)
            try:
                _stand(settings.proxied, wanted, found)
                for name in known.keys() - wanted.keys():
                    _remove(settings.proxied, name)
                    del found[name]
            finally:
                if found != known:
                    write_private(_file(settings), json.dumps(found, indent=1, sort_keys=True) + "\n")
    except (ProxiesError, Timeout) as error:
        return str(error)
    return None


def forsake(home: Path) -> None:
    """Take this home's proxies away from a server that others go on using."""
    settings = Settings.load(home)
    if settings.proxied is None or not settings.proxied.shared:
        return
    for name in _read(settings):
        try:
            Proxies(settings.proxied.toxiproxy).remove(name)
        except ProxiesError:
            return


def _stand(proxied: Proxied, wanted: dict[str, Instance], known: dict[str, dict[str, str]]) -> None:
    inner, outer = FaultProxies(proxied.http), Proxies(proxied.toxiproxy)
    inside, outside = inner.all(), outer.all()
    for name, instance in wanted.items():
        before = known.get(name, {})
        within = inner.stand(name, instance.address, inside.get(name), before.get("http", ""))
        at = outer.stand(name, within, outside.get(name), before.get("at", ""))
        known[name] = {"at": at, "http": within}


def _remove(proxied: Proxied, name: str) -> None:
    Proxies(proxied.toxiproxy).remove(name)
    FaultProxies(proxied.http).remove(name)


def _wanted(settings: Settings) -> dict[str, Instance]:
    """Return the proxies that are to stand: name -> the instance that is called through it."""
    return {
        proxy_name(settings, caller, instance.name): instance
        for service, callers in CALLERS.items()
        for instance in registry.lookup(settings, service)
        for caller in callers
    }


def _file(settings: Settings) -> Path:
    return settings.run / "links.json"


def _read(settings: Settings) -> dict[str, dict[str, str]]:
    try:
        found: Any = json.loads(_file(settings).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return dict(found)
