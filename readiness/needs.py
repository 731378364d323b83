"""What a gate needs of a deployment, and the line of the descriptor that would give what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from readiness.descriptor import Descriptor
from readiness.target import Target, capable


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a gate needs: how it is called, when it is there, and the line that gives it."""

    text: str
    line: str
    holds: Callable[[Descriptor, Target], bool]
    procedure: str = ""
    """The operators' command that is needed: a gate's deadline grows by what the command may take."""
    profile: str = ""
    """The load profile that is run: a gate's deadline grows by what that may take."""

    def missing(self, descriptor: Descriptor, target: Target) -> str | None:
        """The line that would give what is needed, or None when it is there."""
        return None if self.holds(descriptor, target) else self.line

    def __str__(self) -> str:
        return self.text


def capability(protocol: type[Any]) -> Need:
    """The driver can do what a capability protocol (such as `Kills`) asks, and knows the processes to do it to."""

    def holds(descriptor: Descriptor, target: Target) -> bool:
        by_process = descriptor.driver.partition(":")[0] == "process"
        located = not by_process or any(spec.process for spec in descriptor.services.values())
        return located and capable(target, protocol)

    return Need(
        f"a driver that {protocol.__name__.lower()}",
        f"services.<service>.process: {{pidfile: run/<service>-*.pid}}   # a driver that {protocol.__name__.lower()}",
        holds,
    )


def procedure(name: str) -> Need:
    """The operators' command of this name."""
    return Need(
        f"procedures.{name}",
        f"procedures.{name}: {{run: [<command>, …], within: 5m}}",
        lambda d, _: name in d.procedures,
        procedure=name,
    )


def load(profile: str) -> Need:
    """A load run of this profile; every scenario can have one."""
    return Need(
        f"load {profile}", f"loadtests of the scenario: {{profile: {profile}, …}}", lambda *_: True, profile=profile
    )


def objective(name: str) -> Need:
    """An objective of this name: `peak_rate`, `availability`, `p95`, …"""
    return Need(
        f"objectives.{name}", f"objectives.{name}: <value>", lambda d, _: getattr(d.objectives, name) is not None
    )


def scaling() -> Need:
    """How the deployment is scaled, and by which command."""
    return Need(
        "scaling",
        "scaling: {services: [<service>, …], rate_per_replica: 1/s}",
        lambda d, _: d.scaling is not None,
    )


def volume() -> Need:
    """How much the deployment must hold."""
    return Need("volume", "volume: {items: <number>}", lambda d, _: d.volume is not None)


def failure_modes() -> Need:
    """The ways of failing that the team counts with."""
    return Need(
        "failure_modes",
        'failure_modes: {agent-killed: "an agent dies with work in hand", …}',
        lambda d, _: bool(d.failure_modes),
    )


def variant(name: str) -> Need:
    """The synthetic transaction of this name (an adapter class may bring it)."""
    return Need(
        f"workload.{name}",
        f"workload.{name}: {{submit: {{method: POST, url: …, json: …}}, result: …}}",
        lambda d, _: getattr(d.workload, name) is not None or d.workload.adapter is not None,
    )


def workload(part: str) -> Need:
    """A part of the workload that is no variant: `remember`, `correlation`, `version_at`."""
    lines = {
        "remember": "workload.remember: {write: …, read: …, forget: …}",
        "correlation": "workload.correlation: {request_header: X-Correlation-Id}",
        "version_at": "workload.version_at: {response_header: X-Release}",
    }
    by_adapter = part != "correlation"
    return Need(
        f"workload.{part}",
        lines[part],
        lambda d, _: getattr(d.workload, part) is not None or (by_adapter and d.workload.adapter is not None),
    )


def signal(meaning: str) -> Need:
    """A signal of this meaning."""
    return Need(
        f"signals.{meaning}", f"signals.{meaning}: {{metric: <series>, labels: …}}", lambda d, _: meaning in d.signals
    )


def release(role: str) -> Need:
    """A release of this role: `current`, `previous`, `candidate`, `known_bad`."""
    return Need(
        f"releases.{role}",
        f'releases.{role}: "<version>"',
        lambda d, _: d.releases is not None and getattr(d.releases, role) is not None,
    )


def evidence(kind: str) -> Need:
    """A source of evidence: `metrics`, `logs`, `reports`, `alerts`, `traces`."""
    lines = {
        "metrics": "evidence.metrics: {scrape: true}",
        "logs": 'evidence.logs: {files: ["var/log/*.jsonl"]}',
        "reports": 'evidence.reports: {junit: "releases/{release}/junit.xml"}',
        "alerts": "evidence.alerts: {alertmanager: <url>}",
        "traces": "evidence.traces: {jaeger: <url>}",
    }
    return Need(f"evidence.{kind}", lines[kind], lambda d, _: getattr(d.evidence, kind) is not None)


def log_field(meaning: str) -> Need:
    """The name of a field of log records: `correlation`, `component`, `operation`, `input`, `cause`, …"""
    return Need(
        f"log_fields.{meaning}",
        f"log_fields.{meaning}: <field>",
        lambda d, _: getattr(d.log_fields, meaning) is not None,
    )


def levels() -> Need:
    """Access levels with their credentials."""
    return Need("levels", "levels: {<level>: {bearer: {file: …}}, …}", lambda d, _: bool(d.levels))


def operations() -> Need:
    """Privileged operations, who may do them, and a harmless attempt at each."""
    return Need(
        "operations", "operations: {<operation>: {as: [<level>], dry_run: …}, …}", lambda d, _: bool(d.operations)
    )


def tools() -> Need:
    """Which agents may use which tools."""
    return Need("tools", "tools: {<tool>: [<service that may use it>, …], …}", lambda d, _: bool(d.tools))


def golden() -> Need:
    """Questions whose answers are known."""
    return Need("golden", "golden: [{question: …, expect: …}]", lambda d, _: bool(d.golden))


def recovery() -> Need:
    """The environment that restores go into."""
    return Need(
        "recovery",
        "recovery: {environment: readiness-restore, descriptor: <path of its descriptor>}",
        lambda d, _: d.recovery is not None,
    )


def backups(part: str) -> Need:
    """What the descriptor says about backups: `components` or `failure_domains`."""
    lines = {
        "components": "backups.components: {operational_state: <their name>, …}",
        "failure_domains": "backups.failure_domains: {primary: [<folder>], offsite: [<folder>]}",
    }
    return Need(f"backups.{part}", lines[part], lambda d, _: bool(getattr(d.backups, part)))


def canaries() -> Need:
    """Secrets whose values are looked for everywhere outside their store."""
    return Need("secrets.canaries", "secrets.canaries: {<name>: {file: …}}", lambda d, _: bool(d.secrets.canaries))


def service(part: str) -> Need:
    """At least one service that has this field: `ready`, `live`, `version`, `metrics`, `instances`, `process`, …"""
    lines = {
        "instances": "{file_sd: <file>}",
        "process": "{pidfile: run/<service>-*.pid}",
        "address": "http://…",
        "stateful": "true",
    }
    return Need(
        f"services.*.{part}",
        f"services.<service>.{part}: {lines.get(part, '<path>')}",
        lambda d, _: any(getattr(spec, part) for spec in d.services.values()),
    )


def any_of(*alternatives: Need) -> Need:
    """One of several needs is enough."""
    return Need(
        " or ".join(str(need) for need in alternatives),
        "   or   ".join(need.line for need in alternatives),
        lambda d, target: any(need.holds(d, target) for need in alternatives),
    )
