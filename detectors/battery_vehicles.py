"""What is remembered of every vehicle's battery: one packed row each, found by reporter, forgotten after a week of silence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.battery_cells import PRIOR, RIDGE, UPPER
from detectors.model import Rows

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
        ("mean", "f4", N),  # baseline of every channel
        ("variance", "f4", N),
        ("count", "u2", N),  # of readings, up to MANY
        ("smooth", "f4", N),  # standardised deviation, smoothed
        ("peak", "f2", N),  # largest of it in this block of ten minutes
        ("hits", "u1", N),  # one bit for each of the last five readings that the channel judged
        ("recent", "f4"),  # largest score in the last full block
    ]
)
"""State of one vehicle."""


def at(rows: Rows, places: NDArray[Any]) -> Rows:
    """Copies of the rows at places (indices or flags); whole rows are moved, which numpy would do field by field otherwise."""
    moved: Rows = rows.view(f"V{rows.itemsize}")[places].view(rows.dtype)
    return moved


def put(rows: Rows, places: NDArray[Any], new: Rows) -> None:
    """Write new rows at places."""
    rows.view(f"V{rows.itemsize}")[places] = new.view(f"V{rows.itemsize}")


def join(parts: Sequence[Rows]) -> Rows:
    """Rows one after the other."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate([p.view(f"V{p.itemsize}") for p in parts]).view(parts[0].dtype)


class Vehicles:
    """Rows of VEHICLE in slots, grown by a quarter, with a sorted index from reporter to slot."""

    def __init__(self) -> None:
        self.table: Rows = np.zeros(16, VEHICLE)
        self.used = 0
        self.known: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.slot: NDArray[np.int32] = np.empty(0, np.int32)

    def __len__(self) -> int:
        return self.used

    @property
    def nbytes(self) -> int:
        """Bytes that are kept for the vehicles in use."""
        return self.used * (VEHICLE.itemsize + self.known.itemsize + self.slot.itemsize)

    def find(self, reporters: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Slots of the reporters (n,), -1 for strangers."""
        if not self.known.size:
            return np.full(len(reporters), -1, np.int32)
        at = np.minimum(np.searchsorted(self.known, reporters), self.known.size - 1)
        return np.where(self.known[at] == reporters, self.slot[at], np.int32(-1))

    def admit(self, reporters: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Slots of the reporters (n,); strangers get the next ones, in the order of their numbers."""
        strangers = np.unique(reporters[self.find(reporters) < 0])
        if strangers.size:
            end = self.used + strangers.size
            if end > len(self.table):
                grown = np.zeros(max(end, len(self.table) * 5 // 4), VEHICLE)
                grown[: self.used] = self.table[: self.used]
                self.table = grown
            fresh = self.table[self.used : end]
            fresh["reporter"] = strangers
            for name in ("lat", "lon", "soc", "voltage", "current", "cell_max", "cell_min", "hottest"):
                fresh[name] = np.nan
            for name in ("warm_fast", "warm_slow", "level", "lowest", "highest"):
                fresh[name] = np.nan
            fresh["grain"] = COARSEST
            fresh["mean"][:, CELLS], fresh["slope_steep"], fresh["slope_load"] = PRIOR
            fresh["moments"] = np.diag(RIDGE)[UPPER]
            self._index(np.arange(self.used, end, dtype=np.int32))
            self.used = end
        return self.find(reporters)

    def forget(self, now: int) -> None:
        """Drop whoever was last heard more than a week before `now`, ms, and give the memory back."""
        keep = self.table["time"][: self.used] > now - FORGET
        if keep.all():
            return
        self.table = self.table[: self.used][keep]
        self.used = len(self.table)
        self.known, self.slot = np.empty(0, np.uint64), np.empty(0, np.int32)
        self._index(np.arange(self.used, dtype=np.int32))
        if not self.used:
            self.table = np.zeros(16, VEHICLE)

    def _index(self, slots: NDArray[np.int32]) -> None:
        known = np.concatenate([self.known, self.table["reporter"][slots]])
        order = np.argsort(known, kind="stable")
        self.known = known[order]
        self.slot = np.concatenate([self.slot, slots])[order]

    def __getstate__(self) -> dict[str, object]:
        return {"table": self.table[: self.used].copy(), "used": self.used, "known": self.known, "slot": self.slot}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
