"""Reads a listing of backups, and looks at the listed files themselves: a listing is only what somebody says.

The format is the contract of the procedure `list_backups`: `{"backups": [{"id", "set", "component", "kind", "base",
"taken_at", "protects", "files": [{"path", "sha256", "bytes", "domain"}]}]}`. `kind` is `full` or anything else, which
counts as incremental; `base` is the id of the backup that an incremental builds on; each copy of a file is an entry of
its own in `files`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from readiness.errors import Undecidable
from readiness.evidence.backup_files import PACKED, Domains, FileState, look_at
from readiness.waiting import Deadline

FULL = "full"
CLOCKS_DIFFER_S = 300.0
"""How far two honest clocks may be apart; a backup from further in the future is no evidence."""


class _Listed(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True)


class BackupFile(_Listed):
    """One copy of one file of a backup, as listed."""

    path: Path
    sha256: str | None = None
    bytes: int | None = None
    domain: str | None = None


class Backup(_Listed):
    """One backup of one component, as listed."""

    id: str
    set: str | None = None
    component: str
    kind: str
    base: str | None = None
    taken_at: datetime
    protects: Path | None = None
    """The folder or file of the data that it protects."""
    files: tuple[BackupFile, ...] = ()

    @field_validator("taken_at")
    @classmethod
    def _in_utc(cls, value: datetime) -> datetime:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)

    @property
    def full(self) -> bool:
        """Whether it stands on its own."""
        return self.kind.lower() == FULL


class Listing(_Listed):
    """All backups that the operators know of."""

    backups: tuple[Backup, ...]

    def of(self, component: str) -> list[Backup]:
        """Give the backups of a component, the newest first."""
        return sorted((b for b in self.backups if b.component == component), key=lambda b: b.taken_at, reverse=True)

    def chain(self, backup: Backup) -> tuple[list[Backup], str | None]:
        """Give the backups that restoring this one takes, itself first, and the id of the first that is not listed."""
        known = {b.id: b for b in self.backups}
        chain = [backup]
        while not chain[-1].full and chain[-1].base is not None:
            base = known.get(chain[-1].base)
            if base is None or base in chain:
                return chain, chain[-1].base
            chain.append(base)
        return chain, None


def parse_listing(text: str) -> Listing:
    """Read what `list_backups` printed; `Undecidable` names the field that is missing or wrong."""
    try:
        return Listing.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "output"
        raise Undecidable(
            f"the procedure list_backups does not print a listing of backups: {where}: {first['msg']}",
            'procedures.list_backups: print {"backups": [{"id", "set", "component", "kind", "taken_at", "files"}]}',
        ) from None


class Use(StrEnum):
    """Whether a backup could be restored from, as far as its files show."""

    USABLE = "usable"
    VOID = "void"
    OUT_OF_SIGHT = "out of sight"


@dataclass(slots=True)
class Shelf:
    """The listed backups and their files, each file read at most once."""

    listing: Listing
    domains: Domains
    deadline: Deadline
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _seen: dict[Path, FileState] = field(default_factory=dict)

    def state(self, listed: BackupFile) -> FileState:
        """Look at a listed file."""
        if listed.path not in self._seen:
            self._seen[listed.path] = look_at(listed.path, self.domains.roots(), self.deadline)
        return self._seen[listed.path]

    def fault(self, listed: BackupFile) -> str | None:
        """Say what is wrong with a file, held against its line; None when nothing is, or it is out of sight."""
        state, path = self.state(listed), listed.path
        if not state.reachable:
            return None
        if not state.exists:
            return f"{path} is listed and not there"
        if listed.bytes is not None and listed.bytes != state.size_bytes:
            return f"{path} has {state.size_bytes} bytes, {listed.bytes} are listed"
        if listed.sha256 and listed.sha256.lower().removeprefix("sha256:") != state.sha256:
            return f"{path} has the SHA-256 {state.sha256[:12]}…, listed is {listed.sha256[:19]}…"
        if state.content is not None and state.content.error:
            return f"{path} cannot be unpacked: {state.content.error}"
        return None

    def copies(self, backup: Backup) -> list[list[BackupFile]]:
        """Group the files of a backup into its complete copies: those of one domain belong together."""
        groups: dict[str | None, list[BackupFile]] = {}
        for listed in backup.files:
            groups.setdefault(listed.domain, []).append(listed)
        most = max(map(len, groups.values()), default=0)
        return [group for group in groups.values() if len(group) == most]

    def use(self, backup: Backup) -> tuple[Use, str]:
        """Judge a backup with all that it builds on, by its best copy, and say why it is not usable."""
        chain, lost = self.listing.chain(backup)
        if lost is not None:
            return Use.VOID, f"{backup.id} builds on {lost}, which is not listed"
        worst = (Use.USABLE, "")
        for link in chain:
            judged = self._use_of_files(link)
            if judged[0] is Use.VOID:
                return judged
            worst = worst if judged[0] is Use.USABLE else judged
        return worst

    def _use_of_files(self, backup: Backup) -> tuple[Use, str]:
        if not backup.files:
            return Use.VOID, f"{backup.id} ({backup.component}) lists no file"
        reasons: list[tuple[Use, str]] = []
        for copy in self.copies(backup):
            why = next((why for listed in copy if (why := self.fault(listed))), None) or self._hollow(copy)
            unseen = next((listed.path for listed in copy if not self.state(listed).reachable), None)
            if why is None and unseen is None:
                return Use.USABLE, ""
            told = why or f"{unseen} cannot be reached from here"
            reasons.append((Use.VOID if why else Use.OUT_OF_SIGHT, f"{backup.id} ({backup.component}): {told}"))
        return next((reason for reason in reasons if reason[0] is Use.OUT_OF_SIGHT), reasons[0])

    def _hollow(self, copy: list[BackupFile]) -> str | None:
        states = [self.state(listed) for listed in copy]
        if not all(state.exists for state in states):
            return None
        # An empty table may be an empty file beside others; an empty archive is one that nobody wrote.
        void = [state.path for state in states if state.size_bytes == 0]
        if len(void) == len(states) or any(path.suffix.lower() in PACKED for path in void):
            return f"{void[0]} is empty (0 bytes)"
        contents = [state.content for state in states if state.content is not None]
        if contents and all(content.hollow for content in contents):
            return f"{copy[0].path} is an archive of {contents[0].members} files that are all empty"
        return None

    def payload_bytes(self, backup: Backup) -> int:
        """Give how much a backup holds once it is unpacked, in its fullest copy."""
        sizes = (
            sum(c.payload_bytes for listed in copy if (c := self.state(listed).content) is not None)
            for copy in self.copies(backup)
        )
        return max(sizes, default=0)

    def age_s(self, backup: Backup) -> float:
        """Give the age of a backup: the larger of what is listed and what its newest file shows."""
        listed_s = (self.now - backup.taken_at).total_seconds()
        if listed_s < -CLOCKS_DIFFER_S:
            raise Undecidable(
                f"backup {backup.id} is listed as taken at {backup.taken_at.isoformat()}, which is in the future",
                "procedures.list_backups: taken_at with its zone, as in 2026-01-31T12:00:00Z",
            )
        written = [at for listed in backup.files if (at := self.state(listed).written_at) is not None]
        written_s = (self.now - max(written)).total_seconds() if written else 0.0
        return max(listed_s, written_s, 0.0)

    def elsewhere(self, backup: Backup) -> tuple[bool | None, str]:
        """Whether a complete copy lies in another failure domain than the protected data, and where its copies lie.

        None when that cannot be told. Names of one and the same file are one copy. Where nobody says in which domain
        the data lies, copies in two domains are enough: one of them is another.
        """
        home = self.domains.of(backup.protects) if backup.protects is not None else set()
        if backup.protects is None or not home:
            whole = [copy for copy in self.copies(backup) if all(self.state(listed).exists for listed in copy)]
            spread = {frozenset(self.domains.of(listed.path)) for copy in whole for listed in copy} - {frozenset()}
            apart = len(spread) > 1 and not frozenset.intersection(*spread) and not self._linked(whole)
            return True if apart else None, f"it is not known in which domain its data lies ({backup.protects})"
        protected = backup.protects
        at_home = {f.path: self.domains.is_home(f.path, protected, home) for f in backup.files}
        there = {self.state(f).identity for f in backup.files if at_home[f.path]} - {None}
        unsure = False
        for copy in self.copies(backup):
            states = [self.state(listed) for listed in copy]
            if any(at_home[listed.path] for listed in copy) or any(state.identity in there for state in states):
                continue
            if all(at_home[f.path] is False for f in copy) and all(state.exists for state in states):
                return True, ""
            unsure = unsure or any(at_home[f.path] is None or not self.state(f).reachable for f in copy)
        places = ", ".join(sorted({str(listed.path.parent) for listed in backup.files}))
        told = f"its copies lie in {places}, its data in {protected} ({', '.join(sorted(home))})"
        return (None if unsure else False), told

    def _linked(self, copies: list[list[BackupFile]]) -> bool:
        identities = [self.state(listed).identity for copy in copies for listed in copy]
        return len(set(identities)) < len(identities)
