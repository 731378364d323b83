"""Every fault that an experiment can name: one function each, called by its effect."""

from readiness.chaos.faults import messages, network, processes, provider
from readiness.chaos.faults.kinds import FAULTS, FaultKind, kind_of, mistakes_in

__all__ = ["FAULTS", "FaultKind", "kind_of", "messages", "mistakes_in", "network", "processes", "provider"]
