"""What a load run is asked for: command line and web form of Locust, environment, or a plan file that wins over all."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import locust
import platformdirs

from readiness.errors import UsageError
from readiness.load.plan import CONSTANT, POISSON, Plan, from_data
from readiness.load.profiles import PROFILES, plan_for
from readiness.load.runner import DEPLOYMENT, PLAN, RESULTS
from readiness.loading import DescriptorFile, load_descriptor
from readiness.units import parse_duration, parse_rate

USAGE = 4
"""The exit code of wrong usage, as everywhere here."""
YES, NO = "yes", "no"

_default_profile = ["steady"]


def default_profile(name: str) -> None:
    """Say which profile a locustfile stands for; `--load-profile` chooses another."""
    if name not in PROFILES:
        stop(f"load profile {name!r} is not known; known: {', '.join(PROFILES)}")
    _default_profile[0] = name


def stop(message: str) -> NoReturn:
    """End the process with one line about wrong usage."""
    sys.stderr.write("".join(f"readiness: {line}\n" for line in message.splitlines()))
    sys.exit(USAGE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One load run as it was asked for."""

    plan: Plan
    results: Path | None
    planned: bool
    """Whether the plan came from a file: whoever wrote that has written the folder's plan too."""
    keep_alive: bool = True

    @classmethod
    def read(cls, options: argparse.Namespace) -> Asked:
        """Read plan file, environment and options; what cannot be is a UsageError."""
        given = {name: str(getattr(options, f"load_{name}", "") or "").strip() for name in _OPTIONS}
        results = given["results"] or os.environ.get(RESULTS, "")
        keep_alive = given["keep_alive"] != NO
        if path := os.environ.get(PLAN, ""):
            plan, kept = read_plan(Path(path))
            return cls(plan, Path(results) if results else None, True, kept)
        plan = plan_for(
            given["profile"] or _default_profile[0],
            _number(given["rate"], "--load-rate", parse_rate, "/s"),
            _number(given["duration"], "--load-duration", lambda text: parse_duration(text).total_seconds(), "s"),
            given["variant"] or "ok",
            arrivals=given["arrivals"] or CONSTANT,
            users=int(_number(given["users"], "--load-users", _count) or 0),
        )
        return cls(plan, Path(results) if results else None, False, keep_alive)


_OPTIONS: Mapping[str, str] = {
    "profile": "the shape of the load",
    "rate": "arrivals a second, as in 20/s; empty: the profile's own",
    "duration": "as in 60s or 2h; empty: the profile's own",
    "variant": "the transaction of the descriptor's workload that is sent",
    "results": "folder for what is measured; empty: nothing is written",
    "arrivals": "constant distances, or a Poisson process",
    "users": "0: an open model; else a closed one, whose latencies hide what waiting users do not send",
    "keep_alive": "whether connections are used again",
}


def add_options(parser: Any) -> None:
    """Add the options to Locust's command line, and with it to the web form."""
    choices = {"profile": tuple(PROFILES), "arrivals": (CONSTANT, POISSON), "keep_alive": (YES, NO)}
    defaults = {"profile": _default_profile[0], "variant": "ok", "arrivals": CONSTANT, "keep_alive": YES, "users": "0"}
    for name, about in _OPTIONS.items():
        option = f"--load-{name.replace('_', '-')}"
        more: dict[str, Any] = {}
        if name in choices:
            more = {"choices": choices[name], "type": _one_of(option, choices[name])}
        if name == "results":
            more = {"env_var": RESULTS}
        parser.add_argument(  # not in a group: only the parser's own come into the web form
            option, default=defaults.get(name, ""), help=about, **more
        )


listeners: Any = locust.events
listeners.init_command_line_parser.add_listener(add_options)


def read_plan(path: Path) -> tuple[Plan, bool]:
    """Read a plan file, and whether it wants connections kept; what is none is a UsageError."""
    try:
        data = json.loads(path.read_bytes())
        return from_data(data), bool(data.get("keep_alive", True))
    except OSError as error:
        raise UsageError(f"{PLAN}: {path}: {error.strerror}; name a plan that exists") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{PLAN}: {path} is no plan of a load run ({error}); write one with readiness.load.plan"
        ) from None


def deployment(host: str) -> DescriptorFile | None:
    """Load the deployment that is to be loaded: named in the environment, else the last `readiness up`, else the host.

    A `--host` alone wins over a deployment that merely happens to run, and without any of them that is one line.
    """
    if named := os.environ.get(DEPLOYMENT, ""):
        return load_descriptor(Path(named))
    if host:
        return None
    last = _last_up()
    if last is None:
        raise UsageError(
            f"no deployment: set {DEPLOYMENT} to its descriptor, start one with `readiness up`, or give --host URL"
        )
    return load_descriptor(last)


def _last_up() -> Path | None:
    """The descriptor of the reference deployment that was started last, from the file that its `up` writes."""
    pointer = platformdirs.user_state_path("nexus-readiness") / "last-up"
    try:
        path = Path(json.loads(pointer.read_bytes())["home"]) / "descriptor.yaml"
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return path if path.is_file() else None


def _one_of(option: str, allowed: tuple[str, ...]) -> Any:
    """A check that ends the process with our exit code, which argparse's own check of choices would not."""

    def check(text: str) -> str:
        if text not in allowed:
            stop(f"{option} {text!r} is not known; known: {', '.join(allowed)}")
        return text

    return check


def _number(text: str, option: str, read: Callable[[str], float], unit: str = "") -> float | None:
    """Read a value; a bare number has the unit that the option's help says."""
    if not text:
        return None
    try:
        return read(f"{text}{unit}" if text.replace(".", "", 1).isdecimal() else text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no number of users; write 0 for the open model, or a whole number")
    return int(text)
