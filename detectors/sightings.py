"""Who lately did something, and where: sightings that are forgotten after a while."""

from __future__ import annotations

import numpy as np

from detectors.lately import Lately
from detectors.model import Rows

SIGHTING = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8")])


class Sightings:
    """Those of the last `lasts` ms."""

    def __init__(self, lasts: int) -> None:
        self.lasts = lasts
        self._lately = Lately(SIGHTING)

    @property
    def rows(self) -> Rows:
        """Of SIGHTING, in order of time; good until the next `note`."""
        return self._lately.rows

    def note(self, seen: Rows, now: int) -> None:
        """Take in those of the seen (`tracks.SEEN`) in the pane that ended at `now` (ms); forget the old."""
        self._lately.forget(now - self.lasts)
        if len(seen):
            new = np.empty(len(seen), SIGHTING)
            new["time"] = now
            for name in ("reporter", "lat", "lon", "heading"):
                new[name] = seen[name]
            self._lately.take(new)
