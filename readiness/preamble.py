"""What a run writes down first: what is judged, by which gates and limits, and where."""

from __future__ import annotations

import getpass
import platform
import socket
from collections.abc import Sequence
from importlib import metadata
from typing import Any

from readiness.catalogue import all_gates
from readiness.gate import Gate
from readiness.loading import DescriptorFile
from readiness.plan import Plan
from readiness.records import to_json

DISTRIBUTION = "nexus-readiness"


def preamble(plan: Plan, file: DescriptorFile, run_id: str, selected: Sequence[Gate]) -> dict[str, Any]:
    """The data of a history's first event; it holds everything that a report says beside the findings."""
    descriptor, scenario = file.descriptor, plan.scenario
    return {
        "run_id": run_id,
        "product_version": product_version(),
        "scenario": {
            **scenario.model_dump(mode="json", exclude={"experiments", "loadtests"}),
            "catalogue_blocking": sum(gate.info.blocking for gate in all_gates()),
        },
        "deployment": {
            "name": descriptor.name,
            "environment": descriptor.environment,
            "pattern": descriptor.pattern,
            "driver": descriptor.driver,
            "embedded": plan.file is None,
            "descriptor_sha256": file.sha256,
            "releases": descriptor.releases.model_dump(mode="json") if descriptor.releases else {},
            "services": {
                name: {"owner": service.owner, "replicas": service.replicas}
                for name, service in descriptor.services.items()
            },
        },
        "gates": [to_json(gate.info) for gate in plan.gates],
        "selected": [gate.info.id for gate in selected],
        "policy": {
            "limits": [change.model_dump(mode="json") for change in plan.policy.limits],
            "not_yet": [entry.model_dump(mode="json") for entry in plan.policy.not_yet],
        },
        "environment": {
            "python": platform.python_version(),
            "os": f"{platform.system()} {platform.release()}",
            "machine": platform.machine(),
        },
    }


def product_version() -> str:
    """The version of this distribution; a checkout that was never installed has none."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0"


def holder(what: str) -> str:
    """Who holds a deployment during a run, for whoever finds it held."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}: {what}"
