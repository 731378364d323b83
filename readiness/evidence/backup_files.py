"""Looks at the files of a backup: whether they are there, what they hold, and where they really lie."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from readiness.errors import Undecidable
from readiness.waiting import Deadline

CHUNK_BYTES = 1 << 20
_TAR_MAGIC_AT = 257
PACKED = {".gz", ".tgz", ".bz2", ".xz", ".zip", ".zst", ".tar", ".7z"}


@dataclass(frozen=True, slots=True)
class Content:
    """What a file holds once it is unpacked."""

    form: str
    payload_bytes: int = 0
    members: int | None = None
    """How many files an archive holds."""
    error: str = ""

    @property
    def hollow(self) -> bool:
        """Whether it is an archive of files that are all empty."""
        return bool(self.members) and self.payload_bytes == 0 and not self.error


@dataclass(frozen=True, slots=True)
class FileState:
    """What was found where a listing says that a file lies."""

    path: Path
    reachable: bool
    """False where this machine cannot tell whether the file is there."""
    exists: bool = False
    size_bytes: int = 0
    sha256: str = ""
    written_at: datetime | None = None
    identity: tuple[int, int] | None = None
    """Device and inode: two names of one file are no two copies."""
    content: Content | None = None


def look_at(path: Path, roots: Sequence[Path], deadline: Deadline) -> FileState:
    """Read a whole file: size, SHA-256, time of writing, content.

    A file that is not there counts as missing when its folder, or a root that it should lie in, can be seen from
    here; else it is out of reach.
    """
    try:
        status = path.stat()
    except PermissionError:
        return FileState(path, reachable=False)
    except OSError:
        return FileState(path, reachable=_in_sight(path, roots))
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
                _keep_to(deadline, path)
    except OSError:
        return FileState(path, reachable=False)
    return FileState(
        path,
        reachable=True,
        exists=True,
        size_bytes=status.st_size,
        sha256=digest.hexdigest(),
        written_at=datetime.fromtimestamp(status.st_mtime, UTC),
        identity=(status.st_dev, status.st_ino),
        content=unpack(path, deadline),
    )


def _in_sight(path: Path, roots: Sequence[Path]) -> bool:
    if not path.is_absolute():
        return False
    with contextlib.suppress(OSError):
        return path.parent.is_dir() or any(path.is_relative_to(root) and root.is_dir() for root in roots)
    return False


def _keep_to(deadline: Deadline, path: Path) -> None:
    if deadline.expired:
        raise Undecidable(f"the time of the gate ended while {path} was being read", "a larger time_budget")


_UNPACKING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, ValueError)


def unpack(path: Path, deadline: Deadline) -> Content:
    """Read a file through its packing (gzip, bzip2, xz, zip, tar, and tar inside those); other files are plain."""
    form = "plain"
    try:
        with path.open("rb") as raw:
            form = _form(raw.read(_TAR_MAGIC_AT + 8))
        if form == "zip":
            return _unzip(path)
        with _opened(path, form) as stream:
            if form == "tar" or (form != "plain" and _form(stream.read(_TAR_MAGIC_AT + 8)) == "tar"):
                return _untar(path, form, deadline)
        if form == "plain":
            return Content(form, path.stat().st_size)
        with _opened(path, form) as stream:
            return Content(form, sum(_chunks(stream, path, deadline)))
    except _UNPACKING_ERRORS as error:
        return Content(form, error=str(error) or type(error).__name__)


def _form(head: bytes) -> str:
    for magic, form in ((b"\x1f\x8b", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\x00", "xz"), (b"PK\x03\x04", "zip")):
        if head.startswith(magic):
            return form
    return "tar" if head[_TAR_MAGIC_AT : _TAR_MAGIC_AT + 5] == b"ustar" else "plain"


def _opened(path: Path, form: str) -> IO[bytes] | gzip.GzipFile:
    if form == "gzip":
        return gzip.open(path, "rb")
    if form == "bzip2":
        return bz2.open(path, "rb")
    if form == "xz":
        return lzma.open(path, "rb")
    return path.open("rb")


def _chunks(stream: IO[bytes] | gzip.GzipFile, path: Path, deadline: Deadline) -> Iterator[int]:
    while chunk := stream.read(CHUNK_BYTES):
        _keep_to(deadline, path)
        yield len(chunk)


def _untar(path: Path, form: str, deadline: Deadline) -> Content:
    members = payload = 0
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            if not member.isfile():
                continue
            members += 1
            stream = archive.extractfile(member)
            # Reading every byte is what shows that the archive was not cut off.
            payload += sum(_chunks(stream, path, deadline)) if stream is not None else 0
    return Content("tar" if form == "tar" else f"tar+{form}", payload, members)


def _unzip(path: Path) -> Content:
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        sizes = [entry.file_size for entry in archive.infolist() if not entry.is_dir()]
    return Content("zip", sum(sizes), len(sizes), f"{broken} is damaged" if broken else "")


@dataclass(frozen=True, slots=True)
class Domains:
    """The declared failure domains with their folders, as absolute paths."""

    folders: Mapping[str, Sequence[Path]]

    def roots(self) -> list[Path]:
        """Give all folders of all domains."""
        return [folder for folders in self.folders.values() for folder in folders]

    def of(self, path: Path) -> set[str]:
        """Name the domains in whose folders a path really lies, links followed.

        The innermost folder counts; two domains share it when one of their folders is a link into the other.
        """
        real = path.resolve()
        inside = [
            (len(folder.resolve().parts), name)
            for name, folders in self.folders.items()
            for folder in folders
            if real.is_relative_to(folder.resolve())
        ]
        innermost = max(inside)[0] if inside else 0
        return {name for depth, name in inside if depth == innermost}

    def is_home(self, path: Path, protected: Path, homes: set[str]) -> bool | None:
        """Whether a path is lost together with the data at `protected`, which lies in the domains `homes`.

        A folder inside one of theirs is another domain only when something else is mounted there. A path in
        no declared domain is at home when it is on the same volume; None when that cannot be told.
        """
        found = self.of(path)
        if homes & found:
            return True
        real = path.resolve()
        nested = [f for home in homes for f in self.folders[home] if real.is_relative_to(f.resolve())]
        if found and not nested:
            return False
        beside = [volume for f in (nested or [protected]) if (volume := _volume(f)) is not None]
        mine = _volume(real) if real.exists() else None
        if mine is not None and beside:
            return True if mine in beside else (False if found else None)
        return False if found else None


def _volume(path: Path) -> int | None:
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            return place.stat().st_dev
    return None
