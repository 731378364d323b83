"""Buckets: the stated error, exact merging, one value and an array alike."""

from __future__ import annotations

import json
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from readiness.load.buckets import ERROR, Histogram, index, indices, value_s

TIMES_S = st.floats(min_value=1e-6, max_value=1e5)
MANY = st.lists(TIMES_S, min_size=1, max_size=200)


@given(TIMES_S)
def test_a_bucket_stands_for_its_values_within_the_stated_error(time_s: float) -> None:
    assert ERROR < 0.008
    assert abs(value_s(index(time_s)) - time_s) <= ERROR * time_s * (1 + 1e-12)


@given(st.lists(st.floats(min_value=-1.0, max_value=1e5), min_size=1))
def test_an_array_falls_into_the_same_buckets(times_s: list[float]) -> None:
    assert indices(np.array(times_s)).tolist() == [index(time_s) for time_s in times_s]


@given(TIMES_S, TIMES_S)
def test_buckets_are_in_the_order_of_their_values(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert index(low) <= index(high)


def test_what_is_too_short_or_negative_counts_in_the_first_bucket() -> None:
    assert [index(0.0), index(-1.0), index(1e-9), index(1e-6)] == [0, 0, 0, 0]


@given(MANY, MANY)
def test_merging_loses_nothing(one: list[float], other: list[float]) -> None:
    merged = Histogram.of(one)
    merged.merge(Histogram.of(other))
    assert merged == Histogram.of([*one, *other])
    assert len(merged) == len(one) + len(other)


@given(MANY, st.floats(min_value=0.0, max_value=1.0))
def test_a_quantile_is_the_nearest_rank_within_the_error(times_s: list[float], q: float) -> None:
    exact = sorted(times_s)[max(0, math.ceil(q * len(times_s) - 1e-9) - 1)]
    found = Histogram.of(times_s).quantile(q)
    assert found is not None
    assert abs(found - exact) <= ERROR * exact * (1 + 1e-12)


def test_nothing_counted_has_no_quantile() -> None:
    assert Histogram().quantile(0.5) is None


@given(MANY)
def test_counts_are_read_as_they_were_written(times_s: list[float]) -> None:
    histogram = Histogram()
    for time_s in times_s:
        histogram.add(time_s)
    assert Histogram.from_data(json.loads(json.dumps(histogram.to_data()))) == histogram == Histogram.of(times_s)
