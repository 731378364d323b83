"""Whether the suites of a test report speak for an artefact: bound to its digest, executed, passed, and young."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from readiness.deployment import Deployment
from readiness.evidence.reports import Suite

CLOCKS_DIFFER = timedelta(minutes=5)
ZONES_DIFFER = timedelta(hours=14)
"""How far a time without a zone may seem to lie in the future: the widest offset from UTC there is."""
DIGEST_LINE = "a property `digest` on the suites of the test report: the digest that procedures.artifact prints"


def digest_of(deployment: Deployment, chosen: str) -> str:
    """Ask the operators for the digest of a release."""
    said = deployment.run("artifact", release=chosen).json()
    digest = said.get("digest") if isinstance(said, dict) else None
    if not isinstance(digest, str) or not digest or str(said.get("release", chosen)) != chosen:
        deployment.undecidable(
            f"the procedure artifact names no digest of {chosen}", 'procedures.artifact: print {"release", "digest"}'
        )
    deployment.measure("artifact_digest", digest, detail=f"of {chosen}")
    return _plain(digest)


def _plain(digest: str) -> str:
    return digest.strip().lower().removeprefix("sha256:")


def stated(suite: Suite) -> str:
    """Give the digest that a suite says it ran on; no text when it says none."""
    return _plain(suite.properties.get("digest", ""))


def judge_binding(deployment: Deployment, name: str, same: Sequence[Suite], digest: str) -> str:
    """See that one of the suites of this name ran on the artefact, not on another; give the name when none says."""
    said = [text for suite in same if (text := stated(suite))]
    if same and not said:
        return name
    if said and digest not in said:
        deployment.measure(f"digest_tested_by_{name}", said[0], equals=digest, detail="it ran on another build")
    return ""


def judge_results(deployment: Deployment, suite: Suite) -> None:
    """Hold what ran and what failed against the promise; of attributes and cases the worse one counts."""
    failed = max(suite.failures, suite.claimed.get("failures", 0)) + max(suite.errors, suite.claimed.get("errors", 0))
    deployment.measure(f"failed_in_{suite.name}", failed, equals=0)
    executed = suite.tests - suite.skipped
    deployment.measure(f"executed_in_{suite.name}", executed, at_least=1, detail=f"{suite.skipped} skipped")


def judge_age(deployment: Deployment, suite: Suite) -> None:
    """Hold the age against its limit; what claims more than it lists, or says no true time, is no evidence."""
    listed = {"tests": suite.tests, "skipped": suite.skipped}
    for name, count in listed.items():
        if suite.claimed.get(name, count) > count:
            deployment.undecidable(
                f"the suite {suite.name} claims {suite.claimed[name]} {name} and lists {count}",
                "evidence.reports.junit: the report with its test cases",
            )
    if suite.timestamp is None:
        deployment.undecidable(f"the suite {suite.name} does not say when it ran", "a timestamp on each suite")
    age = datetime.now(UTC) - suite.timestamp
    if age < -(CLOCKS_DIFFER if suite.zoned else ZONES_DIFFER):
        deployment.undecidable(
            f"the suite {suite.name} says that it ran at {suite.timestamp.isoformat()}, which is in the future",
            "a true timestamp, with its zone, on each suite",
        )
    age_d = max(0.0, age.total_seconds() / 86400)
    deployment.measure(f"age_of_{suite.name}", round(age_d, 3), limit="age_d", detail=suite.timestamp.isoformat())
