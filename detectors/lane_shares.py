"""How those who pass a sensor share its lanes, and how sure it is that one of them has lost most of its share.

How many take each lane is learned, and how much more the counts scatter than by chance. Whether a lane has been left is asked
by a cumulated sum: by how much likelier each interval's counts are if the lane kept only KEPT of its share than if it kept all
of it. The sum rises while a lane stays empty, and falls to nought, but not below, while it is used.

E. S. Page: Continuous inspection schemes, Biometrika 41 (1954), 100-115.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

KEPT = 0.4  # of its share is what a lane keeps beside what blocks it: some leave it late, some come back early
MOST = 14.0  # nats: a lane that is used again is believed after three intervals, however long it was empty
DOUBT = 3.0  # nats, a chance of one in 20: from here on nothing is learned
THIN = 0.5  # of the usual number that pass: fewer, as behind a closed road, keep to the right, and tell nothing of a lane
SLOW = 0.6  # of the lane's usual speed: slower it is a queue, as at a ramp, and those who can leave it
INTERVALS = 20  # that teach before anything is judged
LEARN = 0.03  # share of an interval in what is usual: 30 s make a quarter of an hour
UNSETTLED = 6  # intervals that do not teach yet, so that a lane is not judged by what it has just done
SPREAD = 0.02  # share of an interval in how much the counts scatter
SPREAD_LEAST, SPREAD_MOST = 1.0, 9.0  # times chance: vehicles that choose alone; what is no scattering any more
COMMON = 0.98  # a share nearer to all is taken for this: the logarithm ends there

Lanes = NDArray[np.float64]  # (n,), a number for each lane


class LaneShares:
    """Of the n lanes of one sensor.

    >>> lanes = LaneShares(3)
    >>> for _ in range(INTERVALS):
    ...     lanes.hear(np.array([9.0, 12.0, 11.0]), np.array([24.0, 27.0, 30.0]))
    >>> for _ in range(2):
    ...     lanes.hear(np.array([1.0, 15.0, 14.0]), np.array([24.0, 27.0, 30.0]))
    >>> lanes.evidence.round(1).tolist()
    [10.4, 0.0, 0.0]
    """

    def __init__(self, n: int) -> None:
        self.share = np.zeros(n)  # of those who pass, usually
        self.passing = 0.0  # in an interval, usually
        self.speed = np.full(n, np.nan)  # m/s, usually; NaN where nobody has passed yet
        self.evidence = np.zeros(n)  # nats, that the lane is left
        self._spread = np.ones(n)  # variance of its counts over that of chance
        self._heard = 0  # intervals that have taught
        self._unsettled: deque[Lanes] = deque()

    def hear(self, counts: Lanes, speeds: Lanes) -> None:
        """Vehicles in one interval and their mean speeds (m/s, NaN where unknown)."""
        passed, thin = counts.sum(), counts.sum() < THIN * self.passing
        if self._heard >= INTERVALS and not thin:
            self._weigh(counts, speeds)
        if self.evidence.max() < DOUBT:
            if passed and not thin:
                self._learn(counts, speeds)
            self.passing += max(LEARN, 1.0 / (self._heard + 1)) * (passed - self.passing)

    def pause(self) -> None:
        """Nothing was heard for long: what was gathered is void, what is usual stays."""
        self.evidence[:] = 0.0
        self._unsettled.clear()

    @property
    def usual_speed(self) -> float:
        """Mean speed of all who pass, m/s; 0 before anybody has."""
        return float(np.nansum(self.share * self.speed))

    def _weigh(self, counts: Lanes, speeds: Lanes) -> None:
        """Move the evidence on by one interval."""
        share, passed = np.minimum(self.share, COMMON), counts.sum()
        takes_it, takes_another = math.log(KEPT), np.log((1.0 - KEPT * share) / (1.0 - share))
        gained = counts * takes_it + (passed - counts) * takes_another
        self.evidence = np.clip(self.evidence + gained / np.maximum(self._spread, SPREAD_LEAST), 0.0, MOST)
        crawls = (counts > 0.0) & ~(speeds >= SLOW * self.speed)  # or nobody knows how fast they are
        self.evidence[crawls] = 0.0
        if np.nansum(counts * speeds) < SLOW * np.nansum(counts * self.speed):
            self.evidence[:] = 0.0  # all of them queue

    def _learn(self, counts: Lanes, speeds: Lanes) -> None:
        usual = np.where(np.isnan(self.speed), speeds, self.speed)
        self.speed = np.where(np.isnan(speeds), usual, usual + LEARN * (speeds - usual))
        self._unsettled.append(counts)
        if len(self._unsettled) <= UNSETTLED and self._heard >= INTERVALS:
            return
        counts = self._unsettled.popleft()
        passed = counts.sum()
        if self._heard:
            by_chance = np.maximum(passed * self.share * (1.0 - self.share), 0.5)
            scattered = np.minimum(np.square(counts - passed * self.share) / by_chance, SPREAD_MOST)
            self._spread += max(SPREAD, 1.0 / self._heard) * (scattered - self._spread)
        self._heard += 1
        self.share += max(LEARN, 1.0 / self._heard) * (counts / passed - self.share)
