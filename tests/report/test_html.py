"""The page is one whole file that needs no network, escapes everything, and links only to what it has."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from readiness.report import write_format
from readiness.score import Decision
from tests.report.history import write_history
from tests.report.stories import HOSTILE, NOT_READY, READY, Story, Told, hostile

VOID = {"meta", "link", "br", "use", "path", "circle", "rect", "line"}


class Page(HTMLParser):
    """Collects elements and text, and fails on an element that is closed in the wrong place."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._open: list[str] = []
        self.feed(source)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        (self.scripts if inside == "script" else self.text).append(data)

    def all(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


def page(folder: Path, story: Story) -> Page:
    write_format(write_history(folder, story), "html")
    return Page((folder / "report.html").read_text(encoding="utf-8"))


STORIES = {
    Decision.READY: READY,
    Decision.NOT_READY: NOT_READY,
    Decision.UNPROVEN: replace(READY, complete=False, interrupted="SIGINT"),
    Decision.PARTIAL: replace(READY, left_out=("OPS-BAK-003", "SEC-ACC-001")),
    Decision.CONDITIONAL: replace(READY, told={"OPS-BAK-003": Told(weakened=("incremental_age_s",))}),
}


@pytest.mark.parametrize("decision", STORIES)
def test_every_decision_has_a_page(decision: Decision, tmp_path: Path) -> None:
    made = page(tmp_path, STORIES[decision])
    assert decision.replace("_", " ") in made.text
    assert f"#i-D-{decision}" in made.all("href")


@pytest.fixture(params=[READY, NOT_READY, hostile(NOT_READY)], ids=["ready", "not ready", "hostile"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Page:
    return page(tmp_path, request.param)


def test_it_loads_nothing(made: Page) -> None:
    sources = [value for name in ("src", "srcset", "poster", "data", "action") for value in made.all(name)]
    assert sources == []
    outside = [
        link for link in made.all("href") if not link.startswith(("#", "data:,", "evidence/", "load/", "chaos/"))
    ]
    assert outside == []
    policy = next(a["content"] for tag, a in made.elements if tag == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_the_only_script_is_ours_and_the_policy_names_it(made: Page) -> None:
    (script,) = made.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert any(f"'sha256-{digest}'" in content for content in made.all("content"))
    assert not any(name.startswith("on") for _, attributes in made.elements for name in attributes)


def test_every_link_inside_has_a_target_and_every_id_is_one(made: Page) -> None:
    ids = made.all("id")
    assert len(ids) == len(set(ids))
    inside = {link[1:] for link in made.all("href") if link.startswith("#")}
    assert inside <= set(ids)
    labelled = set(made.all("aria-labelledby"))
    assert labelled <= set(ids)


def test_hostile_text_is_shown_as_text(tmp_path: Path) -> None:
    made = page(tmp_path, hostile(NOT_READY))
    shown = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")
    assert "".join(made.text).count(shown) >= 19 * 2
    assert len(made.scripts) == 1


def test_headings_go_down_one_level_at_a_time(made: Page) -> None:
    levels = [int(tag[1]) for tag, _ in made.elements if re.fullmatch("h[1-5]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(lower <= higher + 1 for higher, lower in pairwise(levels))


def test_pictures_are_told_in_words_and_colour_never_stands_alone(made: Page) -> None:
    for tag, attributes in made.elements:
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
        if tag == "a" and "cell" in attributes.get("class", "").split():
            assert re.search(r": (Pass|Fail|Unknown|Stale|Left out|Not applicable)$", attributes["aria-label"])


def test_the_first_screen_tells_measured_against_limit_and_what_to_do(tmp_path: Path) -> None:
    text = " ".join(" ".join(page(tmp_path, NOT_READY).text).split())
    first = text[: text.index("Timeline of the drills")]
    for told in (
        "5 h 12 min",
        "limit at most 1 h 6 min",
        "run the incremental backup every hour",
        "failing since 2026-11-22",
    ):
        assert told in first


def test_evidence_is_linked_with_its_hash(tmp_path: Path) -> None:
    made = page(tmp_path, NOT_READY)
    links = [link for link in made.all("href") if link.startswith("evidence/")]
    assert len(links) == 18
    assert "in run 2026-11-19T081200Z-gameday: evidence/OPS-REC-004/observations.json" in made.text
    assert all((tmp_path / link).is_file() for link in links)
    assert len(re.findall(r"\b[0-9a-f]{64}\b", " ".join(made.text))) >= 19


def test_changed_limits_stand_beside_their_default(tmp_path: Path) -> None:
    text = " ".join(" ".join(page(tmp_path, NOT_READY).text).split())
    assert "at most 1 h 6 min , default 1 h" in text
    assert "the hourly job may run ten per cent late" in text
    assert "OBS-TRC-001" in text
