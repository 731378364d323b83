"""Who does an operation that is given as data: the driver, the operators' commands, the servers of fault proxies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from readiness.errors import Missing, ProcedureFailed, TargetError, Undecidable
from readiness.operations import PROCEDURE, Operation
from readiness.procedures import Procedures
from readiness.target import Doer, Target
from readiness.waiting import Deadline, NotInTime, eventually


class Doing:
    """Hands operations to their doers by name; the target is the doer of its own scheme."""

    def __init__(self, target: Target, procedures: Procedures, doers: Mapping[str, Doer]) -> None:
        self._procedures = procedures
        self._doers: dict[str, Doer] = {**doers, target.scheme: target}

    def refuse_unknown(self, operations: Iterable[Operation]) -> None:
        """Raise Missing for the first operation that nobody here could do."""
        for operation in operations:
            if operation.by == PROCEDURE:
                if not self._procedures.declared(operation.name):
                    raise Missing(
                        f"the undo {operation} is not declared", f"procedures.{operation.name}: {{run: [<command>, …]}}"
                    )
            elif operation.by not in self._doers:
                raise Missing(f"nothing here can do {operation}", self._remedy(operation))

    def perform(self, operation: Operation, deadline: Deadline) -> None:
        """Do one operation; raise where it cannot be done or fails."""
        if operation.by == PROCEDURE:
            arguments = {key: str(value) for key, value in operation.arguments.items()}
            ran = self._procedures.run(operation.name, deadline=deadline, **arguments)
            if not ran.ok:
                raise ProcedureFailed(ran.told(), f"procedures.{operation.name} must end with 0")
        else:
            self._doer(operation).perform(operation.name, operation.arguments)

    def ask(self, operation: Operation, deadline: Deadline) -> str:
        """Look once: a text that shows what was asked for, or no text; raise where it cannot be looked at."""
        if operation.by == PROCEDURE:
            arguments = {key: str(value) for key, value in operation.arguments.items()}
            ran = self._procedures.run(operation.name, deadline=deadline, **arguments)
            return (ran.stdout.strip().splitlines() or [ran.told()])[0] if ran.ok else ""
        return self._doer(operation).ask(operation.name, operation.arguments)

    def shown(self, operation: Operation, deadline: Deadline) -> str:
        """Look until something shows; raise Undecidable with what stood in the way where nothing does in time."""
        why = ""

        def look() -> str:
            nonlocal why
            try:
                return self.ask(operation, deadline)
            except Undecidable as error:
                why = f" ({error})"
                return ""

        try:
            return eventually(look, within=deadline, every_s=0.02)
        except NotInTime:
            raise Undecidable(f"asked {operation}, nothing showed{why}") from None

    def _doer(self, operation: Operation) -> Doer:
        if operation.by not in self._doers:
            raise TargetError(f"nothing here can do {operation}", self._remedy(operation))
        return self._doers[operation.by]

    def _remedy(self, operation: Operation) -> str:
        servers = {"toxiproxy": "faults.toxiproxy: http://127.0.0.1:8474", "httpfaults": "faults.http: <its URL>"}
        return servers.get(operation.by, f"driver: {operation.by}")
