"""Reads files for a scan: text as it is, binary files by their printable parts, archives by what is in them."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MAX_BYTES = 16 << 20
"""Of longer files and members only the end is read: what was written last."""
_MAX_MEMBERS = 2000


def contents_of(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the text of a file, or of each member of an archive with its name after an exclamation mark.

    Raises OSError or ValueError for what cannot be read.
    """
    if zipfile.is_zipfile(path):
        yield from _zipped(path)
    elif _starts_with(path, b"\x1f\x8b") or tarfile.is_tarfile(path):
        yield from _packed(path)
    else:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - MAX_BYTES))
            yield "", _text(stream)


def _zipped(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist()[:_MAX_MEMBERS]:
                if not member.is_dir():
                    with archive.open(member) as stream:
                        yield f"!{member.filename}", _text(stream)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ValueError(f"no archive that can be read: {error}") from None


def _packed(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with tarfile.open(path) as archive:
            for number, member in enumerate(archive):
                if number >= _MAX_MEMBERS:
                    break
                stream = archive.extractfile(member) if member.isfile() else None
                if stream is not None:
                    yield f"!{member.name}", _text(stream)
        return
    except tarfile.ReadError:
        pass
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"no archive that can be read: {error}") from None
    try:
        with gzip.open(path) as unpacked:
            yield "", _text(unpacked)
    except (EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"not whole: {error}") from None


def _text(stream: IO[bytes] | gzip.GzipFile) -> str:
    return stream.read(MAX_BYTES).decode("utf-8", "replace")


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(magic)) == magic
