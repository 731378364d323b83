"""Looks that no driver or server has, asked as data like theirs: several at once, and the release that is served."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from readiness.errors import TargetError
from readiness.operations import Operation
from readiness.reach import Reach
from readiness.target import Argument
from readiness.waiting import Deadline

BY = "looks"
LOOK_S = 10.0


def every(looks: Sequence[Operation]) -> Operation:
    """Give one look that shows something only where each of the looks does."""
    if len(looks) == 1:
        return looks[0]
    return Operation(BY, "every", {"looks": json.dumps([asdict(one) for one in looks])})


def serving(service: str, release: str) -> Operation:
    """Give the look for a replica of the service that says it is of that release."""
    return Operation(BY, "serving", {"service": service, "release": release})


class Looks:
    """A doer that looks only."""

    def __init__(self, reach: Reach, ask: Callable[[Operation, Deadline], str]) -> None:
        self._reach = reach
        self._ask = ask

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        """Refuse: nothing can be done here."""
        raise TargetError(f"{BY} cannot do {operation!r} ({', '.join(arguments)}); it only looks")

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        """Look with `every` or `serving`."""
        if operation == "every":
            looks = [Operation.from_data(one) for one in json.loads(str(arguments["looks"]))]
            seen = [self._ask(one, Deadline.after(LOOK_S)) for one in looks]
            return "; ".join(seen) if seen and all(seen) else ""
        if operation == "serving":
            service, release = str(arguments["service"]), str(arguments["release"])
            for one in self._reach.instances(service):
                if self._reach.version(one, Deadline.after(LOOK_S)) == release:
                    return f"{one.name} says that it is {release}"
            return ""
        raise TargetError(f"{BY} cannot look for {operation!r}; it can: every, serving")
