"""The archive of logs and metrics: what was written since the last time is sealed into a numbered segment."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx

from readiness.nexus import registry
from readiness.nexus.clock import now_text
from readiness.nexus.digests import sha256_of
from readiness.nexus.plain_http import client
from readiness.nexus.probing import ANSWER_WITHIN_S
from readiness.nexus.settings import Settings, write_private

PLACE = "data/archive"


def segments(home: Path) -> list[Path]:
    """List the sealed segments, oldest first."""
    return sorted((home / PLACE).glob("segment-*.jsonl.gz"))


def segment_hashes(home: Path) -> list[str]:
    """Return the SHA-256 of every sealed segment, oldest first."""
    return [sha256_of(path) for path in segments(home)]


def seal(settings: Settings) -> Path:
    """Write everything that was logged since the last segment, and all metrics as they are now, into a new one."""
    folder = settings.home / PLACE
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    marks_file = folder / "marks.json"
    marks: dict[str, list[int]] = json.loads(marks_file.read_text()) if marks_file.exists() else {}
    number = len(segments(settings.home)) + 1
    segment = folder / f"segment-{number:05d}.jsonl.gz"
    partial = segment.with_suffix(".part")
    with gzip.open(partial, "wt", encoding="utf-8") as stream:
        for log in sorted((settings.home / "log").glob("*.log")):
            for line in _unsealed(log, marks):
                stream.write(json.dumps({"log": log.name, "line": line}) + "\n")
        for instance, exposition in _scrape(settings):
            stream.write(json.dumps({"metrics": instance, "at": now_text(), "exposition": exposition}) + "\n")
    partial.chmod(0o600)
    partial.replace(segment)
    write_private(marks_file, json.dumps(marks))
    return segment


def adopt(home: Path, sealed: list[Path]) -> None:
    """Take over segments that a backup brought."""
    folder = home / PLACE
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    for path in sealed:
        shutil.copyfile(path, folder / path.name)


def _unsealed(log: Path, marks: dict[str, list[int]]) -> Iterator[str]:
    """Yield the complete lines behind the mark of a log, those in its rotated predecessor first; moves the mark."""
    inode, offset = marks.get(log.name, [0, 0])
    rotated = log.with_name(log.name + ".1")
    if inode not in (0, log.stat().st_ino):
        if rotated.exists() and rotated.stat().st_ino == inode:
            yield from _lines(rotated, offset)[0]
        offset = 0
    lines, end = _lines(log, offset)
    marks[log.name] = [log.stat().st_ino, end]
    yield from lines


def _lines(path: Path, offset: int) -> tuple[list[str], int]:
    with path.open("rb") as stream:
        stream.seek(offset)
        content = stream.read()
    complete = content[: content.rfind(b"\n") + 1]
    return complete.decode(errors="replace").splitlines(), offset + len(complete)


def _scrape(settings: Settings) -> Iterator[tuple[str, str]]:
    with client(ANSWER_WITHIN_S) as http:
        for service in settings.replicas:
            for instance in registry.lookup(settings, service):
                try:
                    answer = http.get(instance.url + settings.names.paths.metrics)
                except httpx.HTTPError:
                    continue
                yield instance.name, answer.text
