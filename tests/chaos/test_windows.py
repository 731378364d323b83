"""Windows partition the traffic, and a promise holds, is broken, or cannot be told with so few."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.chaos.windows import Figures, Kept, Window, differences, figures, judge, needed, newcombe, promises
from tests.chaos.trials import WINDOWS, at, sent, stretch


def kept(raw: dict[str, dict[str, str]], good: int, bad: int, took_s: float = 0.2) -> Kept:
    traffic = [sent(41 + n / 100, n >= bad, took_s) for n in range(good + bad)]
    (promise,) = promises(raw)
    return judge(promise, figures(traffic, WINDOWS))


def test_what_touches_the_fault_belongs_to_it() -> None:
    traffic = [
        sent(1),
        sent(19.9, took_s=0.05),
        sent(19.9, took_s=0.2),
        sent(30),
        sent(39.9, took_s=9),
        sent(40),
        replace(sent(5), outcome="pending", ended_at=None, latency_s=None),
    ]
    seen = figures(traffic, WINDOWS)
    assert [(name, one.sent, one.bad) for name, one in seen.items()] == [
        ("before", 2, 0),
        ("fault", 4, 1),
        ("after", 1, 0),
    ]


def test_several_faults_are_one_disturbed_stretch() -> None:
    windows = [Window("fault", at(20), at(22)), Window("fault", at(30), at(32))]
    assert figures([sent(25)], windows)["fault"].sent == 1


def test_what_was_sent_while_it_recovered_is_the_recoverys() -> None:
    windows = (*WINDOWS[:2], Window("after", at(44), at(60)))
    seen = figures(stretch(0, 60, bad=range(40, 44)), windows)
    assert [(one.sent, one.bad) for one in seen.values()] == [(40, 0), (40, 0), (32, 0)]


def test_a_trial_without_a_fault_window_has_no_figures() -> None:
    assert figures(stretch(0, 60), WINDOWS[:1]) == {}


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60), st.booleans()), max_size=30))
def test_every_transaction_is_in_exactly_one_window(rows: list[tuple[float, float, bool]]) -> None:
    seen = figures([sent(s, good, took_s) for s, took_s, good in rows], WINDOWS)
    assert sum(one.sent for one in seen.values()) == len(rows)
    assert all(one.share_lo <= (one.share or 0) <= one.share_hi for one in seen.values() if one.sent)


@pytest.mark.parametrize(
    ("good", "bad", "holds"),
    [(14, 0, True), (13, 0, None), (23, 1, True), (22, 2, None), (12, 12, False), (0, 2, False), (0, 1, None)],
)
def test_errors_are_judged_by_their_bounds(good: int, bad: int, holds: bool | None) -> None:
    found = kept({"after": {"errors": "<= 20%"}}, good, bad)
    assert found.holds is holds
    assert f"{bad} of {good + bad} failed" in found.text
    assert ("14 without one would" in found.text) == (holds is None)


@pytest.mark.parametrize(("n", "took_s", "holds"), [(59, 1.9, True), (58, 1.9, None), (2, 2.1, False)])
def test_a_quantile_is_judged_as_a_share(n: int, took_s: float, holds: bool | None) -> None:
    assert kept({"after": {"p95": "<= 2s"}}, n, 0, took_s).holds is holds


def test_what_has_no_data_cannot_be_told() -> None:
    assert kept({"during": {"errors": "<= 5%"}}, 9, 0).holds is None
    assert "no transaction was sent" in kept({"during": {"errors": "<= 5%"}}, 9, 0).text
    assert kept({"after": {"p95": "<= 2s"}}, 0, 9).holds is None


@given(st.integers(1, 80), st.data(), st.integers(1, 98))
def test_a_stricter_promise_never_holds_more(n: int, data: st.DataObject, percent: int) -> None:
    bad = data.draw(st.integers(0, n))
    strict = kept({"after": {"errors": f"<= {percent}%"}}, n - bad, bad).holds
    lax = kept({"after": {"errors": f"<= {percent + 1}%"}}, n - bad, bad).holds
    order = [False, None, True]
    assert order.index(strict) <= order.index(lax)


def test_the_counts_that_the_literature_gives() -> None:
    assert [needed(share) for share in (0.5, 0.8, 0.9, 0.95, 0.99)] == [5, 14, 29, 59, 299]
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 and 9/10 - 3/10.
    assert newcombe((56, 70), (48, 80)) == pytest.approx((0.0524, 0.3339), abs=2e-4)
    assert newcombe((9, 10), (3, 10)) == pytest.approx((0.1705, 0.8090), abs=2e-4)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_difference_lies_inside_its_interval_and_turns_with_it(n: int, m: int, data: st.DataObject) -> None:
    k, j = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    low, high = newcombe((k, n), (j, m))
    assert -1 <= low <= k / n - j / m + 1e-9
    assert k / n - j / m - 1e-9 <= high <= 1
    assert newcombe((j, m), (k, n)) == pytest.approx((-high, -low))


def test_the_fault_is_told_beside_the_control() -> None:
    traffic = [*stretch(0, 20), *stretch(20, 40, bad=range(20, 30), took_s=0.9), *stretch(40, 60)]
    seen = figures(traffic, WINDOWS)
    told = {one.what: one for one in differences(seen["before"], seen["fault"])}
    assert told["share as meant"].value == pytest.approx(-20 / 41, abs=0.03)
    assert told["share as meant"].high < 0
    assert 0.6 < told["p50 latency"].low <= told["p50 latency"].value <= told["p50 latency"].high < 0.8
    nothing = Figures("fault", 0, 0, None, 0, 1, ())
    assert differences(seen["before"], nothing) == ()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({"before": {"errors": "<= 5%"}}, "promises.before: no such stretch of an experiment; allowed: during, after"),
        ({"during": {"max": "<= 5s"}}, "promises.during.max: not promised of an experiment; allowed: errors, p50"),
        ({"during": {"errors": ">= 5%"}}, "promises.during.errors: '>= 5%' is a lower bound"),
        ({"after": {"errors": "<= 0%"}}, "promises.after.errors: '<= 0%' cannot be shown"),
        ({"after": {"p95": "<= 5%"}}, "threshold p95: '<= 5%' has the unit '%'; allowed: ms, s, m"),
        ({"after": "p95 <= 5s"}, "promises.after: 'p95 <= 5s' is no mapping"),
    ],
)
def test_a_promise_that_is_none_is_refused_in_one_line(raw: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(ValueError, match="^" + said.replace("(", r"\(")) as refused:
        promises(raw)
    assert "\n" not in str(refused.value)
