"""Reports of a run: one writer a format, all from the history, none computes anything."""

from readiness.report.record import RunRecord
from readiness.report.writing import FORMATS, scorecard, write_all, write_format

__all__ = ["FORMATS", "RunRecord", "scorecard", "write_all", "write_format"]
