from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from readiness.gates.recovery import (
    restore_ends_within_the_objective,
    restored_environment_answers_like_the_source,
    restored_environment_equals_the_source,
)
from readiness.inventory import ComponentCount
from readiness.model import Outcome
from tests.gates.house import QUESTIONS, Clock, Faults, ended, failed, judge

Counts = dict[str, ComponentCount]
PROMPT = replace(failed("restore"), stdout="80 % restored. Go on? [y/N] ")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().rule(monkeypatch)


def taking(seconds: float) -> Faults:
    return Faults(restore=replace(ended("restore"), duration_s=seconds))


def with_component(name: str, count: int | None, hash: str = "other") -> Callable[[Counts], Counts]:
    """Replace a component's count and hash, or take it out."""

    def change(there: Counts) -> Counts:
        rest = {key: value for key, value in there.items() if key != name}
        return rest if count is None else {**rest, name: ComponentCount(count, hash)}

    return change


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (taking(7200 * 0.8), Outcome.PASS),
        (taking(7200 * 1.2), Outcome.FAIL),
        (Faults(restore=failed("restore", "index missing")), Outcome.FAIL),
        (Faults(restore=PROMPT), Outcome.FAIL),
        (Faults(restore=replace(PROMPT, exit_code=None, timed_out=True)), Outcome.FAIL),
        (Faults(transaction=lambda _h, one: replace(one, outcome="failure", error="no")), Outcome.FAIL),
        (Faults(restored_addresses=("http://127.0.0.1:1", "http://127.0.0.1:192")), Outcome.UNKNOWN),
    ],
)
def test_a_restore_ends_unattended_in_time_and_works(faults: Faults, outcome: Outcome, tmp_path: Path) -> None:
    found, why = judge(restore_ends_within_the_objective, tmp_path, faults)
    assert found is outcome, why


def test_the_question_that_a_restore_asked_is_told(tmp_path: Path) -> None:
    _, why = judge(restore_ends_within_the_objective, tmp_path, Faults(restore=PROMPT))
    assert "Go on? [y/N]" in why


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(held=with_component("user_data", 9)), Outcome.FAIL),
        (Faults(held=with_component("user_data", 10)), Outcome.FAIL),
        (Faults(held=with_component("user_data", 20)), Outcome.FAIL),
        (Faults(held=with_component("user_data", None)), Outcome.FAIL),
        (Faults(held=with_component("knowledge", 0)), Outcome.FAIL),
        (
            Faults(after=with_component("user_data", 11, "new"), held=with_component("user_data", 11, "new")),
            Outcome.PASS,
        ),
        (Faults(after=with_component("user_data", 11, "new")), Outcome.PASS),
        (Faults(after=with_component("user_data", 12), held=with_component("user_data", 11, "mid")), Outcome.UNKNOWN),
        (Faults(after=with_component("user_data", 12), held=with_component("user_data", 9, "mid")), Outcome.FAIL),
        (Faults(held=with_component("logs_and_metrics", 11)), Outcome.UNKNOWN),
        (Faults(held=with_component("logs_and_metrics", 9)), Outcome.FAIL),
        (Faults(recall=lambda house, _marker: house.folder.name != "spare"), Outcome.FAIL),
        (Faults(recall=lambda house, _marker: None if house.folder.name == "spare" else True), Outcome.UNKNOWN),
        (Faults(restore=failed("restore")), Outcome.UNKNOWN),
        (Faults(restored_addresses=("http://127.0.0.1:1", "http://127.0.0.1:192")), Outcome.UNKNOWN),
    ],
)
def test_what_was_restored_equals_what_was_there(faults: Faults, outcome: Outcome, tmp_path: Path) -> None:
    found, why = judge(restored_environment_equals_the_source, tmp_path, faults)
    assert found is outcome, why


def forgets(question: str) -> str:
    return "I do not know" if question == next(iter(QUESTIONS)) else QUESTIONS[question]


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(restored_answers=forgets), Outcome.FAIL),
        (Faults(restored_answers=lambda _q: ""), Outcome.FAIL),
        (Faults(restored_answers=lambda q: q), Outcome.FAIL),
        (Faults(restore=failed("restore")), Outcome.UNKNOWN),
    ],
)
def test_the_restored_environment_answers_what_the_source_answers(
    faults: Faults, outcome: Outcome, tmp_path: Path
) -> None:
    found, why = judge(restored_environment_answers_like_the_source, tmp_path, faults)
    assert found is outcome, why


def test_a_question_that_holds_its_own_answer_proves_nothing(tmp_path: Path) -> None:
    echo = [{"question": "Is it nine metres deep?", "expect": "nine metres"}]
    assert judge(restored_environment_answers_like_the_source, tmp_path, golden=echo)[0] is Outcome.UNKNOWN


@pytest.mark.parametrize("hidden", ["procedures__restore", "procedures__inventory", "recovery", "procedures__discard"])
def test_what_is_missing_for_a_restore_is_named(hidden: str, tmp_path: Path) -> None:
    outcome, why = judge(restored_environment_equals_the_source, tmp_path, **{hidden: None})
    assert outcome is Outcome.UNKNOWN and hidden.replace("__", ".") in why
