"""What Allure shows around the results: what was judged, where, and by whom."""

from __future__ import annotations

from readiness.report.record import RunRecord
from readiness.score.model import Scorecard


def environment(run: RunRecord, card: Scorecard) -> str:
    """Java properties: the decision and what was judged, so that it stands on the report's first page."""
    deployment = run.deployment
    rows: dict[str, object] = {
        "decision": card.decision.value,
        "scope": str(card.scope),
        "proven": f"{card.proven:.4f}",
        "possible": f"{card.possible:.4f}",
        "deployment": deployment.name,
        "environment": deployment.environment,
        "pattern": deployment.pattern,
        "driver": deployment.driver,
        **{f"release.{name}": release for name, release in deployment.releases.items()},
        **{f"machine.{name}": value for name, value in run.environment.items()},
        "product_version": run.product_version,
    }
    return "".join(f"{_escaped(name, key=True)} = {_escaped(str(value))}\n" for name, value in rows.items())


def _escaped(text: str, key: bool = False) -> str:
    """Text of a properties file: one line, and in a name no separator either."""
    kept = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return "".join(f"\\{c}" if c in " :=#!" else c for c in kept) if key else kept


def executor(run: RunRecord) -> dict[str, str]:
    """The run, as Allure names what made its results."""
    return {
        "name": "readiness",
        "type": "readiness",
        "buildName": run.run_id,
        "reportName": f"Readiness of {run.deployment.name}: {run.scenario.name}",
    }
