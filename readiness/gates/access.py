"""SEC-ACC: who may do what, and the record of who did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from readiness.attempts import Attempt, MadeUp
from readiness.deployment import Deployment
from readiness.descriptor import Request
from readiness.evidence.canaries import made_up_headers, made_up_value
from readiness.gate import at_least, at_most, gate
from readiness.gates.audit_trail import (
    ATTEMPTS,
    audited_attempts,
    judge_completeness,
    judge_permanence,
    judge_verification,
    read_log,
    read_until_recorded,
    try_to_tamper,
)
from readiness.gates.privileged_attempts import AT_ONCE, cell, is_not_there, some
from readiness.needs import levels, operations, procedure
from readiness.procedures import roles
from readiness.templates import named_in
from readiness.together import at_once

SEED_LEVELS = ("read-only", "operator", "administrator", "security", "emergency")
"""The access levels of the seed; a deployment may call them otherwise, and has as many."""
_ACTING = ("deploy", "rollback", "backup", "restore", "scale", "switchover", "rotate", "grant", "revoke", "break_glass")


@gate(
    "SEC-ACC-001",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="A level that may do more than it should is found out when somebody uses it; one that may do less, in the "
    "middle of an incident.",
    measures="Tries the harmless form of every declared operation with the real credential of every declared level, "
    "with no credential and with a made-up one, and where the workload has a credential of its own that is no "
    "level's, with that one on operations that not every level may do.",
    red="An attempt that is let through and should not be, or is refused (401, 403, a denying exit code) and should "
    "not be.",
    mend="Check the role on the server for every operation, bulk forms included, and deny what is not named; generate "
    "both the check and `operations` of the descriptor from one table.",
    needs=[levels(), operations()],
    limits={"extra_allows": at_most(0, "", "default of the catalogue"), "extra_denials": at_most(0, "", "the matrix")},
    typical_s=4,
)
def each_level_may_do_exactly_what_is_declared(deployment: Deployment) -> None:
    """Each access level can do the operations declared for it and no others, and nobody else can do any."""
    specs, named = deployment.descriptor.operations, deployment.level_names()
    unknown = sorted({level for spec in specs.values() for level in spec.as_levels} - set(named))
    if unknown:
        deployment.undecidable(
            f"no credential is declared for {', '.join(unknown)}", f"levels.{unknown[0]}: {{bearer: …}}"
        )
    with deployment.step(f"try {len(specs)} operations as {len(named)} levels"):
        tries = [cell(deployment, name, level) for name in specs for level in named]
        cells = _settled(deployment, at_once(tries, AT_ONCE))
    with deployment.step("try them as nobody, and with a made-up credential"):
        strangers = _settled(deployment, at_once(_as_strangers(deployment), AT_ONCE))
    callers = _as_caller(deployment)
    deployment.keep("matrix", _matrix(cells, strangers))
    extra = [a for a in cells if a.decision == "allowed" and a.level not in specs[a.operation].as_levels]
    shut_out = _shut_out(cells)
    denied = [
        a
        for a in cells
        if a.decision == "denied" and a.level in specs[a.operation].as_levels and a.level not in shut_out
    ]
    outside = [a for a in strangers if a.decision == "allowed"]
    told = [f"{a.level} may {a.operation}" for a in extra]
    told += [f"{a.level or 'nobody (no credential)'} may {a.operation}" for a in outside]
    told += [f"the caller's credential may {name}" for name in callers]
    right = sum(a.decision == _declared(deployment, a) for a in cells) + sum(a.decision == "denied" for a in strangers)
    deployment.count(right, len(cells) + len(strangers))
    deployment.measure("extra_allows", len(told), limit="extra_allows", detail=some(told))
    refused = [f"{a.level} may not {a.operation} ({a.code})" for a in denied]
    deployment.measure("extra_denials", len(refused), limit="extra_denials", detail=some(refused))
    odd = [a for a in [*cells, *strangers] if a.decision == "error"]
    _matrix_or_unknown(deployment, odd, shut_out)


def _matrix_or_unknown(deployment: Deployment, odd: Sequence[Attempt], shut_out: Iterable[str]) -> None:
    specs, named = deployment.descriptor.operations, deployment.level_names()
    if odd:
        first = odd[0]
        deployment.undecidable(
            f"{len(odd)} attempts ended as neither allowed nor denied, as {first.operation} by "
            f"{first.level or 'nobody'}: {first.code} {first.detail[:120]}",
            f"operations.{first.operation}.dry_run (and denied_exit) must tell allowed from denied",
        )
    if lost := sorted(shut_out):
        deployment.undecidable(f"the credential of {lost[0]} is not accepted anywhere (401)", f"levels.{lost[0]}")
    if len(named) < len(SEED_LEVELS):
        like = {name.lower().replace("_", "-") for name in named}
        lacking = [level for level in SEED_LEVELS if level not in like] if like & set(SEED_LEVELS) else SEED_LEVELS
        deployment.undecidable(
            f"{len(named)} of {len(SEED_LEVELS)} levels are declared; not there: {', '.join(lacking)}",
            f"levels.{lacking[0]}: {{bearer: {{file: …}}}}",
        )
    words = {name.replace("-", "_") for name in specs}
    if untried := [n for n in _ACTING if n in deployment.descriptor.procedures and n not in words]:
        deployment.note(f"procedures without an operation of that name were not tried: {', '.join(untried)}")


@gate(
    "SEC-ACC-005",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="Without a whole and unchangeable record nobody can say afterwards who did it; a record that misses one path, "
    "or that its subject can edit, is worse than none.",
    measures="Makes at least twenty privileged attempts over all audited operations and all levels, allowed and "
    "refused, each with an id of its own, and reads the audit log afterwards: each must be there with its actor, "
    "operation and outcome, told apart as the attempts were. Declared ways to tamper must be refused, earlier records "
    "must still be the same, and the operators' verification must accept the log and refuse copies with a record "
    "changed, removed or moved (a log cut at its end is beyond what it can see).",
    red="An attempt without a record or with a wrong one, an attempt to tamper that is let through, a record that "
    "changed, or a verification that accepts a changed log.",
    mend="Write the record where the decision is made, before the answer, on every path (bulk, retries, refusals); "
    "chain records by hash over all their fields, keep the head of the chain elsewhere, and give nobody the right to "
    "rewrite.",
    needs=[levels(), operations(), procedure("audit")],
    limits={"recorded_percent": at_least(100, "%", "seed: comprehensive; catalogue: 20 of 20")},
    typical_s=7,
    within_s=240,
)
def privileged_actions_are_recorded_for_good(deployment: Deployment) -> None:
    """Every privileged attempt stands in the audit log, with actor and outcome, and the log cannot be changed."""
    audited = [name for name, spec in deployment.descriptor.operations.items() if spec.audited and spec.as_levels]
    if not audited:
        deployment.undecidable("no operation is declared as audited", "operations.<operation>.audited: true")
    before = read_log(deployment)
    with deployment.step("make privileged attempts"):
        made = at_once(audited_attempts(deployment, audited), AT_ONCE)
    attempts = [one for one in made if one.attempt.decision != "error"]
    if len(attempts) < ATTEMPTS:
        odd = next((one.attempt for one in made if one.attempt.decision == "error"), None)
        why = f": {odd.operation} by {odd.level}: {odd.code} {odd.detail[:120]}" if odd else ""
        deployment.undecidable(f"only {len(attempts)} attempts were decided{why}", "operations: more that can be tried")
    with deployment.step("read the audit log"):
        after = read_until_recorded(deployment, before, attempts)
    judge_completeness(deployment, before, after, attempts)
    with deployment.step("try to tamper"):
        tried = try_to_tamper(deployment)
        later = read_log(deployment)
    judge_permanence(deployment, after, later)
    verified = judge_verification(deployment, later)
    if not verified and not tried:
        deployment.undecidable(
            "nothing shows that the log cannot be changed",
            'procedures.audit_verify: {run: [<command>, "{file}"]}   or an operation (as: []) that tries to change it',
        )


def _settled(deployment: Deployment, attempts: Sequence[Attempt]) -> list[Attempt]:
    """Take what is not there at all for refused, where nobody may do it."""
    absent = {name for name, spec in deployment.descriptor.operations.items() if not spec.as_levels}
    return [replace(a, decision="denied") if a.operation in absent and is_not_there(a) else a for a in attempts]


def _as_strangers(deployment: Deployment) -> list[Callable[[], Attempt]]:
    """Every operation as nobody, and with a made-up credential in the name of a level that may do it."""
    calls = []
    for name, spec in deployment.descriptor.operations.items():
        level = next(iter(spec.as_levels), deployment.level_names()[0])
        value = made_up_value()
        made_up = MadeUp(made_up_headers(deployment.descriptor.levels[level], value), value)
        calls.append(cell(deployment, name, ""))
        calls.append(cell(deployment, name, level, made_up))
    return calls


def _as_caller(deployment: Deployment) -> list[str]:
    """Name the restricted operations that the workload's own credential may do, where that is no level's."""
    specs, all_levels = deployment.descriptor.operations, set(deployment.level_names())
    values = deployment.secret_values()
    of_levels = {value for place, value in values.items() if place.startswith("levels.")}
    allowed = []
    for name, spec in specs.items():
        if not isinstance(spec.dry_run, Request) or spec.dry_run.as_level or set(spec.as_levels) == all_levels:
            continue
        front = next((part for part in named_in(spec.dry_run.url) if part in deployment.descriptor.auth), None)
        own = [value for place, value in values.items() if place.startswith(f"auth.{front}.")]
        if front is None or not own or set(own) & of_levels:
            continue
        filled: dict[str, Any] = {**roles(deployment.file), "operation": name, "marker": name}
        if deployment.http(spec.dry_run, **filled).ok:
            allowed.append(name)
    return allowed


def _shut_out(cells: Sequence[Attempt]) -> set[str]:
    """Name the levels whose credential is not accepted anywhere: that is no right that is missing but a wrong key."""
    codes: dict[str, set[int | None]] = defaultdict(set)
    for attempt in cells:
        codes[attempt.level].add(attempt.code)
    return {level for level, seen in codes.items() if seen == {401}}


def _declared(deployment: Deployment, attempt: Attempt) -> str:
    may = attempt.level in deployment.descriptor.operations[attempt.operation].as_levels
    return "allowed" if may else "denied"


def _matrix(cells: Iterable[Attempt], strangers: Iterable[Attempt]) -> dict[str, dict[str, str]]:
    matrix: dict[str, dict[str, str]] = defaultdict(dict)
    for attempt in cells:
        matrix[attempt.operation][attempt.level] = f"{attempt.decision} ({attempt.code})"
    for attempt in strangers:
        name = "made-up credential" if attempt.level else "no credential"
        matrix[attempt.operation][name] = f"{attempt.decision} ({attempt.code})"
    return matrix
