"""`nexusctl`, the operators' command. Exit codes: 0 done, 1 refused or failed, 2 usage, 77 not permitted."""

from __future__ import annotations

import argparse
import gc
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from readiness.nexus.console import alone, operator, say, show
from readiness.nexus.errors import NexusError, NotPermittedError
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import SupervisionError

FAILED = 1
INTERRUPTED = 130
NOT_PERMITTED = 77
Command = Callable[[Settings, argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; every failure is one line on stderr."""
    given = _parser().parse_args(argv)
    # Whoever ends us must not leave a deploy half done: it is undone like any other failure.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        settings = Settings.load(given.home)
        given.level = given.level or settings.names.level("operator")
        command: Command = given.command
        return command(settings, given)
    except NotPermittedError as error:
        print(f"nexusctl: {error}", file=sys.stderr)
        return NOT_PERMITTED
    except (NexusError, SupervisionError, OSError) as error:
        print(f"nexusctl: {one_line(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("nexusctl: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        print(f"nexusctl: {type(error).__name__}: {one_line(error)}", file=sys.stderr)
        return FAILED


def one_line(error: Exception) -> str:
    """Write an error as one line that a terminal holds."""
    return " ".join(str(error).split())[:500]


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def deploy(settings: Settings, given: argparse.Namespace) -> int:
    """Bring a release to all traffic, after it has shown that it does its work."""
    from readiness.nexus import deploy as rolling
    from readiness.nexus.rollout import Rollout

    if given.dry_run:
        rolling.plan_deploy(Rollout.of(settings), operator(settings, given), given.release, say)
        return 0
    with alone(settings):
        rolling.deploy(Rollout.again(settings), operator(settings, given), given.release, say)
    return 0


def rollback(settings: Settings, given: argparse.Namespace) -> int:
    """Go back to the previous release."""
    from readiness.nexus import deploy as rolling
    from readiness.nexus.rollout import Rollout

    with alone(settings):
        release = rolling.rollback(Rollout.again(settings), operator(settings, given), say)
    print(json.dumps({"release": release}))
    return 0


def start(settings: Settings, given: argparse.Namespace) -> int:
    """Make sure that a service runs with its declared number of instances."""
    from readiness.nexus.audit import ALLOWED, AuditLog
    from readiness.nexus.probing import await_ready
    from readiness.nexus.registry import hold_file
    from readiness.nexus.rollout import READY_WITHIN_S, Rollout

    service = settings.names.canonical_component(given.service)
    acting = operator(settings, given)
    AuditLog.of(settings).append(acting.level, "start", ALLOWED, acting.correlation_id, f"service={given.service}")
    rollout = Rollout.of(settings)
    release = rollout.current()
    wanted = rollout.start(release, [service])
    for instance in wanted:
        hold_file(settings, instance.name).unlink(missing_ok=True)
    await_ready(settings, wanted, READY_WITHIN_S)
    return 0


def status(settings: Settings, given: argparse.Namespace) -> int:
    """Show what is stable of the deployment: releases, weights, replicas, configuration, limits, schema."""
    from readiness.nexus import configuration, deployments, schema, store
    from readiness.nexus.rollout import Rollout

    rollout = Rollout.of(settings)
    states = rollout.supervisor.states()
    replicas = dict.fromkeys(map(settings.names.component, settings.replicas), 0)
    for name, instance in rollout.running().items():
        if states[name]["statename"] == "RUNNING":
            replicas[settings.names.component(instance.service)] += 1
    with store.reading(rollout.engine) as db:
        configured = configuration.read(db)
        shown = {
            "release": deployments.current(db),
            "weights": deployments.weights(db),
            "replicas": replicas,
            "configuration": configured,
            "limits": {key: value for key, value in configured.items() if "limit" in key},
            "schema": schema.current_revision(settings),
        }
    show(shown, given)
    return 0


def artifact(settings: Settings, given: argparse.Namespace) -> int:
    """Show the digest of a built release."""
    from readiness.nexus.build import read_artifact

    built = read_artifact(settings, given.release)
    show({"release": built["release"], "digest": built["digest"]}, given)
    return 0


def contract(settings: Settings, given: argparse.Namespace) -> int:
    """Let two releases read each other's messages, in both directions."""
    from readiness.nexus.releases import as_built
    from readiness.nexus.selftest.contract import problems

    found = problems(as_built(given.one, settings.defects), as_built(given.other, settings.defects))
    if found:
        raise NexusError("; ".join(found))
    return 0


def audit(settings: Settings, given: argparse.Namespace) -> int:
    """Show the audit log."""
    from readiness.nexus.audit import AuditLog

    operator(settings, given).ask("read-audit", dry_run=True)
    show({"records": list(AuditLog.of(settings).read(given.correlation))}, given)
    return 0


def audit_verify(settings: Settings, given: argparse.Namespace) -> int:
    """Check the chain of the audit log."""
    from readiness.nexus.audit import verify

    problem = verify(given.file or settings.audit_log, links_only=settings.defects.on("audit-links-only"))
    if problem:
        raise NexusError(problem)
    return 0


def _parser() -> argparse.ArgumentParser:
    from readiness.nexus import ctl_data, ctl_scaling, ctl_volume

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--as", dest="level", metavar="LEVEL", default=argparse.SUPPRESS, help="access level")
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="one line of JSON")
    parser = argparse.ArgumentParser(prog="nexusctl", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--as", dest="level", metavar="LEVEL", default="", help="access level; default: operator")
    parser.set_defaults(json=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command) -> argparse.ArgumentParser:
        one = commands.add_parser(name, parents=[common], help=command.__doc__, description=command.__doc__)
        one.set_defaults(command=command)
        return one

    one = add("deploy", deploy)
    one.add_argument("release")
    one.add_argument("--dry-run", action="store_true")
    add("rollback", rollback)
    add("start", start).add_argument("service")
    add("status", status)
    add("artifact", artifact).add_argument("release")
    one = add("contract", contract)
    one.add_argument("one")
    one.add_argument("other")
    add("audit", audit).add_argument("--correlation")
    add("audit-verify", audit_verify).add_argument("--file", type=Path)
    ctl_data.register(add)
    ctl_scaling.register(add)
    ctl_volume.register(add)
    return parser


if __name__ == "__main__":
    # One command has no garbage worth collecting: a sixth of its time otherwise.
    gc.disable()
    # httpx imports a whole command line of its own when rich is installed; here it only costs time.
    sys.modules["rich"] = None  # type: ignore[assignment]
    sys.exit(main())
