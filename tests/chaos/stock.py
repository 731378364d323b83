"""`chaos validate` and `chaos run` on experiments, with the stock tool: python -m tests.chaos.stock [NAME…]

Starts a reference deployment of its own, runs each file as a user would, and looks at what is left: no open undo, and a
state like that before. Without names all of experiments/ are run.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from tests.commands import ended

ROOT = Path(__file__).parents[2]
UP_S, RUN_S = 120, 300


def run(names: list[str]) -> list[str]:
    """Run the experiments and give a line for each that did not do what it says."""
    chaos = str(Path(sys.executable).with_name("chaos"))
    wrong = []
    with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as place:
        home = Path(place) / "nexus"
        own = {"XDG_STATE_HOME": place, "READINESS_DEPLOYMENT": str(home / "descriptor.yaml")}
        nexus = [sys.executable, "-m", "readiness.nexus"]
        try:
            up = ended([*nexus, "up", "--toxiproxy", "--dir", str(home)], Path(place), UP_S, **own)
            assert up.returncode == 0, up.stdout + up.stderr
            for name in names:
                problem = _one(chaos, ROOT / "experiments" / f"{name}.yaml", home, Path(place), own)
                print(f"{name}: {problem or 'ran, and left nothing'}", flush=True)
                wrong += [f"{name}: {problem}"] if problem else []
        finally:
            ended([*nexus, "down", "--dir", str(home), "--wipe"], Path(place), UP_S, **own)
    return wrong


def _one(chaos: str, file: Path, home: Path, place: Path, own: dict[str, str]) -> str:
    valid = ended([chaos, "--no-version-check", "validate", str(file)], place, RUN_S, **own)
    if valid.returncode != 0:
        return f"chaos validate ended with {valid.returncode}: {valid.stdout[-300:]}"
    journal = place / f"{file.stem}.json"
    ran = ended([chaos, "--no-version-check", "run", "--journal-path", str(journal), str(file)], place, RUN_S, **own)
    if ran.returncode != 0:
        return f"chaos run ended with {ran.returncode}: {(ran.stdout + ran.stderr)[-500:]}"
    told = json.loads(journal.read_text(encoding="utf-8"))
    failed = [one["activity"]["name"] for one in told["run"] + told["rollbacks"] if one["status"] != "succeeded"]
    if failed or told["deviated"] or not told["run"]:
        return f"{told['status']}, deviated {told['deviated']}, failed: {', '.join(failed) or 'nothing'}"
    left = sorted((home / "var/readiness/undos").glob("[!.]*.json"))
    return f"left {', '.join(path.name for path in left)}" if left else ""


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(1 if run(sys.argv[1:] or sorted(path.stem for path in (ROOT / "experiments").glob("*.yaml"))) else 0)
