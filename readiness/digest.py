"""The state of a deployment that a drill must leave as it was: what is ready in which version, and what is set."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from readiness.operations import Digest
from readiness.reach import Reach
from readiness.target import NoticesFaults
from readiness.together import beside
from readiness.waiting import Deadline

_PASSING = re.compile(
    r"pids?|uptime.*|started.*|since|time|timestamp|now|age.*|.*_at|queued?|queue_.*|work|tasks|running|requests|"
    r"connections|load|memory.*|cpu.*"
)
"""Names of what passes by itself (processes, times, work): no part of the state."""
_SET = {"configuration", "config", "settings", "limits", "weights", "replicas", "releases"}
"""Below these everything was set by somebody, whatever it is called."""


def take_digest(reach: Reach, deadline: Deadline) -> Digest:
    """Read the state: ready replicas and their versions by service, and what the procedure `status` says.

    Replicas that a fault still holds are `broken`, which is there only where there are some.

    A `status` that cannot be read is Undecidable: without it nothing could be shown to be undone.
    """
    services, status = beside(lambda: _services(reach, deadline), lambda: _status(reach, deadline))
    normal: Digest = json.loads(json.dumps({"services": services, **status}, sort_keys=True))
    return normal


def _services(reach: Reach, deadline: Deadline) -> dict[str, Any]:
    target = reach.target
    services: dict[str, Any] = {}
    for service in target.services():
        instances = target.instances(service)
        broken = sorted(target.unusual(instances)) if isinstance(target, NoticesFaults) else []
        ready = [one for one in instances if reach.ready(one, deadline) is not False]
        versions = sorted({reach.version(one, deadline) or "" for one in ready})
        services[service] = {"ready": len(ready), "versions": versions, **({"broken": broken} if broken else {})}
    return services


def _status(reach: Reach, deadline: Deadline) -> dict[str, Any]:
    if not reach.procedures.declared("status"):
        return {}
    said = reach.procedures.run("status", deadline=deadline, environment=reach.environment).json()
    return {"status": _lasting(said)}


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        kept = {str(key): item for key, item in value.items() if not _PASSING.fullmatch(str(key))}
        return {key: item if key in _SET else _lasting(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [_lasting(item) for item in value]
    return value
