"""Where vehicles lately crawled or stood that belong to no known queue: from the last of them to the foremost, the obstacle.

When few vehicles report, the first who is noticed may stand at the end of a queue of several hundred metres. Whoever
crawled in front of it, a minute or two before, shows where the queue begins.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.geometry import M_PER_DEGREE, angle_between
from detectors.lattice import Floats
from detectors.model import Rows, plain

LATELY = 240_000  # ms that are remembered
LINKED = 500.0  # m ahead that still belong together: 5 % of the vehicles of a queue stand some 50 to 150 m apart
SAME_PLACE = 20.0  # m: who is no farther ahead is not in front
SAME_WAY = 60.0  # degrees

_CRAWLER = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8")])


class Crawlers:
    """Sightings of the last minutes, in order of time."""

    def __init__(self) -> None:
        self._rows: Rows = np.empty(0, _CRAWLER)

    def note(self, lingering: Rows, now: int) -> None:
        """Take in those that linger (`tracks.SEEN`) in the pane that ended at `now` (ms); forget the old."""
        if len(self._rows) and self._rows["time"][0] <= now - LATELY:
            self._rows = self._rows.compress(self._rows["time"] > now - LATELY)
        if len(lingering):
            new = np.empty(len(lingering), _CRAWLER)
            new["time"] = now
            for name in ("reporter", "lat", "lon", "heading"):
                new[name] = lingering[name]
            self._rows = np.concatenate([plain(self._rows), plain(new)]).view(_CRAWLER)

    def foremost(self, lat: float, lon: float, heading: float) -> tuple[float, float, frozenset[int]]:
        """Where the queue begins at whose end somebody crawls, and who crawled from there to here."""
        rows = self._rows.compress(angle_between(self._rows["heading"], heading) <= SAME_WAY)
        who: set[int] = set()
        while True:
            ahead, far = _ahead(rows, lat, lon, heading)
            front = (ahead > SAME_PLACE) & (far <= LINKED)
            if not front.any():
                return lat, lon, frozenset(who)
            who.update(rows["reporter"][front].tolist())
            first = rows[np.argmax(np.where(front, ahead, -math.inf))]
            lat, lon = float(first["lat"]), float(first["lon"])  # ever farther ahead in one direction, so it ends


def _ahead(rows: Rows, lat: float, lon: float, heading: float) -> tuple[Floats, Floats]:
    """Metres by which each lies in front of a place, and away from it."""
    north = (rows["lat"] - lat) * M_PER_DEGREE
    east = (rows["lon"] - lon) * (M_PER_DEGREE * math.cos(math.radians(lat)))
    turn = math.radians(heading)
    return east * math.sin(turn) + north * math.cos(turn), np.hypot(north, east)
