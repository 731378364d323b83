"""Nexus 2.3, the reference deployment: a small multi-agent system that really runs."""
