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


def run(*argv: str | Path, cwd: Path, within_s: float = 600) -> str:
    done = ended(argv, cwd, within_s)
    assert done.returncode == 0, done.stdout + done.stderr
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
    run(bin_ / "pytest", "--readiness", "-q", cwd=place, within_s=1200)
    card = json.loads((place / "reports" / "latest" / "readiness.json").read_text(encoding="utf-8"))
    assert card["decision"] == "READY"
    assert str(ROOT) not in run(bin_ / "python", "-c", "import readiness; print(readiness.__file__)", cwd=place)
