"""Backups: they are taken on time, hold what they should, and survive what they protect against."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from readiness.deployment import Deployment
from readiness.errors import Undecidable
from readiness.evidence.backup_files import Domains
from readiness.evidence.backups import Backup, Listing, Shelf, Use, parse_listing
from readiness.gate import at_most, gate
from readiness.needs import backups, procedure, workload
from readiness.units import format_duration

OPERATIONAL_STATE = "operational_state"
USER_DATA = "user_data"
INCREMENTAL = at_most(3960.0, "s", "seed: hourly incremental of critical data, and 10 % for the schedule")
FULL = at_most(86400.0, "s", "seed: daily full backup of critical data")
IN_SIGHT = "backups.failure_domains: folders that this machine can read"


def _shelf(deployment: Deployment) -> Shelf:
    ran = deployment.run("list_backups")
    ran.json()
    deployment.keep("list_backups", ran.stdout)
    declared = deployment.descriptor.backups.failure_domains
    folders = {name: [deployment.file.resolve(Path(f)) for f in places] for name, places in declared.items()}
    return Shelf(parse_listing(ran.stdout), Domains(folders), deployment.deadline)


def _component(deployment: Deployment, listing: Listing, seed: str) -> str:
    """Give the operators' name of a component; `Undecidable` when nothing says which one it is."""
    mapped = deployment.descriptor.backups.components.get(seed)
    if mapped is not None or listing.of(seed) or not listing.backups or _in_source(deployment, seed, seed) is not None:
        return mapped or seed
    names = ", ".join(sorted({backup.component for backup in listing.backups}))
    raise Undecidable(
        f"none of the listed components ({names}) is called {seed}", f"backups.components.{seed}: <their name for it>"
    )


def _in_source(deployment: Deployment, *names: str) -> int | None:
    """Count what the source holds of a component now; None when the inventory does not tell."""
    if "inventory" not in deployment.descriptor.procedures:
        return None
    counted = deployment.inventory()
    return next((counted[name].count for name in names if name in counted), None)


def _judge_schedule(deployment: Deployment, shelf: Shelf, seed: str, ignored_set: str | None = None) -> None:
    """Hold the newest backups of one component against the two ages, and their files against the listing."""
    name = _component(deployment, shelf.listing, seed)
    listed = [backup for backup in shelf.listing.of(name) if ignored_set not in (backup.set or "", backup.id)]
    if not listed:
        deployment.violated(f"no backup of {name} is listed (of {len(shelf.listing.backups)} backups in all)")
    judged = {backup.id: shelf.use(backup) for backup in _worth_reading(deployment, shelf, listed)}
    recently = deployment.limit("incremental_s").value
    recent = [b.id for b in listed if (shelf.now - b.taken_at).total_seconds() <= recently]
    void = [judged[key][1] for key in recent if judged[key][0] is Use.VOID]
    deployment.measure("void_backups", len(void), equals=0, detail="; ".join(void[:3]))
    usable = [b for b in listed if b.id in judged and judged[b.id][0] is Use.USABLE]
    out_of_sight = next((why for use, why in judged.values() if use is Use.OUT_OF_SIGHT), None)
    _judge_age(deployment, shelf, "full", [b for b in usable if b.full], out_of_sight, name)
    _judge_age(deployment, shelf, "incremental", usable, out_of_sight, name)
    _must_hold_something(deployment, shelf, usable, name, seed)


def _worth_reading(deployment: Deployment, shelf: Shelf, listed: list[Backup]) -> Iterator[Backup]:
    """Give the backups that can count, newest first: those in the window of a full one, and on to a usable full one."""
    within_s = max(deployment.limit("full_s").value, deployment.limit("incremental_s").value)
    full_seen = False
    for backup in listed:
        if full_seen and (shelf.now - backup.taken_at).total_seconds() > within_s:
            return
        yield backup
        full_seen = full_seen or (backup.full and shelf.use(backup)[0] is Use.USABLE)


def _judge_age(
    deployment: Deployment, shelf: Shelf, kind: str, usable: list[Backup], out_of_sight: str | None, name: str
) -> None:
    """Hold the age of the newest usable backup against its limit; one that cannot be seen could be newer."""
    limit = deployment.limit(f"{kind}_s")
    newest = min(usable, key=shelf.age_s, default=None)
    age_s = None if newest is None else round(shelf.age_s(newest), 1)
    if out_of_sight is not None and (age_s is None or not limit.holds(age_s)):
        deployment.undecidable(out_of_sight, IN_SIGHT)
    told = f"no usable {kind if kind == 'full' else ''} backup of {name} is there".replace("  ", " ")
    if newest is not None:
        listed_s = (shelf.now - newest.taken_at).total_seconds()
        told = f"{newest.id} ({newest.kind}), listed as taken {format_duration(max(listed_s, 0.0))} ago"
    deployment.measure(f"newest_{kind}_backup_age_s", age_s, limit=f"{kind}_s", detail=told)


