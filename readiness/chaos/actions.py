"""Actions for Chaos Toolkit experiments: break one thing and see that it is broken; undo it and see that it is over.

What an action breaks is on the disk before it is broken, with what undoes it: after whatever becomes of this process,
`readiness heal` (or the next run, or the reaper) finds it and undoes it.
"""

from __future__ import annotations

from typing import Any

from readiness.chaos.holding import in_one_line, this_process

__all__ = ["inject", "lift"]


def inject(fault: str, **parameters: Any) -> dict[str, Any]:
    """Break one thing: a fault by its name, with its parameters; gives what showed that it is in force.

    The action fails where nothing is hit, where more would be hit than the descriptor's blast radius allows, where
    nothing shows the effect, and in production unless READINESS_ARM names the deployment.
    """
    with in_one_line():
        return this_process().inject(fault, parameters)


def lift(fault: str = "") -> dict[str, Any]:
    """Undo a fault, or all that are in force, and see that it is over; nothing in force is fine."""
    with in_one_line():
        return this_process().lift(fault)
