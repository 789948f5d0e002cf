"""Closed event time, cut into frames: rows in their one order, and a tick for every pane in which nothing was seen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.model import NOTICE, OBSERVATION, READING, SENSOR, Frame, Rows, plain

TABLES = {"observations": OBSERVATION, "sensors": SENSOR, "readings": READING, "notices": NOTICE}
EMPTY: dict[str, Rows] = {name: np.empty(0, dtype) for name, dtype in TABLES.items()}
QUIET = 1_800_000  # ms without a row after which a shard sleeps: what a device measures is claimed for so long at most
TURN = 3_600_000  # ms: whole hours at which a sleeping shard has one pane, for what it forgets on time
SOUND = 8 * 86_400_000  # ms of sleep after which it has none: a vehicle is remembered for a week at most
FOREVER = 2**62  # ms: after any event time
SHORT = 16  # rows that are sorted by insertion, which beats merging up to about there

Column = NDArray[Any]  # compiled loops get copies of columns: a view of one row or of odd bytes is another type to them


def in_order(rows: Rows) -> Rows:
    """Sort rows by time and reporter, ties by their bytes, and drop copies: one order whatever order they came in."""
    if len(rows) < 2:
        return rows
    octets = rows.view(np.uint8).reshape(len(rows), -1)
    # take: a thirtieth of the time of rows[order], which copies structured rows field by field
    order, spare = np.arange(len(rows)), np.empty(len(rows), np.int64)
    return rows.take(order[: _order(rows["time"].copy(), rows["reporter"].copy(), octets, order, spare)])


def joined(parts: list[Rows]) -> Rows:
    """One array of several, without looking at the fields."""
    return parts[0] if len(parts) == 1 else np.concatenate([plain(rows) for rows in parts]).view(parts[0].dtype)


def split(rows: Rows, time: int) -> tuple[Rows, Rows]:
    """Those that are older than `time`, ms, and the others."""
    older = rows["time"] < time
    count = np.count_nonzero(older)
    if count in (0, len(rows)):
        return (rows, rows[:0]) if count else (rows[:0], rows)
    return rows.compress(older), rows.compress(~older)


def dealt(rows: Rows, by: NDArray[np.int64], takers: Sequence[tuple[int, ...]]) -> dict[int, Rows]:
    """To each taker the rows whose small number in `by` is one of his, in the order that they have."""
    counts = np.bincount(by)
    numbers = np.flatnonzero(counts).tolist()
    if len(numbers) == 1:
        return dict.fromkeys(takers[numbers[0]], rows)
    ends = np.cumsum(counts)
    order = np.empty(len(by), np.int64)
    _group(by, ends - counts, order)
    theirs: dict[int, list[NDArray[np.int64]]] = {}
    for number in numbers:
        for taker in takers[number]:
            theirs.setdefault(taker, []).append(order[ends[number] - counts[number] : ends[number]])
    return {taker: rows.take(np.concatenate(places)) for taker, places in theirs.items()}


def frames(tables: Mapping[str, Rows], closed: int, limit: int, length: int, awake_until: int) -> Iterator[Frame]:
    """The panes of `length` from `closed` to `limit`, all in ms, of tables that are in order.

    A pane without rows is a frame too, until QUIET after the last row (`awake_until` says when that is at the start);
    then panes are left out up to the next row, but for one a TURN.
    """
    cuts = {name: _by_pane(rows, length) for name, rows in tables.items()}
    filled = sorted({start for cut in cuts.values() for start in cut})
    start = closed
    while start < limit:
        if start >= awake_until:
            ahead = bisect_left(filled, start)
            start = min(filled[ahead] if ahead < len(filled) else limit, turn(start, length, awake_until))
            if start >= limit:
                return
        frame = Frame(start, start + length, **{name: cuts[name].get(start, none) for name, none in EMPTY.items()})
        yield frame
        if not frame.empty:
            awake_until = frame.end + QUIET
        start = frame.end


def _by_pane(rows: Rows, length: int) -> dict[int, Rows]:
    """The rows of each pane that has any, by its start."""
    if not len(rows):
        return {}
    starts = rows["time"] // length * length
    first = np.flatnonzero(starts[1:] != starts[:-1]) + 1
    bounds = [0, *first.tolist(), len(rows)]
    return {int(starts[a]): rows[a:b] for a, b in pairwise(bounds)}


def turn(start: int, length: int, awake_until: int) -> int:
    """Start of the next pane, at `start` or later, in which a shard that has slept since `awake_until` turns over."""
    due = -(-start // TURN) * TURN // length * length
    return due if awake_until > 0 and due < awake_until + SOUND else FOREVER  # below 0: it never was awake


@compiled
def _order(times: Column, reporters: Column, octets: Column, order: Column, spare: Column) -> int:
    """Bring `order`, the places of all rows, into their order; returns how many are left without the copies.

    Merge sort, for the rows are chunks one after the other, each of them nearly in order.
    """
    count = len(times)
    for start in range(0, count, SHORT):
        for i in range(start + 1, min(start + SHORT, count)):
            row, at = order[i], i
            while at > start and _compare(times, reporters, octets, order[at - 1], row) > 0:
                order[at] = order[at - 1]
                at -= 1
            order[at] = row
    width = SHORT
    while width < count:
        for start in range(0, count - width, 2 * width):
            middle = start + width
            end = min(middle + width, count)
            if _compare(times, reporters, octets, order[middle - 1], order[middle]) <= 0:
                continue
            for i in range(start, middle):
                spare[i] = order[i]
            left, right, at = start, middle, start
            while left < middle:
                if right < end and _compare(times, reporters, octets, spare[left], order[right]) > 0:
                    order[at] = order[right]
                    right += 1
                else:
                    order[at] = spare[left]
                    left += 1
                at += 1
        width *= 2
    kept = 1
    for i in range(1, count):
        if _compare(times, reporters, octets, order[kept - 1], order[i]) != 0:
            order[kept] = order[i]
            kept += 1
    return kept


@compiled
def _compare(times: Column, reporters: Column, octets: Column, a: int, b: int) -> int:
    """Below, at or above 0 as row `a` belongs before `b`, is a copy of it, or belongs after it."""
    if times[a] != times[b]:
        return -1 if times[a] < times[b] else 1
    if reporters[a] != reporters[b]:
        return -1 if reporters[a] < reporters[b] else 1
    for i in range(octets.shape[1]):
        if octets[a, i] != octets[b, i]:
            return -1 if octets[a, i] < octets[b, i] else 1
    return 0


@compiled
def _group(by: Column, at: Column, order: Column) -> None:
    """Put into `order` where the rows stand, those with a small number first. `at` holds where each begins, and is moved on."""
    for i in range(len(by)):
        order[at[by[i]]] = i
        at[by[i]] += 1
