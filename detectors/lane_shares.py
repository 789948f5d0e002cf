"""How those who pass a sensor share its lanes, and how sure it is that one of them has lost most of its share.

How many take each lane is learned, and how much more the counts scatter than by chance. Whether a lane has been left is asked
by a cumulated sum: by how much likelier each interval's counts are if the lane kept only KEPT of its share than if it kept all
of it. The sum rises while a lane stays empty, and falls to nought, but not below, while it is used.

E. S. Page: Continuous inspection schemes, Biometrika 41 (1954), 100-115.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

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
NEWEST = 8  # intervals of which it is remembered how many passed
COMMON = 0.98  # a share nearer to all is taken for this: the logarithm ends there


@dataclass(slots=True)
class Lane:
    """What is usual in it, and what speaks against it."""

    share: float = 0.0  # of those who pass
    speed: float = math.nan  # m/s; NaN where nobody has passed yet
    spread: float = 1.0  # variance of its counts over that of chance
    evidence: float = 0.0  # nats, that it is left

    def weigh(self, count: float, passed: float) -> None:
        """Move the evidence on by an interval in which `count` of all who `passed` took it."""
        share = min(self.share, COMMON)
        gained = count * math.log(KEPT) + (passed - count) * math.log((1.0 - KEPT * share) / (1.0 - share))
        self.evidence = min(max(self.evidence + gained / max(self.spread, SPREAD_LEAST), 0.0), MOST)

    def crawls(self, count: float, speed: float) -> bool:
        """Whether those who took it queue, or nobody knows how fast they are."""
        return count > 0.0 and not speed >= SLOW * self.speed

    def learn(self, count: float, passed: float, heard: int) -> None:
        """The same interval, when it has settled; `heard` have before it."""
        if heard:
            by_chance = max(passed * self.share * (1.0 - self.share), 0.5)
            scattered = min((count - passed * self.share) ** 2 / by_chance, SPREAD_MOST)
            self.spread += max(SPREAD, 1.0 / heard) * (scattered - self.spread)
        self.share += max(LEARN, 1.0 / (heard + 1)) * (count / passed - self.share)


class LaneShares:
    """Of the n lanes of one sensor.

    >>> sensor = LaneShares(3)
    >>> for _ in range(INTERVALS):
    ...     sensor.hear([9.0, 12.0, 11.0], [24.0, 27.0, 30.0])
    >>> for _ in range(2):
    ...     sensor.hear([1.0, 15.0, 14.0], [24.0, 27.0, 30.0])
    >>> [round(lane.evidence, 1) for lane in sensor.lanes]
    [10.4, 0.0, 0.0]
    """

    def __init__(self, n: int) -> None:
        self.lanes = [Lane() for _ in range(n)]
        self._passing = 0.0  # in an interval, usually
        self._passed: deque[float] = deque(maxlen=NEWEST)
        self._heard = 0  # intervals that have taught
        self._unsettled: deque[Sequence[float]] = deque()  # counts that are to teach

    def hear(self, counts: Sequence[float], speeds: Sequence[float]) -> None:
        """Vehicles in one interval and their mean speeds (m/s, NaN where unknown), lane by lane."""
        passed = sum(counts)
        self._passed.append(passed)
        thin = passed < THIN * self._passing
        if self._heard >= INTERVALS and not thin:
            self._weigh(counts, speeds, passed)
        if max(lane.evidence for lane in self.lanes) < DOUBT:
            if passed and not thin:
                self._learn(counts, speeds)
            self._passing += max(LEARN, 1.0 / (self._heard + 1)) * (passed - self._passing)

    def pause(self) -> None:
        """Nothing was heard for long: what was gathered is void, what is usual stays."""
        for lane in self.lanes:
            lane.evidence = 0.0
        self._unsettled.clear()

    @property
    def usual_speed(self) -> float:
        """Mean speed of all who pass, m/s; 0 before anybody has."""
        return sum(lane.share * lane.speed for lane in self.lanes if lane.share)

    def flow(self, intervals: int) -> float:
        """How many passed in the newest ones, NEWEST at most, as a share of the usual; 0 where that is not known."""
        newest = list(self._passed)[-intervals:]
        return sum(newest) / len(newest) / self._passing if newest and self._passing else 0.0

    def _weigh(self, counts: Sequence[float], speeds: Sequence[float], passed: float) -> None:
        """Move the evidence on by one interval."""
        flows = False
        for lane, count, speed in zip(self.lanes, counts, speeds, strict=True):
            lane.weigh(count, passed)
            if lane.crawls(count, speed):
                lane.evidence = 0.0
            flows = flows or (count > 0.0 and not lane.crawls(count, speed))
        if not flows:  # all of them queue
            for lane in self.lanes:
                lane.evidence = 0.0

    def _learn(self, counts: Sequence[float], speeds: Sequence[float]) -> None:
        for lane, speed in zip(self.lanes, speeds, strict=True):
            if not math.isnan(speed):
                lane.speed = speed if math.isnan(lane.speed) else lane.speed + LEARN * (speed - lane.speed)
        self._unsettled.append(counts)
        if len(self._unsettled) <= UNSETTLED and self._heard >= INTERVALS:
            return
        settled = self._unsettled.popleft()
        for lane, count in zip(self.lanes, settled, strict=True):
            lane.learn(count, sum(settled), self._heard)
        self._heard += 1
