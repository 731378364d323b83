"""`python -m readiness.nexus up|status|down`: a reference deployment of one's own, on loopback."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from readiness.nexus.errors import NexusError, WrongUsageError
from readiness.nexus.supervision import SupervisionError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a failure is one line on stderr and exit 1, wrong usage exit 2."""
    given = _parser().parse_args(argv)
    from readiness.nexus import up

    commands = {"up": up.up, "status": up.status, "down": up.down}
    try:
        return commands[given.command](given)
    except (NexusError, SupervisionError, OSError) as error:
        print(f"nexus {given.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2 if isinstance(error, WrongUsageError) else 1
    except KeyboardInterrupt:
        print(f"nexus {given.command}: interrupted, nothing is left running", file=sys.stderr)
        return 130
    except Exception as error:
        print(f"nexus {given.command}: {type(error).__name__}: {' '.join(str(error).split())[:500]}", file=sys.stderr)
        return 1


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="nexus", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start it; the last line printed is the path of its descriptor")
    up.add_argument("--dir", type=Path, help="its home; default: a fresh private folder, removed by `down`")
    up.add_argument("--defect", action="append", default=[], metavar="NAME[=VALUE]", help="a seeded defect")
    up.add_argument("--names", type=Path, metavar="FILE", help="other outward names (YAML or JSON)")
    up.add_argument(
        "--toxiproxy",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="let its services call each other through Toxiproxy and the fault proxy, for experiments",
    )
    status = commands.add_parser("status", help="say whether it runs")
    down = commands.add_parser("down", help="stop it; nothing is left running")
    down.add_argument("--wipe", action="store_true", help="remove the home too")
    for command in (status, down):
        command.add_argument("--dir", type=Path, help="its home; default: the last one started")
    return parser


if __name__ == "__main__":
    # httpx imports a whole command line of its own when rich is installed; here it only costs time.
    sys.modules["rich"] = None  # type: ignore[assignment]
    sys.exit(main())
