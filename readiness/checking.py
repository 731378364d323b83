"""`readiness check`: a descriptor is valid, what it names can be reached, and which gates it lets run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from readiness.catalogue import all_gates
from readiness.credentials import Credentials
from readiness.errors import ReadinessError
from readiness.loading import DescriptorFile, load_descriptor
from readiness.policy import check_objectives
from readiness.reach import Reach
from readiness.reachability import unreachable
from readiness.redaction import Redactor
from readiness.target import attach
from readiness.waiting import Deadline

WITHIN_S = 60.0


def problems(path: Path) -> tuple[list[str], str]:
    """Reach everything that a descriptor names; give a line for each problem, and what gates can run.

    What is wrong in the file itself is a UsageError, as in every other command.
    """
    file, redactor = load_descriptor(path), Redactor()
    check_objectives(file, [gate.info for gate in all_gates()])
    credentials = Credentials.load(file, redactor)
    reach = Reach.of(file, attach(file), credentials, redactor, f"check-{datetime.now(UTC):%H%M%S}")
    try:
        found = [*_unreached(reach), *_commands(file)]
    finally:
        reach.web.close()
    lacking = {gate.info.id: gate.missing(file.descriptor, reach.target) for gate in all_gates()}
    missing = [f"{gate}: missing {line}" for gate, lines in lacking.items() for line in lines]
    able = sum(not lines for lines in lacking.values())
    said = [*missing, f"{file.descriptor.name}: {able} of {len(lacking)} gates can run; {len(found)} problems"]
    return [redactor.redact(f"{path}: {line}") for line in found], "\n".join(said)


def _unreached(reach: Reach) -> Iterator[str]:
    """Replicas that are not there or not ready, and sources of evidence without an answer."""
    deadline = Deadline.after(WITHIN_S)
    yield from (f"{breach.what}: {breach.reason}" for breach in unreachable(reach.file.descriptor, 2.0))
    for service in reach.target.services():
        try:
            instances = reach.target.instances(service)
            expected = reach.counted_replicas(service)
            if len(instances) < expected:
                yield f"services.{service}: {len(instances)} of {expected} replicas found"
            for instance in instances:
                if reach.ready(instance, deadline) is False:
                    yield f"services.{service}: {instance.name} is not ready"
        except ReadinessError as error:
            yield f"services.{service}: {error}"
    sources = reach.file.descriptor.evidence
    try:
        if sources.metrics is not None:
            yield from (f"evidence.metrics: {one} cannot be read" for one in reach.metrics.read(deadline).unreachable)
        if sources.logs is not None:
            reach.logs.mark()
    except ReadinessError as error:
        yield f"evidence: {error}"


def _commands(file: DescriptorFile) -> Iterator[str]:
    """Each procedure whose program does not exist."""
    for name, procedure in file.descriptor.procedures.items():
        program = procedure.run[0]
        found = file.resolve(program).exists() if "/" in program else shutil.which(program) is not None
        if not found:
            yield f"procedures.{name}: no program {program!r}"
