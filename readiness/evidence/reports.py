"""Test reports in JUnit's XML format: which suites ran on which artefact, and how they ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from junitparser import Attr, JUnitXml, JUnitXmlError, Property, TestCase, TestSuite
from junitparser.junitparser import Properties

from readiness.errors import Undecidable

_MAX_BYTES = 64 << 20
_NOT_RUN = {"notrun", "skipped", "disabled", "ignored", "suppressed"}
_CLAIMS = ("tests", "failures", "errors", "skipped")


class _Case(TestCase):
    """A case with what GoogleTest and others say about tests that were switched off."""

    status = Attr()


class _Suite(TestSuite):
    """A suite whose counts are read as they stand: the library computes those that are missing, and lets them claim."""

    testcase = _Case
    tests = Attr()
    failures = Attr()
    errors = Attr()
    skipped = Attr()


class _Document(JUnitXml):
    testsuite = _Suite


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
    zoned: bool = False
    """Whether the time was given with its zone."""
    claimed: Mapping[str, int] = field(default_factory=dict)
    """What the suite's attributes say: tests, failures, errors, skipped."""
    names: frozenset[str] = frozenset()
    """Its own name and those of the suites around it."""

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
        parsed = _Document.fromstring(raw)
        around = _properties(parsed.iterchildren(Properties))  # type: ignore[no-untyped-call]
        top: list[_Suite] = list(parsed.iterchildren(_Suite))  # type: ignore[no-untyped-call]
        return Report(path, tuple(found for suite in top for found in _suites(suite, around, frozenset())))
    except OSError as error:
        raise Undecidable(
            f"{path}: {error.strerror}", "evidence.reports.junit: the path of a report that exists"
        ) from None
    except (JUnitXmlError, SyntaxError, ValueError, TypeError) as error:
        raise Undecidable(f"{path}: no JUnit report: {error}", "evidence.reports.junit") from None


def _suites(suite: _Suite, around: Mapping[str, str], outer: frozenset[str]) -> Iterator[Suite]:
    """Give a suite and those inside it; properties and names go down to the suites inside."""
    claims = {name: count for name in _CLAIMS if (count := _number(getattr(suite, name))) is not None}
    given = {**around, **_properties([suite.properties()])}  # type: ignore[no-untyped-call]
    names = outer | {str(suite.name or "")}
    children: list[_Suite] = list(suite.testsuites())  # type: ignore[no-untyped-call]
    for child in children:
        yield from _suites(child, given, names)
    cases: list[_Case] = list(suite.iterchildren(_Case))  # type: ignore[no-untyped-call]
    kinds = [_kind(case) for case in cases]
    if not kinds and children:
        return
    yield Suite(
        str(suite.name or ""),
        len(kinds),
        kinds.count("failure"),
        kinds.count("error"),
        kinds.count("skipped"),
        given,
        _time(suite.timestamp),
        zoned=_zoned(suite.timestamp),
        claimed={} if children else claims,
        names=names,
    )


def _properties(holders: Iterable[Iterable[Property]]) -> dict[str, str]:
    return {str(item.name): str(item.value) for one in holders for item in one}


def _kind(case: _Case) -> str:
    results = [type(result).__name__.lower() for result in case.result]
    found = next((kind for kind in ("error", "failure", "skipped") if kind in results), "passed")
    return "skipped" if found == "passed" and str(case.status).lower() in _NOT_RUN else found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _zoned(text: str | None) -> bool:
    try:
        return text is not None and datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _time(text: str | None) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
