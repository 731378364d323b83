"""What a run orders its child to do: on which deployment, in whose name, and how far it may go."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from readiness.errors import UsageError

VARIABLE = "READINESS_ACTING"
"""The environment variable that names the file with the orders."""
Work = Literal["run", "hypothesis", "check"]


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders of one child."""

    descriptor: str
    """The path of the deployment's descriptor."""
    folder: str
    """The run's folder: its ledger is written there."""
    run_id: str
    gate: str
    token: str
    """The token of the run's lease, which must be the one in force."""
    seed: int = 0
    armed: bool = False
    """Whether faults may be injected into production."""
    traffic: bool = True
    """Whether the run sends transactions meanwhile; without, faults that show only under work send their own."""
    rehearse: bool = False
    """Whether everything is done but the fault itself."""
    hollow: bool = False
    """Whether the fault's own operations are left out: nothing can show it then, and the action must fail."""
    down: bool = False
    """Whether the deployment is to be taken for one that is down; then nothing is injected."""

    def write(self, path: Path) -> Path:
        """Write the orders down, for the eyes of this user only."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Orders:
        """Read orders; whatever is wrong with them is a UsageError."""
        try:
            data: dict[str, Any] = json.loads(path.read_bytes())
            return cls(**data)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(f"{path}: no orders of a run ({type(error).__name__}); unset {VARIABLE}") from None
