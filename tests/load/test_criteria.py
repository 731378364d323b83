"""Thresholds as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.thresholds import GROWTHS, LATENCIES, METRICS, Criterion, parse


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("p95", "<= 2s", Criterion("p95", "at_most", 2.0, "s")),
        ("p95", "400ms", Criterion("p95", "at_most", 0.4, "s")),
        ("max", "<1m", Criterion("max", "at_most", 60.0, "s")),
        ("p99.9", "<= 1.5s", Criterion("p99.9", "at_most", 1.5, "s")),
        ("after.p99.9", "<= 4s", Criterion("p99.9", "at_most", 4.0, "s", "after")),
        ("after.p99", "<= 4s", Criterion("p99", "at_most", 4.0, "s", "after")),
        ("run-1.errors", "1%", Criterion("errors", "at_most", 1.0, "%", "run-1")),
        ("step 1.5.rate", "98 %", Criterion("rate", "at_least", 98.0, "%", "step 1.5")),
        ("shed", ">= 5%", Criterion("shed", "at_least", 5.0, "%")),
    ],
)
def test_what_is_read(name: str, text: str, expected: Criterion) -> None:
    read = parse(name, text)
    assert read == expected
    assert read.name == name


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p95", "<= 2", "no unit; allowed: ms, s, m"),
        ("p95", "<= 2%", "the unit '%'; allowed: ms, s, m"),
        ("errors", "<= 1", "no unit; allowed: %"),
        ("errors", "<= 101%", "allowed: 0% to 100%"),
        ("p95", "fast", "is no bound"),
        ("p97", "<= 2s", "known: p50"),
        (".p95", "<= 2s", "known: p50"),
        ("after.p9.9", "<= 2s", "known: p50"),
        ("p95", 2, "is no bound"),
    ],
)
def test_what_is_refused_in_one_line(name: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^threshold .*{said}.*$") as refused:
        parse(name, text)
    assert "\n" not in str(refused.value)


@given(st.text("abcp.9-", max_size=6), st.sampled_from(METRICS))
def test_every_stage_and_metric_come_back_as_they_were_written(stage: str, metric: str) -> None:
    unit = "s" if metric in LATENCIES else GROWTHS.get(metric, "%")
    name = f"{stage}.{metric}" if stage else metric
    read = parse(name, f"<= 1{unit}")
    if not name.endswith("p99.9"):
        assert (read.stage, read.metric) == (stage, metric)
    assert read.name == name


def test_a_bound_itself_holds() -> None:
    assert parse("p95", "< 1s").holds(1.0)
    assert not parse("p95", "< 1s").holds(1.01)
    assert parse("rate", "98%").holds(98.0)
    assert not parse("rate", "98%").holds(97.9)
