"""`readiness load …`: run a profile, judge what was measured, compare two runs, find the breakpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from readiness.errors import Undecidable, UsageError
from readiness.score.confidence import upper_bound
from readiness.units import parse_duration, parse_rate, parse_share

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from readiness.load.results import LoadResult
    from readiness.load.stats.compare import Series

_FEWEST_LOOKS = 10

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Load runs: do one, judge, compare.")

_Deployment = Annotated[Path | None, typer.Option(help="descriptor; default: the deployment in use")]
_Host = Annotated[str | None, typer.Option(help="URL to send to instead of a deployment")]
_Locustfile = Annotated[Path | None, typer.Option(help="a Locust file of your own; default: the profile's")]
_Variant = Annotated[str, typer.Option(help="the transaction of the descriptor's workload that is sent")]
_Threshold = Annotated[list[str] | None, typer.Option(help="such as 'p95: <= 2s'; again for more; else the profile's")]
_Workers = Annotated[int, typer.Option(min=1, max=64, help="processes that send")]
_Into = Annotated[Path | None, typer.Option(help="folder for what is measured; default: one in reports/load/")]
_Arm = Annotated[str, typer.Option(help="name of a deployment in production that load may be put on")]


@app.callback()
def _start() -> None:
    pass


@app.command("run")
def run_profile(
    profile: Annotated[str, typer.Argument(help="steady, stress, spike, endurance, volume or scalability")],
    rate: Annotated[str | None, typer.Option(help="arrivals a second, as in 20/s; default: the profile's")] = None,
    duration: Annotated[str | None, typer.Option(help="as in 60s or 2h; default: the profile's")] = None,
    deployment: _Deployment = None,
    host: _Host = None,
    locustfile: _Locustfile = None,
    variant: _Variant = "ok",
    threshold: _Threshold = None,
    workers: _Workers = 1,
    into: _Into = None,
    arm: _Arm = "",
) -> None:
    """Run one profile against a running deployment, and judge it."""
    from readiness.load.profiles import plan_for
    from readiness.load_target import find_target

    plan = plan_for(
        profile,
        _rate("--rate", rate),
        _seconds("--duration", duration),
        variant,
        _thresholds(threshold),
        workers=workers,
    )
    target = find_target(deployment, host, locustfile, profile, arm)
    folder = into or _new_folder(profile)
    typer.echo(f"{plan.profile}: {plan.duration_s:g} s against {target.name}, into {folder}", err=True)
    _leave(_judge(target.send(plan, folder)))


@app.command()
def judge(run: Annotated[Path, typer.Argument(help="folder of a load run, or of a run that did some")]) -> None:
    """Judge load runs again from their files; exit 1 where one is FAIL or INVALID."""
    codes = []
    for number, folder in enumerate(_folders(run)):
        typer.echo("\n" if number else "", nl=False)
        codes.append(_judge(folder))
    _leave(max(codes))


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="folder of the load run that is the baseline")],
    b: Annotated[Path, typer.Argument(help="folder of the load run that is held against it")],
    tolerance: Annotated[str, typer.Option(help="by how much a metric may get worse")] = "10%",
) -> None:
    """Compare two load runs, metric by metric; exit 1 where B is worse than A."""
    from readiness.load import tables
    from readiness.load.comparing import series_of, unlike
    from readiness.load.results import read
    from readiness.load.stats import compare as stats

    share = _share("--tolerance", tolerance)
    results = [read(_one_folder(each)) for each in (a, b)]
    if reasons := list(unlike(*results)):
        raise UsageError("\n".join(f"load compare: {reason}" for reason in reasons))
    first, second = (series_of(each, _cores_used(each)) for each in results)
    try:
        found = stats.compare(first, second, tolerance=share)
    except ValueError as error:
        raise UsageError(f"load compare: {error}; run the profile for longer") from None
    for name, result in zip("AB", results, strict=True):
        typer.echo(f"{name}  {result.folder}: {result.total.started} transactions")
    _say(tables.compared(found, share))
    _say(_own_false_alarms(first, share))
    _leave(1 if any(each.worse for each in found) else 0)


@app.command()
def baseline(
    run: Annotated[Path, typer.Argument(help="folder of a steady load run, or of the run that did it")],
    deployment: _Deployment = None,
) -> None:
    """Record a load run as the baseline that later runs are held against."""
    from readiness.load_baseline import record
    from readiness.loading import load_descriptor
    from readiness.nexus_command import deployment_in_use

    steady = [folder for folder in _folders(run) if folder.name == "steady"] or [_one_folder(run)]
    typer.echo(f"recorded: {record(load_descriptor(deployment_in_use(deployment)), steady[0])}")


@app.command("breakpoint")
def find_breakpoint(
    rate_from: Annotated[str, typer.Option(help="the lowest rate tried, as in 5/s")],
    rate_to: Annotated[str, typer.Option(help="the highest rate tried, as in 500/s")],
    step: Annotated[str, typer.Option(help="how long each rate is sent")] = "10s",
    resolution: Annotated[str, typer.Option(help="how far apart the ends may be")] = "5%",
    repeats: Annotated[int, typer.Option(min=1, max=15, help="measurements whose majority decides on an end")] = 3,
    profile: Annotated[str, typer.Option(help="the profile whose Locust file sends")] = "stress",
    deployment: _Deployment = None,
    host: _Host = None,
    locustfile: _Locustfile = None,
    variant: _Variant = "ok",
    threshold: _Threshold = None,
    workers: _Workers = 1,
    into: _Into = None,
    arm: _Arm = "",
) -> None:
    """Find the highest rate that is held, as a bracket from lo to hi; exit 1 where even the lowest is too much."""
    from readiness.load import tables
    from readiness.load.results import read
    from readiness.load.stats.breakpoint import search
    from readiness.load.sustained import GROWTH, THRESHOLDS, cautious, held, step_plan
    from readiness.load_target import find_target

    low, high, step_s = _rate("--rate-from", rate_from), _rate("--rate-to", rate_to), _seconds("--step", step)
    assert low is not None and high is not None and step_s is not None
    target = find_target(deployment, host, locustfile, profile, arm)
    folder = into or _new_folder("breakpoint")
    wanted = _thresholds(threshold) or THRESHOLDS
    sent = 0

    def holds(at_rate: float) -> bool | None:
        nonlocal sent
        sent += 1
        plan = step_plan(at_rate, step_s, wanted, variant=variant, workers=workers)
        found = held(read(target.send(plan, folder / f"{sent:02}-{at_rate:.4g}")))
        typer.echo(f"{at_rate:.4g}/s: {'invalid' if found is None else 'held' if found else 'not held'}", err=True)
        return found

    try:
        step_plan(low, step_s, wanted)
        bracket = search(holds, low, high, resolution=_share("--resolution", resolution), repeats=repeats)
    except ValueError as error:
        raise UsageError(f"load breakpoint: {error}") from None
    except Undecidable as error:
        raise Undecidable(f"load breakpoint: {error}; {error.remedy}") from None
    _say(tables.bracketed(cautious(bracket)))
    typer.echo(
        f"the lower end is {GROWTH:.0%} below the highest rate that was held: a queue that grows slower is not seen"
    )
    _leave(0 if bracket.lo else 1)


def _judge(folder: Path) -> int:
    from readiness.load import tables
    from readiness.load.results import read
    from readiness.load.verdict import LoadOutcome, judge

    result = read(folder)
    verdict = judge(result)
    _say(tables.judged(result, verdict))
    return 0 if verdict.outcome is LoadOutcome.PASS else 1


def _cores_used(result: LoadResult) -> NDArray[np.float64] | None:
    """Give the cores that all replicas used between looks, shape (looks - 1,); None where too few looks tell."""
    import numpy as np

    from readiness.resources import read_resources

    used: dict[float, float] = {}
    for rows in read_resources(result.resources).readings.values():
        known = [(row.at_s, row.cpu_s) for row in rows if row.cpu_s is not None]
        for (began_s, before_s), (ended_s, after_s) in pairwise(known):
            used[ended_s] = used.get(ended_s, 0.0) + max(0.0, after_s - before_s) / (ended_s - began_s)
    return np.array([used[at_s] for at_s in sorted(used)]) if len(used) >= _FEWEST_LOOKS else None


def _own_false_alarms(a: Series, tolerance: float) -> Iterable[str]:
    from readiness.load.stats.compare import false_alarms

    trials = 100
    if a.latencies_s.size < 80:
        return ["false alarms: A is too short to be compared with itself (fewer than 80 transactions)"]
    found = false_alarms(a, tolerance, trials=trials)
    most = upper_bound(found, trials)
    return [
        f"false alarms: {found} of {trials} with A against itself, dealt in blocks to two halves (at most {most:.0%})"
    ]


def _folders(given: Path) -> list[Path]:
    """Give the load runs in a folder: itself, or all that lie in it; what is none is told by whoever reads it."""
    if (given / "plan.json").is_file():
        return [given]
    runs = sorted(path.parent for pattern in ("load/*", "*") for path in given.glob(f"{pattern}/plan.json"))
    return runs or [given]


def _one_folder(given: Path) -> Path:
    found = _folders(given)
    return found[0] if len(found) == 1 else given


def _new_folder(name: str) -> Path:
    return Path("reports") / "load" / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}-{name}"


def _thresholds(given: list[str] | None) -> Mapping[str, str] | None:
    if not given:
        return None
    read = {name.strip(): text.strip() for name, colon, text in (each.partition(":") for each in given) if colon}
    if len(read) < len(given):
        raise UsageError(
            f"--threshold {', '.join(given)}: each is a metric, a colon and a bound, once, as in 'p95: <= 2s'"
        )
    return read


def _rate(option: str, text: str | None) -> float | None:
    return _read(option, text, lambda given: parse_rate(f"{given}/s" if given.replace(".", "", 1).isdigit() else given))


def _seconds(option: str, text: str | None) -> float | None:
    return _read(option, text, lambda given: parse_duration(given).total_seconds())


def _share(option: str, text: str) -> float:
    share = _read(option, text, parse_share)
    assert share is not None
    if not share:
        raise UsageError(f"{option} {text}: allowed: more than 0% to 100%")
    return share


def _read(option: str, text: str | None, parse: Callable[[str], float]) -> float | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _leave(code: int) -> None:
    if code:
        raise typer.Exit(code)
