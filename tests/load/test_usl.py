"""Known coefficients of the Universal Scalability Law come back from what they give."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.load.stats.usl import Usl, fit

REPLICAS = np.array([1, 2, 4, 8, 16, 32])


@given(st.floats(1, 1e4), st.floats(0.01, 0.5), st.floats(1e-4, 0.02))
@settings(max_examples=30, deadline=None)
def test_known_coefficients_are_recovered(lambda_: float, sigma: float, kappa: float) -> None:
    true = Usl(lambda_, sigma, kappa)
    found = fit(REPLICAS, [true.throughput(n) for n in REPLICAS])
    assert found.lambda_ == pytest.approx(lambda_, rel=0.01)
    assert found.sigma == pytest.approx(sigma, abs=0.005)
    assert found.kappa == pytest.approx(kappa, abs=0.0005)


def test_a_noisy_peak_is_found() -> None:
    true = Usl(100.0, 0.02, 0.0004)
    replicas = np.array([1, 2, 4, 8, 16, 32, 64, 96])
    noise = np.random.default_rng(5).normal(1, 0.03, replicas.size)
    found = fit(replicas, np.array([true.throughput(n) for n in replicas]) * noise)
    assert true.peak_at == pytest.approx(49.5, abs=0.1)
    assert found.peak_at == pytest.approx(true.peak_at, rel=0.15)
    assert found.peak == pytest.approx(true.peak, rel=0.1)


def test_a_global_lock_shows_as_contention_and_free_replicas_as_none() -> None:
    locked = fit([1, 2, 4], [50, 52, 51])
    assert locked.sigma > 0.8
    assert locked.efficiency(4) < 0.35
    free = fit([1, 2, 4], [50, 100, 200])
    assert free.efficiency(4) == pytest.approx(1.0, abs=0.02)
    assert free.peak > 1000


def test_the_peak_without_coherency_cost_is_only_approached() -> None:
    assert Usl(10.0, 0.1, 0.0).peak_at == math.inf
    assert Usl(10.0, 0.1, 0.0).peak == pytest.approx(100.0)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(ValueError, match="three different numbers"):
        fit([1, 2, 2], [1, 2, 2])
    with pytest.raises(ValueError, match="above 0"):
        fit([1, 2, 4], [1, 0, 2])
