"""Without `--readiness` the plugin does nothing, and loads nothing that costs time."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pydantic", "rich", "httpx", "psutil", "jinja2", "ruamel", "typer", "readiness.hooks", "readiness.model")


def test_nothing_heavy_is_imported() -> None:
    code = f"import sys, readiness.plugin; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ordinary_tests_run_as_ever(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_mine():\n    assert 1 + 1 == 2\n")
    result = pytester.runpytest_inprocess("--strict-markers", "--strict-config")
    result.assert_outcomes(passed=1)
    assert "readiness" not in result.stdout.str().replace(str(pytester.path), "").partition("collected")[2]


def test_options_and_marks_are_documented(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_inprocess("--help").stdout.str()
    for option in ("deployment", "scenario", "policy", "reports", "arm", "allow-conditional"):
        assert f"--readiness-{option}" in shown
        assert f"readiness_{option.replace('-', '_')}" in shown
    assert "@pytest.mark.drill" in pytester.runpytest_inprocess("--markers").stdout.str()
