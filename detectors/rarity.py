"""How surprising a count of rare occurrences is where so much was driven: a Gamma-Poisson rate that forgets, and its tail.

A place that often sees something is not surprised by it. Its rate is counted per metre driven, fades with a time constant of
45 minutes, and starts from what is usual elsewhere. The tail of the negative binomial, which is the Gamma-Poisson's forecast,
says how likely so many are if nothing is the matter. `place_rates` has one for every place.
"""

from __future__ import annotations

import math
from typing import Any

from river.base import AnomalyDetector

TAU = 45 * 60_000.0  # ms: rush hours come and go within it
PRIOR = 0.3  # occurrences that the expected rate weighs at a new place: rates differ widely from place to place
FEW = 5  # with a share of a half that many have a chance of more than 1e-3
BOLDEST = 1.0  # largest shape of the negative binomial: occurrences come in clumps however many a place has seen


class Rarity(AnomalyDetector):
    """A Gamma-Poisson rate with exponential forgetting, and the surprise of a count: -log10 of the chance of so many.

    Parameters
    ----------
    rate
        Occurrences per unit of exposure that are expected before anything is known.
    weight
        How many occurrences that expectation weighs.
    tau
        Time constant of forgetting, in the unit of `time`.

    Examples
    --------
    >>> place = Rarity(rate=0.001)
    >>> place.learn_one({"time": 0.0, "exposure": 10_000.0, "count": 0.0})
    >>> round(place.score_one({"time": 0.0, "exposure": 200.0, "count": 3.0}), 1)
    6.0

    References
    ----------
    Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6: the Poisson model with a Gamma prior.
    """

    def __init__(self, rate: float, weight: float = PRIOR, tau: float = TAU) -> None:
        self.rate = rate
        self.weight = weight
        self.tau = tau
        self._count = 0.0
        self._exposure = 0.0
        self._time = 0.0

    def learn_one(self, x: dict[Any, Any]) -> None:
        fade = math.exp((self._time - x["time"]) / self.tau)
        self._count = self._count * fade + x["count"]
        self._exposure = self._exposure * fade + x["exposure"]
        self._time = x["time"]

    def score_one(self, x: dict[Any, Any]) -> float:
        fade = math.exp((self._time - x["time"]) / self.tau)
        return surprise(x["count"], x["exposure"], self._count * fade, self._exposure * fade, self.rate, self.weight)


def surprise(count: float, exposure: float, known: float, driven: float, rate: float, weight: float = PRIOR) -> float:
    """-log10 P(N >= count) over `exposure`, after `known` occurrences in `driven`, with a prior of `weight` at `rate`."""
    if not count:
        return 0.0
    shape = known + weight
    mean = shape / (driven + weight / rate) * exposure
    return -math.log10(tail(count, min(shape, BOLDEST), mean))


def tail(count: float, shape: float, mean: float) -> float:
    """P(N >= count) of a negative binomial with this shape and mean, to nine digits however tiny it is.

    >>> round(tail(1, 1.0, 1.0), 6), round(tail(2, 1.0, 1.0), 6)
    (0.5, 0.25)
    """
    share = mean / (mean + shape)
    if share > 0.5 and count <= FEW:  # not tiny, and summing upwards would take long
        return 1.0 - sum(_chance(n, shape, share) for n in range(int(count)))
    total, n, term = 0.0, count, _chance(count, shape, share)
    while term > 1e-12 * total:
        total += term
        term *= share * (n + shape) / (n + 1)
        n += 1
    return min(1.0, max(total, 1e-300))


def _chance(count: float, shape: float, share: float) -> float:
    """P(N = count)."""
    return math.exp(
        math.lgamma(count + shape) - math.lgamma(shape) - math.lgamma(count + 1)
        + count * math.log(share) + shape * math.log1p(-share)
    )  # fmt: skip
