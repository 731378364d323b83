"""Secrets taken out of everything that a run writes or prints: a salted hash stays in their place."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Shorter values are words of their own and would redact ordinary text."""
_LINE_SHORTEST = 16
_MARK = r"\[secret:[0-9a-f]{8}\]"


class Redactor:
    """Knows the secrets of one run and puts `[secret:<salted hash>]` where one of them stands.

    The salt is random for each redactor, so that a hash says "the same secret as there" within a run and nothing else.
    """

    def __init__(self) -> None:
        self._salt = secrets.token_bytes(16)
        self._forms: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def add(self, secret: str) -> None:
        """Take a value out of everything from now on; values shorter than six characters are ignored."""
        value = secret.strip()
        if len(value) < SHORTEST:
            return
        mark = self._hash(value)
        forms = dict.fromkeys((form for part in _parts(value) for form in _spellings(part)), mark)
        with self._lock:
            self._forms = {**forms, **self._forms}
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            self._pattern = re.compile("|".join((_MARK, *map(re.escape, longest_first))))

    def redact(self, text: str) -> str:
        """Return the text with every known secret replaced, also where it is base64 or URL quoted."""
        pattern = self._pattern
        return text if pattern is None else pattern.sub(self._replacement, text)

    def redact_data(self, data: object) -> object:
        """Return JSON-like data with every text in it redacted, keys included."""
        if isinstance(data, str):
            return self.redact(data)
        if isinstance(data, Mapping):
            return {self.redact(str(key)): self.redact_data(value) for key, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.redact_data(value) for value in data]
        return data

    def find(self, text: str) -> list[str]:
        """Return the salted hash of each known secret that stands in the text, in order of first appearance."""
        pattern = self._pattern
        if pattern is None:
            return []
        found = (self._forms.get(match[0]) for match in pattern.finditer(text))
        return list(dict.fromkeys(mark for mark in found if mark is not None))

    def _replacement(self, match: re.Match[str]) -> str:
        mark = self._forms.get(match[0])
        return match[0] if mark is None else f"[secret:{mark}]"

    def _hash(self, value: str) -> str:
        return hashlib.sha256(self._salt + value.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _parts(value: str) -> Iterator[str]:
    """The whole value, and each long line of one with several: logs print keys line by line."""
    yield value
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:
        yield from (line for line in lines if len(line) >= _LINE_SHORTEST and not line.startswith("-----"))


def _spellings(value: str) -> Iterator[str]:
    """The value as programs write it; base64 at each of its three alignments, since secrets stand in longer texts."""
    yield value
    yield quote(value, safe="", errors="surrogatepass")
    yield quote_plus(value, errors="surrogatepass")
    yield html.escape(value)
    for ascii_only in (True, False):
        yield json.dumps(value, ensure_ascii=ascii_only)[1:-1]
    raw = value.encode("utf-8", "surrogatepass")
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + raw)
        first = -(-shift * 4 // 3)
        last = (shift + len(raw)) * 4 // 3
        stable = encoded[first:last].decode("ascii")
        yield stable
        yield stable.translate(str.maketrans("+/", "-_"))
