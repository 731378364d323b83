"""The wheel carries what a run needs: installed into a clean environment, outside the checkout, it judges."""

from __future__ import annotations

import json
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.commands import ended

ROOT = Path(__file__).parents[1]


PARTIAL = 13


def run(*argv: str | Path, cwd: Path, within_s: float = 600, code: int = 0) -> str:
    done = ended(argv, cwd, within_s)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.needs("linux")
def test_the_wheel_judges_outside_the_checkout(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, ROOT, cwd=tmp_path)
    wheel = next(tmp_path.glob("*.whl"))
    carried = zipfile.ZipFile(wheel).namelist()
    for folder in ("experiments", "loadtests", "scenarios"):
        assert any(name.startswith(f"readiness/_files/{folder}/") for name in carried), folder
    venv.create(tmp_path / "venv", with_pip=True)
    bin_ = tmp_path / "venv" / "bin"
    run(bin_ / "python", "-m", "pip", "install", "-q", wheel, cwd=tmp_path)
    place = tmp_path / "elsewhere"
    place.mkdir()
    # A gate of each mode, and one that needs the native Locust files: the whole scenario is run by the README's line.
    chosen = ["OPS-DEP-001", "ARC-VER-005", "ARC-ORC-003", "PRF-BAS-001"]
    run(bin_ / "pytest", "--readiness", "-q", "-k", " or ".join(chosen), cwd=place, within_s=1200, code=PARTIAL)
    card = json.loads((place / "reports" / "latest" / "readiness.json").read_text(encoding="utf-8"))
    states = {gate["id"]: gate["state"] for gate in card["gates"]}
    assert {gate: states[gate] for gate in chosen} == dict.fromkeys(chosen, "PASS")
    assert str(ROOT) not in run(bin_ / "python", "-c", "import readiness; print(readiness.__file__)", cwd=place)
