"""What k successes of n trials prove about the share of successes."""

from __future__ import annotations

import math

LEVEL = 0.95
"""Confidence of each bound: one success proves 5 %, 29 in a row prove 90 %."""
_HALVINGS = 60
"""Bisection steps; 2^-60 is below the resolution of a float near one."""


def lower_bound(successes: int, trials: int, level: float = LEVEL) -> float:
    """The one-sided Clopper-Pearson lower bound of a share, found by bisection on the binomial tail.

    It is the share p at which k or more successes of n have the probability 1 - `level`. Source: C. J. Clopper and
    E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26
    (1934), 404-413. Raises ValueError unless 0 <= `successes` <= `trials`.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is not a count; allowed: 0 <= successes <= trials")
    if successes == 0:
        return 0.0
    below, above = 0.0, successes / trials
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if _tail(successes, trials, middle) < 1 - level:
            below = middle
        else:
            above = middle
    return below


def upper_bound(successes: int, trials: int, level: float = LEVEL) -> float:
    """The one-sided Clopper-Pearson upper bound of a share: the lower bound of the failures, mirrored."""
    return 1.0 - lower_bound(trials - successes, trials, level)


def _tail(successes: int, trials: int, share: float) -> float:
    """P(X >= `successes`) of a binomial with a share of at most `successes` / `trials`, where the terms only fall."""
    if share <= 0.0 or share >= 1.0:
        return float(share >= 1.0)
    odds = share / (1 - share)
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + successes * math.log(share)
        + (trials - successes) * math.log1p(-share)
    )
    total = term
    for count in range(successes, trials):
        term *= (trials - count) / (count + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return total
