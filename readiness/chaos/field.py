"""What a fault can hit: the replicas that are really there, and the links with the proxies that stand on them now."""

from __future__ import annotations

import fnmatch
import json
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from readiness.descriptor import Descriptor, Link
from readiness.errors import Missing, Undecidable
from readiness.loading.mistakes import nearest
from readiness.reach import Reach
from readiness.target import Instance, Target
from readiness.waiting import Deadline

LIFETIME_S = 600.0
"""After so long a server of fault proxies lifts a fault of messages by itself."""
_LOOK_S = 20.0
_MAX_REPLICAS = 200
TOXIPROXY, HTTP, HTTP_FAULTS = "toxiproxy", "http", "httpfaults"
"""Whose proxies: the keys of `faults` in the descriptor, and by what name operations call the second's server."""


class Refused(Undecidable):
    """Nothing would be hit, or not what was asked for: nothing is broken then."""


@dataclass(frozen=True, slots=True)
class Way:
    """A link of the descriptor, with the proxies that stand on it now."""

    name: str
    link: Link
    proxies: tuple[str, ...]
    path: str
    """A path that the called service answers at once: what a look through the proxy asks for."""

    @property
    def told(self) -> str:
        """The link in words."""
        return f"{', '.join(self.link.from_services)} → {self.link.to}"


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one meaning, and the proxies (globs) that they pass."""

    meaning: str
    proxies: tuple[str, ...]
    method: str
    path: str
    told: str


class Field:
    """Chooses what is hit: by part or name, seeded, and only what is there.

    `standing` gives, for `toxiproxy` and `http`, the names of the proxies that exist now.
    """

    def __init__(
        self,
        reach: Reach,
        standing: Mapping[str, Callable[[], Sequence[str]]],
        *,
        run_tag: str,
        seed: int = 0,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        self._reach = reach
        self._standing = standing
        self._random = random.Random(seed)
        self.run_tag = run_tag
        self.lifetime_s = lifetime_s
        self.chosen: list[str] = []
        """The names of the replicas that were chosen so far, in order."""

    @property
    def descriptor(self) -> Descriptor:
        """What the team declared."""
        return self._reach.file.descriptor

    @property
    def target(self) -> Target:
        """The driver's view of the deployment."""
        return self._reach.target

    def label(self, fault: str) -> str:
        """Make a name of its own for what is set up for a fault: it carries the run, so that others can tell it."""
        return f"{self.run_tag}-{fault.replace('_', '-')}-{secrets.token_hex(3)}"

    def services(self, part: str = "", service: str = "") -> list[str]:
        """Name the services of a part, or the one that is named."""
        declared = self.descriptor.services
        if bool(part) == bool(service):
            raise Refused("say what is to be hit: give part or service, one of the two", "part: agent")
        if service:
            if service not in declared:
                raise Refused(f"the deployment has no service {service!r}{nearest(service, declared)}")
            return [service]
        found = [name for name, spec in declared.items() if spec.part == part and spec.replicas > 0]
        if not found:
            raise Missing(f"no service is declared to be of the part {part}", f"services.<name>.part: {part}")
        return found

    def replicas(self, part: str = "", service: str = "") -> list[Instance]:
        """Give the replicas that run now, of a part or of a service."""
        found = [one for name in self.services(part, service) for one in self.target.instances(name)]
        if len(found) > _MAX_REPLICAS:
            raise Refused(f"{part or service} has {len(found)} replicas; allowed: {_MAX_REPLICAS} at most")
        return found

    def victims(self, part: str = "", service: str = "", n: int = 1) -> list[Instance]:
        """Choose n replicas of one service: ready ones, drawn by the seed; refuse where there are not so many."""
        sound = {name: self._ready(name) for name in self.services(part, service)}
        enough = sorted(name for name, there in sound.items() if len(there) >= n)
        if not enough:
            counted = ", ".join(f"{name}: {len(there)}" for name, there in sorted(sound.items()))
            raise Refused(f"nothing is hit: {n} ready replicas of {part or service} were asked for ({counted})")
        name = self._random.choice(enough)
        drawn = self._random.sample(sorted(sound[name], key=lambda one: one.name), n)
        self.chosen += [one.name for one in drawn]
        return drawn

    def all_of(self, part: str = "", service: str = "") -> list[Instance]:
        """Give every replica of one service of the part; refuse where none runs."""
        running = {name: list(self.target.instances(name)) for name in self.services(part, service)}
        there = sorted(name for name, found in running.items() if found)
        if not there:
            raise Refused(f"nothing is hit: no replica of {part or service} runs")
        found = running[self._random.choice(there)]
        self.chosen += [one.name for one in found]
        return found

    def way(self, link: str = "", caller: str = "", called: str = "") -> Way:
        """Give the link of that name or between those ends, with the proxies of Toxiproxy that stand on it now."""
        name, found = self._link(link, caller, called)
        if not found.toxiproxy:
            raise Missing(f"no Toxiproxy stands on the link {name}", f"links.{name}.toxiproxy: [<name of its proxy>]")
        standing = self._matched(TOXIPROXY, found.toxiproxy)
        if not standing:
            raise Refused(
                f"nothing is hit: no proxy called {' or '.join(found.toxiproxy)} stands on faults.toxiproxy",
                f"links.{name}.toxiproxy: names of proxies that are there",
            )
        return Way(name, found, standing, self._path(found.to))

    def stream(self, meaning: str, link: str = "", caller: str = "", called: str = "") -> Stream:
        """Give the requests of a meaning, on the link that is named or on every link that declares it."""
        chosen = self.descriptor.links
        if link or caller or called:
            name, one = self._link(link, caller, called)
            chosen = {name: one}
        carrying = {name: one for name, one in chosen.items() if meaning in one.messages and one.http}
        if not carrying:
            place = next(iter(chosen), "<link>")
            raise Missing(
                f"no link with a fault proxy of HTTP says which requests are {meaning!r}",
                f"links.{place}: {{http: [<proxy>], messages: {{{meaning}: {{method: POST, path: /…}}}}}}",
            )
        requests = {(one.messages[meaning].method, one.messages[meaning].path) for one in carrying.values()}  # type: ignore[index]
        if len(requests) > 1:
            raise Refused(f"{meaning!r} is another request on each of {', '.join(carrying)}", f"link: {min(carrying)}")
        globs = tuple(dict.fromkeys(glob for one in carrying.values() for glob in one.http))
        if not self._matched(HTTP, globs):
            raise Refused(
                f"nothing is hit: no proxy called {' or '.join(globs)} stands on faults.http",
                f"links.{min(carrying)}.http: names of proxies that are there",
            )
        ((method, path),) = requests
        return Stream(meaning, globs, method, path, f"{method} {path} on {', '.join(carrying)}")

    def _link(self, link: str, caller: str, called: str) -> tuple[str, Link]:
        links = self.descriptor.links
        if not links:
            raise Missing("no link between services is declared", "links.<name>: {from: […], to: …, toxiproxy: […]}")
        if link:
            if link not in links:
                raise Refused(f"the deployment has no link {link!r}{nearest(link, links)}")
            return link, links[link]
        found = [
            name
            for name, one in links.items()
            if self._is(called, one.to) and any(self._is(caller, service) for service in one.from_services)
        ]
        if not found:
            raise Missing(
                f"no link from {caller} to {called} is declared", "links.<name>: {from: […], to: …, toxiproxy: […]}"
            )
        if len(found) > 1:
            raise Refused(f"{len(found)} links go from {caller} to {called}: {', '.join(found)}", f"link: {found[0]}")
        return found[0], links[found[0]]

    def _is(self, wanted: str, service: str) -> bool:
        return not wanted or wanted in (service, self.descriptor.services[service].part)

    def _matched(self, kind: str, globs: Sequence[str]) -> tuple[str, ...]:
        if kind not in self._standing:
            place = f"faults.{kind}: http://127.0.0.1:<port>"
            raise Missing("nothing says where the fault proxies are told what to do", place)
        names = self._standing[kind]()
        return tuple(sorted(name for name in names if any(fnmatch.fnmatchcase(name, glob) for glob in globs)))

    def _path(self, service: str) -> str:
        spec = self.descriptor.services[service]
        given = spec.ready or spec.live or "/"
        return (urlsplit(given).path or "/") if "://" in given else given

    def _ready(self, service: str) -> list[Instance]:
        deadline = Deadline.after(_LOOK_S)
        return [one for one in self.target.instances(service) if self._reach.ready(one, deadline) is not False]


def listed(names: Sequence[str]) -> str:
    """Write names as operations carry them: a JSON text."""
    return json.dumps(list(names))
