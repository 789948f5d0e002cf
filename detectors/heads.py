"""The head of a queue that stays where it is: up to here all crawl, and from here on the road is free. Something blocks it.

In a jam, what is blocked cannot be told by who slows down: everybody is slow already. But its foremost vehicles give it away.
The waves of a jam travel upstream at some 16 km/h, so nobody leaves two of them at one place; and before a merge, where too
many want to drive, the queue gets on. Beside a car in one lane of two 35 % of the capacity come through, beside one in two
lanes of three 17 %, in one of three 49 % (Highway Capacity Manual): of a triangular fundamental diagram with such waves, 140
vehicles a kilometre and 2200 an hour and lane, that is 8, 3 and 15 km/h. So whoever crawled and then drives on freely has left
a queue; where several do so at one place, for a minute, with a crawl behind them and a free road in front, is its head.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.forks import FORKED, Forks
from detectors.geometry import M_PER_DEGREE, along, turn_between
from detectors.model import Finding, Rows
from detectors.place_rates import PlaceRates
from detectors.queues import Queues
from detectors.sightings import SIGHTING, Sightings
from detectors.slowing import Slowing
from detectors.table import Names, Slots, Table, claim, find
from detectors.tracks import CREEP

CRAWLED = 8.0  # s below CREEP: more than a hesitation
LOST = 8_000  # ms between two rows of a crawl
DRIVES = 10.0  # m/s, 36 km/h: faster than between two waves of a jam
FREELY = 13.0  # m/s, 47 km/h: the same at a ramp, before which a queue is as slow and beyond which it gets on by and by
WITHIN = 20_000  # ms from the crawl to driving, and
NEAR = 150.0  # m: from a stand with 1 m/s2 it takes ten seconds and 50 m
LATELY = 120_000  # ms that are looked at
LASTED = 60_000  # ms between the first and the last who left it there: a wave has travelled 270 m by then
PLACE = 30.0  # m around the head: a few receivers' errors
SIGHT = 350.0  # m in which others might have left a queue
ONE_PLACE = 3.0  # -log10 of the chance that so many leave it at one place, were all places in sight alike
LEAST = 4  # reporters: fewer are never so unlikely
SIGMA = 60.0  # m: reach of the kernel that reads speeds, twice the step of what they are learned on
BEHIND, BEYOND = -75.0, 200.0  # m from the head, where they are read
CRAWL = 3.0  # m/s, 11 km/h: two fifths of the capacity, as above; a merge lets traffic get on at twice that and more
UNUSUAL = 1.0 / 3.0  # of the usual speed: at a light one always stands
APART = 250.0  # m: an incident that began farther off has another reason, though its queue may reach here
EXTENT = 50.0  # m
SAME_WAY = 45.0  # degrees

_CHANCE = 2.0 * PLACE / (2.0 * SIGHT)  # of one who leaves a queue in sight to do so within PLACE
_CRAWL = np.dtype(
    [
        ("reporter", "u8"),
        ("time", "i8"),  # ms: seen crawling last
        ("lat", "f8"),
        ("lon", "f8"),
        ("heading", "f8"),
        ("seconds", "f4"),  # for which it has crawled
    ]
)


class Heads:
    """Watches who leaves a queue, and where. What it knows of speeds it reads from what is learned anyway."""

    def __init__(self, usual: PlaceRates, slowing: Slowing, forks: Forks) -> None:
        self._usual = usual
        self._slowing = slowing
        self._forks = forks
        self._crawling = Table(_CRAWL, "reporter")
        self._left = Sightings(LATELY)
        self._swept = 0  # ms

    def update(self, seen: Rows, now: int, queues: Queues) -> list[Finding]:
        """Take in the vehicles of a pane (`tracks.SEEN`); a finding for each that leaves a queue at its head."""
        slow = np.count_nonzero(seen["speed"] < CREEP)
        if not (slow or len(self._crawling)):
            return []
        if now - self._swept >= WITHIN:
            self._crawling.keep(self._crawling.held["time"] > now - WITHIN)
            self._swept = now
        self._crawling.reserve(int(slow))
        left = np.empty(len(seen), SIGHTING)
        if not (count := _follow(seen, *self._crawling.arrays, now, left)):
            return []
        left = left[:count]
        left = left.take(np.argsort(left["reporter"]))  # findings do not depend on the order of rows
        self._left.note(left, now)
        return [finding for one in left if (finding := self._judge(one, now, queues))]

    def _judge(self, one: Any, now: int, queues: Queues) -> Finding | None:
        """A finding, if the place where this one left a queue is its head."""
        where = lat, lon, heading = float(one["lat"]), float(one["lon"]), float(one["heading"])
        apart = np.empty(len(self._left.rows))
        if _in_sight(self._left.rows, lat, lon, heading, apart) < LEAST:
            return None
        here = self._left.rows.compress(apart <= PLACE)
        around = self._left.rows.compress((apart > PLACE) & (apart <= SIGHT))
        reporters, others = np.unique(here["reporter"]), np.unique(around["reporter"])
        since, score = int(here["time"].min()), at_one_place(len(reporters), len(others))
        if now - since < LASTED or score < ONE_PLACE:
            return None
        usual = self._usual.at(*where, now)
        if not usual.warm:
            return None
        behind = self._slowing.lately(*along(*where, BEHIND), heading, now, SIGMA)
        beyond = self._slowing.lately(*along(*where, BEYOND), heading, now, SIGMA)
        if not (behind <= min(CRAWL, UNUSUAL * usual.speed) and beyond >= DRIVES):  # NaN where nothing is known
            return None
        if beyond < FREELY and self._forks.spread(*where, now) >= FORKED:
            return None
        queues.note(now, *where, reported=True)
        return Finding(
            kind="stationary_vehicle",
            time=now,
            onset=since,
            lat=float(here["lat"].mean()),
            lon=float(here["lon"].mean()),
            heading=heading,
            radius=EXTENT,
            score=score,
            reporters=frozenset(reporters.tolist()),
            evidence=(
                ("leaving_vehicles", float(len(reporters))),
                ("speed_behind", round(behind, 2)),
                ("speed_beyond", round(beyond, 2)),
            ),
            within=APART,
        )


def at_one_place(here: int, elsewhere: int) -> float:
    """-log10 of the chance that so many of those who leave a queue in sight do so where one of them did (a binomial tail).

    >>> round(at_one_place(3, 0), 1), round(at_one_place(3, 3), 1), round(at_one_place(8, 4), 1)
    (2.1, 1.2, 5.1)
    """
    others = here - 1 + elsewhere
    tail = sum(math.comb(others, k) * _CHANCE**k * (1.0 - _CHANCE) ** (others - k) for k in range(here - 1, others + 1))
    return -math.log10(tail)


@compiled
def _in_sight(left: Rows, lat: float, lon: float, heading: float, apart: NDArray[np.float64]) -> int:
    """How far from a place each has left a queue, m, infinite if it went another way; returns how many did within PLACE."""
    count, narrow = 0, math.cos(math.radians(lat))
    for i in range(len(left)):
        one = left[i]
        apart[i] = math.inf
        if turn_between(one["heading"], heading) <= SAME_WAY:
            north = (one["lat"] - lat) * M_PER_DEGREE
            east = (one["lon"] - lon) * M_PER_DEGREE * narrow
            apart[i] = math.sqrt(north * north + east * east)
            count += apart[i] <= PLACE
    return count


@compiled
def _follow(seen: Rows, crawling: Rows, names: Names, slots: Slots, size: NDArray[np.int64], now: int, left: Rows) -> int:
    """Remember who crawls, and where last; write who has left a queue, and where it crawled last. Returns how many have."""
    count = 0
    for i in range(len(seen)):
        one = seen[i]
        if one["speed"] < CREEP:
            crawl = crawling[claim(slots, names, size, one["reporter"])]
            if now - crawl["time"] <= LOST:
                crawl["seconds"] += np.float32((now - crawl["time"]) / 1000.0)
            else:
                crawl["seconds"] = np.float32(0.0)
            crawl["time"], crawl["heading"] = now, one["heading"]
            crawl["lat"], crawl["lon"] = one["lat"], one["lon"]
        elif one["speed"] >= DRIVES and size[0] > 0:
            at = find(slots, names, one["reporter"])
            if at < 0:
                continue
            crawl = crawling[at]
            north = (one["lat"] - crawl["lat"]) * M_PER_DEGREE
            east = (one["lon"] - crawl["lon"]) * M_PER_DEGREE * math.cos(math.radians(one["lat"]))
            if crawl["seconds"] >= CRAWLED and now - crawl["time"] <= WITHIN and north * north + east * east <= NEAR * NEAR:
                left[count]["reporter"] = one["reporter"]
                left[count]["lat"], left[count]["lon"] = crawl["lat"], crawl["lon"]
                left[count]["heading"] = crawl["heading"]
                count += 1
            crawl["time"] = 0  # it drives
    return count
