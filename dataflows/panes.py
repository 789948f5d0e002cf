"""Closed event time, cut into frames: rows in their one order, and a tick for every pane in which nothing was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from detectors.model import OBSERVATION, READING, SENSOR, Frame, Rows

TABLES = {"observations": OBSERVATION, "sensors": SENSOR, "readings": READING}
QUIET = 600_000  # ms without a row after which a shard sleeps: its detectors' windows are shorter, or survive a gap


def in_order(rows: Rows) -> Rows:
    """Sort rows by time and reporter, ties by their bytes, and drop copies: one order whatever order they came in."""
    order = np.lexsort((rows["reporter"], rows["time"]))
    rows = rows.take(order)  # not rows[order], which copies structured rows field by field and takes thirty times as long
    tied = (rows["time"][1:] == rows["time"][:-1]) & (rows["reporter"][1:] == rows["reporter"][:-1])
    if tied.any():
        rows = np.unique(rows.view(f"V{rows.dtype.itemsize}")).view(rows.dtype)
        rows = rows.take(np.lexsort((rows["reporter"], rows["time"])))
    return rows


def frames(tables: Mapping[str, Rows], closed: int, limit: int, length: int, awake_until: int) -> Iterator[Frame]:
    """The panes of `length` from `closed` to `limit`, all in ms, of tables that are in order.

    A pane without rows is a frame too, until QUIET after the last row (`awake_until` says when that is at the start);
    then panes are left out up to the next row.
    """
    position = dict.fromkeys(tables, 0)
    start = closed
    while start < limit:
        if start >= awake_until:
            ahead = [int(rows["time"][position[name]]) for name, rows in tables.items() if position[name] < len(rows)]
            if not ahead:
                return
            start = min(ahead) // length * length
        end, cut = start + length, {}
        for name, rows in tables.items():
            first = position[name]
            position[name] = first + int(np.searchsorted(rows["time"][first:], end))
            cut[name] = rows[first : position[name]]
        frame = Frame(start, end, **cut)
        yield frame
        if not frame.empty:
            awake_until = end + QUIET
        start = end
