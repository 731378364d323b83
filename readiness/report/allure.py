"""`allure-results/`: one result a gate, with environment, executor and categories, written from the findings."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from allure_commons.model2 import (
    Attachment,
    GlobalAttachment,
    Globals,
    Label,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)
from allure_commons.utils import md5
from attr import asdict

from readiness.model import Breach, Evidence, Measurement, Risk
from readiness.report.allure_environment import environment, executor
from readiness.report.chaos_record import Trial
from readiness.report.document import document
from readiness.report.entries import Entry, entries
from readiness.report.files import json_text, write_json, write_text
from readiness.report.load_record import Load
from readiness.report.load_words import stages_csv
from readiness.report.record import Change, RunRecord, Step
from readiness.score.model import Scorecard, State
from readiness.wording import BREACH_WORDS, RUN_ITSELF, measurement_text, value_text

FOLDER = "allure-results"
MAX_ATTACHMENT_BYTES = 1 << 20
"""Larger files make Allure's reports slow; the record itself stays in the folder of the run."""
STATUSES: dict[State, str] = {
    State.PASS: Status.PASSED,
    State.FAIL: Status.FAILED,
    State.UNKNOWN: Status.BROKEN,
    State.STALE: Status.BROKEN,
    State.NOT_APPLICABLE: Status.SKIPPED,
}
"""State → Allure's status; a gate that was left out, or left for later, is no result, since nobody ran it."""
SEVERITIES = {Risk.CRITICAL: "blocker", Risk.HIGH: "critical", Risk.MEDIUM: "normal", Risk.LOW: "minor"}
CATEGORIES = [
    {"name": "Broken promises", "matchedStatuses": [Status.FAILED]},
    {"name": "Unknown: evidence is missing", "matchedStatuses": [Status.BROKEN]},
    {"name": "Not applicable", "matchedStatuses": [Status.SKIPPED]},
]
_SPACE = uuid.UUID("5a8f1f0e-6c1c-5b60-9a59-0d0f3f0a7a55")
"""Namespace of the name-based uuids: the same run writes the same files."""


def write(run: RunRecord, card: Scorecard, folder: Path) -> None:
    """Write the Allure results of a run into its folder, instead of those that were there."""
    results = folder / FOLDER
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    writer = _Writer(run, folder, results)
    for entry in entries(run, card):
        if entry.state in STATUSES:
            writer.put(writer.result(entry))
    for breach in run.breaches:
        writer.put(writer.breach_result(breach))
    writer.put_globals(card)
    write_text(results / "environment.properties", environment(run, card))
    write_json(results / "executor.json", executor(run))
    write_json(results / "categories.json", CATEGORIES)


