"""Where roads join and part, as the traffic itself shows it: there vehicles stop for one another every day.

On a plain road all who pass a place came the same way and go on the same way, but for the lanes that they change. Where a ramp
joins some came from beside it, and where one parts some will leave. So the way of each over some hundred metres is held against
where it heads at its two ends. The ways of all who come to a place, or go from it, differ by some eight metres on a plain road,
lanes and receivers together, and by 13 to 30 at ramps; after ten minutes at 20 % of the vehicles, or half an hour at 5 %, that
is known. A bend turns all ways alike, and so is no fork.

Ramps disturb traffic from 450 m before an exit to 450 m behind an entry (the ramp influence areas of the Highway Capacity
Manual, 1500 ft), which is about as far as such ways and BACK reach.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.compiled import compiled
from detectors.driven import around, place_key
from detectors.geometry import M_PER_DEGREE, along
from detectors.lattice import FadingSums, Keys, Room
from detectors.model import Frame, Rows
from detectors.table import Names, Slots, Table, claim

WAY = 400.0  # m, as the crow flies
LONGEST = 40_000  # ms for it, 36 km/h: who takes longer queues, or is in town
BENT = 45.0  # degrees between a way and where it heads at an end: what is bent more is no way along this road
EVERY = 2_000  # ms between two looks at who has come so far: 60 m at most
TAU = 4 * 3_600_000.0  # ms: ramps stay; when hardly anybody drives little is learned
FORGET = 0.1  # ways
SIGMA = 75.0  # m: reach of the kernel that reads a place
ACROSS = 25.0  # m: the same across the road: a ramp beside a road is no fork of that
PRIOR = 5.0  # ways without any spread that are assumed: one in a few may have been an error
BACK = 200.0  # m: what joined, or was about to part, so far behind still matters
PLAIN, FORKED = 11.0, 14.0  # m of spread: no ramp below, for certain one above; 9 and 12 find 158 where these find 160
OFTEN = 10.0  # times as often as elsewhere something stops at a ramp that has not shown its own rate; 4 to 100 differ little

_MARK = np.dtype([("reporter", "u8"), ("time", "i8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8")])


class Forks:
    """Ways of those who went from a place and of those who came to it, on a lattice: how far each was off where it headed."""

    def __init__(self) -> None:
        self._marks = Table(_MARK, "reporter")  # where the way of each begins
        # Angles, their squares and ways of who went, the same of who came, and ways of both.
        self._ways = FadingSums((TAU,) * 7, FORGET)
        self._swept = 0  # ms

    def learn(self, seen: Rows, frame: Frame) -> None:
        """Take in the vehicles (`tracks.SEEN`) of a pane."""
        now = frame.end
        if now - self._swept >= LONGEST:  # nobody is remembered for longer because nobody else came
            self._swept = now
            self._marks.keep(self._marks.held["time"] >= now - LONGEST)
            self._ways.sweep(now)
        if not (frame.ends_a(EVERY) and len(seen)):
            return
        self._marks.reserve(len(seen))
        _follow(seen, *self._marks.arrays, now, self._ways.room(2 * len(seen), now))

    def often(self, lat: float, lon: float, heading: float, now: int) -> float:
        """How many times as often as on a plain road vehicles are to be expected to stop at a place, 1 to OFTEN."""
        share = (self.spread(lat, lon, heading, now) - PLAIN) / (FORKED - PLAIN)
        return math.pow(OFTEN, min(max(share, 0.0), 1.0))

    def spread(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Standard deviation of the ways to or from a place, or one a little behind it, in metres over WAY."""
        known, places = self._ways.arrays(now), ((lat, lon), along(lat, lon, heading, -BACK))
        sums = [around(*place, heading, SIGMA, known, ACROSS) for place in places]
        return WAY * max(_deviation(*ways) for each in sums for ways in (each[:3], each[3:6]))


def _deviation(angles: float, squares: float, ways: float) -> float:
    variance = (squares - angles * angles / ways) / (ways + PRIOR) if ways else 0.0
    return math.sqrt(max(variance, 0.0))


@compiled
def _follow(seen: Rows, marks: Rows, names: Names, slots: Slots, size: Keys, now: int, room: Room) -> None:
    """Begin a way for each that has none, and add those that have become long enough to where they begin and end."""
    for i in range(len(seen)):
        one, known = seen[i], size[0]
        mark = marks[claim(slots, names, size, one["reporter"])]
        if size[0] == known and now - mark["time"] <= LONGEST:
            north = (one["lat"] - mark["lat"]) * M_PER_DEGREE
            east = (one["lon"] - mark["lon"]) * M_PER_DEGREE * math.cos(math.radians(one["lat"]))
            if north * north + east * east < WAY * WAY:
                continue
            way = math.degrees(math.atan2(east, north))
            first, last = _turn(mark["heading"], way), _turn(one["heading"], way)
            if abs(first) <= BENT and abs(last) <= BENT:
                _add(room, 0, place_key(mark["lat"], mark["lon"], mark["heading"]), math.radians(first))
                _add(room, 3, place_key(one["lat"], one["lon"], one["heading"]), math.radians(last))
        mark["time"], mark["heading"] = now, one["heading"]
        mark["lat"], mark["lon"] = one["lat"], one["lon"]


@compiled
def _add(room: Room, column: int, key: int, angle: float) -> None:
    """Add a way to those of one kind, whose first column is given, and to those of both."""
    keys, slots, size, sums, weights = room
    at = claim(slots, keys, size, key)
    sums[at, column] += angle * weights[column]
    sums[at, column + 1] += angle * angle * weights[column + 1]
    sums[at, column + 2] += weights[column + 2]
    sums[at, 6] += weights[6]


@compiled
def _turn(heading: float, way: float) -> float:
    """Degrees by which a way turns right of a heading, -180 to 180."""
    return (way - heading + 180.0) % 360.0 - 180.0
