"""A folder of a run → its reports, made from the history alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from readiness.errors import UsageError
from readiness.history import History
from readiness.report.allure import write as write_allure
from readiness.report.html import write as write_html
from readiness.report.junit import write as write_junit
from readiness.report.record import RunRecord
from readiness.report.scorecard_json import write as write_json
from readiness.report.summary_md import write as write_summary
from readiness.score.model import Scorecard
from readiness.score.scoring import score

Writer = Callable[[RunRecord, Scorecard, Path], None]

FORMATS: dict[str, Writer] = {
    "json": write_json,
    "junit": write_junit,
    "allure": write_allure,
    "summary": write_summary,
    "html": write_html,
}
"""Format's name → its writer: a new format is one module and one line here."""


def write_all(folder: Path) -> Scorecard:
    """Score the run of a folder and write it in every format; the same history gives the same bytes."""
    run = RunRecord.from_history(History.read(folder))
    card = scorecard(run)
    for write in FORMATS.values():
        write(run, card, folder)
    return card


def write_format(folder: Path, format: str) -> Scorecard:
    """Score the run of a folder and write it in one format; raise UsageError for one that does not exist."""
    if format not in FORMATS:
        raise UsageError(f"format {format!r} is not known; allowed: {', '.join(FORMATS)}")
    run = RunRecord.from_history(History.read(folder))
    card = scorecard(run)
    FORMATS[format](run, card, folder)
    return card


def scorecard(run: RunRecord) -> Scorecard:
    """The scorecard of a run, at its own time of scoring."""
    try:
        return score(
            run.gates,
            run.findings.values(),
            run.rubric,
            breaches=run.breaches,
            scored_at=run.scored_at,
            complete=run.complete,
        )
    except ValueError as error:
        raise UsageError(f"history.jsonl of {run.run_id}: {error}") from None
