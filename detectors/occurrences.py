"""What vehicles lately did that is rare on a road that flows: fell to a crawl, came to a halt, braked hard; and who, and where.

A kind has its own rate at every place (`place_rates`). A fall is of three kinds by how hard the vehicle braked for it: who
joins slow traffic in sight brakes softly, who comes upon something does not. Where drivers brake hard all day, as in town, the
rates say so.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.across import Across
from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, ahead, angle_between, distance
from detectors.lattice import Floats
from detectors.model import SIGHT, Rows, plain
from detectors.rarity import surprise

LATELY = 600.0  # s that are remembered
OLD = 120.0  # s: what is older is not part of a cluster but what is going on here anyway
FALLS = (3.0, 5.0)  # m/s2 between soft, firm and hard falls: drivers who see it coming stay below 3, and 5 is an emergency
HALTED, BRAKED, KINDS = 3, 4, 5
CLUMP = 3  # of a kind, of which more say no more: they fell because the others did
SAME_WAY = 45.0  # degrees
BEFORE = 240.0  # s: who fell longer ago than that did not fall for what is new here
CLOSER = 50.0  # m ahead are the same place
SEVERAL = 2  # reporters who fell ahead, so that it is a jam: one may have had his own reasons
COMES_BACK = 4.0  # surprise that is taken off for it: ten thousand to one

_OCCURRENCE = np.dtype(
    [("time", "i8"), ("kind", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8"), ("aside", "f8")]
)


@compiled
def kind_of(decel: float) -> int:
    """The kind that a fall is in which a vehicle braked as hard as that."""
    return int(FALLS[0] < decel) + int(FALLS[1] < decel)


class Occurrences:
    """Those of the last ten minutes, in order of time."""

    def __init__(self) -> None:
        self._rows: Rows = np.empty(0, _OCCURRENCE)

    def note(self, acting: Rows, across: Across, now: int) -> set[int]:
        """Take in what was done (`tracks.SEEN`) in the pane that ended at `now` (ms); forget the old. Returns whose it was."""
        if len(self._rows) and self._rows["time"][0] <= now - LATELY * 1000.0:
            self._rows = self._rows.compress(self._rows["time"] > now - LATELY * 1000.0)
        if not len(acting):
            return set()
        new = np.empty(3 * len(acting), _OCCURRENCE)
        new = new[: _note(acting, now, new)]
        if not len(new):
            return set()
        new["aside"] = across.aside(new["lat"], new["lon"], new["heading"], now)
        self._rows = np.concatenate([plain(self._rows), plain(new)]).view(_OCCURRENCE)
        return set(new["reporter"].tolist())

    def around(self, lat: float, lon: float, heading: float, radius: float, now: int) -> Nearby:
        """Those within `radius` m of a place that went this way."""
        band = np.abs(self._rows["lat"] - lat) <= radius / M_PER_DEGREE  # cheap, for there may be thousands
        near = self._rows.compress(band)
        near = near.compress(angle_between(near["heading"], heading) <= SAME_WAY)
        far = distance(near["lat"], near["lon"], lat, lon)
        return Nearby(near, far, (now - near["time"]) / 1000.0)

    def jam_ahead(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Surprise to take off what happens here, for traffic fell ahead minutes before: a jam comes back to where it was."""
        earlier = self.around(lat, lon, heading, SIGHT, now).earlier(BEFORE, SIGHT)
        farther = ahead(earlier["lat"], earlier["lon"], lat, lon, heading) > CLOSER
        fell = earlier["reporter"][farther & (earlier["kind"] != BRAKED)]
        return COMES_BACK * min(len(np.unique(fell)) / SEVERAL, 1.0)


@compiled
def _note(acting: Rows, now: int, new: Rows) -> int:
    """Write what they did, one kind after the other; returns how many occurrences that makes."""
    count = 0
    for what in (0, HALTED, BRAKED):
        for i in range(len(acting)):
            one = acting[i]
            if one["halted"] if what == HALTED else one["braked"] if what == BRAKED else one["fell"]:
                row = new[count]
                row["time"], row["kind"] = now, what if what else kind_of(one["decel"])
                row["reporter"] = one["reporter"]
                row["lat"], row["lon"], row["heading"] = one["lat"], one["lon"], one["heading"]
                count += 1
    return count


class Nearby:
    """Occurrences around one place, with their distance from it in m and their age in s."""

    def __init__(self, rows: Rows, far: Floats, age: Floats) -> None:
        self.rows, self._far, self._age = rows, far, age

    def fresh(self, radius: float) -> int:
        """How many are too young to be what goes on here anyway."""
        return int(((self._age < OLD) & (self._far <= radius)).sum())

    def old(self, radius: float) -> list[int]:
        """How many of each kind went before."""
        before = (self._age >= OLD) & (self._far <= radius)
        counts: list[int] = np.bincount(self.rows["kind"][before], minlength=KINDS).tolist()
        return counts

    def cluster(self, window: float, radius: float) -> Rows:
        return self.rows.compress((self._age < window) & (self._far <= radius))

    def earlier(self, age: float, radius: float) -> Rows:
        return self.rows.compress((self._age > age) & (self._far <= radius))

    def excused(self, counts: list[int], window: float, radius: float) -> list[float]:
        """Per kind, -log10 of the chance of so many in `window` s after what went on here in the minutes before."""
        return [
            surprise(count, window, known, LATELY - OLD, 1.0 / LATELY) if known else math.inf
            for count, known in zip(counts, self.old(radius), strict=True)
        ]


def counts_of(cluster: Rows) -> list[int]:
    """Reporters of each kind, CLUMP at most."""
    return [min(len(np.unique(cluster["reporter"][cluster["kind"] == kind])), CLUMP) for kind in range(KINDS)]
