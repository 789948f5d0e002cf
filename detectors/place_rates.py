"""What is usual place by place: how often vehicles ease off, stand or brake hard there, per metre driven, as sums that fade.

A place that is not known yet starts from the rate of the whole fleet, times how nervous it is: where drivers brake gently all
day, at ramps and in weaving lanes, a stop is less of a surprise than on the open road, and gentle braking is learned within
minutes where stops take days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from detectors.compiled import compiled
from detectors.driven import BATCH, SIGMAS, around, place_key
from detectors.lattice import FadingSums, Floats, Keys, Room
from detectors.model import SLEPT, Rows
from detectors.rarity import TAU, surprise
from detectors.table import claim

SIGMA = 75.0  # m: reach of the kernel that reads a place
REACH = SIGMAS * SIGMA  # m, beyond which nothing is read
SETTLE = 30_000  # ms: what is younger is the cluster itself and must not excuse itself
WARM_UP = 300_000  # ms: nothing surprises who knows nothing, or has slept; some cycles of lights
UNLEARNED = 600_000  # ms after which what occurred is forgotten where nobody says how he drives, so nothing is learned
FORGET = 1.0  # m driven
FIRST = (1.0, 300.0)  # what is known of a fleet before it drives, occurrences in m: as in town, so that a start is quiet
GENTLE = 1.5  # m/s2: what a driver brakes with who has to; lifting the foot gives 0.5 to 1
FIRST_BRAKING = 0.01  # s of gentle braking a metre driven, as in town: two seconds in a block of 200 m
NERVOUS = 10.0  # s of gentle braking that are assumed at the fleet's rate before a place has shown its own
POWER = 2.0  # of the share of gentle braking: stops need two who get in each other's way. 1 was a little worse


class PlaceRates:
    """`Rarity` for every place of a shard at once, held on a lattice and read with a kernel wider than the lattice.

    Parameters
    ----------
    kinds
        How many kinds of occurrences are counted, each with its own rate.
    """

    def __init__(self, kinds: int = 1) -> None:
        self._kinds = kinds
        self._sums = FadingSums((TAU,) * (3 + kinds), FORGET)  # occurrences of each kind, seconds braked, seconds, metres
        self._fleet = Fading((*FIRST[:1] * kinds, FIRST_BRAKING * FIRST[1], FIRST[1]))
        self._braked: tuple[Keys, Floats] = (np.empty(0, np.int64), np.empty(0))  # of the last batch, not yet settled
        self._occurred: list[tuple[int, int, float, float, float]] = []  # time, kind, lat, lon, heading
        self._watched = 0.0  # ms of traffic behind the sums, faded as they are
        self._ticked = 0  # ms
        self._woke = 0  # ms: end of the first pane, or of the first after a sleep

    def learn(self, driven: Rows, now: int) -> None:
        """Take in a batch of what was driven, and of what occurred what has settled by the end of it, `now`."""
        settled = [o for o in self._occurred if o[0] <= now - SETTLE]
        self._occurred = self._occurred[len(settled) :]
        keys, gently = self._braked
        counts = np.zeros((self._kinds + 3, len(keys) + len(settled)))
        for i, occurred in enumerate(settled):
            counts[occurred[1], i] = 1.0
        counts[-3, len(settled) :] = gently
        metres = _drive(self._sums.room(len(driven), now), driven)
        where = np.array([place_key(*o[2:]) for o in settled], np.int64)
        self._sums.add(np.concatenate([where, keys]), tuple(counts), now)
        self._fleet.add((*counts[:-2].sum(axis=1).tolist(), metres), now)
        braked = driven.compress(driven["braking"] > 0.0)
        self._braked = braked["key"].copy(), braked["braking"].astype(np.float64)

    def tick(self, now: int) -> None:
        """A pane ended."""
        passed, self._ticked = now - self._ticked, now
        self._watched *= math.exp(-passed / TAU)
        if passed <= SLEPT:
            self._watched += passed
        else:
            self._woke = now
        self._sums.sweep(now)
        if self._occurred and self._occurred[0][0] < now - UNLEARNED:
            self._occurred = [o for o in self._occurred if o[0] >= now - UNLEARNED]

    def occur(self, now: int, lat: float, lon: float, heading: float, kind: int = 0) -> None:
        """Something occurred. It counts when it has settled, so that a cluster does not excuse itself."""
        self._occurred.append((now, kind, lat, lon, heading))

    def at(self, lat: float, lon: float, heading: float, now: int) -> Usual:
        """What is usual at a place, for those who go in about this direction."""
        *known, braked, seconds, metres = around(lat, lon, heading, SIGMA, self._sums.arrays(now))
        *occurrences, gently, driven = self._fleet.read(now)
        watched = max(self._watched, BATCH)
        nervous = self.nervous(braked, gently / driven * metres)
        return Usual(
            speed=metres / seconds if seconds else 0.0,
            flow=metres / (SIGMA * math.sqrt(2.0 * math.pi)) / (watched / 1000.0),
            metres=metres,
            known=known,
            expected=[nervous * rate / driven for rate in occurrences],
            warm=now - self._woke >= WARM_UP,
        )

    def nervous(self, braked: float, expected: float) -> float:
        """How many times the fleet's rate is to be expected where so many seconds of gentle braking were, and so many usual."""
        return math.pow((braked + NERVOUS) / (expected + NERVOUS), POWER)


