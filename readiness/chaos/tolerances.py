"""Hypotheses that cannot fail, or can never hold: found before anything is broken for nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from readiness.chaos.experiment import OUR_PROBES, activities, provider_of
from readiness.loading.documents import Place, shown

Found = Iterator[tuple[Place, str]]
_HYPOTHESIS = "steady-state-hypothesis"
_SAMPLES = ("", "0", "-1", "200", "503", "true", "False", "None", "error", "no\nsuch", "{}", "connection refused")
"""A pattern that finds something in all of these accepts anything."""
_HUGE = 1e15


def hypotheses(data: dict[str, Any]) -> Found:
    """Look at the hypothesis: it must be there, have probes, and each must be able to hold and to fail."""
    given = data.get(_HYPOTHESIS)
    if not isinstance(given, dict):
        yield (
            (),
            f"no hypothesis: whatever happened, it would be no finding; add {_HYPOTHESIS}: {{title: …, probes: …}}",
        )
        return
    probes = list(activities(data, "hypothesis"))
    if not probes:
        yield (_HYPOTHESIS,), "a hypothesis without probes cannot fail; add probes"
    for place, one in probes:
        if one.get("type") == "action":
            yield (*place, "type"), "an action in the hypothesis; write a probe, which changes nothing"
        if "ref" not in one and "tolerance" not in one:
            yield place, f"the probe {shown(one.get('name'))} has no tolerance; add tolerance: true"
        elif "tolerance" in one:
            yield from _tolerance((*place, "tolerance"), one["tolerance"], provider_of(one).get("module") == OUR_PROBES)


def _tolerance(place: Place, given: Any, ours: bool) -> Found:
    if ours and given is not True:
        yield place, f"tolerance {shown(given)}: this probe gives true where all is well; write tolerance: true"
    elif given is None:
        yield place, "an empty tolerance never holds; give the value that the probe must have"
    elif isinstance(given, float):
        yield place, f"the tolerance {given} is a float, which never holds; write {{type: range, range: [low, high]}}"
    elif isinstance(given, list):
        yield from _list(place, given)
    elif isinstance(given, dict):
        yield from _kind(place, given)


def _list(place: Place, given: list[Any]) -> Found:
    numbers = [one for one in given if isinstance(one, int | float) and not isinstance(one, bool)]
    if not given:
        yield place, "an empty list never holds; list the values that are allowed"
    elif len(given) == 2 and len(numbers) == 2:
        yield from _range(place, numbers[0], numbers[1])
    elif len(given) == 2:
        yield place, f"{shown(given)}: a list of two is taken for the bounds of a range; list three, or write a pattern"


def _kind(place: Place, given: dict[str, Any]) -> Found:
    kind = given.get("type")
    if kind == "range" and isinstance(bounds := given.get("range"), list) and len(bounds) == 2:
        if all(isinstance(one, int | float) for one in bounds):
            yield from _range((*place, "range"), bounds[0], bounds[1])
    elif kind == "regex" and isinstance(pattern := given.get("pattern"), str):
        try:
            accepted = all(re.search(pattern, sample) for sample in _SAMPLES)
        except re.error as error:
            yield (*place, "pattern"), f"{shown(pattern)} is no pattern: {error.msg}"
            return
        if accepted:
            yield (*place, "pattern"), f"{shown(pattern)} accepts anything, so the hypothesis cannot fail"
    elif kind == "jsonpath":
        yield place, "a jsonpath tolerance needs a package that is not installed; compare in a probe of your own"
    elif kind == "probe":
        provider = given.get("provider")
        if isinstance(provider, dict) and not isinstance(provider.get("arguments"), dict):
            yield (*place, "provider"), "the value is handed in among its arguments; add arguments: {}"


def _range(place: Place, low: float, high: float) -> Found:
    if low > high:
        yield place, f"from {low} to {high} nothing lies, so it never holds; write the lower bound first"
    elif low <= -_HUGE and high >= _HUGE:
        yield place, f"from {low} to {high} lies everything, so the hypothesis cannot fail"
