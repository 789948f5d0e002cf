"""What vehicles are called from the decoder on, looked up for a whole poll: who was heard lately need not be hashed again.

A million electric cars speak in turn, so a name is heard again when ten seconds' names have come in between. As strings in a
dictionary they would take 185 MB; here one takes 24 bytes, and is known by a mark of 64 bits, which two of a million have in
common with a chance of 3 in 100 million, as often as their pseudonyms.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.table import Names, Slots, Table, claim, find

REMEMBERED = 4_000_000  # identities, 100 MB; forgetting costs time, never correctness
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # of SplitMix64, whose steps can be undone: none is lost
_32, _29, _8 = np.uint64(32), np.uint64(29), np.uint64(8)

Octets = NDArray[np.uint8]
Marks = NDArray[np.uint64]
Places = NDArray[np.int64]


class Identities:
    """The pseudonyms of identities of one byte a character, as `hashed` makes them of each."""

    def __init__(self, hashed: Callable[[str], int]) -> None:
        self._hashed = hashed
        self._known = Table(np.dtype([("mark", "u8"), ("called", "u8")]), "mark")
        self._salt = np.uint64(secrets.randbits(64))  # so that nobody can choose names that share a mark

    def __call__(self, whole: bytes, starts: Places, ends: Places) -> Marks:
        """(n,) pseudonyms of those that lie from these bytes up to those."""
        marks, called = np.empty(len(starts), np.uint64), np.empty(len(starts), np.uint64)
        places = np.empty(len(starts), np.int64)
        rows, names, slots, size = self._known.arrays
        octets = np.frombuffer(whole, np.uint8)
        strangers = _look_up(octets, starts, ends, self._salt, rows["called"], names, slots, marks, called, places)
        if strangers:
            if len(self._known) + strangers > REMEMBERED:
                self._known = Table(rows.dtype, "mark")
            self._known.reserve(strangers)
            rows, names, slots, size = self._known.arrays
            for i in np.flatnonzero(places < 0).tolist():
                called[i] = self._hashed(whole[starts[i] : ends[i]].decode("latin-1"))
            _take_in(marks, called, places, rows["called"], names, slots, size)
        return called


@compiled
def _look_up(
    octets: Octets,
    starts: Places,
    ends: Places,
    salt: np.uint64,
    known: Marks,
    names: Names,
    slots: Slots,
    marks: Marks,
    called: Marks,
    places: Places,
) -> int:
    """Mark each, and say what those that are known are called; how many are not, their places being -1."""
    strangers = 0
    for i in range(len(starts)):
        mark = salt ^ np.uint64(ends[i] - starts[i])  # a short one is no long one that begins with zeros
        for word in range(starts[i], ends[i], 8):
            bits = np.uint64(0)
            for at in range(word, min(word + 8, ends[i])):
                bits = (bits << _8) | np.uint64(octets[at])
            mark = (mark ^ bits) * MIX[0]
            mark = (mark ^ (mark >> _32)) * MIX[1]
            mark = mark ^ (mark >> _29)
        marks[i] = mark
        places[i] = find(slots, names, marks[i])
        if places[i] < 0:
            strangers += 1
        else:
            called[i] = known[places[i]]
    return strangers


@compiled
def _take_in(
    marks: Marks,
    called: Marks,
    places: Places,
    known: Marks,
    names: Names,
    slots: Slots,
    size: NDArray[np.int64],
) -> None:
    for i in range(len(marks)):
        if places[i] < 0:
            known[claim(slots, names, size, marks[i])] = called[i]
