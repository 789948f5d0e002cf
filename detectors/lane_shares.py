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
DOUBT = 9.0  # nats, where a lane is claimed to be left: from here on it is learned slowly
THIN = 0.5  # of the usual number that pass: fewer, as behind a closed road, keep to the right, and tell nothing of a lane
FADED = 0.7  # of the evidence is left after each interval that tells nothing
SLOW = 0.6  # of the lane's usual speed: slower it is a queue, as at a ramp, and those who can leave it
QUEUED = 0.33  # of the evidence is left after each interval in which somebody queues: one may be the recovery lorry
INTERVALS = 12  # that teach before anything is judged
TAU = 700.0  # s: time constant of what is usual; it follows an evening, and no incident
TAU_DOUBTED = 4000.0  # s: the same while there is DOUBT
UNSETTLED = 180.0  # s of counts that do not teach yet, so that a lane is not judged by what it has just done
TAU_SPREAD = 1500.0  # s: time constant of how much the counts scatter
SPREAD_LEAST, SPREAD_MOST = 1.0, 9.0  # times chance: vehicles that choose alone; what is no scattering any more
NEWEST = 8  # intervals of which the counts are remembered
COMMON = 0.8  # a share nearer to all is taken for this: one who takes another lane is no proof


@dataclass(slots=True)
class Lane:
    """What is usual in it, and what speaks against it."""

    share: float = 0.0  # of those who pass
    speed: float = math.nan  # m/s; NaN where nobody has passed yet
    spread: float = 1.0  # variance of its counts over that of chance
    evidence: float = 0.0  # nats, that it is left

    def weigh(self, count: float, passed: float, speed: float) -> None:
        """Move the evidence on by an interval in which `count` of all who `passed` took it at `speed`, m/s."""
        if self.crawls(count, speed):
            self.evidence *= QUEUED
            return
        share = min(self.share, COMMON)
        gained = count * math.log(KEPT) + (passed - count) * math.log((1.0 - KEPT * share) / (1.0 - share))
        self.evidence = min(max(self.evidence + gained / max(self.spread, SPREAD_LEAST), 0.0), MOST)

    def crawls(self, count: float, speed: float) -> bool:
        """Whether those who took it queue, or nobody knows how fast they are."""
        return count > 0.0 and not speed >= SLOW * self.speed

    def learn(self, count: float, passed: float, rate: float, rate_spread: float) -> None:
        """The same interval, when it has settled."""
        if self.share:
            by_chance = max(passed * self.share * (1.0 - self.share), 0.5)
            scattered = min((count - passed * self.share) ** 2 / by_chance, SPREAD_MOST)
            self.spread += rate_spread * (scattered - self.spread)
        self.share += rate * (count / passed - self.share)


class LaneShares:
    """Of the n lanes of one sensor.

    >>> sensor = LaneShares(3)
    >>> for _ in range(INTERVALS):
    ...     sensor.hear(30.0, [9.0, 12.0, 11.0], [24.0, 27.0, 30.0])
    >>> for _ in range(2):
    ...     sensor.hear(30.0, [1.0, 15.0, 14.0], [24.0, 27.0, 30.0])
    >>> [round(lane.evidence, 1) for lane in sensor.lanes]
    [10.4, 0.0, 0.0]
    """

    def __init__(self, n: int) -> None:
        self.lanes = [Lane() for _ in range(n)]
        self._passing = 0.0  # in a second, usually
        self._heard = 0  # intervals that have taught
        self._unsettled: deque[tuple[float, Sequence[float]]] = deque()  # seconds and counts that are to teach
        self._newest: deque[tuple[float, Sequence[float]]] = deque(maxlen=NEWEST)

    def hear(self, seconds: float, counts: Sequence[float], speeds: Sequence[float]) -> None:
        """Vehicles in an interval and their mean speeds (m/s, NaN where unknown), lane by lane."""
        passed = sum(counts)
        thin = passed < THIN * self._passing * seconds
        self._newest.append((seconds, counts))
        if thin:
            for lane in self.lanes:
                lane.evidence *= FADED
        elif self._heard >= INTERVALS:
            self._weigh(counts, speeds, passed)
        doubted = max(lane.evidence for lane in self.lanes) >= DOUBT
        rate = _rate(seconds, TAU_DOUBTED if doubted else TAU)
        if passed and not thin:
            self._learn(seconds, counts, speeds, rate, 0.0 if doubted else _rate(seconds, TAU_SPREAD))
        self._passing += max(rate, self._first) * (passed / seconds - self._passing)

    def pause(self) -> None:
        """Nothing was heard for long: what was gathered is void, what is usual stays."""
        for lane in self.lanes:
            lane.evidence = 0.0

    @property
    def usual_speed(self) -> float:
        """Mean speed of all who pass, m/s; 0 where nobody has said any."""
        known = [lane for lane in self.lanes if lane.share and not math.isnan(lane.speed)]
        return sum(lane.share * lane.speed for lane in known) / sum(lane.share for lane in known) if known else 0.0

    def flow(self, seconds: float) -> float:
        """How many passed in so many newest ones, as a share of the usual; 0 where that is not known."""
        spent, counts = self._last(seconds)
        return sum(counts) / spent / self._passing if spent and self._passing else 0.0

    def taken(self, lane: int, seconds: float) -> float:
        """Which share of those who passed in so many newest ones took a lane."""
        _, counts = self._last(seconds)
        return counts[lane] / sum(counts) if any(counts) else 0.0

    def _last(self, seconds: float) -> tuple[float, list[float]]:
        """Seconds and counts of the newest intervals that make up `seconds`: one at least, NEWEST at most."""
        spent, counts = 0.0, [0.0] * len(self.lanes)
        for each, some in reversed(self._newest):
            if spent and spent + each / 2 > seconds:
                break
            spent += each
            counts = [a + b for a, b in zip(counts, some, strict=True)]
        return spent, counts

    def _weigh(self, counts: Sequence[float], speeds: Sequence[float], passed: float) -> None:
        """Move the evidence on by one interval."""
        flows = False
        for lane, count, speed in zip(self.lanes, counts, speeds, strict=True):
            lane.weigh(count, passed, speed)
            flows = flows or (count > 0.0 and not lane.crawls(count, speed))
        if not flows:  # all of them queue
            for lane in self.lanes:
                lane.evidence = 0.0

    def _learn(self, seconds: float, counts: Sequence[float], speeds: Sequence[float], rate: float, rate_spread: float) -> None:
        for lane, speed in zip(self.lanes, speeds, strict=True):
            if not math.isnan(speed):
                lane.speed = speed if math.isnan(lane.speed) else lane.speed + rate * (speed - lane.speed)
        self._unsettled.append((seconds, counts))
        if self._heard >= INTERVALS and sum(each for each, _ in self._unsettled) <= UNSETTLED:
            return
        _, settled = self._unsettled.popleft()
        for lane, count in zip(self.lanes, settled, strict=True):
            lane.learn(count, sum(settled), max(rate, self._first), max(rate_spread, self._first))
        self._heard += 1

    @property
    def _first(self) -> float:
        """What an interval weighs at least: as much as each one before, until there are enough."""
        return 1.0 / (self._heard + 1) if self._heard < INTERVALS else 0.0


def _rate(seconds: float, tau: float) -> float:
    """What an interval weighs beside all before."""
    return 1.0 - math.exp(-seconds / tau)
