"""Files that people write, read into models: every mistake is one line with its place, its remedy and no traceback."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from readiness.descriptor import Descriptor
from readiness.loading.documents import Document, Problem, read_document, refusal, shown
from readiness.loading.mistakes import mistakes
from readiness.loading.references import reference_problems

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class DescriptorFile:
    """A descriptor and the file it came from; its paths are relative to the file's folder."""

    descriptor: Descriptor
    path: Path
    content: bytes = field(default=b"", repr=False, compare=False)
    lines: Document | None = field(default=None, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """The folder that the descriptor's paths are relative to."""
        return self.path.resolve().parent

    def resolve(self, path: Path | str) -> Path:
        """Return a path of the descriptor as an absolute one."""
        return self.folder / path

    @property
    def sha256(self) -> str:
        """The digest of the file's bytes."""
        return hashlib.sha256(self.content).hexdigest()

    def line(self, *place: str | int) -> int:
        """Return the line where a value of the descriptor stands, or that of the nearest one around it."""
        return self.lines.line(place) if self.lines is not None else 1


def load(path: Path, model: type[Model], *, format_key: str | None = None) -> Model:
    """Read a YAML file into a model; UsageError has one line for each problem, at most twenty.

    `format_key` is the key that tells the version of the file's format, which is 1 today.
    """
    return load_with_lines(path, model, format_key=format_key)[0]


def load_with_lines(path: Path, model: type[Model], *, format_key: str | None = None) -> tuple[Model, Document]:
    """Read a YAML file into a model as `load` does, and return with it where each value stands."""
    document = read_document(path)
    return _validated(document, model, format_key), document


def load_descriptor(path: Path) -> DescriptorFile:
    """Read a descriptor, with the cross references in it checked."""
    descriptor, document = load_with_lines(path, Descriptor, format_key="readiness")
    problems = [Problem(document.line(place), text) for place, text in reference_problems(descriptor)]
    if problems:
        raise refusal(path, problems)
    return DescriptorFile(descriptor, path, document.content, document)


def _validated(document: Document, model: type[Model], format_key: str | None) -> Model:
    path = document.path
    if not isinstance(document.data, dict):
        raise refusal(path, [Problem(document.line(()), "not a mapping; allowed: `key: value` lines")])
    if format_key is not None:
        _check_format(document, format_key)
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        found = mistakes(error, model, document.data)
        raise refusal(path, [Problem(document.line(place), text) for place, text in found]) from None


def _check_format(document: Document, key: str) -> None:
    """Refuse another version of the format before anything else: its other keys would only mislead."""
    given = document.data.get(key)
    if given == 1 and isinstance(given, int) and not isinstance(given, bool):
        return
    line = document.line((key,))
    if given is None:
        text = f"`{key}` is missing; write `{key}: 1`, the version of this format, as the first line"
    elif isinstance(given, int) and not isinstance(given, bool) and given > 1:
        text = f"format {given} is newer than this program reads (1); update nexus-readiness, or write `{key}: 1`"
    elif given == 0 and not isinstance(given, bool):
        text = f"format 0 is a draft that is not read any more; write `{key}: 1`, and mend what is then reported"
    else:
        text = f"{shown(given)} is no version of this format; allowed: 1"
    raise refusal(document.path, [Problem(line, text)])