def _must_hold_something(deployment: Deployment, shelf: Shelf, usable: list[Backup], name: str, seed: str) -> None:
    """A full backup of something is not empty, and empty incrementals do not make an old backup young."""
    full = min((b for b in usable if b.full), key=shelf.age_s, default=None)
    if full is not None and shelf.payload_bytes(full) == 0:
        there = _in_source(deployment, name, seed)
        if there is None or there > 0:
            deployment.measure("full_backup_payload_bytes", 0, at_least=1, detail=f"{full.id} of {name}")
    recently = deployment.limit("incremental_s").value
    filled = [b for b in usable if (b.full and b is full) or shelf.payload_bytes(b) > 0]
    if filled and min(map(shelf.age_s, filled)) > recently and min(map(shelf.age_s, usable)) <= recently:
        deployment.undecidable(
            f"every backup of {name} of the last {format_duration(recently)} is empty once unpacked: whether nothing "
            "changed or nothing was saved cannot be told",
            "let every incremental hold at least a header, so that the two differ",
        )


@gate(
    "OPS-BAK-003",
    risk="critical",
    blocking=True,
    mode="observe",
    version=1,
    why="""A backup job that runs without saving anything is noticed on the day of the restore. What lies between the
        last usable backup and the disaster is lost: the schedule is the promise of how much that can be.""",
    measures="""Asks `list_backups`, reads the listed files of the operational state, and takes the age of the newest
        usable backup and of the newest usable full one. Usable: a complete copy whose size, SHA-256 and packing are
        sound, with everything it builds on. The age is the larger of the listed one and that of the files.""",
    red="""The newest usable backup is older than an hour and 10 %, the newest full one older than a day, a backup
        listed within the hour is empty, damaged or missing, or what an incremental builds on is gone.""",
    mend="""Run the backup job by hand and look at what it wrote; let it fail when a dump is empty; then look why its
        schedule, its clean-up of old sets or its listing went wrong.""",
    needs=[procedure("list_backups")],
    limits={"incremental_s": INCREMENTAL, "full_s": FULL},
    typical_s=1.0,
    within_s=900.0,
)
def operational_state_is_backed_up_hourly(deployment: Deployment) -> None:
    """The operational state has a usable backup of the last hour and a usable full one of the last day."""
    with deployment.step("read the listing of backups and the listed files"):
        _judge_schedule(deployment, _shelf(deployment), OPERATIONAL_STATE)


@gate(
    "OPS-BAK-004",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="""A list of what to back up grows old quietly: the table added last month is in production and in no dump.
        What a user saved today must be found in a backup taken today.""",
    measures="""Saves something for a synthetic user, takes a backup with the operators' own command, and looks for it
        with their `search_backup`, which must not find a text that was never saved. The ages of the earlier backups
        of user data are judged like those of the operational state.""",
    red="""What the user saved is not in the backup, or the newest usable backups of user data are too old, empty,
        damaged or missing.""",
    mend="""Add what holds the user's data to the backup; better, dump all that is not excluded by name, so that a new
        table is in from its first day.""",
    needs=[procedure("list_backups"), procedure("backup"), procedure("search_backup"), workload("remember")],
    limits={"incremental_s": INCREMENTAL, "full_s": FULL},
    typical_s=2.0,
    within_s=900.0,
)
def user_data_is_in_the_backups(deployment: Deployment) -> None:
    """What a user saves is found in the next backup, and user data is backed up hourly and in full daily."""
    shelf = _shelf(deployment)
    with deployment.step("save something for a user and take a backup"):
        fresh = deployment.backup()
    if not fresh.ran.ok:
        deployment.violated(f"the backup itself failed: {fresh.ran.told()}")
    with deployment.step("search the backup"):
        if _found(deployment, fresh.set, f"{fresh.canary_marker}-never-saved"):
            deployment.undecidable(
                "search_backup finds a text that was never saved",
                "procedures.search_backup: exit 0 only when the text is in the set, 1 when it is not",
            )
        found = _found(deployment, fresh.set, fresh.canary_marker)
    deployment.measure(
        "saved_data_in_backup",
        "found" if found else "missing",
        equals="found",
        detail=f"saved before the backup {fresh.set} was taken",
    )
    _judge_schedule(deployment, shelf, USER_DATA, ignored_set=fresh.set)


