"""Test reports in JUnit's XML format: which suites ran on which artefact, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from junitparser import JUnitXml, JUnitXmlError, Property, TestSuite

from readiness.errors import Undecidable

_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Suite:
    """One suite of a report; the counts are of its own cases, not of what its attributes claim."""

    name: str
    tests: int
    failures: int
    errors: int
    skipped: int
    properties: Mapping[str, str]
    timestamp: datetime | None
    """None where the suite gives none; a time without a zone is read as UTC."""

    @property
    def passed(self) -> int:
        """How many cases ran and passed."""
        return self.tests - self.failures - self.errors - self.skipped


@dataclass(frozen=True, slots=True)
class Report:
    """One report file."""

    path: Path
    suites: tuple[Suite, ...]


def read_report(path: Path) -> Report:
    """Read a report; Undecidable where there is none, or it is none."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise Undecidable(f"{path}: larger than {_MAX_BYTES >> 20} MiB", "evidence.reports.junit")
        raw = path.read_bytes()
        if b"<!DOCTYPE" in raw or b"<!ENTITY" in raw:
            raise Undecidable(f"{path}: declares entities, which no test report needs", "evidence.reports.junit")
        parsed = JUnitXml.fromstring(raw)
        top = [parsed] if isinstance(parsed, TestSuite) else list(parsed)
        return Report(path, tuple(_suite(suite) for one in top for suite in _flat(one)))
    except OSError as error:
        raise Undecidable(
            f"{path}: {error.strerror}", "evidence.reports.junit: the path of a report that exists"
        ) from None
    except (JUnitXmlError, SyntaxError, ValueError, TypeError) as error:
        raise Undecidable(f"{path}: no JUnit report: {error}", "evidence.reports.junit") from None


def _flat(suite: TestSuite) -> list[TestSuite]:
    children: list[TestSuite] = list(suite.testsuites())  # type: ignore[no-untyped-call]
    inner = [one for child in children for one in _flat(child)]
    return [suite, *inner] if list(suite) or not inner else inner


def _suite(suite: TestSuite) -> Suite:
    kinds = [_kind(case) for case in suite]
    given: list[Property] = list(suite.properties())  # type: ignore[no-untyped-call]
    properties = {str(item.name): str(item.value) for item in given}
    return Suite(
        str(suite.name or ""),
        len(kinds),
        kinds.count("failure"),
        kinds.count("error"),
        kinds.count("skipped"),
        properties,
        _time(suite.timestamp),
    )


def _kind(case: object) -> str:
    results = [type(result).__name__.lower() for result in getattr(case, "result", [])]
    return next((kind for kind in ("error", "failure", "skipped") if kind in results), "passed")


def _time(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
