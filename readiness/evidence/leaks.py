"""Finds secrets where none belong: known values in every spelling, and credentials that have a format of their own.

A find is told by its place, its kind and a salted hash; the value itself is never kept. The formats are those of
detect-secrets whose match says "credential" by itself; its entropy and keyword detectors are left out, because a
request id or a documented option would count, and so are formats that ordinary identifiers have too.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol
from urllib.parse import quote, quote_plus

SHORTEST = 8
"""Known values shorter than this are ordinary words to a scan."""
_WORD_SHORTEST = 16
_PART_SHORTEST = 16
_FORMATS = {
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "jwt": "JwtTokenDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
}
# the words BEGIN PRIVATE KEY stand in every TLS library; a key has its body too, also where JSON has escaped the lines
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\r|\\n|\s|[A-Za-z-]+: [^\n\\]*)*([A-Za-z0-9+/=]{32,})"
)
_MASK = re.compile(r"[*x•.#_-]+|[<\[({$%].*|(?:password|passwd|pass|pwd|secret|redacted|masked|hidden|token)", re.I)


class Detector(Protocol):
    """What this module uses of a detector of detect-secrets."""

    secret_type: str

    def analyze_string(self, string: str) -> Iterator[str]:
        """Yield the secrets in a text."""
        ...


@dataclass(frozen=True, slots=True)
class Leak:
    """One secret where none belongs."""

    kind: str
    """The name under which the descriptor declares it, or the format."""
    place: str
    mark: str
    """A salted hash: equal marks of one scan are the same secret."""

    def __str__(self) -> str:
        return f"{self.kind} in {self.place} [{self.mark}]"


class LeakScanner:
    """Looks for known values and for formats; one scan has one salt."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._salt = secrets.token_bytes(16)
        self.too_weak = sorted(name for name, value in known.items() if not is_telling(value.strip()))
        """Names of known values that are too short or too plain to be looked for."""
        self.known = sorted(set(known) - set(self.too_weak))
        self._forms: dict[str, str] = {}
        self._parts: dict[str, list[str]] = {}
        for name in self.known:
            value = known[name].strip()
            for form in _spellings(value):
                self._forms.setdefault(form, name)
            self._parts[name] = _parts_of(value)
        self._values = {name: known[name].strip() for name in self.known}

    def find_known(self, text: str, place: str) -> list[Leak]:
        """Find known values, also encoded, and any half of one that is long enough to be no coincidence."""
        names = {name for form, name in self._forms.items() if form in text}
        names |= {n for n, parts in self._parts.items() if n not in names and any(part in text for part in parts)}
        return [Leak(name, place, self._hash(self._values[name])) for name in sorted(names)]

    def find_formats(self, text: str, place: str) -> list[Leak]:
        """Find credentials that are known by their format."""
        found = {
            (detector.secret_type, value)
            for detector in _detectors()
            for value in detector.analyze_string(text)
            if not _MASK.fullmatch(value)
        }
        found |= {("Private Key", match[1]) for match in _PRIVATE_KEY.finditer(text)}
        return [Leak(kind, place, self._hash(value)) for kind, value in sorted(found)]

    def find(self, text: str, place: str) -> list[Leak]:
        """Find both; a known value is told once, under its own name."""
        known = self.find_known(text, place)
        marks = {leak.mark for leak in known}
        return known + [leak for leak in self.find_formats(text, place) if leak.mark not in marks]

    def find_by_line(self, text: str, source: str) -> list[Leak]:
        """Find both in a longer text and tell the lines; a secret that spans lines is told without one."""
        if not (whole := self.find(text, source)):
            return []
        lines = [leak for n, line in enumerate(text.splitlines(), 1) for leak in self.find(line, f"{source}:{n}")]
        told = {(leak.kind, leak.mark) for leak in lines}
        return lines + [leak for leak in whole if (leak.kind, leak.mark) not in told]

    def mark(self, value: str) -> str:
        """Give the salted hash of a value that was found by other means."""
        return self._hash(value)

    def _hash(self, value: str) -> str:
        return hashlib.sha256(self._salt + value.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def is_telling(value: str) -> bool:
    """Whether a value is unlike ordinary words, so that finding it means something: long, or of mixed characters."""
    kinds = sum(bool(re.search(kind, value)) for kind in ("[a-z]", "[A-Z]", "[0-9]", "[^A-Za-z0-9]"))
    return len(value) >= SHORTEST and (kinds >= 2 or len(value) >= _WORD_SHORTEST)


def _parts_of(value: str) -> list[str]:
    """Every run of half the value, where that is long enough: what is left when a program shortens what it prints."""
    size = max(_PART_SHORTEST, -(-len(value) // 2))
    if len(value) <= size or "\n" in value:
        return []
    return [value[start : start + size] for start in range(len(value) - size + 1)]


def _spellings(value: str) -> set[str]:
    """The value as programs write it; base64 at each of its three alignments, since secrets stand in longer texts."""
    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, quote(value, safe=""), quote_plus(value), html.escape(value), raw.hex(), raw.hex().upper()}
    forms |= {json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        stable = encoded[-(-shift * 4 // 3) : (shift + len(raw)) * 4 // 3].decode()
        forms |= {stable, stable.translate(str.maketrans("+/", "-_"))}
    lines = [line.strip() for line in value.splitlines()]
    forms |= {line for line in lines if len(lines) > 1 and len(line) >= _PART_SHORTEST and not line.startswith("-----")}
    return forms


@cache
def _detectors() -> tuple[Detector, ...]:
    # imported where used: detect-secrets brings an HTTP client that a run without a scan does not need
    import importlib

    modules = ((importlib.import_module(f"detect_secrets.plugins.{module}"), name) for module, name in _FORMATS.items())
    return tuple(getattr(module, name)() for module, name in modules)
