"""Rows grow without losing what is in them, whoever looks; what is new is zero."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from detectors.growing import LARGE, Growing
from detectors.table import Table, claim

ROWS = np.dtype([("name", "u8"), ("count", "i8"), ("rest", "u1", 7)])
SIZES = (64, LARGE // ROWS.itemsize, LARGE // ROWS.itemsize + 1, 3 * LARGE // ROWS.itemsize)


@pytest.mark.parametrize("looking", [False, True])
def test_rows_keep_what_they_hold_and_begin_at_zero(looking: bool) -> None:
    """Across the size from which on they have pages of their own; also while somebody holds a view of them."""
    growing, views = Growing(ROWS, 10), []
    growing.rows["count"] = np.arange(10)
    for size in SIZES:
        before = growing.rows["count"].copy()
        if looking:
            views.append((growing.rows, before))
        growing.grow(size)
        assert len(growing.rows) == size
        assert growing.rows["count"][: len(before)].tolist() == before.tolist()
        assert not growing.rows["count"][len(before) :].any()
        growing.rows["count"] = np.arange(size)
    for view, before in views:  # and nobody finds his rows changed under him
        assert view["count"].tolist() == before.tolist()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: only its kernel moves pages to a longer piece of memory")
def test_a_table_that_grows_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in `Table` may hold on to its pages, or they could not be moved."""
    made: list[int] = []
    make = Growing._make

    def noted(self: Growing, dtype: np.dtype[np.void], count: int) -> None:
        made.append(count)
        make(self, dtype, count)

    monkeypatch.setattr(Growing, "_make", noted)
    table = Table(ROWS, "name")
    for name in range(10 * LARGE // ROWS.itemsize):
        table.reserve(1)
        rows, names, slots, size = table.arrays
        rows["count"][claim(slots, names, size, np.uint64(name))] = name
        del rows, names
    assert table.held["count"].tolist() == list(range(len(table)))
    assert [count for count in made if count * ROWS.itemsize >= LARGE][1:] == []
