"""The strict check: each mistake is one line, at its line in the file, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from readiness.chaos.check import all_sound, check, sound
from readiness.errors import UsageError
from tests.chaos.system import ROOT

EXPERIMENTS = sorted((ROOT / "experiments").glob("*.yaml"))
SOUND = """\
title: An agent stops in its tracks
description: It is frozen for a while, and goes on as if nothing had happened.
tags: [agents]
configuration: {seconds: 5}
steady-state-hypothesis:
  title: Work ends as it should
  probes:
    - type: probe
      name: work ends well
      tolerance: true
      provider:
        {type: python, module: readiness.chaos.probes, func: work_ends, arguments: {n: 3, within_s: 15}}
method:
  - type: action
    name: freeze an agent
    provider:
      {type: python, module: readiness.chaos.actions, func: inject, arguments: {fault: frozen, part: agent}}
    pauses: {after: "${seconds}"}
  - type: action
    name: let it go on
    provider: {type: python, module: readiness.chaos.actions, func: lift}
rollbacks:
  - type: action
    name: lift whatever is in force still
    provider: {type: python, module: readiness.chaos.actions, func: lift}
extensions:
  - name: readiness
    failure_mode: agent-frozen
    traffic: {variant: ok, rate: 3/s}
    before: 5s
    after: 8s
    recovery: 20s
    promises:
      after: {errors: "<= 20%"}
