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

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, distance
from detectors.model import Rows
from detectors.movement import MISTRUST, Places, Row
from detectors.table import Names, Slots, Table, claim

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

CELL = np.dtype(
    [
        ("cell", "u8"),
        ("time", "i8"),  # ms, of the newest newcomer
        ("lately", "f8"),  # newcomers at once, faded to then
        ("usually", "f8"),  # newcomers, faded to then
    ]
)


class Newcomers:
    """Counts new reporters by cell, and knows who speaks for those without a history."""

    def __init__(self) -> None:
        self._began, self._latest = 0, -SLEPT - 1  # ms: since when there is traffic, and the last of it
        self._cells = Table(CELL, "cell")
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

    def crowd(self, tracks: Rows, known: int, cells: NDArray[np.uint64], at: Places, now: int) -> None:
        """Count the newcomers of a pane, the `tracks` from `known` on, and mark whoever came in a crowd.

        `cells` and `at`: the cell of each row of the pane, and where its track is.
        """
        learned = self._latest - self._began - SETTLED
        if learned < 0:
            return
        fresh = tracks[known:]
        lately, where = np.zeros(len(fresh)), np.empty(len(fresh), np.int64)
        self._cells.reserve(len(fresh))
        found = _count(fresh, *self._cells.arrays, now, USUAL * -math.expm1(-learned / USUAL), where, lately)
        if not (found and self.told):
            return
        first = np.unique(at, return_index=True)[1]  # the first row of each reporter
        there = cells[first[at[first] < known]]
        for cell in np.unique(fresh["cell"][lately > 0.0]):
            rate = float((there == cell).sum()) / ROTATION
            if lately[fresh["cell"] == cell].max() > MANY + TIMES * rate * AT_ONCE:
                _mark(tracks, cell, now)

    def may_speak(self, reporter: int, lat: float, lon: float, now: int) -> bool:
        """Whether one without a history is heard: if it is the first that spoke for some time and some way around."""
        if reporter not in self._speakers:
            for then, lat0, lon0 in self._speakers.values():  # latitude first: airbags all over a city took 1.4 ms each
                if abs(lat - lat0) < NORTH and now - then < HEARD and distance(lat, lon, lat0, lon0) < TOGETHER:
                    return False
        self._speakers[reporter] = now, lat, lon
        return True

    def sweep(self, now: int) -> None:
        """Forget the cells into which hardly anybody comes, and who has not spoken for long."""
        cells = self._cells.held
        self._cells.keep(cells["usually"] * np.exp((cells["time"] - now) / USUAL) >= RARE)
        self._speakers = {name: spoke for name, spoke in self._speakers.items() if now - spoke[0] < HEARD}


@compiled
def has_history(track: Row) -> bool:
    """Whether one has been seen for a while and to drive as it says."""
    return bool(track["drove"] >= DRIVEN and track["time"] - track["since"] >= HISTORY)


@compiled
def _count(
    fresh: Rows,
    cells: Rows,
    names: Names,
    slots: Slots,
    size: Places,
    now: int,
    learned: float,
    where: Places,
    lately: NDArray[np.float64],
) -> bool:
    """Count each newcomer in its cell. Whether that makes somewhere more than ever: then `lately` has how many, else zero.

    `learned`: ms, the sum of the weights of all that was learned of what is usual; `where` is filled with their cells.
    """
    found = False
    for i in range(len(fresh)):
        where[i] = claim(slots, names, size, fresh[i]["cell"])
        cell = cells[where[i]]
        if cell["time"] < now:
            cell["lately"] *= math.exp((cell["time"] - now) / AT_ONCE)
            cell["usually"] *= math.exp((cell["time"] - now) / USUAL)
            cell["time"] = now
        cell["lately"] += 1.0
    for i in range(len(fresh)):
        cell = cells[where[i]]
        if (cell["lately"] - MANY) * learned > TIMES * AT_ONCE * cell["usually"]:
            lately[i] = cell["lately"]
            found = True
        cell["usually"] += 1.0  # not before: those of this pane do not make themselves usual
    return found


@compiled
def _mark(tracks: Rows, cell: int, now: int) -> None:
    """Whoever came into a cell a moment ago, and has no history, came in a crowd."""
    for i in range(len(tracks)):
        track = tracks[i]
        if track["cell"] == cell and track["since"] > now - AT_ONCE and track["crowd"] == 0 and not has_history(track):
            track["crowd"] = now + MISTRUST
