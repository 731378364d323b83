"""`docs/gates/` is what the gates say of themselves; `readiness catalogue --markdown --into docs/gates` writes it."""

from __future__ import annotations

from pathlib import Path

from readiness.catalogue import all_gates
from readiness.explain import pages

FOLDER = Path(__file__).parents[2] / "docs" / "gates"


def test_the_pages_are_current() -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
    assert written == dict(pages(all_gates()))


def test_every_gate_says_all_that_a_reader_needs() -> None:
    silent = [
        f"{gate.info.id}: {part}"
        for gate in all_gates()
        for part in ("summary", "why", "measures", "red", "mend")
        if not getattr(gate.info, part)
    ]
    assert silent == []
