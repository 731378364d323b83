"""The proof that gates bite: seeds defects in the reference deployment and compares verdicts with what was foretold.

What must turn red stands in a file that the package does not own (`tests/prove/expected.yaml` of a checkout): gates
know nothing of defects. Every case starts a reference deployment of its own, runs `pytest --readiness` against it as a
user would, and reads the scorecard that the run wrote.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field
from ruamel.yaml import YAML

from readiness.catalogue import all_gates
from readiness.descriptor import Part
from readiness.errors import ReadinessError, UsageError
from readiness.experiment_gates import PREFIX
from readiness.loading import load
from readiness.model import Mode, Outcome
from readiness.nexus_command import COMMAND, unlisted

EXPECTED = Path("tests/prove/expected.yaml")
BASELINES = Path("var/readiness/baselines")
"""Where the reference deployment's state keeps baselines, beside its descriptor."""
UP_WITHIN_S = 120.0
RUN_WITHIN_S = 1800.0
_PAGE = """# The detection matrix

Written by `readiness prove`, a row a case: a reference deployment of its own with the seeded defects, judged by
`pytest --readiness`. What must turn red was written down before (`tests/prove/expected.yaml`); a gate that is neither
red nor unknown passed. `first` is the catalogue's own defect of a gate, `second` one of another mechanism, written from
the catalogue's row without a look into the gate; `hidden` takes evidence away, `near miss` holds a value at 80 % and at
120 % of a limit, `disguised` renames every path, series, log field, header and role.

"""


class Case(Part):
    """One deployment and the verdicts foretold for it; a gate that is not named must PASS."""

    name: str
    about: str = ""
    defects: list[str] = Field(default_factory=list)
    must_fail: list[str] = Field(default_factory=list)
    may_be_unknown: list[str] = Field(default_factory=list)
    must_be_unknown: list[str] = Field(default_factory=list)
    only: list[str] = Field(default_factory=list)
    """Gates to run; empty: all of the scenario. Near misses and hidden evidence concern one gate."""
    hide: list[str] = Field(default_factory=list)
    """Dotted keys taken out of the descriptor before the run: `procedures.list_backups`."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Dotted keys of the descriptor set before the run: `objectives.limits`."""
    scenario: str | None = None
    """Scenario file of the case, beside the file of foretold verdicts; without it `ci`."""
    baseline: bool = False
    """Whether a healthy deployment is judged first, whose baseline this one is then held against."""
    disguised: bool = False
    links: bool = False
    """Whether the links of the deployment go through proxies, as experiments on links and messages need."""
    mechanism: str = ""
    """`first` and `second` for the two defects of a gate, else the kind of the case."""


class Expected(Part):
    """All cases, and the file of names that a disguised deployment uses."""

    names: str | None = None
    quiet_only: list[str] = Field(default_factory=list)
    """Gates that say UNKNOWN on a machine that is not quiet: where a case is not about them, they may."""
    cases: list[Case] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Proof:
    """What one case showed; `wrong` is empty when every verdict was as foretold."""

    case: Case
    outcomes: Mapping[str, str]
    wrong: Sequence[str]
    seconds: float
    decision: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)


def command(
    gates: Sequence[str],
    defects: Sequence[str],
    expected_at: Path,
    part: tuple[int, int],
    jobs: int,
    into: Path | None,
    quick: bool = False,
) -> int:
    """Run the chosen cases, print a line for each and the matrix at last; 1 when a verdict was not foretold."""
    expected = load_expected(expected_at)
    cases = [_without_drills(case) if quick else case for case in choose(expected, gates, defects, part)]
    cases = [_may_be_unquiet(case, expected.quiet_only) for case in cases]
    names = expected_at.parent / expected.names if expected.names else None
    proofs = []
    with tempfile.TemporaryDirectory(prefix="readiness-prove-") as folder:
        for proof in prove(cases, names, jobs, Path(folder), expected_at.parent):
            proofs.append(proof)
            said = "as foretold" if not proof.wrong else "NOT AS FORETOLD: " + "; ".join(proof.wrong)
            print(f"[{len(proofs)}/{len(cases)}] {proof.case.name}: {said} ({proof.seconds:.0f} s)", flush=True)
            for line in (f"    {gate}: {proof.reasons.get(gate, '')}" for gate in _surprises(proof)):
                print(line, flush=True)
            if into is not None:
                into.write_text(_PAGE + matrix(proofs), encoding="utf-8")
    print(matrix(proofs))
    wrong = sum(bool(proof.wrong) for proof in proofs)
    print(f"{len(proofs) - wrong} of {len(proofs)} cases as foretold")
    return 1 if wrong else 0


