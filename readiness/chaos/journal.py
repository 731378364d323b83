"""What really happened in the run of an experiment: facts from events, never the status that the journal states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

_PREFIX = "chaoslib.exceptions.ActivityFailed: "


@dataclass(frozen=True, slots=True)
class ActivityRun:
    """One activity that was begun."""

    section: str
    name: str
    kind: str
    """`action` or `probe`."""
    ended_well: bool
    error: str
    """Its exception in one line; no text where it ended well."""
    output: Any
    began_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """One probe of the hypothesis, tried by itself."""

    name: str
    met: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Journal:
    """The facts of one run. `path`: what was written, redacted, for people."""

    experiment: str
    title: str
    path: Path
    hypothesis_before: bool | None
    """Whether it held before the method; None where it was not tried to its end."""
    hypothesis_after: bool | None
    hypothesis_during: tuple[bool, ...]
    method_began: bool
    runs: tuple[ActivityRun, ...]
    activities_failed: tuple[str, ...]
    """Each activity of method and rollbacks that failed, never ended or never ran, with why."""
    injected: tuple[Mapping[str, Any], ...]
    """What `inject` gave for each fault that was witnessed (`fault`, `what`, `witnessed`, `change`)."""
    interrupted: str
    """What the library swallowed: Ctrl-C, a signal; no text where nothing was."""
    escaped: str
    """The exception that left the library; the journal of the stock tool would be lost."""
    killed: str
    """Why the child was killed; no text where it ended by itself."""
    exit_code: int | None
    stated: str
    """The status that the library states: for display alone."""

    @property
    def whole(self) -> bool:
        """Whether everything that was declared ran to its end, and well."""
        ended = not (self.interrupted or self.escaped or self.killed) and self.exit_code == 0
        return ended and self.method_began and not self.activities_failed

    @property
    def out_of_tolerance_before(self) -> bool:
        """Whether the steady state was not met before the method, which then never ran."""
        return self.hypothesis_before is False


def journal_of(
    experiment: str,
    data: Mapping[str, Any],
    path: Path,
    events: Sequence[Mapping[str, Any]],
    *,
    killed: str,
    exit_code: int | None,
) -> Journal:
    """Read the facts out of what a child told."""
    runs = tuple(_run(event) for event in events if event["event"] == "activity")
    held = {
        when: [bool(one["met"]) for one in events if one["event"] == "hypothesis" and one["when"] == when]
        for when in ("before", "during", "after")
    }
    told = {event["event"]: event for event in events}
    began = "method" in told
    return Journal(
        experiment,
        str(data.get("title", experiment)),
        path,
        held["before"][-1] if held["before"] else None,
        held["after"][-1] if held["after"] else None,
        tuple(held["during"]),
        began,
        runs,
        tuple(_failed(data, runs, began)),
        tuple(one.output for one in runs if one.ended_well and _is_injection(one.output)),
        str(told.get("interrupted", {}).get("text", "")),
        str(told.get("escaped", {}).get("text", "")),
        killed,
        exit_code,
        str(told.get("ended", {}).get("status", "")),
    )


def one_line(exception: Sequence[str] | str | None) -> str:
    """Give the exception itself as one line: of what the library notes, the last, without the library's wrapping."""
    parts = [exception] if isinstance(exception, str) else list(exception or [])
    text = " ".join(parts[-1].split()) if parts else ""
    while text.startswith(_PREFIX):
        text = text.removeprefix(_PREFIX)
    return text


def _run(event: Mapping[str, Any]) -> ActivityRun:
    return ActivityRun(
        str(event["section"]),
        str(event["name"]),
        str(event["kind"]),
        event["status"] == "succeeded",
        str(event["error"]),
        event["output"],
        _at(event["start"]),
        _at(event["end"]),
    )


def _at(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None


def _is_injection(output: object) -> bool:
    return isinstance(output, Mapping) and "witnessed" in output


def _failed(data: Mapping[str, Any], runs: Sequence[ActivityRun], began: bool) -> list[str]:
    """What failed in method and rollbacks; what was declared and never ran has failed too, once the method began."""
    told = []
    for section in ("method", "rollbacks"):
        mine = [one for one in runs if one.section == section]
        told += [f"{one.name}: {one.error}" for one in mine if not one.ended_well]
        declared = [one for one in data.get(section) or [] if isinstance(one, Mapping)]
        if began and len(mine) < len(declared):
            names = [str(one.get("name") or one.get("ref")) for one in declared]
            ran = [one.name for one in mine]
            for name in names:
                if name in ran:
                    ran.remove(name)
                else:
                    told.append(f"{name}: never ran")
    return told
