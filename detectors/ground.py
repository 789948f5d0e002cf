"""Where vehicles stand, how often and how long, to a few metres: lights and kerbs, as the traffic itself shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.across import NEAR, TAU, Across
from detectors.driven import around, place_key
from detectors.lattice import FadingSums
from detectors.model import Rows
from detectors.tracks import HALT

PRIOR = 0.3  # stands that are assumed before anything is known of a place
USUAL = 20.0  # s: mean stand before anything is known, as at lights
FORGET = 0.01  # stands


@dataclass(slots=True)
class Spot:
    """What is usual at one spot."""

    passes: float
    stands: float
    stood: float  # s, all stands together
    beside: float  # standard deviations of the driving by which the spot lies off its middle
    speed: float  # m/s, of those who pass

    def surprise(self, seconds: float) -> float:
        """-log10 of the chance that one who passes comes to a stand here and stands so long.

        >>> round(Spot(passes=100.0, stands=0.0, stood=0.0, beside=0.0, speed=14.0).surprise(120.0), 1)
        5.1
        """
        share = (PRIOR + self.stands) / (PRIOR + self.passes)
        mean = (USUAL + self.stood) / (1.0 + self.stands)
        return -math.log10(min(1.0, share)) + seconds / mean / math.log(10.0)


class Ground:
    """Stands, summed on a lattice and read with a Gaussian kernel, beside the driving."""

    def __init__(self) -> None:
        self.across = Across()
        self._sums = FadingSums((TAU, TAU), FORGET)  # seconds stood, stands

    def learn(self, acting: Rows, now: int) -> None:
        """Take in those that drove off: a stand counts when it is over, so that it does not excuse itself."""
        over = acting.compress(acting["rested"] >= HALT / 1000.0)
        if len(over):
            keys = np.array([place_key(*one) for one in over[["lat", "lon", "heading"]].tolist()], np.int64)
            self._sums.add(keys, (over["rested"], np.ones(len(over))), now)
        self._sums.sweep(now)

    def spot(self, lat: float, lon: float, heading: float, now: int) -> Spot:
        driving = self.across.driving(lat, lon, heading, now)
        if driving is None:
            return Spot(0.0, 0.0, 0.0, 0.0, 0.0)
        stood, stands = around(lat, lon, heading, NEAR, self._sums.arrays(now))
        return Spot(driving.passes, stands, stood, driving.beside, driving.speed)
