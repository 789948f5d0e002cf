"""Where vehicles lately crawled or stood that belong to no known queue: from the last of them to the foremost, the obstacle.

When few vehicles report, the first who is noticed may stand at the end of a queue of several hundred metres. Whoever
crawled in front of it, a minute or two before, shows where the queue begins.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.geometry import ahead, angle_between, distance
from detectors.model import SIGHT
from detectors.place_rates import REACH
from detectors.sightings import Sightings

LATELY = 240_000  # ms that are remembered
FARTHEST = SIGHT - REACH  # m: the shard of the foremost's place then sees the last, and all around him that counts
SAME_PLACE = 20.0  # m: who is no farther ahead is not in front
SAME_WAY = 60.0  # degrees


class Crawlers(Sightings):
    """Sightings of those who crawl."""

    def __init__(self) -> None:
        super().__init__(LATELY)

    def foremost(self, lat: float, lon: float, heading: float) -> tuple[float, float, frozenset[int]]:
        """Where the queue begins at whose end this place is, and who crawled from there to here."""
        rows = self.rows.compress(angle_between(self.rows["heading"], heading) <= SAME_WAY)
        along = ahead(rows["lat"], rows["lon"], lat, lon, heading)
        front = (along > SAME_PLACE) & (distance(rows["lat"], rows["lon"], lat, lon) <= FARTHEST)
        if not front.any():
            return lat, lon, frozenset()
        first = rows[np.argmax(np.where(front, along, -math.inf))]
        return float(first["lat"]), float(first["lon"]), frozenset(rows["reporter"][front].tolist())
