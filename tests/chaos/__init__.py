"""Chaos: faults, experiments, invariants and verdicts."""
