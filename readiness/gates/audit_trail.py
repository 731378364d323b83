"""How the audit log is held against attempts that were really made, and against those who would change it."""

from __future__ import annotations

import itertools
import json
import tempfile
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from readiness.attempts import Attempt
from readiness.deployment import Deployment
from readiness.evidence.audits import AuditLog, Record, as_lines, read_audit, tampered
from readiness.gates.privileged_attempts import AT_ONCE, cell, some, until_decided
from readiness.procedures import Ran
from readiness.templates import field_of
from readiness.together import at_once
from readiness.waiting import NotInTime, eventually

ATTEMPTS = 20
"""The least number of attempts; the catalogue's own."""
MOST = 100
_LATE_S = 10.0
_TOO_FEW = 3


@dataclass(frozen=True, slots=True)
class Made:
    """One attempt, and the id it was made with."""

    correlation: str
    attempt: Attempt


def audited_attempts(deployment: Deployment, audited: Sequence[str]) -> list[Callable[[], Made]]:
    """Every audited operation as every level (at most a hundred attempts), again until there are twenty."""
    pairs = list(itertools.product(audited, deployment.level_names()))
    rounds = -(-ATTEMPTS // len(pairs))
    if len(pairs) > MOST:
        # at least one allowed and one refused attempt of each operation
        pairs = [pair for name in audited for pair in _two(deployment, name)]
    return [_made(deployment, name, level) for name, level in pairs * rounds]


def _two(deployment: Deployment, name: str) -> list[tuple[str, str]]:
    may = deployment.descriptor.operations[name].as_levels
    refused = next((level for level in deployment.level_names() if level not in may), None)
    return [(name, may[0]), *([(name, refused)] if refused is not None else [])]


def _made(deployment: Deployment, name: str, level: str) -> Callable[[], Made]:
    def call() -> Made:
        correlation = str(uuid.uuid4())
        attempt = until_decided(lambda: deployment.attempt(name, level, correlation=correlation), deployment)
        return Made(correlation, attempt)

    return call


def read_log(deployment: Deployment) -> AuditLog:
    """Read the whole audit log: by `audit_log` where `audit` asks for one id, else by `audit`."""
    name = "audit_log" if "audit_log" in deployment.descriptor.procedures else "audit"
    ran = deployment.run(name, since=datetime.fromtimestamp(0, UTC).isoformat(), correlation="")
    if not ran.ok:
        deployment.undecidable(f"the audit log cannot be read: {ran.told()}", f"procedures.{name} must end with 0")
    return read_audit(ran.stdout)


def read_until_recorded(deployment: Deployment, before: AuditLog, made: Sequence[Made]) -> AuditLog:
    """Read the log until every attempt is in it, or until the latest that a record may come."""
    try:
        return eventually(
            lambda: read_log(deployment),
            within=deployment.deadline.within(_LATE_S),
            every_s=1.0,
            until=lambda log: not _unrecorded(deployment, _new(before, log), made),
        )
    except NotInTime as late:
        assert isinstance(late.last, AuditLog)
        return late.last


def judge_completeness(deployment: Deployment, before: AuditLog, after: AuditLog, made: Sequence[Made]) -> None:
    """Every attempt has a record, and the records tell actors, operations and outcomes apart as the attempts were."""
    new = _new(before, after)
    lost = _unrecorded(deployment, new, made)
    wrong = _told_wrongly(deployment, new, made)
    right = len(made) - len(lost)
    deployment.count(right, len(made))
    deployment.keep("attempts", [_line(one) for one in made])
    deployment.keep("records", new[-2 * len(made) :])
    detail = some([f"{one.attempt.operation} by {one.attempt.level} ({one.attempt.decision})" for one in lost])
    missing = f"{right} of {len(made)}" + (f"; not there: {detail}" if lost else "")
    deployment.measure("attempts_recorded", 100.0 * right / len(made), limit="recorded_percent", detail=missing)
    deployment.measure("records_told_wrongly", len(wrong), at_most=0, detail=some(wrong))


def _unrecorded(deployment: Deployment, new: Sequence[Record], made: Sequence[Made]) -> list[Made]:
    name = deployment.descriptor.audit_fields.correlation
    seen = Counter(str(field_of(record, name)) for record in new) if name is not None else Counter[str]()
    if any(seen[one.correlation] for one in made):
        return [one for one in made if not seen[one.correlation]]
    if name is not None and _carries_ids(deployment):
        return list(made)
    # no attempt can be named: then there are as many records of each operation as there were attempts at it
    operation = deployment.descriptor.audit_fields.operation
    found = Counter(str(field_of(record, operation)) for record in new)
    lost = []
    for name_of, group in _by(made, lambda one: one.attempt.operation).items():
        lost += group[found[name_of] :]
    return lost


def _carries_ids(deployment: Deployment) -> bool:
    """Whether attempts hand in an id: by the declared header, or to a command in its environment."""
    requests = any(not isinstance(spec.dry_run, list) for spec in deployment.descriptor.operations.values())
    return not requests or deployment.descriptor.workload.correlation is not None


def _told_wrongly(deployment: Deployment, new: Sequence[Record], made: Sequence[Made]) -> list[str]:
    """Say where records do not tell what was attempted: names are each system's own, but must tell apart."""
    fields = deployment.descriptor.audit_fields
    if fields.correlation is None:
        return []
    of = {str(field_of(record, fields.correlation)): record for record in new}
    pairs = [(one.attempt, of[one.correlation]) for one in made if one.correlation in of]
    wrong = _confused("actor", fields.actor, pairs, lambda attempt: attempt.level, apart=True)
    wrong += _confused("operation", fields.operation, pairs, lambda attempt: attempt.operation, apart=False)
    if fields.outcome is not None:
        wrong += _confused("outcome", fields.outcome, pairs, lambda attempt: attempt.decision, apart=True)
    return wrong


def _confused(
    what: str, field: str, pairs: Sequence[tuple[Attempt, Record]], truth: Callable[[Attempt], str], apart: bool
) -> list[str]:
    said: dict[str, set[str]] = defaultdict(set)
    for attempt, record in pairs:
        value = field_of(record, field)
        said[truth(attempt)].add("" if value is None else str(value))
    wrong = [f"a record of {name} tells no {what}" for name, values in said.items() if "" in values]
    steady = [name for name, values in said.items() if len(values) > 1 and what != "outcome"]
    wrong += [f"records of {name} tell several {what}s: {', '.join(sorted(said[name]))}" for name in steady]
    everything = {value for values in said.values() for value in values}
    if len(said) > 1 and len(everything) == 1:
        wrong.append(f"all records tell the {what} {everything.pop()!r}")
    elif apart:
        for (one, values), (other, others) in itertools.combinations(sorted(said.items()), 2):
            wrong += [f"records of {one} and of {other} tell the {what} {v!r}" for v in sorted(values & others) if v]
    return wrong


def try_to_tamper(deployment: Deployment) -> int:
    """Try what nobody may do (`as: []`) as every level; being let through is a violation.

    Gives how many ways were really refused: one that is not there at all shows nothing.
    """
    ways = [name for name, spec in deployment.descriptor.operations.items() if not spec.as_levels]
    tried = at_once([cell(deployment, name, level) for name in ways for level in deployment.level_names()], AT_ONCE)
    let = [f"{a.level} may {a.operation} ({a.code})" for a in tried if a.decision == "allowed"]
    if ways:
        deployment.measure("tampering_let_through", len(let), at_most=0, detail=some(let))
    return len({a.operation for a in tried} - {a.operation for a in tried if a.decision != "denied"})


def judge_permanence(deployment: Deployment, earlier: AuditLog, later: AuditLog) -> None:
    """What was in the log is in it still, unchanged."""
    there = Counter(map(_key, later.records))
    changed = [record for record in earlier.records if not there[_key(record)]]
    deployment.measure("records_changed_or_gone", len(changed), at_most=0, detail=f"of {len(earlier.records)}")


def judge_verification(deployment: Deployment, log: AuditLog) -> bool:
    """The operators' own verification accepts the log and refuses tampered copies; False where there is none."""
    if "audit_verify" not in deployment.descriptor.procedures or len(log.records) < _TOO_FEW:
        return False
    fields = deployment.descriptor.audit_fields
    changed = [name for name in (fields.actor, fields.operation, fields.outcome) if name is not None]
    with tempfile.TemporaryDirectory(prefix="readiness-audit-") as folder, deployment.step("verify tampered copies"):
        shape = _accepted_shape(deployment, Path(folder), log)
        copies = [(what, shape(records)) for what, records in tampered(log.records, changed)]
        ended = at_once([_verifying(deployment, Path(folder), text) for _, text in copies], AT_ONCE)
    hanging = next((ran for ran in ended if ran.timed_out or ran.exit_code is None), None)
    accepted = [what for (what, _), ran in zip(copies, ended, strict=True) if ran.ok]
    deployment.measure("tampered_copies_accepted", len(accepted), at_most=0, detail=some(accepted))
    if hanging is not None:
        deployment.undecidable(f"the verification did not end: {hanging.told()}", "procedures.audit_verify.within")
    return True


def _verifying(deployment: Deployment, folder: Path, text: str) -> Callable[[], Ran]:
    return lambda: _verify(deployment, folder, text)


def _accepted_shape(deployment: Deployment, folder: Path, log: AuditLog) -> Callable[[Sequence[Record]], str]:
    """Find the shape in which the verification takes the log: as it was printed, or as JSON Lines."""
    ran = _verify(deployment, folder, log.shaped(log.records))
    if ran.ok:
        return log.shaped
    again = _verify(deployment, folder, as_lines(log.records)) if not log.lines else ran
    if again.ok:
        return as_lines
    if again.exit_code == 1:
        deployment.violated(f"the verification does not accept the audit log itself: {again.told()}")
    deployment.undecidable(
        f"the audit log cannot be verified: {again.told()}", "procedures.audit_verify: exit 0 intact, 1 not"
    )


def _verify(deployment: Deployment, folder: Path, text: str) -> Ran:
    path = folder / f"{uuid.uuid4().hex}.jsonl"
    path.write_text(text, encoding="utf-8")
    return deployment.run("audit_verify", file=str(path))


def _new(before: AuditLog, after: AuditLog) -> list[Record]:
    known = Counter(map(_key, before.records))
    return list(_without(after.records, known))


def _without(records: Sequence[Record], known: Counter[str]) -> Iterator[Record]:
    for record in records:
        key = _key(record)
        if known[key]:
            known[key] -= 1
        else:
            yield record


def _key(record: Record) -> str:
    return json.dumps(record, sort_keys=True)


def _by(made: Sequence[Made], key: Callable[[Made], str]) -> Mapping[str, list[Made]]:
    groups: dict[str, list[Made]] = defaultdict(list)
    for one in made:
        groups[key(one)].append(one)
    return groups


def _line(one: Made) -> dict[str, object]:
    attempt = one.attempt
    return {"id": one.correlation, "operation": attempt.operation, "level": attempt.level, "decision": attempt.decision}
