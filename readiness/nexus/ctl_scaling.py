"""The commands of `nexusctl` that are about replicas: how many there are, which stays down, what one may use."""

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


def recreate(settings: Settings, given: argparse.Namespace) -> int:
    """Destroy the instances of a service and make new ones; what is stored outlives them."""
    from readiness.nexus import recreation
    from readiness.nexus.rollout import Rollout

    service = settings.names.canonical_component(given.service)
    with alone(settings):
        recreation.recreate(Rollout.again(settings), operator(settings, given), service, say)
    return 0


def use_tool(settings: Settings, given: argparse.Namespace) -> int:
    """Use a tool as an agent of a role would, to see that it may, or may not."""
    from readiness.nexus import tool_drill

    role = settings.names.canonical_component(given.role)
    tool_drill.use_tool(settings, operator(settings, given), role, given.tool, given.correlation)
    return 0


def register(add: Add) -> None:
    """Add these commands to the parser."""
    one = add("scale", scale)
    one.add_argument("service")
    one.add_argument("replicas", type=int)
    one = add("stop", stop)
    one.add_argument("service")
    one.add_argument("instance")
    add("recreate", recreate).add_argument("service")
    one = add("use-tool", use_tool)
    one.add_argument("role")
    one.add_argument("tool")
    one.add_argument("--correlation", required=True)