def _without_drills(case: Case) -> Case:
    """The case with those drills alone that its foretold verdicts name: the others take most of the time."""
    modes = {gate.info.id: gate.info.mode for gate in all_gates()}
    named = {*case.must_fail, *case.may_be_unknown, *case.must_be_unknown}
    if not named or case.only:
        return case
    return case.model_copy(update={"only": [g for g, mode in modes.items() if mode is not Mode.DRILL or g in named]})


def _may_be_unquiet(case: Case, gates: Sequence[str]) -> Case:
    about = {*case.must_fail, *case.must_be_unknown}
    return case.model_copy(update={"may_be_unknown": [*case.may_be_unknown, *(g for g in gates if g not in about)]})


def _surprises(proof: Proof) -> list[str]:
    return [gate for gate in (wrong.split()[0] for wrong in proof.wrong) if gate in proof.outcomes]


def load_expected(path: Path) -> Expected:
    """Read the foretold verdicts; they live beside the tests, so a wheel alone has none."""
    if not path.is_file():
        raise UsageError(
            f"{path}: no foretold verdicts here; run `readiness prove` in a checkout of the project, "
            "or name a file with --expected FILE"
        )
    return load(path, Expected)


def choose(expected: Expected, gates: Sequence[str], defects: Sequence[str], part: tuple[int, int]) -> list[Case]:
    """Pick the cases that name one of the gates or defects (all when neither is given), then every n-th of them."""
    cases = [
        case
        for case in expected.cases
        if (not gates or set(gates) & {*case.must_fail, *case.must_be_unknown, *case.only})
        and (not defects or set(defects) & {case.name, *(d.split("=")[0] for d in case.defects)})
    ]
    if not cases:
        known = sorted({case.name for case in expected.cases})
        raise UsageError(f"no case for {[*gates, *defects]}; known cases: {', '.join(known)}")
    index, count = part
    return [case for n, case in enumerate(cases) if n % count == index % count]


def prove(cases: Sequence[Case], names: Path | None, jobs: int, folder: Path, beside: Path) -> Iterator[Proof]:
    """Run the cases, at most `jobs` at a time, and give each proof in the order of the cases.

    Scenarios of cases are looked for in the folder `beside`.
    """
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        try:
            yield from pool.map(lambda case: _prove_one(case, names, folder, beside), cases)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _prove_one(case: Case, names: Path | None, folder: Path, beside: Path) -> Proof:
    started = time.monotonic()
    reports = folder / case.name
    scenario = beside / case.scenario if case.scenario else None
    try:
        kept = _healthy_baseline(case, names, folder) if case.baseline else None
        with _deployment(case, names) as descriptor:
            if kept is not None:
                shutil.copytree(kept, descriptor.parent / BASELINES)
            card = _judge(_edited(descriptor, case), case, reports, scenario)
    except (ReadinessError, subprocess.TimeoutExpired) as error:  # the other cases still tell something
        return Proof(case, {}, [f"could not be run: {error}"], time.monotonic() - started)
    outcomes = {gate["id"]: gate["state"] for gate in card["gates"]}
    reasons = {gate["id"]: gate.get("reason", "") for gate in card["gates"]}
    return Proof(case, outcomes, _compare(case, outcomes), time.monotonic() - started, card["decision"], reasons)


def _healthy_baseline(case: Case, names: Path | None, folder: Path) -> Path:
    """Judge a healthy deployment, so that it records its baseline, and keep that."""
    healthy = Case(name=f"{case.name}-before", only=["PRF-BAS"])
    kept = folder / healthy.name / "baselines"
    with _deployment(healthy, names) as descriptor:
        _judge(descriptor, healthy, folder / healthy.name, None)
        recorded = descriptor.parent / BASELINES
        if not recorded.is_dir():
            raise UsageError(f"case {case.name}: the healthy deployment recorded no baseline (an unquiet machine?)")
        shutil.copytree(recorded, kept)
    return kept


def _compare(case: Case, outcomes: Mapping[str, str]) -> list[str]:
    foretold = {
        **dict.fromkeys(case.may_be_unknown, (Outcome.PASS, Outcome.UNKNOWN)),
        **dict.fromkeys(case.must_be_unknown, (Outcome.UNKNOWN,)),
        **dict.fromkeys(case.must_fail, (Outcome.FAIL,)),
    }
    seen = {gate: state for gate, state in outcomes.items() if state != "LEFT_OUT"}
    wrong = [
        f"{gate} is {state}, foretold was {' or '.join(foretold.get(gate, (Outcome.PASS,)))}"
        for gate, state in sorted(seen.items())
        if state not in foretold.get(gate, (Outcome.PASS, Outcome.NOT_APPLICABLE))
    ]
    return wrong + [f"{gate} did not run" for gate in sorted({*case.must_fail, *case.must_be_unknown} - set(seen))]