@dataclass(slots=True)
class Usual:
    """What is usual at one place."""

    speed: float  # m/s: metres driven per second spent; 0 where nothing is known
    flow: float  # vehicles per second
    metres: float  # driven, as far as they count here and now
    known: list[float]  # occurrences of each kind in these
    expected: list[float]  # rate of each kind, a metre, before the place has shown its own
    warm: bool  # whether enough has been seen to be surprised

    def where_often(self, times: float) -> Usual:
        """The same where everything is to be expected so many times as often, until the place has shown its own rates."""
        return replace(self, expected=[times * rate for rate in self.expected])

    def surprises(self, counts: Sequence[int], window: float, radius: float) -> list[float]:
        """Per kind, -log10 of the chance of so many or more within `radius` m and `window` s, all being well."""
        if not self.warm:
            return [0.0] * len(self.known)
        # Those who did it drove through, at least.
        exposure = max(self.flow * window, sum(counts)) * 2.0 * radius
        return [
            surprise(count, exposure, before, self.metres, rate)
            for count, before, rate in zip(counts, self.known, self.expected, strict=True)
        ]


@compiled
def _drive(room: Room, driven: Rows) -> float:
    """Add the seconds and the metres to the last two columns; returns the metres of all."""
    keys, slots, size, sums, weights = room
    total = 0.0
    last = len(weights) - 1
    for i in range(len(driven)):
        one = driven[i]
        seconds = np.float64(one["seconds"])
        metres = seconds * np.float64(one["speed"])
        at = claim(slots, keys, size, one["key"])
        sums[at, last - 1] += seconds * weights[last - 1]
        sums[at, last] += metres * weights[last]
        total += metres
    return total


class Fading:
    """A few sums that fade together with the time constant TAU, down to what they were at `first`.

    That stays, for a rate must not fall without end where nothing has occurred for a night: then anything would be a surprise.
    """

    def __init__(self, first: tuple[float, ...]) -> None:
        self._first = np.array(first)
        self._since = np.zeros(len(first))
        self._time = 0
        self._read: tuple[int, tuple[float, ...]] | None = None  # when, ms, and what it was: many ask in one pane

    def add(self, values: tuple[float, ...], now: int) -> None:
        self._since = self._since * math.exp((self._time - now) / TAU) + np.array(values)
        self._time, self._read = now, None

    def read(self, now: int) -> tuple[float, ...]:
        if self._read is None or self._read[0] != now:
            self._read = now, tuple((self._first + self._since * math.exp((self._time - now) / TAU)).tolist())
        return self._read[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_read": None}
