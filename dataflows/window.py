"""Panes: a shard's chunks are gathered by event time, and closed pane by pane into frames for the detectors."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import structlog

from dataflows.grid import Grid
from dataflows.intake import NEVER, Chunk
from dataflows.metrics import METRICS
from detectors.census import CellMinute, Census
from detectors.judgement import FAMILIES
from detectors.model import OBSERVATION, READING, SENSOR, Detector, Finding, Frame, Rows

log = structlog.get_logger(__name__)

QUIET = 600_000  # ms without a row after which a shard sleeps: its detectors' windows are all shorter, or survive a gap
TABLES = {"observations": OBSERVATION, "sensors": SENSOR, "readings": READING}


class Report(NamedTuple):
    """What a shard says to the incident step: all panes up to `closed` are done, and this was in them."""

    shard: int
    closed: int  # ms: end of the last closed pane
    findings: tuple[Finding, ...]
    minutes: tuple[CellMinute, ...]
    arrival: int  # ms: when the message that closed them reached the broker, -1 if unknown


@dataclass(frozen=True)
class Panes:
    """What every shard must know of event time: the panes' length, and whose watermarks to wait for."""

    length: int  # ms
    partitions: tuple[str, ...]
    grid: Grid
    detectors: Sequence[Callable[[], Detector]]


@dataclass(slots=True)
class State:
    """All that a shard remembers; this is its snapshot."""

    closed: int = NEVER
    awake_until: int = NEVER
    partitions: dict[str, Chunk] = field(default_factory=dict)  # the newest tick of each
    waiting: dict[str, list[Rows]] = field(default_factory=lambda: {name: [] for name in TABLES})
    detectors: dict[str, Detector] = field(default_factory=dict)
    census: Census = field(default_factory=Census)


class ShardWindow:
    """Gathers one shard's chunks and closes its panes. Engine-free: feed it `add`, then ask `close`."""

    def __init__(self, shard: int, panes: Panes, snapshot: bytes | None = None) -> None:
        self.shard = shard
        self.panes = panes
        self.state, packed = (State(), {}) if not snapshot else pickle.loads(snapshot)
        for make in panes.detectors:  # new ones start afresh, dropped ones are forgotten
            name = _name(make)
            self.state.detectors[name] = pickle.loads(packed[name]) if name in packed else make()
        self._arrival = -1

    def snapshot(self) -> bytes:
        """Everything, the detectors packed one by one so that the size of each is known."""
        detectors, self.state.detectors = self.state.detectors, {}
        packed = {name: pickle.dumps(detector, protocol=5) for name, detector in detectors.items()}
        taken = pickle.dumps((self.state, packed), protocol=5)
        self.state.detectors = detectors
        METRICS.state(str(self.shard), {name: len(each) for name, each in packed.items()})
        return taken

    def add(self, chunk: Chunk) -> None:
        self.state.partitions[chunk.partition] = chunk._replace(observations=None, sensors=None, readings=None)
        self._arrival = max(self._arrival, chunk.arrival)
        late = 0
        for name, waiting in self.state.waiting.items():
            rows: Rows | None = getattr(chunk, name)
            if rows is None:
                continue
            if int(rows["time"].min()) < self.state.closed:  # only after its partition was idle, see Panes
                timely = rows["time"] >= self.state.closed
                late += int(len(rows) - timely.sum())
                rows = rows[timely]
            if len(rows):
                waiting.append(rows)
        if late:
            METRICS.dropped(late=late)

    def close(self) -> Report | None:
        """Close every pane that the watermark has passed; None if there was none."""
        limit = self._limit()
        state = self.state
        if limit <= state.closed:
            return None
        tables = {name: self._ready(name, limit) for name in TABLES}
        run = _Run(self, tables)
        run.through(limit)
        state.closed = limit
        report = Report(self.shard, limit, tuple(run.findings), tuple(run.minutes), self._arrival)
        self._arrival = -1
        return report

    def _limit(self) -> int:
        """End of the last pane that no partition can add to: whole panes below the lowest watermark that holds."""
        known = self.state.partitions
        holding = []
        for name in self.panes.partitions:
            if name not in known:
                return NEVER
            if known[name].holds:
                holding.append(known[name].watermark)
        length = self.panes.length
        if holding:
            lowest = min(holding)
            return NEVER if lowest == NEVER else lowest - lowest % length
        latest = max((known[name].latest for name in self.panes.partitions), default=NEVER)
        return NEVER if latest == NEVER else latest - latest % length + length  # nobody will speak: close what there is

    def _ready(self, name: str, limit: int) -> Rows:
        """Take the waiting rows before `limit`, in their one order: by time, reporter, then bytes; copies fall out."""
        waiting = self.state.waiting[name]
        ripe = [rows for rows in waiting if int(rows["time"].min()) < limit]
        if not ripe:
            return np.empty(0, TABLES[name])
        rest = [rows for rows in waiting if int(rows["time"].min()) >= limit]
        rows = np.concatenate(ripe)
        due = rows["time"] < limit
        if not due.all():
            rest.append(rows[~due])
            rows = rows[due]
        self.state.waiting[name] = rest
        ordered = in_order(rows)
        if len(ordered) < len(rows):
            METRICS.dropped(duplicates=len(rows) - len(ordered))
        return ordered


