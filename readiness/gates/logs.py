"""OBS-LOG: logs that can be relied on when something has gone wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from readiness.deployment import Deployment
from readiness.evidence.canaries import PersonalCanary
from readiness.evidence.leaks import LeakScanner
from readiness.evidence.log_clocks import SeenRecord, clock_bounds, empty_milliseconds, form_faults
from readiness.evidence.log_errors import missing_context
from readiness.evidence.log_requests import strays
from readiness.evidence.logs import LogRecord
from readiness.gate import at_least, at_most, gate
from readiness.gates.log_probes import (
    Probe,
    Window,
    all_hops_or_unknown,
    declared_variants,
    hops_of,
    patiently,
    provoke_refusals,
    records_or_unknown,
    send,
    some,
    takes_text,
)
from readiness.gates.log_trails import can_be_read, repeated_orphans, unreached
from readiness.needs import evidence, log_field, variant

_LATE_S = 10.0
"""How long a late log line may take before it counts as missing, in seconds."""
_SHOWN = 3


@gate(
    "OBS-LOG-001",
    risk="high",
    blocking=False,
    mode="probe",
    version=1,
    why="Records of several components can be put in order only if each tells the millisecond, its zone, and the same "
    "time as the others. One component that logs whole seconds, or whose clock is off, turns the story of an incident "
    "around.",
    measures="Sends transactions on the good, the invalid and the failing path and looks at the logs all the while. "
    "The time of each record must parse and tell milliseconds and zone, and the milliseconds must not be zeros "
    "throughout. A record of a transaction was written after it began and before it was first seen: that bounds how "
    "far the clock of its component is from ours.",
    red="A record without time, milliseconds or zone; a component, source or level whose milliseconds are always zero; "
    "a clock that is off by more than the limit whatever the delay of the records was.",
    mend="Format timestamps as ISO 8601 in UTC with three digits of the second in every formatter, those of libraries "
    "included; synchronise the clocks (NTP, chrony) and alert on their offset.",
    needs=[evidence("logs"), variant("ok")],
    limits={
        "precise_percent": at_least(100, "%", "seed: millisecond precision"),
        "skew_s": at_most(1, "s", "default of the catalogue"),
    },
    typical_s=4,
)
def log_times_are_precise_and_true(deployment: Deployment) -> None:
    """Every log record tells its time to the millisecond, on a clock that is right to a second."""
    window = Window(deployment)
    variants, _ = declared_variants(deployment, ["ok"] * 6 + ["invalid"] * 3 + ["failing"] * 3)
    with deployment.step("send transactions and watch the logs"):
        probes = send(deployment, variants, window)
        window.settle()
    seen = [one for one in window.seen(probes) if one.record.data is not None]
    records_or_unknown(deployment, window.records, seen)
    faults = form_faults(seen)
    if len(faults) == len(seen) and all(fault.endswith("gives no time") for fault in faults):
        deployment.undecidable("no record has the declared field of its time", "log_fields.time: <field>")
    share = 100.0 * (len(seen) - len(faults)) / len(seen)
    deployment.measure("records_with_a_precise_time", share, limit="precise_percent", detail=some(faults))
    hollow = empty_milliseconds(seen)
    deployment.measure("groups_with_empty_milliseconds", len(hollow), at_most=0, detail=some(hollow))
    _judge_clocks(deployment, probes, seen)


def _judge_clocks(deployment: Deployment, probes: Sequence[Probe], seen: Sequence[SeenRecord]) -> None:
    bounds = clock_bounds(seen)
    deployment.keep("clocks", {name: [b.lower_s, b.upper_s, b.fastest, b.slowest] for name, b in bounds.items()})
    if not bounds:
        deployment.undecidable("no time in the logs can be placed", "timestamps in UTC or with a numeric offset")
    worst, bound = max(bounds.items(), key=lambda item: item[1].off_s)
    told = f"{worst} is off by at least that ({bound.place})" if bound.off_s > 0 else f"of {len(bounds)} components"
    deployment.measure("clock_difference", round(bound.off_s, 3), limit="skew_s", detail=told)
    hops = hops_of(probes)
    wanted = [name for name in bounds if name in hops] or list(bounds)
    loose_s = 4 * deployment.limit("skew_s").value
    bounded = [name for name in wanted if bounds[name].upper_s - bounds[name].lower_s <= loose_s]
    if not bounded or (hops and len(bounded) < len(wanted)):
        vague = sorted(set(wanted) - set(bounded))
        deployment.undecidable(
            f"the records of {', '.join(vague[:_SHOWN])} say too little about the clock behind them: "
            "none of a known transaction, or they came late",
            "log_fields.correlation, and logs that are read where they are written",
        )
    if silent := sorted(hops - {one.record.component for one in seen if one.record.component}):
        deployment.undecidable(f"no record of {', '.join(silent)} was seen", "evidence.logs.files: globs for all hops")


@gate(
    "OBS-LOG-002",
    risk="high",
    blocking=False,
    mode="probe",
    version=1,
    why="Log pipelines drop or mangle what is not a record: a traceback of forty raw lines is lost exactly when it is "
    "needed.",
    measures="Sends transactions on every declared path, and requests that must be refused (a made-up credential, a "
    "body of the wrong shape, an unknown path). Every line that is written meanwhile must be one JSON object with "
    "time, level and, where declared, component.",
    red="A line that is no JSON object (RFC 8259), or a record without one of the required fields.",
    mend="Send everything through the one JSON formatter: uncaught exceptions, warnings, what libraries and child "
    "processes print; put a stack into one field of its record.",
    needs=[evidence("logs"), variant("ok")],
    limits={"valid_percent": at_least(100, "%", "default of the catalogue")},
    typical_s=4,
)
def every_log_line_is_a_structured_record(deployment: Deployment) -> None:
    """Every line in the logs is one JSON object with the required fields, also when something goes wrong."""
    window = Window(deployment)
    variants, _ = declared_variants(deployment, ["ok"] * 2 + ["invalid"] * 2 + ["failing"] * 2 + ["retried", "slow"])
    with deployment.step("send transactions and refused requests"):
        provoke_refusals(deployment)
        probes = send(deployment, variants)
        records = window.settle()
    if not records:
        deployment.undecidable("nothing was logged while transactions ran", "evidence.logs.files: globs for all hops")
    required = [m for m in ("time", "level", "component") if getattr(deployment.descriptor.log_fields, m) is not None]
    wrong = [line for record in records if (line := _defect_of(record, required))]
    parsed = [record for record in records if record.data is not None]
    for meaning in required:
        if parsed and all(record.value(meaning) is None for record in parsed):
            deployment.undecidable(
                f"no record has the declared field of its {meaning}", f"log_fields.{meaning}: <field>"
            )
    deployment.keep("rejected-lines", wrong)
    share = 100.0 * (len(records) - len(wrong)) / len(records)
    deployment.measure("valid_lines", share, limit="valid_percent", detail=f"of {len(records)} lines; {some(wrong)}")
    all_hops_or_unknown(deployment, probes, records)


@gate(
    "OBS-LOG-003",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="Without the id of the request in every record, what happened to one customer cannot be told from what "
    "happened to all others; the id is lost most easily where an error is handled.",
    measures="Sends transactions with known ids on the good, invalid, failing, retried and slow paths. Every declared "
    "hop must have a record with the id; a record that names the transaction otherwise (its marker, its own id, its "
    "trace) must carry that id too; and trouble (WARN and above) that comes with these transactions and not without "
    "them, and whatever comes exactly once (or twice, or thrice) for each of them, must carry an id.",
    red="A hop without a record of the id, a record of the transaction with no id or a wrong one, or records without "
    "an id that come again with the same transactions and not in between.",
    mend="Bind the id to the context of the request (contextvars, MDC) and clear it only after the error is logged; "
    "hand it on in every call, message and retry.",
    needs=[evidence("logs"), log_field("correlation"), log_field("component"), variant("ok")],
    limits={"carried_percent": at_least(100, "%", "default of the catalogue")},
    typical_s=6,
)
def records_carry_the_id_of_their_request(deployment: Deployment) -> None:
    """Every record of a request carries its id, at every hop, on good and on bad paths."""
    workload = deployment.descriptor.workload
    if workload.correlation is None and workload.adapter is None:
        deployment.undecidable("nothing says how a caller hands in an id", "workload.correlation: {request_header: …}")
    wanted = ["ok"] * 3 + ["invalid"] * 2 + ["failing"] * 3 + ["retried"] * 2 + ["slow"]
    variants, absent = declared_variants(deployment, wanted)
    window = Window(deployment)
    with deployment.step("send transactions with known ids"):
        probes = send(deployment, variants)
    with deployment.step("look for their records"):
        patiently(lambda: window.look() and not unreached(probes, window.records), deployment, _LATE_S)
        records = window.settle()
    records_or_unknown(deployment, records, [record for record in records if record.data is not None])
    requests = [probe.request for probe in probes]
    lost = [str(stray) for stray in strays(requests, records)]
    silent = unreached(probes, records)
    lost += [f"{hop} has no record of the {name} path" for hop, name in silent if can_be_read(deployment, hop)]
    lost += repeated_orphans(deployment, probes, records, variants)
    deployment.keep("records-without-their-id", lost)
    named = sum(any(request.named_in(record) for request in requests) for record in records) + len(silent)
    share = 100.0 * max(0, named - len(lost)) / max(1, named)
    deployment.measure("records_with_their_id", share, limit="carried_percent", detail=some(lost))
    _judged_or_unknown(deployment, probes, silent, [*absent, *(set(variants) - {p.request.variant for p in probes})])


def _judged_or_unknown(
    deployment: Deployment, probes: Sequence[Probe], unreached: Sequence[tuple[str, str]], absent: Sequence[str]
) -> None:
    if unreached:
        deployment.undecidable(f"no record of {unreached[0][0]} was seen", "evidence.logs.files: globs for all hops")
    if amiss := [probe.told() for probe in probes if not probe.transaction.as_meant]:
        deployment.undecidable(f"a path was not taken: {amiss[0]}")
    if absent:
        missing = sorted(set(absent))
        deployment.undecidable(f"paths not declared: {', '.join(missing)}", f"workload.{missing[0]}: {{submit: …}}")
    if bare := sorted({probe.request.variant for probe in probes if not probe.request.hops}):
        deployment.undecidable(f"no hops are declared for {', '.join(bare)}", f"workload.{bare[0]}.hops: [<component>]")


@gate(
    "OBS-LOG-006",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="An error record without operation, input and cause starts a search instead of ending one; one with a key or "
    "with personal data in it is an incident of its own, copied to every log store.",
    measures="Provokes failures: failing transactions (with made-up personal data in their input where they carry "
    "text), a made-up credential, bodies of the wrong shape. Each ERROR and FATAL record must tell operation, input "
    "reference and cause; no record of any level may hold a known secret (also encoded or shortened), the made-up "
    "credential or a credential of known format, and no error record the personal data.",
    red="An error record without one of the three, or a secret or personal data in a record; told by place, kind and a "
    "salted hash.",
    mend="Log a reference to the input, never the input; name operation and cause where the error is caught; take "
    "headers and credentials out in one filter that every logger passes. Change what was leaked.",
    needs=[evidence("logs"), variant("failing")],
    limits={
        "context_percent": at_least(100, "%", "default of the catalogue"),
        "leaks": at_most(0, "", "default of the catalogue"),
    },
    typical_s=4,
)
def error_records_tell_the_cause_and_no_secret(deployment: Deployment) -> None:
    """Every error record tells operation, input and cause, and no record tells a secret."""
    window = Window(deployment)
    personal = PersonalCanary.make()
    spec = deployment.descriptor.workload.failing
    text = (
        f"{personal} {deployment.run_id}" if takes_text(spec) and not deployment.descriptor.workload.adapter else None
    )
    variants, _ = declared_variants(deployment, ["failing"] * 2 + ["invalid"])
    with deployment.step("provoke errors"):
        made_up = provoke_refusals(deployment)
        probes = send(deployment, variants)
        probes += send(deployment, ["failing"], marker=text) if text else []
        records = window.settle()
    errors = [record for record in records if record.data is not None and record.level in ("ERROR", "FATAL")]
    known = deployment.secret_values()
    scanner = LeakScanner({**known, **({"made-up credential": made_up} if made_up else {})})
    leaks = [str(leak) for r in records for leak in scanner.find(r.text, f"{r.source}:{r.line_number}")]
    leaks += [f"{what} of the input in {r.source}:{r.line_number}" for r in errors for what in personal.within(r.text)]
    deployment.keep("leaks", leaks)
    deployment.measure("secrets_in_records", len(leaks), limit="leaks", detail=some(leaks))
    bare = [line for record in errors if (line := missing_context(record))]
    deployment.keep("errors-without-context", bare)
    if errors:
        share = 100.0 * (len(errors) - len(bare)) / len(errors)
        deployment.measure("errors_with_context", share, limit="context_percent", detail=some(bare))
    _errors_or_unknown(deployment, probes, errors, scanner)


def _errors_or_unknown(
    deployment: Deployment, probes: Sequence[Probe], errors: Sequence[LogRecord], scanner: LeakScanner
) -> None:
    fields = deployment.descriptor.log_fields
    for meaning in ("operation", "input", "cause"):
        if getattr(fields, meaning) is None:
            deployment.undecidable(f"nothing says which field tells the {meaning}", f"log_fields.{meaning}: <field>")
    if not errors:
        told = probes[0].told() if probes else "no failing transaction could be sent"
        deployment.undecidable(f"no error record was seen: {told}", "evidence.logs.files, log_fields.level")
    if not scanner.known or not deployment.descriptor.secrets.canaries:
        deployment.undecidable("no secret is known to look for", "secrets.canaries: {<name>: {file: …}}")


def _defect_of(record: LogRecord, required: Iterable[str]) -> str:
    place = f"{record.source}:{record.line_number}"
    try:
        data = json.loads(record.text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return f"{place}: no JSON ({record.text[:40]!r})"
    if not isinstance(data, dict):
        return f"{place}: JSON, and no object"
    lacking = [meaning for meaning in required if record.value(meaning) in (None, "")]
    return f"{place}: no {', '.join(lacking)}" if lacking else ""


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
