"""The commands of `nexusctl` that are about replicas: how many there are, and one that is to stay down."""

from __future__ import annotations

import argparse

from readiness.nexus.console import alone, operator, say
from readiness.nexus.ctl_data import Add
from readiness.nexus.settings import Settings


def scale(settings: Settings, given: argparse.Namespace) -> int:
    """Make a service have so many replicas, from now on."""
    from readiness.nexus import scaling
    from readiness.nexus.rollout import Rollout

    service = settings.names.canonical_component(given.service)
    with alone(settings):
        scaling.scale(Rollout.again(settings), operator(settings, given), service, given.replicas, say)
    return 0


def stop(settings: Settings, given: argparse.Namespace) -> int:
    """Stop one replica, until its service is started."""
    from readiness.nexus import scaling
    from readiness.nexus.rollout import Rollout

    service = settings.names.canonical_component(given.service)
    with alone(settings):
        scaling.stop(Rollout.again(settings), operator(settings, given), service, given.instance, say)
    return 0


def register(add: Add) -> None:
    """Add these commands to the parser."""
    one = add("scale", scale)
    one.add_argument("service")
    one.add_argument("replicas", type=int)
    one = add("stop", stop)
    one.add_argument("service")
    one.add_argument("instance")