class _Run:
    """Closes the panes of one activation, one after the other."""

    def __init__(self, window: ShardWindow, tables: dict[str, Rows]) -> None:
        self.window = window
        self.state = window.state
        self.tables = tables
        self.position = dict.fromkeys(tables, 0)
        self.findings: list[Finding] = []
        self.minutes: list[CellMinute] = []
        self.seconds: dict[str, float] = dict.fromkeys(self.state.detectors, 0.0)

    def through(self, limit: int) -> None:
        length, count = self.window.panes.length, 0
        starts = [int(rows["time"][0]) // length * length for rows in self.tables.values() if len(rows)]
        start = max(self.state.closed, min(starts, default=limit)) if self.state.closed == NEVER else self.state.closed
        while start < limit:
            if start >= self.state.awake_until:  # asleep: on to the next row, if there is one
                start = max(start, self._next(limit) // length * length)
                if start >= limit:
                    break
            self._pane(start, start + length)
            start += length
            count += 1
        self.minutes = self.state.census.update(self._own(self.tables["observations"]), limit)
        found = Counter(finding.kind for finding in self.findings)
        METRICS.detected(count, self.seconds, found)

    def _next(self, limit: int) -> int:
        times = [int(rows["time"][self.position[n]]) for n, rows in self.tables.items() if self.position[n] < len(rows)]
        return min(times, default=limit)

    def _pane(self, start: int, end: int) -> None:
        cut = {}
        for name, rows in self.tables.items():
            first = self.position[name]
            last = first + int(np.searchsorted(rows["time"][first:], end)) if first < len(rows) else first
            cut[name] = rows[first:last]
            self.position[name] = last
        frame = Frame(start, end, **cut)
        if not frame.empty:
            self.state.awake_until = end + QUIET
        for name in self.state.detectors:
            self._detect(name, frame)

    def _detect(self, name: str, frame: Frame) -> None:
        """The one broad boundary: a detector that raises is counted, named, and starts afresh; the flow goes on."""
        started = time.perf_counter()
        try:
            found = self.state.detectors[name].update(frame)
        except BaseException as error:  # a panic inside river's Rust classes is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            METRICS.detector_failed(name)
            log.error("detector reset", detector=name, shard=self.window.shard, pane=frame.start, error=repr(error))
            self.state.detectors[name] = type(self.state.detectors[name])()
            found = []
        self.seconds[name] += time.perf_counter() - started
        self.findings.extend(placed for finding in found if (placed := self._place(finding)) is not None)

    def _place(self, finding: Finding) -> Finding | None:
        """Keep what this shard answers for; its neighbours find the rest themselves. Fill in the cell."""
        if FAMILIES[finding.kind].personal:
            cell = self.window.panes.grid.cell(finding.lat, finding.lon)
            return _with_cell(finding, cell) if cell else finding
        cell = self.window.panes.grid.cell(finding.lat, finding.lon)
        return _with_cell(finding, cell) if self.window.panes.grid.owner(cell) == self.window.shard else None

    def _own(self, rows: Rows) -> Rows:
        """Without the copies from over the border: those are counted where they belong."""
        if not len(rows):
            return rows
        cells, which = np.unique(rows["cell"], return_inverse=True)
        mine = np.array([self.window.panes.grid.owner(cell) == self.window.shard for cell in cells.tolist()])
        return rows if mine.all() else rows[mine[which]]


def in_order(rows: Rows) -> Rows:
    """Sort rows by time and reporter, ties by their bytes, and drop copies: one order whatever order they came in."""
    order = np.lexsort((rows["reporter"], rows["time"]))
    rows = rows[order]
    tied = (rows["time"][1:] == rows["time"][:-1]) & (rows["reporter"][1:] == rows["reporter"][:-1])
    if tied.any():
        rows = np.unique(rows.view(f"V{rows.dtype.itemsize}")).view(rows.dtype)
        rows = rows[np.lexsort((rows["reporter"], rows["time"]))]
    return rows


def _with_cell(finding: Finding, cell: int) -> Finding:
    if finding.cells:
        return finding
    fields: dict[str, Any] = {name: getattr(finding, name) for name in Finding.__slots__}
    return Finding(**{**fields, "cells": frozenset({cell})})


def _name(make: Callable[[], Detector]) -> str:
    return getattr(make, "__name__", type(make).__name__)
