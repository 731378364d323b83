"""Findings → one decision and one interval: pure, imports the model alone.

The rules and their reasons: every gate earns an interval of credit, the mean of a capability is weighted by risk, a
pillar and the whole are half their weakest part, and the decision is told apart from the number.
"""

from readiness.score.model import (
    Blocker,
    CapabilityScore,
    Decision,
    GateScore,
    PillarScore,
    Rubric,
    Scope,
    Scorecard,
    State,
)
from readiness.score.scoring import score

__all__ = [
    "Blocker",
    "CapabilityScore",
    "Decision",
    "GateScore",
    "PillarScore",
    "Rubric",
    "Scope",
    "Scorecard",
    "State",
    "score",
]
