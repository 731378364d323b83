"""What is wrong with the activities of an experiment before any of them runs."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from readiness.chaos.experiment import OUR_PROBES, OURS, activities, provider_of
from readiness.chaos.faults import FAULTS, mistakes_in
from readiness.loading.documents import Place, shown
from readiness.loading.mistakes import nearest

Found = Iterator[tuple[Place, str]]
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)\}")
_OUT_OF_BAND = ("configuration", "secrets")
"""Arguments that the library hands in by itself."""


def functions(data: dict[str, Any]) -> Found:
    """Look at each Python activity: its function must be there, take its arguments, and be run to its end."""
    for place, one in activities(data):
        provider = provider_of(one)
        if provider.get("type") != "python":
            continue
        if provider.get("module") == OURS and one.get("background"):
            yield (*place, "background"), "faults are injected in the main thread; take background away"
        for where, seconds in (((*place,), one), ((*place, "provider"), provider)):
            if seconds.get("timeout") is not None:
                text = "is not enforced on Python activities; take it away, and bound the function itself"
                yield (*where, "timeout"), f"timeout {text}"
        yield from _function((*place, "provider"), provider)


def references(data: dict[str, Any]) -> Found:
    """Look at each `ref`: it must name an activity of the method or the hypothesis."""
    known = [str(one["name"]) for _, one in activities(data, "hypothesis", "method") if one.get("name")]
    for place, one in activities(data):
        ref = one.get("ref")
        if ref is not None and ref not in known:
            yield (*place, "ref"), f"no activity is called {shown(ref)}{nearest(str(ref), known)}"
        if ref is None and not one.get("provider"):
            yield place, "an activity without a provider does nothing; add provider: {type: python, …}"


def variables(data: dict[str, Any]) -> Found:
    """Look at each `${name}`: one that stands for nothing is passed on as it is."""
    secrets = [name for group in _mapping(data.get("secrets")).values() for name in _mapping(group)]
    known = [*_mapping(data.get("configuration")), *secrets]
    for section in ("title", "steady-state-hypothesis", "method", "rollbacks"):
        for place, text in _texts((section,), data.get(section)):
            for name in _VARIABLE.findall(text):
                if name not in known:
                    told = f"${{{name}}} stands for nothing and would be passed on as it is"
                    yield place, f"{told}{nearest(name, known, '' if known else 'add configuration: {…}')}"


def undos(data: dict[str, Any]) -> Found:
    """Look at each action of the method: what is not ours must have an action in the rollbacks."""
    undone = any(
        one.get("type") == "action" and provider_of(one).get("module") != OURS
        for _, one in activities(data, "rollbacks")
    )
    for place, one in activities(data, "method"):
        if one.get("type") == "action" and provider_of(one).get("module") != OURS and not undone:
            yield place, f"the action {shown(one.get('name'))} has no undo; add an action to rollbacks that undoes it"


def dry(data: dict[str, Any]) -> Found:
    """Look for `dry`: in a file it is a text, and the library then runs the real fault."""
    for place, one in [((), data), *activities(data)]:
        if "dry" in one:
            text = "dry is not heeded in a file: the real fault is run; take it away"
            yield (*place, "dry"), f"{text}, and use `chaos run --dry` or `rehearse: true` of a scenario"


def runtime(data: dict[str, Any]) -> Found:
    """Look at when the hypothesis is tried: the probes of this package are for before and after, in the main thread."""
    strategy = _mapping(_mapping(data.get("runtime")).get("hypothesis")).get("strategy", "default")
    ours = any(provider_of(one).get("module") == OUR_PROBES for _, one in activities(data, "hypothesis"))
    if strategy != "default" and ours:
        told = "the probes are tried before and after the method; take the strategy away"
        yield ("runtime", "hypothesis", "strategy"), f"{shown(strategy)}: {told}, and promise what holds during it"


def _function(place: Place, provider: dict[str, Any]) -> Found:
    module_name, name = provider.get("module"), provider.get("func")
    if not isinstance(module_name, str) or not isinstance(name, str):
        return
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of theirs may raise anything
        text = f"the module {shown(module_name)} cannot be imported ({type(error).__name__}: {error})"
        yield (*place, "module"), text.splitlines()[0]
        return
    known = {key: one for key, one in inspect.getmembers(module, inspect.isroutine) if not key.startswith("_")}
    function = known.get(name)
    if function is None:
        public = getattr(module, "__all__", None) or sorted(known)
        yield (*place, "func"), f"{module_name} has no function {shown(name)}{nearest(name, public)}"
        return
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield (*place, "func"), f"{name} is a coroutine function and would never be awaited; write a plain one"
    elif inspect.isgeneratorfunction(function):
        yield (*place, "func"), f"{name} is a generator function and would never be run; write a plain one"
    yield from _arguments((*place, "arguments"), module_name, name, function, _mapping(provider.get("arguments")))


def _arguments(place: Place, module: str, name: str, function: Callable[..., Any], given: dict[str, Any]) -> Found:
    parameters = inspect.signature(function).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    plain = [key for key, one in parameters.items() if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)]
    wanted = [key for key in plain if key not in _OUT_OF_BAND]
    for key in given:
        if key not in plain and not takes_all:
            yield (*place, key), f"{name} has no argument {shown(key)}{nearest(key, wanted)}"
    for key in wanted:
        if key not in given and parameters[key].default is inspect.Parameter.empty:
            yield place, f"{name} needs the argument {key}; add it"
    if module == OURS and "fault" in given:
        yield from _fault(place, name, given)
    elif module == OUR_PROBES:
        yield from _bounds(place, given)


def _fault(place: Place, name: str, given: dict[str, Any]) -> Found:
    fault = given["fault"]
    if _varies(fault) or (name == "lift" and not fault):
        return
    if fault not in FAULTS:
        yield (*place, "fault"), f"unknown fault {shown(fault)}{nearest(str(fault), FAULTS)}"
    elif name == "inject":
        parameters = {key: value for key, value in given.items() if key != "fault"}
        for where, text in mistakes_in(fault, parameters):
            if not _varies(given.get(str(where[0])) if where else None):
                yield (*place, *where), f"fault {fault}: {text}"


def _bounds(place: Place, given: dict[str, Any]) -> Found:
    """Arguments with which a probe of ours would hold whatever happens."""
    for key, least in (("share", 0), ("n", 0), ("within_s", 0)):
        value = given.get(key)
        if isinstance(value, int | float) and value <= least:
            yield (*place, key), f"{key}: {value} proves nothing; give more than {least}"
    if isinstance(share := given.get("share"), int | float) and share > 1:
        yield (*place, "share"), f"share: {share} can never hold; give at most 1"


def _varies(value: object) -> bool:
    return any(_VARIABLE.search(text) for _, text in _texts((), value))


def _texts(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts((*place, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts((*place, index), item)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
