"""Vehicles that say themselves that something has happened to them: an airbag is out, a trailer has
jackknifed, or they are disabled.

Such a message speaks for itself and needs no company; a single reporter's incident stays Possible all the same. The one
thing asked of it is that the vehicle does not drive on as if nothing were: then it is its unit that is broken. Hazard
lights say less, they are weighed in `standing`.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from detectors.model import Finding, Frame, Sign
from detectors.signs import said

ROLLING = 10.0  # m/s: who drives faster than this is neither disabled nor just crashed
BRAKING = 3.92  # m/s2: 0.4 g; a crash is faster than that, but it is also slowing down hard
SCORE = 6.0  # -log10, by decree: surer than any cluster needs to be, and one reporter stays Possible whatever it is
EXTENT = 25.0  # m: the error of its position and its own length

_SPEAKS = ((Sign.AIRBAG, "accident"), (Sign.JACKKNIFE, "accident"), (Sign.DISABLED, "breakdown"))
_ANY = int(Sign.AIRBAG | Sign.JACKKNIFE | Sign.DISABLED)


class SelfReports:
    """Repeats what a vehicle says of itself in every pane in which it says so. Remembers nothing."""

    kinds: ClassVar[tuple[str, ...]] = ("accident", "breakdown")

    def update(self, frame: Frame) -> list[Finding]:
        rows = frame.observations
        if not said(rows) & _ANY:
            return []
        speaking = (rows["signs"] & _ANY) != 0
        rows = rows[speaking & ~((rows["speed"] > ROLLING) & ~(rows["accel"] < -BRAKING))]
        _, newest = np.unique(rows["reporter"][::-1], return_index=True)
        found = []
        for row in rows[len(rows) - 1 - newest]:
            kind = next(kind for sign, kind in _SPEAKS if row["signs"] & int(sign))
            found.append(
                Finding(
                    kind=kind,
                    time=frame.end,
                    onset=int(row["time"]),
                    lat=float(row["lat"]),
                    lon=float(row["lon"]),
                    heading=float(row["heading"]),
                    radius=EXTENT,
                    score=SCORE,
                    reporters=frozenset({int(row["reporter"])}),
                    evidence=((kind, 1.0),),
                )
            )
        return found
