"""What vehicles lately did that is rare on a road that flows: fell to a crawl, came to a halt, braked hard; and who, and where.

A kind has its own rate at every place (`place_rates`). A fall is of three kinds by how hard the vehicle braked for it: who
joins slow traffic in sight brakes softly, who comes upon something does not. Where drivers brake hard all day, as in town, the
rates say so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.across import Across
from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, turn_between
from detectors.lately import Lately
from detectors.lattice import Floats
from detectors.model import SIGHT, Rows

LATELY = 600.0  # s that are remembered
FALLS = (3.0, 5.0)  # m/s2 between soft, firm and hard falls: drivers who see it coming stay below 3, and 5 is an emergency
HALTED, BRAKED, KINDS = 3, 4, 5
CLUMP = 3  # of a kind, of which more say no more: they fell because the others did
MANY = CLUMP + 1  # reporters, of which more are not told apart
SAME_WAY = 45.0  # degrees
BEFORE = 240.0  # s: who fell longer ago than that did not fall for what is new here
CLOSER = 50.0  # m ahead are the same place
SEVERAL = 2  # reporters who fell ahead, so that it is a jam: one may have had his own reasons
COMES_BACK = 4.0  # surprise that is taken off for it: ten thousand to one

OCCURRENCE = np.dtype(
    [("time", "i8"), ("kind", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8"), ("aside", "f8")]
)


Counts = NDArray[np.int64]
Scope = tuple[float, float]  # s and m


@compiled
def kind_of(decel: float) -> int:
    """The kind that a fall is in which a vehicle braked as hard as that."""
    return int(FALLS[0] < decel) + int(FALLS[1] < decel)


class Tally(NamedTuple):
    """What was lately done around a place."""

    counts: list[int]  # reporters of each kind, CLUMP at most
    reporters: int  # of all kinds, MANY at most
    aside: float  # m: mean of how far off the middle of the driving, towards the slower side; 0 if nothing was done
    first: int  # ms: when the oldest of it was done
    last: int  # ms: and the newest


class Occurrences:
    """Those of the last ten minutes."""

    def __init__(self) -> None:
        self._lately = Lately(OCCURRENCE)

    def note(self, acting: Rows, across: Across, now: int) -> set[int]:
        """Take in what was done (`tracks.SEEN`) in the pane that ended at `now` (ms); forget the old. Returns whose it was."""
        self._lately.forget(now - LATELY * 1000.0)
        if not len(acting):
            return set()
        new = np.empty(3 * len(acting), OCCURRENCE)
        new = new[: _note(acting, now, new)]
        if not len(new):
            return set()
        new["aside"] = across.aside(new["lat"], new["lon"], new["heading"], now)
        self._lately.take(new)
        return set(new["reporter"].tolist())

    def tallies(self, lat: float, lon: float, heading: float, now: int, scopes: Sequence[Scope]) -> list[Tally]:
        """What was done around a place by those who went this way, in each of the scopes; no other is as wide as the last."""
        counts, names = np.zeros((len(scopes), KINDS + 1), np.int64), np.empty((len(scopes), KINDS + 1, MANY), np.uint64)
        spans, aside = np.zeros((len(scopes), 3), np.int64), np.zeros(len(scopes))
        _tally(self._lately.rows, lat, lon, heading, now, np.array(scopes), counts, names, spans, aside)
        return [
            Tally([min(count, CLUMP) for count in kinds], reporters, off / max(done, 1), first, last)
            for (*kinds, reporters), off, (first, last, done) in zip(
                counts.tolist(), aside.tolist(), spans.tolist(), strict=True
            )
        ]

    def cluster(self, lat: float, lon: float, heading: float, now: int, window: float, radius: float) -> Rows:
        """The occurrences themselves, the newest first."""
        rows = self._lately.rows
        held = np.empty(len(rows), np.int64)
        return rows.take(held[: _near(rows, lat, lon, heading, now - window * 1000.0, radius, held)])

    def jam_ahead(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Surprise to take off what happens here, for traffic fell ahead minutes before: a jam comes back to where it was."""
        rows = self._lately.rows
        held = np.empty(len(rows), np.int64)
        fell = rows["reporter"].take(held[: _ahead(rows, lat, lon, heading, now - BEFORE * 1000.0, held)])
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
def _far(one: Any, lat: float, lon: float, narrow: float, heading: float) -> float:
    """Metres from a place, infinitely many if it was done by somebody who went another way."""
    if turn_between(one["heading"], heading) > SAME_WAY:
        return math.inf
    north = (one["lat"] - lat) * M_PER_DEGREE
    east = (one["lon"] - lon) * M_PER_DEGREE * narrow
    return math.sqrt(north * north + east * east)


@compiled
def _tally(
    rows: Rows,
    lat: float,
    lon: float,
    heading: float,
    now: int,
    scopes: Floats,
    counts: Counts,
    names: NDArray[np.uint64],
    spans: Counts,
    aside: Floats,
) -> None:
    """Add up, in each scope: who did each kind, and at last all of them, MANY at most, whose names are in `names`; when the
    first and the last of it was done, and how much that was; and how far aside."""
    widest, narrow = len(scopes) - 1, math.cos(math.radians(lat))
    for i in range(len(rows) - 1, -1, -1):
        one = rows[i]
        seconds = (now - one["time"]) / 1000.0
        if seconds >= scopes[widest, 0]:
            break
        far = _far(one, lat, lon, narrow, heading)
        for s in range(len(scopes)):
            if seconds >= scopes[s, 0] or far > scopes[s, 1]:
                continue
            spans[s, 0], spans[s, 1] = one["time"], max(spans[s, 1], one["time"])
            spans[s, 2] += 1
            aside[s] += one["aside"]
            for of in (one["kind"], KINDS):
                known = counts[s, of] == MANY
                for k in range(counts[s, of]):
                    known = known or names[s, of, k] == one["reporter"]
                if not known:
                    names[s, of, counts[s, of]] = one["reporter"]
                    counts[s, of] += 1


@compiled
def _near(rows: Rows, lat: float, lon: float, heading: float, since: float, radius: float, held: NDArray[np.int64]) -> int:
    """Write which of the rows are younger than `since` and within `radius` m of a place; returns how many."""
    count, narrow = 0, math.cos(math.radians(lat))
    for i in range(len(rows) - 1, -1, -1):
        one = rows[i]
        if one["time"] <= since:
            break
        if _far(one, lat, lon, narrow, heading) <= radius:
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
