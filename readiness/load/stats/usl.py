"""How throughput grows with replicas: Gunther's Universal Scalability Law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Usl:
    """The law's coefficients, and where it peaks."""

    lambda_: float
    """Throughput of one replica, in the unit of the throughputs."""
    sigma: float
    """Contention: the share that is done one after the other (Amdahl's)."""
    kappa: float
    """Coherency: what every pair of replicas costs."""

    @property
    def peak_at(self) -> float:
        """The number of replicas beyond which more serve less: sqrt((1 - σ) / κ); infinite without coherency cost."""
        return math.sqrt(max(0.0, 1 - self.sigma) / self.kappa) if self.kappa > 0 else math.inf

    @property
    def peak(self) -> float:
        """The highest throughput; λ / σ where it is only approached, infinite where nothing holds it."""
        if math.isfinite(self.peak_at):
            return self.throughput(max(1.0, self.peak_at))
        return self.lambda_ / self.sigma if self.sigma > 0 else math.inf

    def throughput(self, replicas: float) -> float:
        """Give the throughput of so many replicas: λN / (1 + σ(N - 1) + κN(N - 1))."""
        return float(_law(np.asarray(replicas, dtype=np.float64), self.lambda_, self.sigma, self.kappa))

    def efficiency(self, replicas: float) -> float:
        """Give the share of N times one replica's throughput that N replicas reach, by the law."""
        return self.throughput(replicas) / (replicas * self.lambda_)


def fit(replicas: ArrayLike, throughputs: ArrayLike) -> Usl:
    """Fit the law to throughputs measured at numbers of replicas (or of users), both of shape (n,), n >= 3.

    N. J. Gunther, Guerrilla Capacity Planning, 2007, ch. 4-6. Least squares of the relative errors, with σ in [0, 1]
    and κ >= 0, since noise would else give costs below nothing. ValueError where three coefficients cannot follow:
    fewer than three different numbers of replicas, or a throughput that is not above 0.
    """
    from scipy.optimize import least_squares

    n, x = np.asarray(replicas, dtype=np.float64), np.asarray(throughputs, dtype=np.float64)
    if n.shape != x.shape or np.unique(n).size < 3:
        raise ValueError("the law has three coefficients: measure at three different numbers of replicas or more")
    if (n < 1).any() or not (x > 0).all():
        raise ValueError("replicas are at least 1, and throughputs are above 0")
    scale = float(np.median(x / n))

    def errors(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        return _law(n, coefficients[0] * scale, coefficients[1], coefficients[2]) / x - 1

    found = least_squares(
        errors, [1.0, 0.05, 0.001], bounds=([1e-9, 0, 0], [np.inf, 1, np.inf]), x_scale=[1, 0.1, 0.01]
    )
    return Usl(float(found.x[0]) * scale, float(found.x[1]), float(found.x[2]))


def _law(n: NDArray[np.float64], lambda_: float, sigma: float, kappa: float) -> NDArray[np.float64]:
    throughput: NDArray[np.float64] = lambda_ * n / (1 + sigma * (n - 1) + kappa * n * (n - 1))
    return throughput