@contextmanager
def _deployment(case: Case, names: Path | None) -> Iterator[Path]:
    """A reference deployment with the case's defects, on a fresh folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="rd-", ignore_cleanup_errors=True) as place:
        home, own = str(Path(place) / "nexus"), unlisted(Path(place))
        argv = [*COMMAND, "up", "--dir", home, *(["--toxiproxy"] if case.links else [])]
        argv += [part for defect in case.defects for part in ("--defect", defect)]
        if case.disguised:
            if names is None:
                raise UsageError(f"case {case.name} is disguised, but the file of foretold verdicts has no `names`")
            argv += ["--names", str(names)]
        try:
            yield Path(_run(argv, UP_WITHIN_S, f"{case.name}: up", own).splitlines()[-1])
        finally:
            _run([*COMMAND, "down", "--dir", home], UP_WITHIN_S, f"{case.name}: down", own)


def _edited(descriptor: Path, case: Case) -> Path:
    """The descriptor as it is, or a copy beside it with the case's keys hidden or set."""
    if not case.hide and not case.set:
        return descriptor
    yaml = YAML(typ="safe")
    data = yaml.load(descriptor.read_text(encoding="utf-8"))
    for key in case.hide:
        *parents, last = key.split(".")
        if _reach(data, parents).pop(last, None) is None:
            raise UsageError(f"case {case.name}: the descriptor has no {key} to hide")
    for key, value in case.set.items():
        *parents, last = key.split(".")
        _reach(data, parents)[last] = value
    edited = descriptor.with_name(f"readiness-{case.name}.yaml")
    with edited.open("w", encoding="utf-8") as out:
        yaml.dump(data, out)
    return edited


def _reach(data: dict[str, Any], parents: Sequence[str]) -> dict[str, Any]:
    for key in parents:
        data = data.setdefault(key, {})
    return data


def _judge(descriptor: Path, case: Case, reports: Path, scenario: Path | None) -> dict[str, Any]:
    """Run pytest as a user would and read what it wrote; its exit code is part of the answer, not an error."""
    argv = [sys.executable, "-m", "pytest", "--readiness", "-q", "-p", "no:cacheprovider"]
    argv += ["--readiness-deployment", str(descriptor), "--readiness-reports", str(reports)]
    argv += ["--readiness-scenario", str(scenario)] if scenario is not None else []
    if selection := _selection(case):
        argv += ["-k", selection]
    done = _ended(argv, RUN_WITHIN_S)
    written = reports / "latest" / "readiness.json"
    if not written.is_file():
        said = _last_line(done)
        raise UsageError(f"case {case.name}: the run wrote no scorecard (exit {done.returncode}): {said}")
    card: dict[str, Any] = json.loads(written.read_text(encoding="utf-8"))
    return card


def _selection(case: Case) -> str:
    """What pytest selects by: a defect is held against the gates, and against those experiments that its case names."""
    if case.only:
        return " or ".join(case.only)
    return f"not {PREFIX}" if case.defects else ""


def _run(argv: Sequence[str], within_s: float, what: str, own: Mapping[str, str]) -> str:
    done = _ended(argv, within_s, own)
    if done.returncode != 0:
        raise UsageError(f"{what} ended with {done.returncode}: {_last_line(done)}")
    return done.stdout


def _ended(
    argv: Sequence[str], within_s: float, own: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without what would make every start of a Python process slow."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        argv,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
        env={**environment, **(own or {})},
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return " ".join((done.stdout + done.stderr).strip().splitlines()[-1:])


def matrix(proofs: Sequence[Proof]) -> str:
    """The detection matrix as Markdown: a row a case, with what was foretold and what was seen."""
    rows = [
        "| case | kind | seeded | gates run | red | unknown | as foretold | s |",
        "|---|---|---|--:|---|---|---|--:|",
    ]
    for proof in proofs:
        red = [gate for gate, state in sorted(proof.outcomes.items()) if state == Outcome.FAIL]
        unknown = [gate for gate, state in sorted(proof.outcomes.items()) if state == Outcome.UNKNOWN]
        rows.append(
            f"| {proof.case.name} | {proof.case.mechanism} | {', '.join(proof.case.defects) or '–'} "
            f"| {sum(state != 'LEFT_OUT' for state in proof.outcomes.values())} "
            f"| {', '.join(red) or '–'} | {', '.join(unknown) or '–'} "
            f"| {'yes' if not proof.wrong else 'NO: ' + '; '.join(proof.wrong)} | {proof.seconds:.0f} |"
        )
    return "\n".join(rows) + "\n"
