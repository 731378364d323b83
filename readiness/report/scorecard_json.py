"""`readiness.json`: the scorecard for programs, after the schema that the package ships."""

from __future__ import annotations

from pathlib import Path

from readiness.report.document import document
from readiness.report.files import write_json
from readiness.report.record import RunRecord
from readiness.score.model import Scorecard

FILE = "readiness.json"


def write(run: RunRecord, card: Scorecard, folder: Path) -> None:
    """Write the scorecard of a run into its folder."""
    write_json(folder / FILE, document(run, card))