class _Writer:
    """Writes the results of one run."""

    def __init__(self, run: RunRecord, folder: Path, results: Path) -> None:
        self._run = run
        self._folder = folder
        self._results = results

    def put(self, result: TestResult | Globals) -> None:
        """Write one item under the name that Allure looks for."""
        name = getattr(result, "uuid", None) or self._uuid("globals")
        data = asdict(result, filter=lambda _, value: bool(value) or value is False)
        write_json(self._results / result.file_pattern.format(prefix=name), data)

    def put_globals(self, card: Scorecard) -> None:
        """Attach the whole scorecard to the report itself."""
        source = self._attached("readiness.json", "json")
        write_json(self._results / source, document(self._run, card))
        attachment = GlobalAttachment("readiness.json", source, "application/json", _ms(card.scored_at))
        self.put(Globals(attachments=[attachment]))

    def result(self, entry: Entry) -> TestResult:
        """The result of one gate."""
        gate, full_name = entry.gate, f"readiness.gates.{entry.gate.module}#{entry.gate.id}"
        deployment = Parameter("deployment", self._run.deployment.name)
        began_at, ended_at = self._times(entry)
        return TestResult(
            uuid=self._uuid(gate.id),
            historyId=_digest(full_name, deployment.name, deployment.value),
            testCaseId=_digest(full_name),
            fullName=full_name,
            name=f"{gate.id} {gate.claim}",
            status=STATUSES[entry.state],
            statusDetails=StatusDetails(message=entry.reason, trace=_trace(entry)),
            stage="finished",
            description=_description(entry),
            labels=_labels(entry, self._run),
            titlePath=["readiness", gate.pillar, gate.capability],
            parameters=[deployment, *map(_measured, entry.finding.measurements if entry.finding else ())],
            steps=_steps(entry),
            attachments=self._attachments(entry),
            start=began_at,
            stop=ended_at,
        )

    def breach_result(self, breach: Breach) -> TestResult:
        """The result of what the run itself found."""
        full_name = f"readiness.run.{breach.kind.lower()}#{breach.what}"
        at = _ms(breach.observed_at)
        return TestResult(
            uuid=self._uuid(full_name + breach.observed_at.isoformat()),
            historyId=_digest(full_name, self._run.deployment.name),
            testCaseId=_digest(full_name),
            fullName=full_name,
            name=f"{BREACH_WORDS[breach.kind]}: {breach.what}",
            status=Status.FAILED,
            statusDetails=StatusDetails(message=breach.reason, trace=f"to do: {breach.remedy}"),
            stage="finished",
            labels=[Label("epic", RUN_ITSELF), Label("severity", "blocker"), Label("tag", "blocking")],
            titlePath=["readiness", RUN_ITSELF],
            start=at,
            stop=at,
        )

    def _times(self, entry: Entry) -> tuple[int, int]:
        found = entry.finding
        assert found is not None
        if entry.began_at is None or entry.ended_at is None:
            return _ms(found.observed_at), _ms(found.observed_at)
        return _ms(entry.began_at), _ms(entry.ended_at)

    def _attachments(self, entry: Entry) -> list[Attachment]:
        found = entry.finding
        assert found is not None
        source = self._attached(f"{entry.gate.id}-finding", "json")
        write_json(self._results / source, found)
        kept = [self._evidence(entry.gate.id, evidence) for evidence in found.evidence]
        loads = [
            attached
            for number, load in enumerate(self._run.loads, 1)
            if load.gate == entry.gate.id
            for attached in self._load(f"{entry.gate.id}/load-{number}", load)
        ]
        trials = [
            attached
            for number, trial in enumerate(self._run.trials, 1)
            if trial.gate == entry.gate.id
            for attached in self._trial(f"{entry.gate.id}/chaos-{number}", trial)
        ]
        found_first = Attachment("finding", source, "application/json")
        return [found_first, *(one for one in kept if one is not None), *loads, *trials]

    def _load(self, name: str, load: Load) -> Iterator[Attachment]:
        """Attach the figures of a load run, as a table and as data; its raw files stay in the folder of the run."""
        for extension, media_type, text in (
            ("csv", "text/csv", stages_csv(load)),
            ("json", "application/json", json_text(load.summary)),
        ):
            if len(text.encode()) <= MAX_ATTACHMENT_BYTES:
                source = self._attached(name, extension)
                write_text(self._results / source, text)
                yield Attachment(f"load {load.profile} ({extension})", source, media_type)

    def _trial(self, name: str, trial: Trial) -> Iterator[Attachment]:
        """Attach the facts of an experiment, and its journal where that is there and small enough."""
        text = json_text(trial.summary)
        if len(text.encode()) <= MAX_ATTACHMENT_BYTES:
            source = self._attached(name, "json")
            write_text(self._results / source, text)
            yield Attachment(f"chaos {trial.experiment} (json)", source, "application/json")
        journal = self._kept(trial.link) if trial.link else None
        if journal is not None:
            source = self._attached(f"{name}/journal", "json")
            (self._results / source).write_bytes(journal)
            yield Attachment(f"chaos {trial.experiment} (journal)", source, "application/json")

    def _evidence(self, gate: str, evidence: Evidence) -> Attachment | None:
        """Attach a record that is there, inside the folder of the run, and small enough."""
        content = self._kept(evidence.path)
        if content is None:
            return None
        source = self._attached(f"{gate}/{evidence.path}", Path(evidence.path).suffix.lstrip(".") or "txt")
        (self._results / source).write_bytes(content)
        return Attachment(evidence.name, source, evidence.media_type)

    def _kept(self, where: str) -> bytes | None:
        """What a file of the run holds; None for one that is missing, outside the folder of the run, or large."""
        path = (self._folder / where).resolve()
        inside = path.is_relative_to(self._folder.resolve())
        if not inside or not path.is_file() or path.stat().st_size > MAX_ATTACHMENT_BYTES:
            return None
        return path.read_bytes()

    def _attached(self, name: str, extension: str) -> str:
        return f"{self._uuid(name)}-attachment.{extension}"

    def _uuid(self, name: str) -> str:
        return str(uuid.uuid5(_SPACE, f"{self._run.run_id}/{name}"))


def _labels(entry: Entry, run: RunRecord) -> list[Label]:
    gate = entry.gate
    pairs = [
        ("epic", gate.pillar),
        ("feature", gate.capability),
        ("story", gate.id),
        ("severity", SEVERITIES[gate.risk]),
        ("tag", "blocking" if gate.blocking else "scored"),
        ("tag", gate.mode.value),
        ("tag", f"risk:{gate.risk.value}"),
        ("tag", entry.state.value),
        ("suite", gate.pillar),
        ("subSuite", gate.capability),
        ("host", run.deployment.name),
        ("framework", "readiness"),
        ("language", "python"),
    ]
    return [Label(name, value) for name, value in pairs]


def _measured(measurement: Measurement) -> Parameter:
    """A measured value: shown, and no part of the result's identity, or history would break at every run."""
    return Parameter(measurement.name, value_text(measurement.value, measurement.unit), excluded=True)


def _steps(entry: Entry) -> list[TestStepResult]:
    steps = [*map(_step, entry.steps), *map(_undo_step, entry.changes)]
    return sorted(steps, key=lambda step: (step.start, step.name))


def _step(step: Step) -> TestStepResult:
    stop = _ms(step.ended_at)
    return TestStepResult(
        name=step.title, status=Status.PASSED, stage="finished", start=stop - round(step.seconds * 1000), stop=stop
    )


def _undo_step(change: Change) -> TestStepResult:
    healed = f"undone by {change.healed_by}" if change.closed_at else "not undone"
    return TestStepResult(
        name=f"change: {change.what}: {healed}",
        status=Status.PASSED if change.verified else Status.FAILED,
        stage="finished",
        start=_ms(change.opened_at),
        stop=_ms(change.closed_at or change.opened_at),
    )


def _trace(entry: Entry) -> str:
    found = entry.finding
    lines = [measurement_text(measurement) for measurement in entry.broken]
    if found and found.remedy:
        lines.append(f"to do: {found.remedy}")
    return "\n".join(lines)


def _description(entry: Entry) -> str:
    gate = entry.gate
    parts = [gate.summary, gate.why, gate.measures, f"Red when: {gate.red}" if gate.red else "", gate.mend]
    return "\n\n".join(part for part in parts if part)


def _digest(*parts: str) -> str:
    return str(md5(*parts))  # type: ignore[no-untyped-call]


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
