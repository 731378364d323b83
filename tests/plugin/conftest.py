"""A tiny deployment (a switch in a file) and fake gates in the place of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from readiness import catalogue, gates, hooks

FAKES = Path(__file__).parent / "fakes"
DESCRIPTOR = """\
readiness: 1
name: tiny
environment: staging
services: {web: {}}
secrets: {canaries: {token: {file: token}}}
procedures:
  status: {run: [cat, switch.json]}
  set: {run: [sh, set.sh, "{text}"]}
"""
SCRIPT = """test "$1" = nowhere && exit 1
echo "{\\"switch\\": \\"$1\\"}" > switch.json
"""
SCENARIO = 'name: tiny\nabout: everything\ngates: ["*", "!OPS-REC-902"]\nthreshold: 0.5\npillar_floor: 0.0\n'
assert hooks  # pytester forgets what a run imports for the first time: all of the plugin is imported here
Judge = Callable[..., pytest.RunResult]


@pytest.fixture
def tiny(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a tiny deployment; only the fake gates exist."""
    files = {"token": "tiny-fake-canary-secret", "set.sh": SCRIPT, "switch.json": '{"switch": "on"}'}
    for name, text in {**files, "readiness.yaml": DESCRIPTOR}.items():
        pytester.mkdir("tiny") if not Path("tiny").exists() else None
        Path("tiny", name).write_text(text, encoding="utf-8")
    Path("scenarios").mkdir()
    Path("scenarios/tiny.yaml").write_text(SCENARIO, encoding="utf-8")
    monkeypatch.setattr(gates, "__path__", [str(FAKES)])
    catalogue.all_gates.cache_clear()
    yield pytester.path / "tiny"
    catalogue.all_gates.cache_clear()


@pytest.fixture
def judge(tiny: Path, pytester: pytest.Pytester) -> Judge:
    """Run `pytest --readiness` on the tiny deployment."""
    options = ("--readiness", "--readiness-scenario=tiny", f"--readiness-deployment={tiny}/readiness.yaml")
    return lambda *more: pytester.runpytest_inprocess(*options, *more)


@pytest.fixture
def card(pytester: pytest.Pytester) -> Callable[[], dict[str, Any]]:
    """Read the scorecard of the last run."""
    return lambda: json.loads((pytester.path / "reports/latest/readiness.json").read_text(encoding="utf-8"))