"""
INJECT = "{type: python, module: readiness.chaos.actions, func: inject, arguments: {fault: frozen, part: agent}}"
THEIRS = "{type: python, module: tests.chaos.activities, func: well}"
BROKEN = {
    "a key of the experiment": ("rollbacks:", "rollback:", 22, "unknown key 'rollback'; did you mean 'rollbacks'?"),
    "the hypothesis' name": (
        "steady-state-hypothesis:",
        "steady_state_hypothesis:",
        5,
        "unknown key 'steady_state_hypothesis'; did you mean 'steady-state-hypothesis'?",
    ),
    "a key of an activity": (
        'pauses: {after: "${seconds}"}',
        "backgroud: true",
        18,
        "unknown key 'backgroud' in method.0; did you mean 'background'?",
    ),
    "a key of pauses": ('{after: "${seconds}"}', "{afer: 2}", 18, "unknown key 'afer' in method.0.pauses"),
    "a key of a provider": ("func: lift}\nroll", "funk: lift}\nroll", 21, "unknown key 'funk'"),
    "a key of the extension": ("recovery: 20s", "recover: 20s", 32, "unknown key 'recover'; did you mean 'recovery'?"),
    "a unit of the extension": ("recovery: 20s", "recovery: 20", 32, "extension readiness: recovery"),
    "a promise": ('errors: "<= 20%"', 'errors: "few"', 33, "'few' is no bound"),
    "no title": ("title: An agent stops in its tracks\n", "", 1, "title is missing; add it"),
    "an unresolved variable": ("${seconds}", "${second}", 18, "${second} stands for nothing"),
    "a module": ("readiness.chaos.probes", "readiness.chaos.probe", 12, "cannot be imported"),
    "a function": ("func: work_ends", "func: work_end", 12, "no function 'work_end'; did you mean 'work_ends'?"),
    "an argument": ("within_s: 15", "within: 15", 12, "work_ends has no argument 'within'; did you mean 'within_s'?"),
    "a fault": ("fault: frozen", "fault: frosen", 17, "unknown fault 'frosen'; did you mean 'frozen'?"),
    "no fault": ("fault: frozen, ", "", 17, "inject needs the argument fault; add it"),
    "a parameter of a fault": (
        "part: agent}",
        "prat: agent}",
        17,
        "fault frozen: unknown parameter 'prat'; did you mean 'part'?",
    ),
    "a part": ("part: agent}", "part: agents}", 17, "'agents' is no part of a system; did you mean 'agent'?"),
    "a range of a fault": ("part: agent}", "part: agent, replicas: 0}", 17, "replicas: 0 is not allowed"),
    "a probe that proves nothing": ("n: 3", "n: 0", 12, "n: 0 proves nothing"),
    "a share that proves nothing": ("n: 3", "share: 0", 12, "share: 0 proves nothing"),
    "a coroutine": (INJECT, THEIRS.replace("well", "awaited"), 17, "awaited is a coroutine function"),
    "a generator": (INJECT, THEIRS.replace("well", "yielding"), 17, "yielding is a generator function"),
    "a missing argument": (INJECT, THEIRS.replace("well", "needs"), 16, "needs needs the argument a; add it"),
    "an action without an undo": (INJECT, THEIRS, 14, "the action 'freeze an agent' has no undo"),
    "dry": ('pauses: {after: "${seconds}"}', "dry: actions", 18, "the real fault is run"),
    "a fault beside the main thread": ('pauses: {after: "${seconds}"}', "background: true", 18, "main thread"),
    "a timeout": ('pauses: {after: "${seconds}"}', "timeout: 3", 18, "not enforced"),
    "a negative pause": ('"${seconds}"', "-1", 18, "method.0.pauses.after"),
    "a strategy": (
        "tags: [agents]",
        "runtime: {hypothesis: {strategy: continuously}}",
        3,
        "before and after the method",
    ),
    "a reference": (
        "- type: action\n    name: lift whatever is in force still\n    provider: {type: python, "
        "module: readiness.chaos.actions, func: lift}",
        "- ref: let him go on",
        23,
        "no activity is called 'let him go on'; did you mean 'let it go on'?",
    ),
    "a text for true": ("tolerance: true", 'tolerance: "true"', 10, "write tolerance: true"),
    "the truth of YAML 1.1": ("tolerance: true", "tolerance: yes", 10, "write it in quotes, or true and false"),
    "no hypothesis": (SOUND[SOUND.index("steady-") : SOUND.index("method:")], "", 1, "no hypothesis"),
    "no probes": (SOUND[SOUND.index("  probes:") : SOUND.index("method:")], "", 5, "without probes cannot fail"),
    "no tolerance": ("      tolerance: true\n", "", 8, "has no tolerance"),
    "no extension": (SOUND[SOUND.index("extensions:") :], "", 1, "no extension `readiness`"),
    "no failure mode": ("    failure_mode: agent-frozen\n", "", 27, "failure_mode is missing"),
    "a key twice": ("tags: [agents]", "title: again", 3, "stands twice, first in line 1"),
    "no YAML": ("tags: [agents]", "tags: [agents", 4, "not YAML"),
}
TOLERANCES = {
    "0.5": "a float, which never holds",
    "[]": "an empty list never holds",
    "[2, 1]": "nothing lies",
    "[up, down]": "taken for the bounds of a range",
    "null": "never holds",
    "{type: range, range: [5, 1]}": "nothing lies",
    "{type: range, range: [-1.0e+18, 1.0e+18]}": "lies everything",
    '{type: regex, pattern: ".*"}': "accepts anything",
    '{type: regex, pattern: "("}': "is no pattern",
    '{type: jsonpath, path: "$.a"}': "not installed",
    "{type: probe, name: compare, provider: {type: python, module: tests.chaos.activities, func: says}}": "arguments",
}


def written(tmp_path: Path, text: str, name: str = "tried.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sound_experiment_has_no_problem(tmp_path: Path) -> None:
    assert check(written(tmp_path, SOUND), gate=True) == []
    assert sound(written(tmp_path, SOUND)).faults == ("frozen",)


@pytest.mark.parametrize("name", BROKEN)
def test_each_mistake_is_told_at_its_line(tmp_path: Path, name: str) -> None:
    old, new, line, text = BROKEN[name]
    assert old in SOUND
    path = written(tmp_path, SOUND.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        sound(path, gate=True)
    told = str(caught.value).splitlines()
    assert any(one.startswith(f"{path}:{line}: ") and text in one for one in told), told


@pytest.mark.parametrize("tolerance", TOLERANCES)
def test_tolerances_that_never_or_always_hold_are_told(tmp_path: Path, tolerance: str) -> None:
    text = SOUND.replace("readiness.chaos.probes, func: work_ends, arguments: {n: 3, within_s: 15}", "os, func: getpid")
    path = written(tmp_path, text.replace("tolerance: true", f"tolerance: {tolerance}"))
    found = [(one.line, one.text) for one in check(path)]
    assert any(line == 10 and TOLERANCES[tolerance] in told for line, told in found), found


def test_several_files_are_told_together(tmp_path: Path) -> None:
    one, other = written(tmp_path, SOUND.replace("frozen", "frosen")), written(tmp_path, "[]", "other.yaml")
    with pytest.raises(UsageError) as caught:
        all_sound([one, other])
    assert str(one) in str(caught.value) and str(other) in str(caught.value)


def test_json_is_read_too(tmp_path: Path) -> None:
    text = '{"title": "t",\n "description": "d",\n "metod": []}'
    assert (3, "unknown key 'metod'") in [(one.line, one.text[:19]) for one in check(written(tmp_path, text, "t.json"))]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=[path.stem for path in EXPERIMENTS])
def test_every_experiment_of_ours_is_sound(path: Path) -> None:
    assert check(path, gate=True) == []


def test_the_stock_tool_finds_ours_valid(tmp_path: Path) -> None:
    path = written(tmp_path, SOUND)
    argv = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--no-log-file", "validate", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
