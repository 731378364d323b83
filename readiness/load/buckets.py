"""Log-linear buckets of latencies: counts that add up exactly over workers, with a stated error.

A bucket is one of 128 equal parts of an octave above 1 µs, as in HdrHistogram and DDSketch's log-linear variant
(Masson, Rim, Lee 2019, section 2.2). In the octave from 2^k to 2^(k+1) µs a bucket is 2^k/128 wide and lies above
2^k, and its middle stands for it: the error is at most (2^k/256) / 2^k = 1/256 = 0.39 % of the true value. `frexp`
takes a number apart without rounding, so that one value and an array of them always fall into the same bucket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import frexp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEPS = 128
"""Buckets in an octave."""
SMALLEST_S = 1e-6
"""The lower end of bucket 0; what is shorter counts in it."""
ERROR = 1 / (2 * STEPS)
"""The largest relative error of a bucket's value."""


def index(value_s: float) -> int:
    """Give the bucket of a latency in seconds."""
    scaled = value_s * 1e6
    if scaled < 1.0:
        return 0
    mantissa, exponent = frexp(scaled)
    return (exponent - 1) * STEPS + int((2 * mantissa - 1) * STEPS)


def indices(values_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give the bucket of each latency in seconds."""
    import numpy as np

    mantissas, exponents = np.frexp(np.maximum(np.asarray(values_s, dtype=np.float64) * 1e6, 1.0))
    parts: NDArray[np.int64] = ((2 * mantissas - 1) * STEPS).astype(np.int64)
    return (exponents.astype(np.int64) - 1) * STEPS + parts


def value_s(bucket: int) -> float:
    """Give the latency in seconds that stands for a bucket: its middle."""
    octave, part = divmod(bucket, STEPS)
    return math.ldexp(1 + (part + 0.5) / STEPS, octave) * SMALLEST_S


@dataclass(slots=True)
class Histogram:
    """How many latencies fell into each bucket."""

    counts: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values_s: Iterable[float] | NDArray[np.float64]) -> Histogram:
        """Count latencies given in seconds."""
        import numpy as np

        array = np.fromiter(values_s, dtype=np.float64) if not isinstance(values_s, np.ndarray) else values_s
        found, counts = np.unique(indices(array), return_counts=True)
        return cls(dict(zip(found.tolist(), counts.tolist(), strict=True)))

    def __len__(self) -> int:
        return sum(self.counts.values())

    def add(self, value_s: float, count: int = 1) -> None:
        """Count a latency in seconds."""
        bucket = index(value_s)
        self.counts[bucket] = self.counts.get(bucket, 0) + count

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram; nothing is lost by it."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def quantile(self, q: float) -> float | None:
        """Give the nearest-rank quantile in seconds (the ceil(q·n)-th smallest); None where nothing was counted."""
        n = len(self)
        if n == 0:
            return None
        rank = min(n, max(1, math.ceil(q * n - 1e-9)))
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= rank:
                break
        return value_s(bucket)

    def to_data(self) -> dict[str, int]:
        """Give the counts as JSON data."""
        return {str(bucket): count for bucket, count in sorted(self.counts.items())}

    @classmethod
    def from_data(cls, data: Mapping[str, int]) -> Histogram:
        """Read counts; raise ValueError where they are none."""
        counts = {int(bucket): int(count) for bucket, count in data.items()}
        if any(count < 0 for count in counts.values()):
            raise ValueError("a count of a histogram is negative")
        return cls(counts)
