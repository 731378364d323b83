"""The `readiness` command: exit 0 when done or it holds, 1 when what was asked does not hold, 4 for wrong usage."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from readiness import load_commands, nexus_command
from readiness.errors import ReadinessError, UsageError

USAGE = 4
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="May this deployment go to production? `pytest --readiness` answers; these commands help around it.",
)

app.add_typer(load_commands.app, name="load")


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="say the version")] = False,
) -> None:
    if version:
        from readiness.preamble import product_version

        typer.echo(f"readiness {product_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(USAGE)


@app.command(context_settings=PASSED_ON, add_help_option=False)
def up(context: typer.Context) -> None:
    """Start the reference deployment and keep it running; the last line printed is its descriptor's path."""
    _leave(nexus_command.call("up", context.args))


@app.command(context_settings=PASSED_ON, add_help_option=False)
def status(context: typer.Context) -> None:
    """Say whether the reference deployment runs."""
    _leave(nexus_command.call("status", context.args))


@app.command(context_settings=PASSED_ON, add_help_option=False)
def down(context: typer.Context) -> None:
    """Stop the reference deployment; no process, port, lock or temporary file is left."""
    _leave(nexus_command.call("down", context.args))


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="descriptor; default: the deployment in use")] = None,
) -> None:
    """Validate a descriptor, then reach everything that it names; one line a problem."""
    from readiness.checking import problems

    found, said = problems(nexus_command.deployment_in_use(file))
    for problem in found:
        typer.echo(problem)
    typer.echo(said)
    _leave(1 if found else 0)


@app.command()
def catalogue(
    as_json: Annotated[bool, typer.Option("--json", help="as data")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="as Markdown")] = False,
    into: Annotated[Path | None, typer.Option(help="folder to write one Markdown page a gate into")] = None,
) -> None:
    """List every gate, from the gates' own code."""
    from readiness import explain
    from readiness.catalogue import all_gates
    from readiness.records import to_json

    gates = all_gates()
    if into is not None:
        _write_pages(explain.pages(gates), into)
    elif as_json:
        typer.echo(json.dumps([to_json(gate.info) for gate in gates], indent=2))
    elif markdown:
        typer.echo(explain.markdown_index(gates), nl=False)
    else:
        typer.echo(explain.table(gates), nl=False)


@app.command("explain")
def explain_gate(gate: Annotated[str, typer.Argument(help="id of a gate, such as OPS-DEP-003")]) -> None:
    """Say what a gate claims, why, how it is measured, what makes it red and how to mend it."""
    from readiness.catalogue import find_gate
    from readiness.explain import explanation

    typer.echo(explanation(find_gate(gate)), nl=False)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="`latest`, the name of a run, or its folder")],
    format: Annotated[str | None, typer.Option(help="html, json, junit, summary or allure; default: all")] = None,
    reports: Annotated[Path, typer.Option(help="folder of the runs")] = Path("reports"),
) -> None:
    """Write the reports of a run again, from its history alone."""
    from readiness.folders import find_run
    from readiness.report import write_all, write_format

    folder = find_run(run, reports)
    card = write_all(folder) if format is None else write_format(folder, format)
    typer.echo(f"{card.decision} for {card.scope}: {folder}")


@app.command()
def heal(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what is open, and undo nothing")] = False,
    deployment: Annotated[Path | None, typer.Option(help="descriptor; default: the deployment in use")] = None,
) -> None:
    """Undo what an earlier run left broken."""
    from readiness.healing import heal_deployment

    _leave(0 if heal_deployment(nexus_command.deployment_in_use(deployment), dry_run=dry_run, tell=typer.echo) else 1)


@app.command()
def halt(
    deployment: Annotated[Path | None, typer.Option(help="descriptor; default: the deployment in use")] = None,
) -> None:
    """End the run that holds a deployment, and undo what it has broken."""
    from readiness.halting import halt_deployment

    _leave(0 if halt_deployment(nexus_command.deployment_in_use(deployment), tell=typer.echo) else 1)


@app.command()
def experiments(
    into: Annotated[Path | None, typer.Option(help="folder to copy the files into, for `chaos run`")] = None,
) -> None:
    """List the experiments that can be run by name, or copy their files."""
    from readiness.chaos.experiment import read_experiment
    from readiness.scenario import known_experiments

    known = known_experiments(Path())
    if into is not None:
        _copy_files(list(known.values()), into)
        return
    width = max(len(name) for name in known)
    for name, path in known.items():
        typer.echo(f"{name:<{width}}  {read_experiment(path).title}")


@app.command()
def prove(
    gate: Annotated[list[str] | None, typer.Option(help="only cases of this gate")] = None,
    defect: Annotated[list[str] | None, typer.Option(help="only cases with this defect, or of this name")] = None,
    part: Annotated[str, typer.Option(help="every n-th case: 0/8 to 7/8")] = "0/1",
    jobs: Annotated[int, typer.Option(min=1, max=8, help="deployments at a time")] = 1,
    expected: Annotated[Path, typer.Option(help="the foretold verdicts")] = Path("tests/prove/expected.yaml"),
    into: Annotated[Path | None, typer.Option(help="file for the detection matrix, as Markdown")] = None,
    quick: Annotated[bool, typer.Option(help="only those drills that a case's foretold verdicts name")] = False,
) -> None:
    """Seed the defects of the reference deployment and compare verdicts with what was foretold."""
    from readiness import prove as proof

    _leave(proof.command(gate or [], defect or [], expected, _part(part), jobs, into, quick))


def main() -> NoReturn:
    """Run a command; whatever goes wrong is told in one line."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except UsageError as error:
        _fail(str(error), USAGE)
    except ReadinessError as error:
        _fail(str(error), 1)
    except KeyboardInterrupt:
        _fail("interrupted", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        told = getattr(error, "format_message", None)
        if told is None:
            raise
        _fail(f"{told().rstrip('.')}; see readiness --help", USAGE)


def _write_pages(pages: Mapping[str, str], into: Path) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
        for old in set(into.glob("*.md")) - {into / name for name in pages}:
            old.unlink()
        for name, text in pages.items():
            (into / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{into}: {error.strerror}; give a folder that you may write to") from None
    typer.echo(f"{len(pages)} pages in {into}")


def _copy_files(files: Sequence[Path], into: Path) -> None:
    """Copy files into a folder; one that is there already and differs is somebody's work, and stays."""
    try:
        into.mkdir(parents=True, exist_ok=True)
        there = [path for path in files if (into / path.name).exists()]
        mine = [path for path in there if not filecmp.cmp(path, into / path.name, shallow=False)]
        for path in set(files) - set(mine):
            if path.resolve() != (into / path.name).resolve():
                shutil.copyfile(path, into / path.name)
    except OSError as error:
        raise UsageError(f"{into}: {error.strerror}; give a folder that you may write to") from None
    kept = f", {len(mine)} of your own kept ({', '.join(path.name for path in mine)})" if mine else ""
    typer.echo(f"{len(files) - len(mine)} experiments in {into}{kept}")


def _part(given: str) -> tuple[int, int]:
    index, slash, count = given.partition("/")
    if not (slash and index.isdecimal() and count.isdecimal() and int(count)):
        raise UsageError(f"--part {given}: not a part; write 0/8 for the first of eight")
    return int(index), int(count)


def _leave(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _fail(message: str, code: int) -> NoReturn:
    print("\n".join(f"readiness: {line}" for line in message.splitlines()), file=sys.stderr)
    sys.exit(code)
