"""Two load runs side by side: what of them is compared, and whether they may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from readiness.load.results import LoadResult
from readiness.load.samples import BROKEN, TIMED
from readiness.load.stats.compare import Series
from readiness.load.validity import invalid

if TYPE_CHECKING:
    from numpy.typing import NDArray


def series_of(result: LoadResult, utilisation: NDArray[np.float64] | None = None) -> Series:
    """Give a run's transactions and seconds as `compare` wants them; of a run that is not all raw, the raw part."""
    samples = result.recorded()
    timed = np.isin(samples["outcome"], TIMED)
    latencies_s = np.where(timed, samples["ended_s"] - samples["intended_s"], np.nan)
    seconds = result.seconds if result.raw else result.seconds[: int(samples["intended_s"].max(initial=0.0))]
    served = np.array([row.ok for row in seconds], dtype=np.float64)
    return Series(latencies_s, np.isin(samples["outcome"], BROKEN), served, utilisation)


def unlike(a: LoadResult, b: LoadResult) -> Iterator[str]:
    """Say in one line each why two runs cannot be compared; nothing where they can."""
    for name, result in (("A", a), ("B", b)):
        for reason in invalid(result):
            yield f"{name} is INVALID: {reason}"
    for what in ("model", "variant", "arrivals"):
        one, other = getattr(a.plan, what), getattr(b.plan, what)
        if one != other:
            yield f"A and B were not asked the same: {what} {one} and {other}"
    rates = [[(stage.name, stage.rate_from, stage.rate_to) for stage in each.plan.stages] for each in (a, b)]
    if rates[0] != rates[1]:
        told = [", ".join(f"{name} {low:g}-{high:g}/s" for name, low, high in each) for each in rates]
        yield f"A and B were not asked the same: {told[0]} and {told[1]}"
