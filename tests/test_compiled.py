"""Compiled loops say what the plain Python says that they are written in, to the last bit."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.table import Table, claim, find
from tests.plain import digest

ROWS = np.dtype([("name", "u8"), ("count", "i8")])
NAMES = st.integers(0, 2**64 - 1) | st.integers(0, 40).map(lambda low: low << 32)  # some that fall into one slot


def test_the_plain_twin_says_the_same() -> None:
    """Findings and all that the detectors remember; every loop of the catalogue is in it."""
    plain = subprocess.run(
        [sys.executable, "-m", "tests.plain", "3"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.strip() == digest(3)


@given(st.lists(st.tuples(NAMES, st.booleans())))
@settings(deadline=None)  # what is compiled for the first time takes a second
def test_a_table_counts_like_a_dictionary(steps: list[tuple[int, bool]]) -> None:
    """Names come again and again; now and then half of them are forgotten, or the table is put away and taken out again."""
    table, twin = Table(ROWS, "name"), dict[int, int]()
    for name, forget in steps:
        table.reserve(1)
        rows, names, slots, size = table.arrays
        rows["count"][claim(slots, names, size, np.uint64(name))] += 1
        twin[name] = twin.get(name, 0) + 1
        if forget:
            table.keep(table.held["name"] % 2 == 0)
            twin = {name: count for name, count in twin.items() if name % 2 == 0}
            table = pickle.loads(pickle.dumps(table))
    assert dict(table.held.tolist()) == twin
    assert table.held["name"].tolist() == list(twin)
    rows, names, slots, _ = table.arrays
    for name in {name for name, _ in steps}:
        at = find(slots, names, np.uint64(name))
        assert (rows["count"][at] if at >= 0 else None) == twin.get(name)


def test_what_is_kept_stays_where_there_is_room_and_who_comes_next_begins_at_zero() -> None:
    table = Table(ROWS, "name")
    for number, kept in ((300, 200), (0, 3)):
        table.reserve(number)
        rows, names, slots, size = table.arrays
        for name in range(number):
            rows["count"][claim(slots, names, size, np.uint64(name))] += 1
        table.keep(table.held["name"] < kept)
        assert table.held["name"].tolist() == list(range(kept))
        assert not table.arrays[0]["count"][kept:].any()
        assert (table.arrays[0] is rows) == (kept == 200)
