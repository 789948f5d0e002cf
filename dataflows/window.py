"""Panes: a shard's chunks are gathered by event time, and closed pane by pane into frames for the detectors."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np
import structlog

from dataflows.grid import Grid
from dataflows.intake import NEVER, Chunk
from dataflows.metrics import METRICS
from dataflows.panes import QUIET, TABLES, frames, in_order, turn
from detectors.census import CellMinute, Census
from detectors.judgement import FAMILIES
from detectors.model import Detector, Doubt, Finding, Frame, Rows
from detectors.movement import Codes
from detectors.plausibility import Plausibility

log = structlog.get_logger(__name__)

PLAUSIBILITY = Plausibility.__name__  # in snapshots and metrics beside the detectors
T = TypeVar("T")


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
    detectors: Sequence[type[Detector]]


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
        self.state: State
        self.state, packed = (State(), {}) if not snapshot else pickle.loads(snapshot)
        for kind in panes.detectors:  # new ones start afresh, dropped ones are forgotten
            name = kind.__name__
            self.state.detectors[name] = pickle.loads(packed[name]) if name in packed else kind()
        self.plausibility = pickle.loads(packed[PLAUSIBILITY]) if PLAUSIBILITY in packed else Plausibility()
        self._arrival = -1

    def snapshot(self) -> bytes:
        """Everything, the detectors packed one by one so that the size of each is known."""
        detectors, self.state.detectors = self.state.detectors, {}
        asked: dict[str, Detector | Plausibility] = {**detectors, PLAUSIBILITY: self.plausibility}
        packed = {name: pickle.dumps(each, protocol=5) for name, each in asked.items()}
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
            if int(rows["time"].min()) < self.state.closed:  # only after its partition was idle
                timely = rows["time"] >= self.state.closed
                late += int(len(rows) - timely.sum())
                rows = rows.compress(timely)
            if len(rows):
                waiting.append(rows)
        if late:
            METRICS.dropped(late=late)

    def close(self) -> Report | None:
        """Close every pane that the watermark has passed; None if there was none."""
        state, limit = self.state, self._limit()
        if limit <= state.closed:
            return None
        asleep = state.closed >= state.awake_until and not any(state.waiting.values())  # as most shards of a country are
        if asleep and turn(state.closed, self.panes.length, state.awake_until) >= limit:
            state.closed = limit
            return Report(self.shard, limit, (), (), self._taken_arrival())
        tables = {name: self._ready(name, limit) for name in TABLES}
        findings: list[Finding] = []
        doubts: list[Codes] = []
        seconds, count = dict.fromkeys((*state.detectors, PLAUSIBILITY), 0.0), 0
        for frame in frames(tables, state.closed, limit, self.panes.length, state.awake_until):
            count += 1
            speaks = not frame.empty or frame.start < state.awake_until  # nobody talks in his sleep
            if not frame.empty:
                state.awake_until = frame.end + QUIET
            started = time.perf_counter()
            frame = self._believable(frame, doubts)
            seconds[PLAUSIBILITY] += time.perf_counter() - started
            for name in state.detectors:
                started = time.perf_counter()
                found = self._ask(name, frame)
                seconds[name] += time.perf_counter() - started
                findings.extend(mine for each in found if speaks and (mine := self._place(each)) is not None)
        minutes = state.census.update(self._count(tables["observations"], doubts), limit)
        METRICS.detected(count, seconds, Counter(finding.kind for finding in findings))
        state.closed = limit
        return Report(self.shard, limit, tuple(findings), tuple(minutes), self._taken_arrival())

    def _taken_arrival(self) -> int:
        arrival, self._arrival = self._arrival, -1
        return arrival

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
            rest.append(rows.compress(~due))
            rows = rows.compress(due)
        self.state.waiting[name] = rest
        ordered = in_order(rows)
        if len(ordered) < len(rows):
            METRICS.dropped(duplicates=len(rows) - len(ordered))
        return ordered

    def _believable(self, frame: Frame, doubts: list[Codes]) -> Frame:
        """The frame without the rows that are not believed; what is wrong with each goes to `doubts`."""
        codes = self._safely(PLAUSIBILITY, frame, lambda: self.plausibility.judge(frame.observations, frame.end))
        if codes is None:
            self.plausibility = Plausibility()
            codes = np.zeros(len(frame.observations), np.uint8)  # rather everybody than nobody
        doubts.append(codes)
        return replace(frame, observations=frame.observations.compress(codes == Doubt.NONE)) if codes.any() else frame

    def _ask(self, name: str, frame: Frame) -> list[Finding]:
        detector = self.state.detectors[name]
        found = self._safely(name, frame, lambda: detector.update(frame))
        if found is None:
            self.state.detectors[name] = type(detector)()
        return found or []

    def _safely(self, name: str, frame: Frame, ask: Callable[[], T]) -> T | None:
        """The one broad boundary: a detector that raises is counted, named, and starts afresh; the flow goes on."""
        try:
            return ask()
        except BaseException as error:  # a panic inside river's Rust classes is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            METRICS.detector_failed(name)
            log.error("detector reset", detector=name, shard=self.shard, pane=frame.start, exc_info=error)
            return None

    def _place(self, finding: Finding) -> Finding | None:
        """Keep what this shard answers for, with its cell filled in; neighbours find the rest themselves."""
        cell = self.panes.grid.cell(finding.lat, finding.lon)
        if not FAMILIES[finding.kind].personal and self.panes.grid.owner(cell) != self.shard:
            return None
        cells = finding.cells or frozenset({cell} if cell else ())
        return replace(finding, cells=cells, strangers=self.plausibility.strangers(finding.reporters))

    def _count(self, rows: Rows, doubts: list[Codes]) -> Rows:
        """The believable ones; the others are counted. Copies from over the border count where they belong, of either."""
        if not len(rows):
            return rows
        cells, which = np.unique(rows["cell"], return_inverse=True)
        mine = np.array([self.panes.grid.owner(cell) == self.shard for cell in cells.tolist()])[which]
        codes = np.concatenate(doubts)
        if codes.any():
            METRICS.implausible(dict(enumerate(np.bincount(codes[mine]).tolist())))
            mine &= codes == Doubt.NONE
        return rows if mine.all() else rows.compress(mine)
