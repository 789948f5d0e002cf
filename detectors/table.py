"""Rows found by a number in one step, however many there are: a hash table over an array that grows.

Rows lie in the order in which they came, so that what is summed over them does not depend on how they are found. Compiled loops
take a table's arrays, look up with `find` and take in with `claim`:

    table.reserve(len(rows))  # a loop cannot make the arrays larger
    _step(rows, *table.arrays)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.growing import Growing, grown
from detectors.model import plain

MIX = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: multiplying by it spreads numbers that end alike
_HIGH = np.uint64(32)  # bits: the upper half is the well-mixed one
SMALLEST = 64  # rows

Slots = NDArray[np.int32]
Names = NDArray[Any]  # u8 or i8


@compiled
def slot_of(slots: Slots, names: Names, name: int) -> int:
    """The slot that holds a name, or the empty one where it belongs. `name` has the type of `names`."""
    mask = len(slots) - 1
    at = np.int64((np.uint64(name) * MIX) >> _HIGH) & mask
    while slots[at] >= 0 and names[slots[at]] != name:
        at = (at + 1) & mask
    return int(at)


@compiled
def find(slots: Slots, names: Names, name: int) -> int:
    """The row of a name; -1 if it is not held."""
    return int(slots[slot_of(slots, names, name)])


@compiled
def claim(slots: Slots, names: Names, size: NDArray[np.int64], name: int) -> int:
    """The row of a name, the next free one if it is not held; the rest of a fresh row is as `Table` left it: zero."""
    at = slot_of(slots, names, name)
    row = slots[at]
    if row < 0:
        row = np.int32(size[0])
        size[0] += 1
        slots[at] = row
        names[row] = name
    return int(row)


@compiled
def _index(slots: Slots, names: Names, size: int) -> None:
    for row in range(size):
        slots[slot_of(slots, names, names[row])] = row


def unheld(most: int) -> tuple[Names, Slots, NDArray[np.int64]]:
    """Names, slots and their number for a loop that takes in so many unsigned names at most and keeps none."""
    return np.empty(most, np.uint64), free_slots(most), np.zeros(1, np.int64)


def free_slots(rows: int) -> Slots:
    """Slots for so many rows: at most half of them are ever in use."""
    slots = np.empty(1 << (2 * rows - 1).bit_length(), np.int32)
    slots.fill(-1)
    return slots


class Table:
    """A structured array whose field `name` finds its rows.

    Parameters
    ----------
    dtype
        Of the rows.
    name
        The field, of 64 bits, that no two rows share.

    Examples
    --------
    >>> table = Table(np.dtype([("reporter", "u8"), ("speed", "f4")]), "reporter")
    >>> table.reserve(1)
    >>> rows, names, slots, size = table.arrays
    >>> rows["speed"][claim(slots, names, size, np.uint64(7))] = 20.0
    >>> len(table), table.held["speed"].tolist()
    (1, [20.0])
    """

    def __init__(self, dtype: np.dtype[Any], name: str) -> None:
        self._name = name
        self._size = np.zeros(1, np.int64)
        self._take(Growing(dtype, SMALLEST))

    @classmethod
    def of(cls, rows: NDArray[Any], name: str) -> Table:
        """A table that holds a copy of these rows, each with a name of its own."""
        made = cls.__new__(cls)
        made.__setstate__({"name": name, "rows": rows})
        return made

    def __len__(self) -> int:
        return int(self._size[0])

    @property
    def held(self) -> NDArray[Any]:
        """The rows, in the order in which they came; a view, good until the next `reserve` or `keep`."""
        return self._arrays[0][: len(self)]

    @property
    def arrays(self) -> tuple[NDArray[Any], Names, Slots, NDArray[np.int64]]:
        """Rows, their names, slots, and the number of rows, for compiled loops; good until the next `reserve` or `keep`."""
        return self._arrays

    def reserve(self, more: int) -> None:
        """Make room for so many more rows."""
        need, room = len(self) + more, len(self._arrays[0])
        if need > room:
            del self._arrays  # which looks at them
            self._memory.grow(max(need, room * 3 // 2))
            self._take(self._memory)

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget the rows that are not among these."""
        if which.all():
            return
        rows, before, kept = self._arrays[0], len(self), self.held.compress(which)
        self._size[0] = len(kept)
        if 3 * len(kept) < len(rows):  # most of the memory is given back; a half would be asked for again with the next rows
            self._take(grown(kept, max(SMALLEST, 3 * len(kept) // 2)))
            return
        plain(rows)[: len(kept)] = plain(kept)
        rows.view(np.uint8)[len(kept) * rows.dtype.itemsize : before * rows.dtype.itemsize] = 0
        self._take(self._memory)

    def _take(self, memory: Growing) -> None:
        """Hold these rows, of which the first `len(self)` are taken."""
        rows, slots = memory.rows, free_slots(len(memory.rows))
        self._memory, self._arrays = memory, (rows, rows[self._name], slots, self._size)
        _index(slots, rows[self._name], len(self))

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self._name, "rows": self.held}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._name = state["name"]
        self._size = np.array([len(state["rows"])])
        self._take(grown(state["rows"], len(state["rows"]) + SMALLEST))
