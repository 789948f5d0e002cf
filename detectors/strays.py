"""How often, and for how long, vehicles are shown against the traffic that do not drive so: receivers err, people overtake.

A receiver's error stays the same for some ten seconds to a minute, so that samples of one vehicle say hardly more than one of
them. How large it is, next to the way from one carriageway to the other, differs from place to place, and nobody says so. But
each suspect who is next seen among those who go his way, and has not turned, has shown how far and for how long one errs here.
"""

from __future__ import annotations

import math

from detectors.directions import TAU

ALIKE = 500.0  # m driven while a receiver's error stays the same: 20 s at 25 m/s
FIRST = 2.0, 5.0  # strays, and s that each of them lasted, that are thought of before any was seen
HALF = 0.5  # strays: the Beta(1/2, 1/2) of Jeffreys


class Strays:
    """Suspects who were none: how many, fading as what is known of ways does, and the seconds that they were suspected."""

    def __init__(self) -> None:
        self._count = self._seconds = 0.0
        self._time = 0  # ms: when that was so

    def take(self, seconds: float, now: int) -> None:
        """One more was suspected for so long; `now` in ms."""
        fade = self._fade(now)
        self._count, self._seconds, self._time = self._count * fade + 1.0, self._seconds * fade + seconds, now

    def surprise(self, seconds: float, driven: float, now: int) -> float:
        """-log10 of the share of ALIKE stretches on which one strays for so long or longer, if `driven` m are known here.

        How long they last is exponential, as the times are for which what wanders about a mean stays far from it.
        """
        fade, (strays, each) = self._fade(now), FIRST
        count = self._count * fade
        mean = (self._seconds * fade + strays * each) / (count + strays)
        return math.log10((driven / ALIKE + 1.0) / (count + HALF)) + seconds / mean / math.log(10.0)

    def _fade(self, now: int) -> float:
        return math.exp((self._time - now) / TAU)
