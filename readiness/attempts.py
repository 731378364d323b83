"""Harmless attempts at privileged operations: who is let, and who is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from readiness.credentials import ANONYMOUS
from readiness.descriptor import OperationSpec, Request
from readiness.errors import Missing
from readiness.procedures import roles
from readiness.reach import Reach
from readiness.templates import fill
from readiness.waiting import Deadline

Decision = Literal["allowed", "denied", "error"]
_DENIED = {401, 403}


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt."""

    operation: str
    level: str
    """The access level; no text for a caller without credentials."""
    decision: Decision
    code: int | None
    """The HTTP status, or the exit code."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MadeUp:
    """A credential that nobody was ever given, in place of a level's: for a request, and for a command."""

    headers: Mapping[str, str] = field(repr=False)
    value: str = field(repr=False)


def attempt(
    reach: Reach, operation: str, level: str, correlation: str | None, deadline: Deadline, made_up: MadeUp | None = None
) -> Attempt:
    """Try the dry run of an operation as a level: by HTTP 401 and 403 are denials, by command `denied_exit`."""
    spec = reach.file.descriptor.operations.get(operation)
    if spec is None:
        raise Missing(
            f"the operation {operation} is not declared", f"operations.{operation}: {{as: [<level>], dry_run: …}}"
        )
    if isinstance(spec.dry_run, Request):
        return _by_request(reach, operation, spec.dry_run, level, correlation, deadline, made_up)
    return _by_command(reach, operation, spec, level, correlation, deadline, made_up)


def _by_request(
    reach: Reach,
    operation: str,
    request: Request,
    level: str,
    correlation: str | None,
    deadline: Deadline,
    made_up: MadeUp | None,
) -> Attempt:
    header = reach.file.descriptor.workload.correlation
    headers = {header.request_header: correlation} if header is not None and correlation else {}
    values = _values(reach, operation, level, correlation)
    sent_as = level
    if made_up is not None:
        headers, sent_as = {**headers, **made_up.headers}, ANONYMOUS
    answer = reach.web.send(request, level=sent_as, headers=headers, values=values, deadline=deadline)
    decision: Decision = "allowed" if answer.ok else "denied" if answer.status in _DENIED else "error"
    return Attempt(operation, level, decision, answer.status, answer.error or answer.text[:200])


def _by_command(
    reach: Reach,
    operation: str,
    spec: OperationSpec,
    level: str,
    correlation: str | None,
    deadline: Deadline,
    made_up: MadeUp | None,
) -> Attempt:
    values = _values(reach, operation, level, correlation)
    assert not isinstance(spec.dry_run, Request)
    argv = [fill(part, values, f"operations.{operation}.dry_run") for part in spec.dry_run]
    environment = {"READINESS_CORRELATION": correlation} if correlation else {}
    if made_up is not None:
        environment["READINESS_CREDENTIAL"] = made_up.value
    elif level != ANONYMOUS:
        environment["READINESS_CREDENTIAL"] = reach.credentials.level_secret(level)
    ran = reach.procedures.execute(
        f"operations.{operation}.dry_run", argv, environment=environment, deadline=deadline.within(60.0)
    )
    decision: Decision = "allowed" if ran.ok else "denied" if ran.exit_code in spec.denied_exit else "error"
    return Attempt(operation, level, decision, ran.exit_code, ran.told())


def _values(reach: Reach, operation: str, level: str, correlation: str | None) -> dict[str, str]:
    """What the templates of a harmless attempt are filled with; `{release}` is the one that would go out next."""
    descriptor, named = reach.file.descriptor, roles(reach.file)
    values = {**named, "operation": operation, "level": level, "marker": correlation or operation}
    if release := named.get("candidate") or named.get("current"):
        values["release"] = release
    if descriptor.recovery is not None:
        values["environment"] = descriptor.recovery.environment
    values["service"] = next(iter(descriptor.services))
    return values
