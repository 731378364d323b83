"""Records a stored load run as the baseline that later runs are held against."""

from __future__ import annotations

import json
from pathlib import Path

from readiness.baselines import Baseline, Baselines
from readiness.errors import UsageError
from readiness.gates.baselines import PROFILE, observed
from readiness.load.plan import FILE
from readiness.load.recordings import json_object
from readiness.load.results import read
from readiness.load.verdict import LoadOutcome, judge
from readiness.loading import DescriptorFile
from readiness.loadrun import LoadRun
from readiness.resources import read_resources


def record(file: DescriptorFile, folder: Path) -> Path:
    """Keep a load run's figures as the baseline and return the file: the team's own where the descriptor names one.

    What no run can be held against (not the steady profile, not PASS, another deployment's, a metric that could not
    be observed) is a UsageError in one line.
    """
    result, written, descriptor = read(folder), json_object(folder / FILE), file.descriptor
    verdict = judge(result)
    if result.plan.profile != PROFILE:
        raise UsageError(f"{folder}: profile {result.plan.profile}; a baseline is of the profile {PROFILE}")
    if verdict.outcome is not LoadOutcome.PASS:
        raise UsageError(f"{folder}: the run is {verdict.outcome}: {verdict.reasons[0]}; run it again")
    if written.get("deployment") != descriptor.name:
        raise UsageError(f"{folder}: a run of {written.get('deployment') or 'a bare host'}, not of {descriptor.name}")
    run = LoadRun(PROFILE, result, verdict, read_resources(result.resources))
    release = str(written.get("release") or descriptor.current_release)
    found = observed(descriptor, _name(folder), run).model_copy(update={"release": release})
    if lacking := found.lacks():
        raise UsageError(f"{folder}: {', '.join(lacking)} were not observed; record a run of `pytest --readiness`")
    path = Baselines(file).own_file(PROFILE, release)
    if path is None:
        return Baselines(file).record(found)
    _write(path, found)
    return path


def _name(folder: Path) -> str:
    """The run that a load run was part of, else its own folder."""
    absolute = folder.resolve()
    return absolute.parents[1].name if absolute.parent.name == "load" else absolute.name


def _write(path: Path, baseline: Baseline) -> None:
    draft = path.with_name(f"{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(baseline.model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be written: {error.strerror}; see evidence.baselines of the descriptor"
        ) from None