def _found(deployment: Deployment, set_id: str, text: str) -> bool:
    name = deployment.descriptor.backups.components.get(USER_DATA, USER_DATA)
    ran = deployment.run("search_backup", set=set_id, backup=set_id, text=text, component=name)
    if ran.exit_code not in (0, 1):
        deployment.undecidable(ran.told(), "procedures.search_backup: exit 0 found, 1 not found")
    return ran.ok


@gate(
    "OPS-BAK-006",
    risk="critical",
    blocking=True,
    mode="observe",
    version=1,
    why="""A backup on the volume that it protects is lost with it, and a copy that was never read back is a hope.
        Both are found out at the worst moment.""",
    measures="""Reads every file of every backup of the last day and of all that those build on, compares size and
        SHA-256 with the listing and unpacks it; then looks where each file really lies, links followed, and in which
        declared failure domain; names of one and the same file are one copy.""",
    red="""A listed file is missing or does not verify, or a backup has no complete copy in a failure domain other
        than that of the data it protects.""",
    mend="""Copy each set to the other domain as a part of the backup job and verify the copy there before the job
        reports success; move a mount point or a link that leads back to the protected volume.""",
    needs=[procedure("list_backups"), backups("failure_domains")],
    limits={"window_s": at_most(86400.0, "s", "default: the backups of a day")},
    typical_s=1.0,
    within_s=900.0,
)
def every_backup_verifies_and_has_a_copy_elsewhere(deployment: Deployment) -> None:
    """Every backup of the last day verifies and has a complete copy in another failure domain."""
    shelf = _shelf(deployment)
    window = _window(deployment, shelf)
    listed = [file for backup in window for file in backup.files]
    with deployment.step("read every copy of every backup"):
        faults = [fault for file in listed if (fault := shelf.fault(file))]
        unseen = [str(file.path) for file in listed if not shelf.state(file).reachable]
    deployment.count(len(listed) - len(faults) - len(unseen), len(listed))
    deployment.measure("files_that_do_not_verify", len(faults), equals=0, detail="; ".join(faults[:3]))
    placed = {backup.id: shelf.elsewhere(backup) for backup in window}
    lacking = [f"{key}: {where}" for key, (found, where) in placed.items() if found is False]
    deployment.measure("backups_without_copy_elsewhere", len(lacking), equals=0, detail="; ".join(lacking[:3]))
    unsure = [f"{key}: {where}" for key, (found, where) in placed.items() if found is None]
    if unsure:
        deployment.undecidable(
            f"for {len(unsure)} of {len(window)} backups it cannot be told whether a copy lies elsewhere; {unsure[0]}",
            "backups.failure_domains.<domain>: [<folders of the data and of the copies>]; `protects` in list_backups",
        )
    bare = [str(file.path) for file in listed if not file.sha256]
    if unseen or bare:
        told = f"{unseen[0]} cannot be reached from here" if unseen else f"no SHA-256 is listed for {bare[0]}"
        deployment.undecidable(told, IN_SIGHT if unseen else "procedures.list_backups: a sha256 for each file")
    _verify_as_they_do(deployment, window)


def _window(deployment: Deployment, shelf: Shelf) -> list[Backup]:
    """Give the backups of the window, and those that they build on."""
    within = timedelta(seconds=deployment.limit("window_s").value)
    young = [backup for backup in shelf.listing.backups if shelf.now - backup.taken_at <= within]
    if not young:
        deployment.undecidable(f"no backup of the last {format_duration(within.total_seconds())} is listed")
    return list({link.id: link for backup in young for link in shelf.listing.chain(backup)[0]}.values())


def _verify_as_they_do(deployment: Deployment, window: list[Backup]) -> None:
    """Run the operators' own verification of the newest set, which can decrypt what this gate cannot."""
    if "verify_backup" not in deployment.descriptor.procedures:
        return
    newest = max(window, key=lambda backup: backup.taken_at)
    set_id = newest.set or newest.id
    ran = deployment.run("verify_backup", set=set_id, backup=set_id)
    deployment.measure("own_verification_exit_code", ran.exit_code, equals=0, detail=ran.told())
