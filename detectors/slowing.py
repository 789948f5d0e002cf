"""Whether traffic had been getting slower for minutes before something happened: then it is a jam that grew, not an obstacle.

Behind a crash the last free vehicle comes at full speed, and ahead of it the road is free. Where too many want to drive, all
of them get slower for minutes before the first one stands, and ahead of him it goes on. So the speed of the last minutes,
without the newest, is held against that of the last hour, here and farther ahead.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.compiled import compiled
from detectors.driven import DRIVEN, SIGMAS, around
from detectors.geometry import along
from detectors.lattice import FadingSums, Room
from detectors.model import SIGHT, Rows
from detectors.rarity import TAU
from detectors.table import claim

SIGMA = 150.0  # m: reach of the kernel; a jam slows all who come towards it
LATELY = 60_000.0  # ms: with what is waited for before, mostly from half a minute to two and a half before
FORGET = 1.0  # m driven
STALE = 600_000  # ms: a batch that nothing has followed for so long is not of the minutes before any more
LEAST = 1.0  # s of driving, by which a speed is known at all
PRIOR = 10.0  # s of driving at the usual speed that are assumed
AHEAD = SIGHT - SIGMAS * SIGMA  # m: so much beyond a place is read
SLOWER = 0.95  # of the usual speed; before 52 of 69 incidents found at 5 % of vehicles it was that, before 11 of 32 false ones
DOUBT = 10.0  # surprise that is taken off for each unit below that, here and again ahead
LARGEST = 6.0  # surprise that is taken off at most at either place: at 0.35 of the usual speed, a million to one


class Slowing:
    """Speeds lately and usually, as sums of seconds and metres on a lattice. It learns a batch later than the others."""

    def __init__(self) -> None:
        # Seconds and metres, lately and usually. `PlaceRates` knows the usual ones too, but with the newest batch, which a jam
        # of a minute pulls down by a tenth.
        self._sums = FadingSums((LATELY, LATELY, TAU, TAU), FORGET)
        self._waiting: Rows = np.empty(0, DRIVEN)  # the newest batch: what happens now has slowed it
        self._learned = 0  # ms: when it came

    def learn(self, driven: Rows, now: int) -> None:
        """Take in the batch before this one."""
        before, self._waiting, self._learned = self._waiting, driven.copy(), now
        _learn(self._sums.room(len(before), now), before)

    def tick(self, now: int) -> None:
        """A pane ended."""
        self._sums.sweep(now)
        if len(self._waiting) and now - self._learned > STALE:
            self._waiting = np.empty(0, DRIVEN)

    def share(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Speed of the minutes before, as a share of the usual speed around a place; 1 where nothing is known."""
        seconds, metres, usually, far = around(lat, lon, heading, SIGMA, self._sums.arrays(now))
        if not far:
            return 1.0
        usual = far / usually
        return float((metres + PRIOR * usual) / ((seconds + PRIOR) * usual))

    def lately(self, lat: float, lon: float, heading: float, now: int, sigma: float) -> float:
        """Speed of the minutes before, m/s, within some `sigma` m of a place; NaN where hardly anybody was."""
        seconds, metres, *_ = around(lat, lon, heading, sigma, self._sums.arrays(now))
        return metres / seconds if seconds > LEAST else math.nan

    def share_ahead(self, lat: float, lon: float, heading: float, now: int) -> float:
        """The same as far ahead of a place as it can be known."""
        return self.share(*along(lat, lon, heading, AHEAD), heading, now)

    def doubt(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Surprise to take off what happens here, for traffic had been getting slower anyway."""
        shares = self.share(lat, lon, heading, now), self.share_ahead(lat, lon, heading, now)
        return sum(min(max((SLOWER - share) * DOUBT, 0.0), LARGEST) for share in shares)


@compiled
def _learn(room: Room, driven: Rows) -> None:
    """Add the seconds and the metres, lately and usually."""
    keys, slots, size, sums, weights = room
    for i in range(len(driven)):
        one = driven[i]
        seconds = np.float64(one["seconds"])
        metres = seconds * np.float64(one["speed"])
        at = claim(slots, keys, size, one["key"])
        sums[at, 0] += seconds * weights[0]
        sums[at, 1] += metres * weights[1]
        sums[at, 2] += seconds * weights[2]
        sums[at, 3] += metres * weights[3]
