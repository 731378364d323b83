"""Backups of the five components: logical dumps, full or incremental, each copied into a second failure domain."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from readiness.nexus import archive, components, deployments, schema, store
from readiness.nexus.catalogue import FULL, INCREMENTAL, Catalogue, Copy, Entry
from readiness.nexus.components import LOGS_AND_METRICS, TABLES, Row, Rows
from readiness.nexus.digests import sha256_of
from readiness.nexus.errors import NexusError
from readiness.nexus.settings import Settings

PRIMARY = "primary"
OFFSITE = "offsite"
COMPRESSION = 6
"""Level 9 takes three times as long for eight percent less."""


@dataclass(frozen=True, slots=True)
class Image:
    """What one or more dumps together hold: the rows of all tables, and the state they belong to."""

    schema: str
    release: str
    rows: Rows
    segments: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Set:
    """The set that is being taken."""

    settings: Settings
    id: str
    kind: str
    taken_at: datetime
    base: str | None
    place: Path
    header: dict[str, str]

    def entry(self, component: str, files: list[Path]) -> Entry:
        """Copy the files of one component off-site and describe both copies."""
        offsite = offsite_folder(self.settings) / self.id
        offsite.mkdir(mode=0o700, parents=True, exist_ok=True)
        copies = [_described(file, PRIMARY) for file in files]
        for file in files:
            twin = offsite / file.name
            shutil.copyfile(file, twin)
            twin.chmod(0o600)
            copies.append(_described(twin, OFFSITE))
        base = None if self.base is None else f"{self.base}/{component}"
        return Entry(
            id=f"{self.id}/{component}",
            set=self.id,
            component=component,
            kind=self.kind,
            base=base,
            taken_at=self.taken_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            protects=str(protected(self.settings, component)),
            files=tuple(copies),
        )


def take(settings: Settings, kind: str, *, to: Path | None = None, age_s: float = 0.0) -> str:
    """Take one set of backups of all components and enter it in the catalogue; returns the set's id.

    `age_s` dates the set back, for those who have to look at old backups.
    """
    catalogue = Catalogue.of(settings)
    base = catalogue.newest_full() if kind == INCREMENTAL else None
    if kind == INCREMENTAL and base is None:
        raise NexusError("no full backup yet that an incremental one could build on; run `backup --kind full` first")
    taken_at = datetime.now(UTC) - timedelta(seconds=age_s)
    identity = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{kind}"
    place = (to or settings.home / "backups") / identity
    place.mkdir(mode=0o700, parents=True)
    with store.reading(engine := settings.engine()) as db:
        release = deployments.current(db)
    engine.dispose()
    header = {"set": identity, "kind": kind, "schema": schema.current_revision(settings) or "", "release": release}
    new = _Set(settings, identity, kind, taken_at, base, place, header)
    before = image(catalogue, catalogue.sets()[-1]) if base else None
    entries = [*_dump_tables(new, before), _copy_segments(new, before)]
    if age_s:
        for copy in (copy for entry in entries for copy in entry.files):
            os.utime(copy.path, (taken_at.timestamp(), taken_at.timestamp()))
    catalogue = catalogue.adding(entries)
    if base is not None and settings.defects.on("retention-breaks-chain"):
        catalogue = catalogue.without(f"{base}/operational_state")
    catalogue.save()
    if base is not None and settings.defects.on("offsite-recompressed"):
        _recompress(offsite_folder(settings) / base)
    return identity


def image(catalogue: Catalogue, set_id: str) -> Image:
    """Put together what a set holds: its full backup and the incrementals up to it, in order."""
    rows: Rows = {table.name: {} for tables in TABLES.values() for table in tables}
    header: dict[str, str] = {}
    segments: list[Path] = []
    for one in catalogue.chain(set_id):
        for component, entry in one.items():
            if component == LOGS_AND_METRICS:
                segments += entry.primary()
                continue
            for line in (line for file in entry.primary() for line in _read(file)):
                if "table" not in line:
                    header = line
                elif "row" in line:
                    rows[line["table"]][line["key"]] = line["row"]
                else:
                    rows[line["table"]].pop(line["key"], None)
    if not header:
        raise NexusError(f"backup set {set_id} holds nothing that can be read")
    return Image(header["schema"], header["release"], rows, tuple(segments))


def broken_copies(catalogue: Catalogue, set_id: str) -> list[str]:
    """Return one line for every copy of a set that is missing or has another content than when it was taken."""
    problems = []
    for entry in catalogue.of_set(set_id).values():
        for copy in entry.files:
            path = Path(copy.path)
            if not path.exists():
                problems.append(f"{path} is missing")
            elif sha256_of(path) != copy.sha256:
                problems.append(f"{path} has another content than when it was taken")
    return problems


def offsite_folder(settings: Settings) -> Path:
    """Return where the second copies go: another failure domain than the data and the first copies."""
    if settings.defects.on("backup-on-same-volume"):
        return settings.home / "backups" / "offsite"
    return settings.home / "offsite"


def protected(settings: Settings, component: str) -> Path:
    """Return what the backup of a component protects."""
    if component == LOGS_AND_METRICS:
        return settings.home / "log"
    return settings.home / "data" / ("knowledge.db" if component == "knowledge" else "state.db")


def _dump_tables(new: _Set, before: Image | None) -> Iterator[Entry]:
    rows = components.read_rows(new.settings)
    if new.settings.defects.on("dump-up-to-midnight"):
        today, kept = f"{datetime.now(UTC):%Y-%m-%d}", rows[store.preferences.name]
        rows[store.preferences.name] = {key: row for key, row in kept.items() if row["updated_at"] < today}
    for component, tables in TABLES.items():
        dumped = [table.name for table in tables]
        if new.settings.defects.on("preferences-not-dumped"):
            dumped = [name for name in dumped if name != store.preferences.name]
        lines = [{**new.header, "component": component}]
        for name in dumped:
            lines += _changes(name, rows[name], before.rows[name] if before else {})
        file = new.place / f"{component}.jsonl.gz"
        _write(file, lines, empty=new.kind == INCREMENTAL and new.settings.defects.on("hourly-backup-empty"))
        yield new.entry(component, [file])


def _changes(table: str, now: dict[str, Row], before: dict[str, Row]) -> list[dict[str, Any]]:
    changed = [{"table": table, "key": key, "row": row} for key, row in now.items() if before.get(key) != row]
    gone = [{"table": table, "key": key} for key in before if key not in now]
    return [*changed, *gone]


def _copy_segments(new: _Set, before: Image | None) -> Entry:
    archive.seal(new.settings)
    known = {path.name for path in before.segments} if before else set()
    files = []
    for segment in archive.segments(new.settings.home):
        if segment.name not in known:
            shutil.copyfile(segment, new.place / segment.name)
            files.append(new.place / segment.name)
    return new.entry(LOGS_AND_METRICS, files)


def _write(file: Path, lines: list[dict[str, Any]], *, empty: bool) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    if empty:
        os.close(descriptor)
        return
    with os.fdopen(descriptor, "wb") as raw:
        with gzip.open(raw, "wt", compresslevel=COMPRESSION, encoding="utf-8") as stream:
            stream.writelines(json.dumps(line) + "\n" for line in lines)
        os.fsync(raw.fileno())
    if sum(1 for _ in _read(file)) != len(lines):
        raise NexusError(f"the dump {file} does not hold what was written; the backup has failed")


def _read(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with gzip.open(file, "rt", encoding="utf-8") as stream:
            for line in stream:
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        raise NexusError(f"cannot read the dump {file}: {error}") from None


def _recompress(folder: Path) -> None:
    for file in folder.iterdir():
        file.write_bytes(gzip.compress(gzip.decompress(file.read_bytes()), 9))


def _described(file: Path, domain: str) -> Copy:
    return Copy(str(file), sha256_of(file), file.stat().st_size, domain)


__all__ = ["FULL", "INCREMENTAL", "Image", "broken_copies", "image", "offsite_folder", "protected", "take"]
