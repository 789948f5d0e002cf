"""What is remembered of every vehicle's battery: one packed row each, found by reporter, forgotten after a week of silence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.battery_cells import PRIOR, RIDGE
from detectors.compiled import compiled
from detectors.model import Rows, plain
from detectors.table import Names, Slots, Table, claim, find

CHANNELS = (
    "temperature_difference",
    "temperature_rise",
    "insulation_fall",
    "charge_drift",
    "standstill_current",
    "stuck",
    "lowest_cell",
    "highest_cell",
)
N = len(CHANNELS)
CELLS = slice(N - 2, N)  # the channels that have a line of their own (`battery_cells`) instead of a baseline
COARSEST = 10  # mV: cell voltages come in steps of 1 mV on the wire, and of up to 10 mV from real cars
MANY = 65_535  # readings: by then a baseline has long been as slow as it gets
PEAK_STEP = 0.001  # standard deviations; smoothed ones are never above 12
UNJUDGED = -(2**15)
FORGET = 7 * 86_400_000  # ms: a car that stood for a week comes back as a new one

VEHICLE = np.dtype(
    [
        ("reporter", "u8"),
        ("time", "i8"),  # ms, of the last reading; 0: none yet
        ("lat", "f4"),  # last known position, to a metre
        ("lon", "f4"),
        ("halted", "u1"),  # 1 if the last reading had a speed of 0
        ("soc", "f4"),  # the last reading's values, to compare with; NaN where never seen
        ("voltage", "f4"),
        ("current", "f4"),
        ("cell_max", "f4"),
        ("cell_min", "f4"),
        ("hottest", "f4"),
        ("warm_fast", "f4"),  # degrees Celsius, highest temperature, two exponentially weighted means of it
        ("warm_slow", "f4"),
        ("square", "f4"),  # (100 A)2, exponentially weighted mean of the current squared
        ("work", "f4"),  # (100 A)2, the same over a longer time
        ("heat_xy", "f4"),  # sums from which the heat per current squared follows
        ("heat_xx", "f4"),
        ("count_in", "f4"),  # A s counted into the battery lately, and by how much the state of charge rose meanwhile
        ("soc_in", "f4"),
        ("charge_xy", "f4"),  # sums from which the capacity follows
        ("charge_xx", "f4"),
        ("level", "f4"),  # V, mean cell voltage in the long run: tells the chemistry
        ("lowest", "f4"),  # V below the mean, without what comes and goes in minutes while charging
        ("highest", "f4"),  # V above it; NaN until single voltages were seen
        ("slope_steep", "f4", 2),  # V, of the lines of the lowest and the highest cell; their constants are in `mean`
        ("slope_load", "f4", 2),  # V per 100 A
        ("moments", "f4", 6),  # of both lines' regressors
        ("grain", "u1"),  # mV, finest step of the cell voltages seen: 10, 5 or 1
        ("same_voltage", "u1"),  # readings for which the voltages stood still though the current did not
        ("same_current", "u1"),  # and the other way round
        ("limits", "u1"),  # physical limits that the last reading passed
        ("sound", "u1"),  # 1 once the insulation was seen to be sound
        ("off_scale", "u2"),  # s for which one probe has been where its range ends, and another cool
        ("mean", "f4", N),  # baseline of every channel
        ("variance", "f4", N),
        ("count", "u2", N),  # of readings, up to MANY
        ("smooth", "f4", N),  # standardised deviation, smoothed
        ("peak", "i2", N),  # PEAK_STEP, largest of it in this block of ten minutes; UNJUDGED if there was none
        ("hits", "u1", N),  # one bit for each of the last five readings that the channel judged
        ("recent", "f4"),  # largest score in the last full block
    ]
)
"""State of one vehicle."""


def _fresh() -> Rows:
    row = np.zeros(1, VEHICLE)
    for name in ("lat", "lon", "soc", "voltage", "current", "cell_max", "cell_min", "hottest"):
        row[name] = np.nan
    for name in ("warm_fast", "warm_slow", "level", "lowest", "highest"):
        row[name] = np.nan
    row["grain"] = COARSEST
    row["mean"][:, CELLS], row["slope_steep"], row["slope_load"] = PRIOR
    row["moments"] = RIDGE[0], 0.0, 0.0, RIDGE[1], 0.0, RIDGE[2]
    return row


FRESH = _fresh()
"""Of whom nothing is known."""


def at(rows: Rows, places: NDArray[Any]) -> Rows:
    """Copies of the rows at places (indices or flags); whole rows are moved, which numpy would do field by field otherwise."""
    moved: Rows = plain(rows)[places].view(rows.dtype)
    return moved


def put(rows: Rows, places: NDArray[Any] | slice, new: Rows) -> None:
    """Write new rows at places."""
    plain(rows)[places] = plain(new)


def join(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([plain(rows) for rows in parts]).view(parts[0].dtype)


def unused(size: int) -> NDArray[np.uint8]:
    """So many bytes that nobody uses."""
    return np.empty(size, np.uint8)


class Changes(NamedTuple):
    """Rows of a table that were touched, and a share of the others: what is to be written of it."""

    size: int  # vehicles in the table
    places: NDArray[np.int32]  # of the rows
    rows: Rows


class Vehicles:
    """Rows of VEHICLE found by reporter, and which of them were touched since they were last written."""

    def __init__(self) -> None:
        self._table = Table(VEHICLE, "reporter")
        self._begin()

    def _begin(self) -> None:
        self._touched = np.zeros(len(self.table), np.bool_)
        self._written = False

    def __len__(self) -> int:
        return len(self._table)

    @property
    def table(self) -> Rows:
        """The rows, of which the first `len(self)` are in use; a view, good until vehicles come or go."""
        rows: Rows = self._table.arrays[0]
        return rows

    @property
    def nbytes(self) -> int:
        """Bytes that are kept for the vehicles in use, without the room for more: a row, two slots and a flag each."""
        return len(self) * (VEHICLE.itemsize + 2 * 4 + 1)

    def find(self, reporters: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Places of the reporters (n,), -1 for strangers."""
        _, names, slots, _ = self._table.arrays
        places = np.empty(len(reporters), np.int32)
        _find(slots, names, _whole(reporters), places)
        return places

    def admit(self, reporters: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Places of the reporters (n,); strangers get the next ones, in the order in which they come."""
        places = self.find(reporters)
        if places.min(initial=0) < 0:
            before = len(self)
            self._table.reserve(int((places < 0).sum()))
            rows, names, slots, size = self._table.arrays
            _claim(slots, names, size, _whole(reporters), places)
            strangers = rows["reporter"][before : len(self)].copy()
            put(rows, slice(before, len(self)), FRESH)
            rows["reporter"][before : len(self)] = strangers
            self._touched = np.concatenate([self._touched, np.zeros(len(rows) - len(self._touched), np.bool_)])
        return places

    def put(self, places: NDArray[Any], new: Rows) -> None:
        """Write new rows at places."""
        put(self.table, places, new)
        self._touched[places] = True

    def forget(self, now: int) -> None:
        """Drop whoever was last heard more than a week before `now`, ms, and give the memory back.

        The last ones take the places that become free, so that few rows are touched.
        """
        known = self.table["time"][: len(self)] > now - FORGET
        left = int(known.sum())
        free, last = np.flatnonzero(~known[:left]), left + np.flatnonzero(known[left:])
        self.put(free, at(self.table, last))
        self._table.keep(np.arange(len(self)) < left)
        self._touched = np.resize(self._touched, len(self.table))

    def changes(self, turn: int, of: int, room: Callable[[int], NDArray[np.uint8]] = unused) -> Changes:
        """What was touched since the last call, and one row in `of`, others each `turn`: after as many turns every one.

        The rows are copies, in as many bytes of `room` as they need.
        """
        due = np.ones(len(self), np.bool_)
        if self._written:
            due = self._touched[: len(self)].copy()
            due[turn % of :: of] = True
        places = np.flatnonzero(due).astype(np.int32)
        rows = room(len(places) * VEHICLE.itemsize).view(VEHICLE)
        np.take(plain(self.table), places, out=plain(rows), mode="clip")  # any other way is by a copy more
        self._touched[:] = False
        self._written = True
        return Changes(len(self), places, rows)

    @classmethod
    def of(cls, changes: Sequence[Changes]) -> Vehicles:
        """The table that these changes are of: the last `of` of them, or all there were, in their order."""
        rows = np.zeros(max(each.size for each in changes), VEHICLE)
        for each in changes:
            put(rows, each.places, each.rows)
        made = cls()
        made._table = Table.of(rows[: changes[-1].size], "reporter")
        made._begin()
        made._written = True
        return made

    def __getstate__(self) -> dict[str, object]:
        return {"table": self._table}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._table = state["table"]
        self._begin()


def _whole(reporters: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One type for the loops: the reporters of one row lie together, those of several between other columns."""
    return np.ascontiguousarray(reporters)


@compiled
def _find(slots: Slots, names: Names, reporters: NDArray[np.uint64], places: NDArray[np.int32]) -> None:
    for i in range(len(reporters)):
        places[i] = find(slots, names, reporters[i])


@compiled
def _claim(
    slots: Slots, names: Names, size: NDArray[np.int64], reporters: NDArray[np.uint64], places: NDArray[np.int32]
) -> None:
    for i in range(len(reporters)):
        places[i] = claim(slots, names, size, reporters[i])
