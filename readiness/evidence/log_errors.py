"""Judges whether an error record says enough to act on: what was done, with what, and why it failed."""

from __future__ import annotations

from readiness.evidence.logs import LogRecord

_EMPTY = frozenset({"", "-", "--", "?", "none", "null", "nil", "n/a", "na", "unknown", "undefined", "{}", "[]", "todo"})
MEANINGS = ("operation", "input", "cause")


def missing_context(record: LogRecord) -> str:
    """Say which of operation, input and cause an error record lacks; no text when it tells all that is declared.

    An error that belongs to no request has no input to refer to.
    """
    declared = [meaning for meaning in MEANINGS if getattr(record.fields, meaning) is not None]
    if not record.correlation and "input" in declared:
        declared.remove("input")
    lacking = [meaning for meaning in declared if says_nothing(record.value(meaning))]
    place = f"{record.source}:{record.line_number}"
    return f"{place}: {record.component or 'a record'} tells no {', no '.join(lacking)}" if lacking else ""


def says_nothing(value: object) -> bool:
    """Whether a value is empty, or one of the words that stand for nothing."""
    return value is None or str(value).strip().lower() in _EMPTY
