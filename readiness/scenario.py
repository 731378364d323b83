"""Which gates a run is about, and what is enough: flat files, no language."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from readiness.descriptor import Duration, Part, Rate, Share
from readiness.errors import UsageError
from readiness.loading import load
from readiness.loading.documents import shown
from readiness.loading.mistakes import nearest
from readiness.model import GateInfo, Mode, Risk
from readiness.thresholds import parse

_PACKAGE = Path(__file__).resolve().parent
_KEYWORDS = {
    "blocking",
    "scored",
    *(f"risk:{risk}" for risk in Risk),
    *(f"mode:{mode}" for mode in Mode),
}


class LoadTest(Part):
    """One load profile of a scenario: what is sent, for how long, and the thresholds it is held against.

    What is not given is the profile's own default; with `thresholds` given, they are all that the run is held against.
    """

    profile: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """`stress`, `spike`, `endurance`, `volume`, `scalability` or `steady`."""
    file: Path | None = None
    """A Locust file of one's own; without it `loadtests/<profile>.py`."""
    duration: Duration | None = None
    rate: Rate | None = None
    """Arrivals a second at the profile's base, as in `2/s`."""
    factor: float | None = Field(default=None, gt=1)
    """By how much a stress or spike exceeds the base."""
    variant: str | None = None
    """The transaction that is sent; `ok` without it."""
    users: int = Field(default=0, ge=0)
    """Closed model: so many users who each wait for their answer; 0: the open model, whose arrivals do not wait."""
    processes: int = Field(default=1, ge=1, le=64)
    """Worker processes of Locust that share the arrivals."""
    thresholds: dict[str, str] | None = None
    """Metric (or stage.metric) → bound with unit: `p95: <= 2s`, `errors: <= 1%`, `after.p99: <= 4s`."""

    @field_validator("thresholds")
    @classmethod
    def _with_unit(cls, given: dict[str, str] | None) -> dict[str, str] | None:
        for name, text in (given or {}).items():
            parse(name, text)
        return given


class ExperimentEntry(Part):
    """One experiment of a scenario, or several by a glob of their names."""

    file: str = Field(min_length=1)
    """A name in experiments/ (`agent-killed`), a glob of names (`provider-*`), or the path of a file of one's own."""
    rehearse: bool = False
    """Everything but the fault itself: what it would take is tried, and the verdict is UNKNOWN."""
    hollow: bool = False
    """Proves the gate itself: the fault is announced and not done, so that nothing shows it and nothing may pass."""


Experiments = list[
    Annotated[
        ExperimentEntry,
        BeforeValidator(
            lambda given: {"file": given} if isinstance(given, str) else given,
            json_schema_input_type=ExperimentEntry | str,
        ),
    ]
]


class Scenario(Part):
    """The gates of a run (its denominator), and the scores that it asks for.

    A selector is `*`, a gate's id or a glob of ids, the name of a pillar or capability, `blocking` or `scored`,
    `risk:critical`, `mode:observe`; with `!` in front it takes out what it matches, wherever it stands.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    about: str = ""
    gates: list[str] = Field(min_length=1)
    experiments: Experiments = Field(default_factory=list)
    """The Chaos Toolkit experiments that run, each a gate of its own (`IMP-CHA-<NAME>`)."""
    loadtests: list[LoadTest] = Field(default_factory=list)
    """Load profiles that differ from their defaults; a gate that needs one that is not here runs the default."""
    threshold: Share
    pillar_floor: Share = 0.6
    time_budget: Duration | None = None
    all_adopted: bool = False
    """Whether every gate must be adopted: `not_yet` of the policy is then refused."""

    @field_validator("gates")
    @classmethod
    def _readable(cls, selectors: list[str]) -> list[str]:
        for selector in selectors:
            bare = selector.removeprefix("!")
            if not bare.strip():
                raise ValueError(f"{selector!r} selects nothing; delete it")
            if ":" in bare and bare not in _KEYWORDS:
                known = sorted(word for word in _KEYWORDS if ":" in word)
                raise ValueError(f"{selector!r} is no selector{nearest(bare, known)}")
        if all(selector.startswith("!") for selector in selectors):
            raise ValueError("every selector takes out; begin with one that takes in, such as '*'")
        return selectors

    @field_validator("loadtests")
    @classmethod
    def _once_each(cls, given: list[LoadTest]) -> list[LoadTest]:
        profiles = [test.profile for test in given]
        if twice := sorted({profile for profile in profiles if profiles.count(profile) > 1}):
            raise ValueError(f"the profile {twice[0]!r} is given twice; write each once")
        return given

    def choose(self, gates: Sequence[GateInfo]) -> tuple[GateInfo, ...]:
        """Return the scenario's gates in the order given; a selector of ids or names that matches none is an error."""
        for selector in self.gates:
            bare = selector.removeprefix("!")
            if bare not in _KEYWORDS and not any(matches(bare, gate) for gate in gates):
                names = {name for gate in gates for name in (gate.id, gate.pillar, gate.capability)}
                near = nearest(bare, names, "`readiness catalogue` lists them")
                raise UsageError(f"scenario {self.name}: gates: {shown(selector)} matches no gate{near}")
        chosen = tuple(gate for gate in gates if self._takes(gate))
        if not chosen:
            raise UsageError(f"scenario {self.name}: gates: nothing is selected by {', '.join(self.gates)}")
        return chosen

    def _takes(self, gate: GateInfo) -> bool:
        out = any(matches(selector[1:], gate) for selector in self.gates if selector.startswith("!"))
        return not out and any(matches(selector, gate) for selector in self.gates if not selector.startswith("!"))


