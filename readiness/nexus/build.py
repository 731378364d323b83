"""Builds a release: its digest, and the report of its self-tests, which are really run."""

from __future__ import annotations

import functools
import hashlib
import json
import time
import unittest
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from readiness.nexus.errors import NexusError
from readiness.nexus.releases import RELEASES, Release, release_of
from readiness.nexus.selftest import contract, migration, unit
from readiness.nexus.selftest.cases import ReleaseCase
from readiness.nexus.settings import Settings, write_private

SUITES: dict[str, tuple[type[ReleaseCase], ...]] = {
    "unit": (unit.Messages, unit.Leases, unit.Levels),
    "contract": (contract.Neighbours,),
    "migration": (migration.Migrations,),
}


def build_all(settings: Settings) -> None:
    """Build every release; raises NexusError when a self-test fails."""
    for version in RELEASES:
        build(settings, version)


def build(settings: Settings, version: str) -> None:
    """Write `release.json` and `junit.xml` of a release."""
    release, digest = release_of(version), digest_of(version)
    folder = settings.home / "releases" / version
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    report = _test(release, digest, settings)
    artifact = {"release": version, "digest": digest, "schema": release.schema, "speaks": list(release.speaks)}
    write_private(folder / "release.json", json.dumps(artifact, indent=1) + "\n")
    write_private(folder / "junit.xml", report.tostring().decode())  # type: ignore[no-untyped-call]
    if _is_red(report, settings):
        raise NexusError(f"self-tests of release {version} failed; see {folder / 'junit.xml'}")


def preflight(settings: Settings, version: str) -> None:
    """Raise NexusError unless the release was built here, and its tests ran on this digest without a failure."""
    digest = read_artifact(settings, version)["digest"]
    path = settings.home / "releases" / version / "junit.xml"
    try:
        report = JUnitXml.fromfile(str(path))
    except (OSError, SyntaxError) as error:
        raise NexusError(f"cannot read the test report {path}: {error}") from None
    for suite in report:
        if digest not in {prop.value for prop in suite.properties() if prop.name == "digest"}:  # type: ignore[no-untyped-call]
            raise NexusError(f"suite {suite.name} of {path} was run on another digest than {digest[:12]}…")
        if _is_red(suite, settings):
            raise NexusError(f"suite {suite.name} of {path} has failures")


def read_artifact(settings: Settings, version: str) -> dict[str, Any]:
    """Return what is known of a built release."""
    release_of(version)
    path = settings.home / "releases" / version / "release.json"
    try:
        artifact: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NexusError(f"release {version} is not built here: {path}: {error}") from None
    return artifact


def digest_of(version: str) -> str:
    """Return the SHA-256 over the source and over what makes this release differ from others."""
    parameters = json.dumps(release_of(version).parameters(), sort_keys=True)
    return hashlib.sha256(_source_digest() + parameters.encode()).hexdigest()


@functools.cache
def _source_digest() -> bytes:
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.digest()


def _is_red(tested: JUnitXml | TestSuite, settings: Settings) -> bool:
    if settings.defects.on("broken-suite-waved-through"):
        return bool(tested.failures)
    return bool(tested.failures or tested.errors)


def _test(release: Release, digest: str, settings: Settings) -> JUnitXml:
    report = JUnitXml(f"nexus {release.version}")
    taken_at = datetime.now(UTC) - timedelta(seconds=settings.defects.value("junit-age"))
    for name, cases in SUITES.items():
        suite = TestSuite(name)
        suite.timestamp = taken_at.isoformat(timespec="seconds")
        suite.add_property("digest", digest)
        suite.add_property("release", release.version)
        for case in _run(name, cases, release, settings):
            suite.add_testcase(case)
        report.add_testsuite(suite)
    report.update_statistics()  # type: ignore[no-untyped-call]
    return report


def _run(name: str, cases: tuple[type[ReleaseCase], ...], release: Release, settings: Settings) -> list[TestCase]:
    recorder = _Recorder(name)
    loader = unittest.defaultTestLoader
    for case in cases:
        loader.loadTestsFromTestCase(case.of(release, settings)).run(recorder)
    return recorder.cases


class _Recorder(unittest.TestResult):
    """Keeps the outcome of every test as JUnit knows it."""

    def __init__(self, suite: str) -> None:
        super().__init__()
        self.cases: list[TestCase] = []
        self._suite = suite
        self._started = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._started = time.perf_counter()

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self._keep(test)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._keep(test, Failure(str(err[1])))

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self._keep(test, Error(str(err[1])))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._keep(test, Skipped(reason))

    def _keep(self, test: unittest.TestCase, outcome: Failure | Error | Skipped | None = None) -> None:
        kind, _, method = test.id().rpartition(".")
        case = TestCase(method or kind, f"{self._suite}.{kind.rpartition('.')[2]}", time.perf_counter() - self._started)
        if outcome is not None:
            case.result = [outcome]
        self.cases.append(case)
