"""The strict check of experiments before anything runs: each problem one line, with the file and the line in it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from readiness.chaos.activities import dry, functions, references, runtime, undos, variables
from readiness.chaos.experiment import Experiment, Trial, activities, extension_place, provider_of, read_experiment
from readiness.chaos.schema import ExperimentKeys
from readiness.chaos.tolerances import hypotheses
from readiness.errors import UsageError
from readiness.loading.documents import Document, Place, Problem, refusal, shown
from readiness.loading.mistakes import mistakes

Found = Iterator[tuple[Place, str]]


def check(path: Path, *, gate: bool = False) -> list[Problem]:
    """Give every problem of an experiment, in the order of its lines; a file that cannot be read is a UsageError.

    `gate`: whether it is to run as a gate, which asks for the extension `readiness` and for a fault of this package.
    The modules that it names are imported: call this where that does no harm.
    """
    return problems(read_experiment(path), gate=gate)


def problems(experiment: Experiment, *, gate: bool = False) -> list[Problem]:
    """Give every problem of an experiment that was read."""
    document, data = experiment.document, experiment.data
    found = [*_keys(data), *_extension(data, gate), *_twice_read(document)]
    if not any(len(place) <= 1 and "is not allowed" in text for place, text in found):
        for part in (functions, references, variables, undos, dry, runtime, hypotheses):
            found += part(data)
    if gate:
        found += _faults(data)
    if not found:
        found += _library(data)
    return sorted({Problem(document.line(place), " ".join(text.split())) for place, text in found})


def sound(path: Path, *, gate: bool = False) -> Experiment:
    """Read an experiment and check it; whatever is wrong is a UsageError with a line for each problem."""
    experiment = read_experiment(path)
    found = problems(experiment, gate=gate)
    if found:
        raise refusal(path, found)
    return experiment


def all_sound(paths: Sequence[Path], *, gate: bool = False) -> list[Experiment]:
    """Read and check several; the UsageError has the problems of all of them."""
    found, told = [], []
    for path in paths:
        try:
            found.append(sound(path, gate=gate))
        except UsageError as error:
            told.append(str(error))
    if told:
        raise UsageError("\n".join(told))
    return found


def _keys(data: dict[str, Any]) -> Found:
    try:
        ExperimentKeys.model_validate(data)
    except ValidationError as error:
        yield from mistakes(error, ExperimentKeys, data)


def _extension(data: dict[str, Any], gate: bool) -> Found:
    place = extension_place(data)
    if place is None:
        if gate:
            yield ("extensions",), "no extension `readiness`; add extensions: [{name: readiness, failure_mode: …}]"
        return
    extension = data["extensions"][place[1]]
    try:
        Trial.model_validate(extension)
    except ValidationError as error:
        for inner, text in mistakes(error, Trial, extension):
            yield (*place, *inner), f"extension readiness: {text}"


def _faults(data: dict[str, Any]) -> Found:
    injected = [one for _, one in activities(data, "method") if provider_of(one).get("func") == "inject"]
    if not injected:
        yield ("method",), "nothing is broken; add an action with module: readiness.chaos.actions, func: inject"


def _twice_read(document: Document) -> Found:
    """What the stock tool reads otherwise, by YAML 1.1: `on` and `yes` are true there, and 0x10 or 1:30 a number."""
    try:
        theirs = yaml.safe_load(document.content)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark is not None else ""
        yield (), f"`chaos run` cannot read this file as YAML 1.1{line}; quote text with special characters"
        return
    yield from _differing((), document.data, theirs)


def _differing(place: Place, ours: Any, theirs: Any) -> Found:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key not in theirs:
                yield (*place, key), f"the key {shown(key)} is read otherwise by `chaos run`; write it in quotes"
            else:
                yield from _differing((*place, key), value, theirs[key])
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _differing((*place, index), mine, other)
    elif ours != theirs or isinstance(ours, bool) is not isinstance(theirs, bool):
        yield place, f"{shown(ours)} is read as {shown(theirs)} by `chaos run`; write it in quotes, or true and false"


def _library(data: dict[str, Any]) -> Found:
    """What the library itself has to say, where nothing else is wrong."""
    from chaoslib.exceptions import ChaosException  # type: ignore[import-untyped]
    from chaoslib.experiment import ensure_experiment_is_valid  # type: ignore[import-untyped]

    logger = logging.getLogger("chaostoolkit")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ensure_experiment_is_valid(data)
    except ChaosException as error:
        yield (), f"not valid for the Chaos Toolkit: {error}"
    except (TypeError, AttributeError, KeyError) as error:
        yield (), f"the Chaos Toolkit cannot read it ({type(error).__name__}: {error})"
    finally:
        logger.setLevel(level)