def matches(selector: str, gate: GateInfo) -> bool:
    """Whether one selector without `!` takes in a gate."""
    if selector in ("blocking", "scored"):
        return gate.blocking == (selector == "blocking")
    kind, colon, value = selector.partition(":")
    if colon:
        return value == (gate.risk if kind == "risk" else gate.mode)
    named = selector.casefold() in (gate.pillar.casefold(), gate.capability.casefold())
    return named or fnmatchcase(gate.id, selector.upper())


def scenario_folders(root: Path) -> list[Path]:
    """Return where scenarios are looked for: the user's folder, the package's data, a checkout's."""
    return data_folders("scenarios", root)


def data_folders(kind: str, root: Path) -> list[Path]:
    """Return the folders of one kind of native files: the user's, the package's data, a checkout's."""
    folders = [root / kind, _PACKAGE / "_files" / kind, _PACKAGE.parent / kind]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]


def find_experiments(scenario: Scenario, root: Path) -> dict[Path, ExperimentEntry]:
    """Return the experiment files of a scenario, each with how it is to run; a wrong name is an error."""
    known = known_experiments(root)
    found: dict[Path, ExperimentEntry] = {}
    for entry in scenario.experiments:
        if _is_path(entry.file):
            path = root / entry.file
            if not path.is_file():
                raise UsageError(f"scenario {scenario.name}: experiments: {shown(entry.file)}: no such file")
            found[path] = entry
            continue
        named = [name for name in known if fnmatchcase(name, entry.file)]
        if not named:
            near = nearest(entry.file, known)
            raise UsageError(
                f"scenario {scenario.name}: experiments: {shown(entry.file)} is none of experiments/{near}"
            )
        found |= {known[name]: entry for name in named}
    return found


def known_experiments(root: Path) -> dict[str, Path]:
    """Return every experiment that can be had by its name; the user's own come before the package's."""
    known: dict[str, Path] = {}
    for folder in data_folders("experiments", root):
        for path in sorted(folder.glob("*.yaml")):
            known.setdefault(path.stem, path)
    return dict(sorted(known.items()))


def find_scenario(name_or_path: str, root: Path) -> Scenario:
    """Read a scenario by name (`ci`) or path (`mine/night.yaml`); the user's own come before the package's."""
    if _is_path(name_or_path):
        return load(root / name_or_path, Scenario)
    known: dict[str, Path] = {}
    for folder in scenario_folders(root):
        for path in sorted(folder.glob("*.yaml")):
            known.setdefault(path.stem, path)
    if name_or_path not in known:
        raise UsageError(f"scenario {shown(name_or_path)} not found in scenarios/{nearest(name_or_path, known)}")
    return load(known[name_or_path], Scenario)


def _is_path(given: str) -> bool:
    return "/" in given or "\\" in given or given.endswith((".yaml", ".yml", ".json"))
