"""Closed event time, cut into frames: rows in their one order, and a tick for every pane in which nothing was seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from detectors.model import OBSERVATION, READING, SENSOR, Frame, Rows

TABLES = {"observations": OBSERVATION, "sensors": SENSOR, "readings": READING}
QUIET = 600_000  # ms without a row after which a shard sleeps: its detectors' windows are shorter, or survive a gap
TURN = 3_600_000  # ms: whole hours at which a sleeping shard has one pane, for what it forgets on time
SOUND = 8 * 86_400_000  # ms of sleep after which it has none: a vehicle is remembered for a week at most
FOREVER = 2**62  # ms: after any event time


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
    then panes are left out up to the next row, but for one a TURN.
    """
    position = dict.fromkeys(tables, 0)
    start = closed
    while start < limit:
        if start >= awake_until:
            ahead = [int(rows["time"][position[name]]) for name, rows in tables.items() if position[name] < len(rows)]
            start = min(min(ahead, default=limit) // length * length, turn(start, length, awake_until))
            if start >= limit:
                return
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


def turn(start: int, length: int, awake_until: int) -> int:
    """Start of the next pane, at `start` or later, in which a shard that has slept since `awake_until` turns over."""
    due = -(-start // TURN) * TURN // length * length
    return due if awake_until > 0 and due < awake_until + SOUND else FOREVER  # below 0: it never was awake
