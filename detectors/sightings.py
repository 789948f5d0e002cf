"""Who lately did something, and where: sightings that are forgotten after a while."""

from __future__ import annotations

import numpy as np

from detectors.model import Rows, plain

SIGHTING = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8")])


class Sightings:
    """Those of the last `lasts` ms, in order of time: `rows`, of SIGHTING."""

    def __init__(self, lasts: int) -> None:
        self.lasts = lasts
        self.rows: Rows = np.empty(0, SIGHTING)

    def note(self, seen: Rows, now: int) -> None:
        """Take in those of the seen (`tracks.SEEN`) in the pane that ended at `now` (ms); forget the old."""
        if len(self.rows) and self.rows["time"][0] <= now - self.lasts:
            self.rows = self.rows.compress(self.rows["time"] > now - self.lasts)
        if len(seen):
            new = np.empty(len(seen), SIGHTING)
            new["time"] = now
            for name in ("reporter", "lat", "lon", "heading"):
                new[name] = seen[name]
            self.rows = np.concatenate([plain(self.rows), plain(new)]).view(SIGHTING)
