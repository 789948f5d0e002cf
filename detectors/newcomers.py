"""Who is new, and whether more new ones come than ever do: one sender may speak under fifty names.

Vehicles come into a cell one by one, over its border or by switching on, and change their ids every few minutes, not all
at once (SAE J2945/1). So every cell learns how many newcomers are usual: many at the rim of what is seen and at a tunnel's
mouth, few within. More than that, within seconds, is a crowd, whose members are believed when their MISTRUST is over and
they have driven as they say; at a ferry's ramp honest vehicles do that, standing names never do. Until a shard has known
traffic for some minutes everybody is new, and nobody is a crowd; but claims need a history from the first second on.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE, distance
from detectors.model import Rows
from detectors.movement import MISTRUST

WARM = 300_000  # ms of traffic after which newcomers are told from the others: an id's usual life (SAE J2945/1)
SETTLED = 60_000  # ms in which those who were there before come into sight: they teach nothing of arrivals
SLEPT = 600_000  # ms without a row: ids have changed, everybody is new again
AT_ONCE = 10_000.0  # ms: time constant of the newcomers that are counted as one crowd
USUAL = 900_000.0  # ms: that of what is usual; demand doubles within half an hour at the most
MANY = 5.0  # newcomers beyond the usual: a household that leaves, a platoon whose receivers find themselves again
TIMES = 3.0  # the usual rate: signals let traffic in by platoons, with green for a third of the time
ROTATION = 300_000.0  # ms between two ids of one vehicle (SAE J2945/1)
HISTORY = 5_000  # ms, and
DRIVEN = 20.0  # m driven as its speed says, before what it claims is believed
TOGETHER = 500.0  # m within which those without a history count as one source: more than the error of what it pretends
NORTH = TOGETHER / M_PER_DEGREE  # degrees of latitude: who is further is not within it
HEARD = 300_000  # ms for which the one who spoke first remains the one
RARE = 0.05  # newcomers, faded: a cell with fewer is forgotten, 45 min after a single one


class Newcomers:
    """Counts new reporters by cell, and knows who speaks for those without a history."""

    def __init__(self) -> None:
        self._began, self._latest = 0, -SLEPT - 1  # ms: since when there is traffic, and the last of it
        self._cells: dict[int, tuple[int, float, float]] = {}  # cell -> when (ms), newcomers at once, newcomers usually
        self._speakers: dict[int, tuple[int, float, float]] = {}  # reporter -> when it last spoke (ms), latitude, longitude

    def wake(self, now: int) -> None:
        """There are rows in the pane that ends at `now` (ms)."""
        if now - self._latest > SLEPT:
            self._began = now
        self._latest = now

    @property
    def told(self) -> bool:
        """Whether there has been traffic for long enough to tell newcomers from others."""
        return self._latest - self._began >= WARM

    def history(self, tracks: Rows) -> NDArray[np.bool_]:
        """Who has been seen for a while and to drive as it says."""
        known: NDArray[np.bool_] = (tracks["drove"] >= DRIVEN) & (tracks["time"] - tracks["since"] >= HISTORY)
        return known

    def crowd(self, tracks: Rows, cells: NDArray[np.uint64], new: NDArray[np.bool_], now: int) -> bool:
        """Count the newcomers of a pane, given the cell of each reporter in it; mark in `tracks` whoever came in a crowd."""
        learned = self._latest - self._began - SETTLED
        if learned < 0:
            return False
        found = False
        names, counts = np.unique(cells[new], return_counts=True)
        for cell, count in zip(names.tolist(), counts.tolist(), strict=True):
            then, lately, usually = self._cells.get(cell, (now, 0.0, 0.0))
            lately = lately * math.exp((then - now) / AT_ONCE) + count
            usually *= math.exp((then - now) / USUAL)
            self._cells[cell] = now, lately, usually + count
            if not self.told or lately <= MANY:
                continue
            rate = usually / (USUAL * -math.expm1(-learned / USUAL))
            rate = max(rate, float(((cells == cell) & ~new).sum()) / ROTATION)
            if lately > MANY + TIMES * rate * AT_ONCE:
                members = (tracks["cell"] == cell) & (tracks["since"] > now - AT_ONCE) & (tracks["crowd"] == 0)
                tracks["crowd"][members & ~self.history(tracks)] = now + MISTRUST
                found = True
        return found

    def may_speak(self, reporter: int, lat: float, lon: float, now: int) -> bool:
        """Whether one without a history is heard: if it is the first that spoke for some time and some way around."""
        if reporter not in self._speakers:
            for then, north, east in self._speakers.values():  # latitude first: airbags all over a city took 1.4 ms each
                if abs(lat - north) < NORTH and now - then < HEARD and distance(lat, lon, north, east) < TOGETHER:
                    return False
        self._speakers[reporter] = now, lat, lon
        return True

    def sweep(self, now: int) -> None:
        """Forget the cells into which hardly anybody comes, and who has not spoken for long."""
        self._cells = {
            cell: (then, lately, usually)
            for cell, (then, lately, usually) in self._cells.items()
            if usually * math.exp((then - now) / USUAL) >= RARE
        }
        self._speakers = {name: spoke for name, spoke in self._speakers.items() if now - spoke[0] < HEARD}
