"""What vehicles lately did that is rare on a road that flows: fell to a crawl, came to a halt, braked hard; and who, and where.

A kind has its own rate at every place (`place_rates`). A fall is of three kinds by how hard the vehicle braked for it: who
joins slow traffic in sight brakes softly, who comes upon something does not. Where drivers brake hard all day, as in town, the
rates say so.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.across import Across
from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, turn_between
from detectors.model import SIGHT, Rows, plain

LATELY = 600.0  # s that are remembered
FALLS = (3.0, 5.0)  # m/s2 between soft, firm and hard falls: drivers who see it coming stay below 3, and 5 is an emergency
HALTED, BRAKED, KINDS = 3, 4, 5
CLUMP = 3  # of a kind, of which more say no more: they fell because the others did
SAME_WAY = 45.0  # degrees
BEFORE = 240.0  # s: who fell longer ago than that did not fall for what is new here
CLOSER = 50.0  # m ahead are the same place
SEVERAL = 2  # reporters who fell ahead, so that it is a jam: one may have had his own reasons
COMES_BACK = 4.0  # surprise that is taken off for it: ten thousand to one

OCCURRENCE = np.dtype(
    [("time", "i8"), ("kind", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8"), ("aside", "f8")]
)


@compiled
def kind_of(decel: float) -> int:
    """The kind that a fall is in which a vehicle braked as hard as that."""
    return int(FALLS[0] < decel) + int(FALLS[1] < decel)


class Occurrences:
    """Those of the last ten minutes, in order of time."""

    def __init__(self) -> None:
        self._rows: Rows = np.empty(0, OCCURRENCE)

    def note(self, acting: Rows, across: Across, now: int) -> set[int]:
        """Take in what was done (`tracks.SEEN`) in the pane that ended at `now` (ms); forget the old. Returns whose it was."""
        if len(self._rows) and self._rows["time"][0] <= now - LATELY * 1000.0:
            self._rows = self._rows.compress(self._rows["time"] > now - LATELY * 1000.0)
        if not len(acting):
            return set()
        new = np.empty(3 * len(acting), OCCURRENCE)
        new = new[: _note(acting, now, new)]
        if not len(new):
            return set()
        new["aside"] = across.aside(new["lat"], new["lon"], new["heading"], now)
        self._rows = np.concatenate([plain(self._rows), plain(new)]).view(OCCURRENCE)
        return set(new["reporter"].tolist())

    def cluster(self, lat: float, lon: float, heading: float, now: int, window: float, radius: float) -> Rows:
        """Those of the last `window` s within `radius` m of a place that went this way, the newest first."""
        held = np.empty(len(self._rows), np.int64)
        return self._rows.take(held[: _near(self._rows, lat, lon, heading, now - window * 1000.0, radius, held)])

    def jam_ahead(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Surprise to take off what happens here, for traffic fell ahead minutes before: a jam comes back to where it was."""
        held = np.empty(len(self._rows), np.int64)
        fell = self._rows["reporter"].take(held[: _ahead(self._rows, lat, lon, heading, now - BEFORE * 1000.0, held)])
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


@compiled
def _near(rows: Rows, lat: float, lon: float, heading: float, since: float, radius: float, held: NDArray[np.int64]) -> int:
    """Write which of the rows are younger than `since` and within `radius` m of a place; returns how many."""
    count, narrow = 0, math.cos(math.radians(lat))
    for i in range(len(rows) - 1, -1, -1):
        one = rows[i]
        if one["time"] <= since:
            break
        north = (one["lat"] - lat) * M_PER_DEGREE
        east = (one["lon"] - lon) * M_PER_DEGREE * narrow
        if north * north + east * east <= radius * radius and turn_between(one["heading"], heading) <= SAME_WAY:
            held[count] = i
            count += 1
    return count


@compiled
def _ahead(rows: Rows, lat: float, lon: float, heading: float, until: float, held: NDArray[np.int64]) -> int:
    """Write which of the rows are falls and halts older than `until`, in sight ahead of a place; returns how many."""
    count, narrow, turn = 0, math.cos(math.radians(lat)), math.radians(heading)
    for i in range(len(rows)):
        one = rows[i]
        if one["time"] >= until:
            break
        north = (one["lat"] - lat) * M_PER_DEGREE
        east = (one["lon"] - lon) * M_PER_DEGREE * narrow
        in_sight = north * north + east * east <= SIGHT * SIGHT and east * math.sin(turn) + north * math.cos(turn) > CLOSER
        if in_sight and one["kind"] != BRAKED and turn_between(one["heading"], heading) <= SAME_WAY:
            held[count] = i
            count += 1
    return count


def counts_of(cluster: Rows) -> tuple[list[int], int]:
    """Reporters of each kind, CLUMP at most, and of all."""
    counts = np.zeros(KINDS, np.int64)
    reporters = _count(cluster["kind"].copy(), cluster["reporter"].copy(), counts)
    return np.minimum(counts, CLUMP).tolist(), reporters


@compiled
def _count(kinds: NDArray[np.int64], reporters: NDArray[np.uint64], counts: NDArray[np.int64]) -> int:
    """Add up the reporters of each kind; returns how many there are of all."""
    some = 0
    for i in range(len(kinds)):
        first, first_of_kind = True, True
        for j in range(i):
            if reporters[j] == reporters[i]:
                first = False
                first_of_kind = first_of_kind and kinds[j] != kinds[i]
        some += int(first)
        counts[kinds[i]] += int(first_of_kind)
    return some
