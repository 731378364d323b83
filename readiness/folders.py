"""The folders of runs: one for each run, and `latest` for the last of them."""

from __future__ import annotations

import os
from datetime import datetime
from itertools import count
from pathlib import Path

from readiness.errors import UsageError

LATEST = "latest"


def new_folder(reports: Path, scenario: str, at: datetime) -> Path:
    """Create `<UTC instant>-<scenario>` without colons; runs of one second get a number. UsageError if it cannot be."""
    stem = f"{at:%Y-%m-%dT%H%M%SZ}-{scenario}"
    try:
        reports.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = reports / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise UsageError(
            f"{reports}: cannot be written: {error.strerror}; give a folder of your own with --readiness-reports DIR"
        ) from None
    raise AssertionError


def point_latest(folder: Path) -> None:
    """Let `latest` point at a run: a link, or a text file `latest.txt` where there are no links."""
    link = folder.parent / LATEST
    draft = folder.parent / f".{LATEST}-{os.getpid()}"
    try:
        draft.unlink(missing_ok=True)
        draft.symlink_to(folder.name, target_is_directory=True)
        draft.replace(link)
    except OSError:
        draft.unlink(missing_ok=True)
        (folder.parent / f"{LATEST}.txt").write_text(f"{folder.name}\n", encoding="utf-8")


def find_run(given: str, reports: Path) -> Path:
    """Return the folder of a run given as `latest`, a name in the reports folder or a path; UsageError otherwise."""
    text = reports / f"{LATEST}.txt"
    candidates = [reports / given, Path(given)]
    if given == LATEST and text.is_file() and not (reports / LATEST).exists():
        candidates.insert(0, reports / text.read_text(encoding="utf-8").strip())
    for folder in candidates:
        if (folder / "history.jsonl").is_file():
            return folder
    known = sorted(path.parent.name for path in reports.glob("*/history.jsonl") if not path.parent.is_symlink())
    listed = ", ".join(known[-5:]) or "none"
    raise UsageError(f"no run {given!r} in {reports}/; known: {listed}; give latest, one of these or a path")
