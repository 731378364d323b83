"""What a descriptor says in one place about another: placeholders, services, levels, signals that must exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from readiness.descriptor import Descriptor, OperationSpec, Request, Variant
from readiness.loading.documents import Place, shown
from readiness.loading.mistakes import nearest
from readiness.templates import named_in

ROLES = ("current", "previous", "candidate", "known_bad")
"""Placeholders for releases, where the descriptor gives them."""
TRANSACTION = ("marker", "id", "question", "correlation", "release", "environment")
"""Placeholders in `workload`."""
ARGUMENTS = (
    "release",
    "directory",
    "backup",
    "set",
    "environment",
    "component",
    "text",
    "service",
    "instance",
    "kind",
    "other",
    "correlation",
    "file",
    "level",
    "operation",
    "marker",
    "run",
    "since",
    "tool",
    "until",
    "replicas",
    "items",
)
"""Placeholders in `procedures` and `operations`: the arguments that gates hand in."""
COMPONENTS = ("configuration", "knowledge", "operational_state", "user_data", "logs_and_metrics")
"""The components whose backups the seed asks for."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_RESERVED = ("marker", "id", "question", "release")

Found = Iterator[tuple[Place, str]]


def reference_problems(descriptor: Descriptor) -> list[tuple[Place, str]]:
    """Return each broken cross reference with its place in the descriptor."""
    parts = (_services, _auth, _workload, _signals, _procedures, _operations, _backups, _links)
    return [problem for part in parts for problem in part(descriptor)]


def _services(descriptor: Descriptor) -> Found:
    for name, spec in descriptor.services.items():
        if name in _RESERVED:
            yield ("services", name), f"service {name!r} is called like a placeholder; choose another name"
        port = spec.process.port if spec.process else None
        if port is not None and not 0 < port < 65536:
            yield ("services", name, "process", "port"), f"{port} is no port; allowed: 1 to 65535"


def _auth(descriptor: Descriptor) -> Found:
    sources = ("metrics", "alerts", "logs", "traces")
    for name in descriptor.auth:
        if name in descriptor.procedures and name not in descriptor.services:
            place = f"procedures.{name}.secrets: {{VARIABLE: {{env: …}}}}"
            yield ("auth", name), f"{name} is a command, and a command gets its secrets as variables; write {place}"
        else:
            yield from _named("auth", name, [*descriptor.services, *sources], ("auth", name))


def _links(descriptor: Descriptor) -> Found:
    for name, link in descriptor.links.items():
        place = ("links", name)
        for index, service in enumerate(link.from_services):
            yield from _named("service", service, descriptor.services, (*place, "from", index))
        yield from _named("service", link.to, descriptor.services, (*place, "to"))
        for kind in ("toxiproxy", "http"):
            if getattr(link, kind) and getattr(descriptor.faults, kind) is None:
                line = f"faults.{kind}: http://127.0.0.1:<port>"
                yield (*place, kind), f"nothing says where these proxies are told what to do; write {line}"


def _signals(descriptor: Descriptor) -> Found:
    for meaning, signal in descriptor.signals.items():
        for index, service in enumerate(signal.services):
            yield from _named("service", service, descriptor.services, ("signals", meaning, "services", index))


def _workload(descriptor: Descriptor) -> Found:
    workload = descriptor.workload
    for name in type(workload).model_fields:
        part, place = getattr(workload, name), ("workload", name)
        if isinstance(part, Variant):
            yield from _variant(descriptor, part, place)
    if workload.remember:
        for name in ("write", "read", "forget"):
            yield from _request(
                descriptor, getattr(workload.remember, name), ("workload", "remember", name), TRANSACTION
            )
    if workload.version_at and workload.version_at.request:
        yield from _request(descriptor, workload.version_at.request, ("workload", "version_at", "request"), TRANSACTION)


def _variant(descriptor: Descriptor, variant: Variant, place: Place) -> Found:
    yield from _request(descriptor, variant.submit, (*place, "submit"), TRANSACTION)
    if variant.result:
        yield from _url(descriptor, variant.result.url, (*place, "result", "url"), TRANSACTION)
    for field, text in variant.expect.items():
        yield from _placeholders(descriptor, text, (*place, "expect", field), TRANSACTION)
    for meaning in variant.counts:
        yield from _named("signal", meaning, descriptor.signals, (*place, "counts", meaning))


def _procedures(descriptor: Descriptor) -> Found:
    for name, procedure in descriptor.procedures.items():
        place = ("procedures", name)
        for key, texts in (("run", dict(enumerate(procedure.run))), ("env", procedure.env)):
            for part, text in texts.items():
                yield from _placeholders(descriptor, text, (*place, key, part), ARGUMENTS)


def _operations(descriptor: Descriptor) -> Found:
    for name, operation in descriptor.operations.items():
        place = ("operations", name)
        for level in operation.as_levels:
            yield from _named("level", level, descriptor.levels, (*place, "as"))
        yield from _dry_run(descriptor, operation, (*place, "dry_run"))
    junit = descriptor.evidence.reports.junit if descriptor.evidence.reports else ""
    yield from _placeholders(descriptor, junit, ("evidence", "reports", "junit"), ("release",))


def _dry_run(descriptor: Descriptor, operation: OperationSpec, place: Place) -> Found:
    if isinstance(operation.dry_run, Request):
        yield from _request(descriptor, operation.dry_run, place, ARGUMENTS)
    else:
        for index, text in enumerate(operation.dry_run):
            yield from _placeholders(descriptor, text, (*place, index), ARGUMENTS)


def _backups(descriptor: Descriptor) -> Found:
    for name in descriptor.backups.components:
        yield from _named("component", name, COMPONENTS, ("backups", "components", name))


def _request(descriptor: Descriptor, request: Request, place: Place, values: Iterable[str]) -> Found:
    if request.method.upper() not in METHODS:
        yield (*place, "method"), f"method {shown(request.method)}; allowed: {', '.join(METHODS)}"
    if request.as_level is not None:
        yield from _named("level", request.as_level, descriptor.levels, (*place, "as"))
    yield from _url(descriptor, request.url, (*place, "url"), values)
    for header, text in request.headers.items():
        yield from _placeholders(descriptor, text, (*place, "headers", header), values)
    for text in _texts(request.json_body):
        yield from _placeholders(descriptor, text, (*place, "json"), values)


def _url(descriptor: Descriptor, url: str, place: Place, values: Iterable[str]) -> Found:
    yield from _placeholders(descriptor, url, place, values)
    first = next(iter(named_in(url)), None)
    if url.startswith(("http://", "https://")):
        return
    if first is None or not url.startswith("{" + first + "}") or first in (*values, *ROLES):
        yield place, f"url {shown(url)} begins with neither http:// or https:// nor a service in braces"
    elif first in descriptor.services and descriptor.services[first].address is None:
        yield place, f"{{{first}}} has no address; add services.{first}.address"


def _placeholders(descriptor: Descriptor, text: str, place: Place, values: Iterable[str]) -> Found:
    given = descriptor.releases.model_dump(exclude_none=True) if descriptor.releases else {}
    known = [*values, *given, *descriptor.services]
    for name in named_in(text):
        if name in ROLES and name not in given:
            yield place, f"{{{name}}} stands for a release that is not given; add releases.{name}"
        elif name not in known:
            yield from _named("placeholder", name, known, place)


def _named(what: str, name: str, known: Iterable[str], place: Place) -> Found:
    names = set(known)
    if name not in names:
        yield place, f"unknown {what} {shown(name)}{nearest(name, names)}"


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from (str(key), *_texts(value))
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _texts(value)
