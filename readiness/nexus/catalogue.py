"""The catalogue of backups: which sets there are, what they consist of, where each copy lies."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from readiness.nexus.errors import NexusError, unknown
from readiness.nexus.settings import Settings, write_private

FULL = "full"
INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy of one file of a backup."""

    path: str
    sha256: str
    bytes: int
    domain: str


@dataclass(frozen=True, slots=True)
class Entry:
    """The backup of one component in one set; `base` is the id of the full backup that it builds on."""

    id: str
    set: str
    component: str
    kind: str
    base: str | None
    taken_at: str
    protects: str
    files: tuple[Copy, ...]

    def primary(self) -> list[Path]:
        """Return the files of the first copy."""
        first = self.files[0].domain
        return [Path(copy.path) for copy in self.files if copy.domain == first]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All entries, oldest first."""

    file: Path
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, settings: Settings) -> Catalogue:
        """Read the catalogue of a deployment; it is empty before the first backup."""
        file = settings.home / "backups" / "catalogue.json"
        try:
            listed = json.loads(file.read_text("utf-8"))["backups"]
        except FileNotFoundError:
            listed = []
        except (OSError, ValueError, KeyError) as error:
            raise NexusError(f"cannot read the catalogue {file}: {error}") from None
        return cls(file, tuple(Entry(**{**e, "files": tuple(Copy(**c) for c in e["files"])}) for e in listed))

    def adding(self, entries: list[Entry]) -> Catalogue:
        """Return the catalogue with further entries."""
        return replace(self, entries=(*self.entries, *entries))

    def without(self, entry_id: str) -> Catalogue:
        """Return the catalogue without an entry, whose files are removed."""
        for copy in (copy for entry in self.entries if entry.id == entry_id for copy in entry.files):
            Path(copy.path).unlink(missing_ok=True)
        return replace(self, entries=tuple(entry for entry in self.entries if entry.id != entry_id))

    def save(self) -> None:
        """Write the catalogue in one step."""
        write_private(self.file, self.as_json() + "\n")

    def as_json(self) -> str:
        """Write the catalogue as operators and gates read it."""
        return json.dumps({"backups": [asdict(entry) for entry in self.entries]}, indent=1)

    def sets(self) -> list[str]:
        """List the ids of the sets, oldest first."""
        return list(dict.fromkeys(entry.set for entry in self.entries))

    def of_set(self, set_id: str) -> dict[str, Entry]:
        """Return the entries of a set by component."""
        found = {entry.component: entry for entry in self.entries if entry.set == set_id}
        if not found:
            raise unknown("backup set", set_id, self.sets(), str(self.file))
        return found

    def chain(self, set_id: str) -> list[dict[str, Entry]]:
        """Return the sets that a restore of this one reads, in order: its full backup, then the incrementals."""
        wanted = self.of_set(set_id)
        sets = self.sets()
        kind = next(iter(wanted.values())).kind
        if kind == FULL:
            return [wanted]
        base_id = next(iter(wanted.values())).base
        base = next((entry.set for entry in self.entries if entry.id == base_id), None)
        if base is None:
            raise NexusError(f"backup set {set_id} builds on {base_id}, which is not in the catalogue any more")
        between = sets[sets.index(base) : sets.index(set_id) + 1]
        chain = [self.of_set(one) for one in between]
        return [chain[0], *(one for one in chain[1:] if next(iter(one.values())).kind == INCREMENTAL)]

    def newest_full(self) -> str | None:
        """Return the id of the newest full set."""
        return next((entry.set for entry in reversed(self.entries) if entry.kind == FULL), None)
