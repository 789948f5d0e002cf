"""Panes: a shard's chunks are gathered by event time, and closed pane by pane into frames for the detectors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

import numpy as np
import structlog

from dataflows.grid import Grid
from dataflows.intake import NEVER, Chunk
from dataflows.metrics import METRICS
from dataflows.packing import Piece, load, pack, unpack
from dataflows.panes import EMPTY, QUIET, TABLES, frames, in_order, joined, split, turn
from detectors.battery import BatteryHealth
from detectors.battery_vehicles import Vehicles
from detectors.census import CellMinute, Census
from detectors.judgement import FAMILIES
from detectors.model import Detector, Finding, Frame, Rows
from detectors.movement import Bools, Codes
from detectors.plausibility import Plausibility

log = structlog.get_logger(__name__)

STATE = "State"  # in snapshots beside the detectors
BATTERY = BatteryHealth.__name__
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


class Waiting(NamedTuple):
    """Rows of panes that are still open, in any order. Those of a partition far ahead wait long, and are not looked at."""

    oldest: int  # ms
    rows: Rows

    @classmethod
    def of(cls, rows: Rows) -> Waiting:
        return cls(int(rows["time"].min()), rows)


@dataclass(slots=True)
class State:
    """All that a shard remembers; this is its snapshot."""

    closed: int = NEVER
    awake_until: int = NEVER
    partitions: dict[str, Chunk] = field(default_factory=dict)  # the newest tick of each
    waiting: dict[str, list[Waiting]] = field(default_factory=lambda: {name: [] for name in TABLES})
    detectors: dict[str, Detector] = field(default_factory=dict)
    census: Census = field(default_factory=Census)


class ShardWindow:
    """Gathers one shard's chunks and closes its panes. Engine-free: feed it `add`, then ask `close`."""

    def __init__(self, shard: int, panes: Panes, snapshot: Piece | None = None, vehicles: Vehicles | None = None) -> None:
        """`vehicles`: their table, if the snapshot was packed without it."""
        self.shard = shard
        self.panes = panes
        packed = unpack(snapshot) if snapshot else {}
        self.state: State = load(packed[STATE]) if STATE in packed else State()
        for kind in panes.detectors:  # new ones start afresh, dropped ones are forgotten
            name = kind.__name__
            self.state.detectors[name] = load(packed[name]) if name in packed else kind()
        self.plausibility = load(packed[PLAUSIBILITY]) if PLAUSIBILITY in packed else Plausibility()
        if vehicles is not None and (battery := self._battery()):
            battery.vehicles = vehicles
        self._arrival = -1
        self.metrics = METRICS

    def snapshot(self) -> bytes:
        """Everything, in one piece."""
        return b"".join(self._pack())

    def in_two(self) -> tuple[list[Piece], Vehicles]:
        """Everything but the table of vehicles, in pieces that are good until the next chunk; and that table."""
        battery = self._battery()
        if battery is None:
            return self._pack(), Vehicles()
        vehicles, battery.vehicles = battery.vehicles, Vehicles()
        try:
            return self._pack(vehicles.nbytes), vehicles
        finally:
            battery.vehicles = vehicles

    def _battery(self) -> BatteryHealth | None:
        battery = self.state.detectors.get(BATTERY)
        return battery if isinstance(battery, BatteryHealth) else None

    def _pack(self, apart: int = 0) -> list[Piece]:
        """The detectors one by one, so that the size of each is known; `apart`: bytes of the vehicles that are not in it."""
        detectors, self.state.detectors = self.state.detectors, {}
        try:
            pieces, sizes = pack({STATE: self.state, **detectors, PLAUSIBILITY: self.plausibility})
        finally:
            self.state.detectors = detectors
        del sizes[STATE]
        self.metrics.state(str(self.shard), sizes if not apart else sizes | {BATTERY: sizes[BATTERY] + apart})
        return pieces

    def feed(self, chunks: Iterable[Chunk]) -> Report | None:
        """Take in a batch, and close what it closes."""
        for chunk in chunks:
            self.add(chunk)
        return self.close()

    def wait_for_all(self) -> None:
        """After a start: whoever was silent before may have spoken since, so everybody speaks, or is idle again, first."""
        self.state.partitions.clear()

    def add(self, chunk: Chunk) -> None:
        self._arrival = max(self._arrival, chunk.arrival)
        tables = [(name, rows) for name in TABLES if (rows := getattr(chunk, name)) is not None]
        self.state.partitions[chunk.partition] = chunk.carrying() if tables else chunk
        for name, rows in tables:
            new = Waiting.of(rows)
            if new.oldest < self.state.closed:  # only after its partition was idle
                late, rows = split(rows, self.state.closed)
                self.metrics.dropped(late=self._mine(name, late))
                if not len(rows):
                    continue
                new = Waiting.of(rows)
            self.state.waiting[name].append(new)

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
        believed: list[Rows] = []
        doubts: list[Codes] = []
        seconds, count = dict.fromkeys((*state.detectors, PLAUSIBILITY), 0.0), 0
        for frame in frames(tables, state.closed, limit, self.panes.length, state.awake_until):
            count += 1
            speaks = not frame.empty or frame.start < state.awake_until  # nobody talks in his sleep
            if not frame.empty:
                state.awake_until = frame.end + QUIET
            started = time.perf_counter()
            frame = self._believable(frame, doubts)
            believed.append(frame.observations)
            seconds[PLAUSIBILITY] += (now := time.perf_counter()) - started
            for name in state.detectors:
                started, found = now, self._ask(name, frame)
                if speaks:
                    findings.extend(found)
                seconds[name] += (now := time.perf_counter()) - started
        silent = not any(each.holds for each in state.partitions.values())
        self._count_doubts(tables["observations"], doubts)
        counted = joined(believed) if believed else EMPTY["observations"]
        minutes = state.census.update(counted.compress(self._lies_here(counted)), limit, last=silent)
        self.metrics.detected(count, seconds, Counter(finding.kind for finding in findings))
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
        parts = [each.rows for each in waiting if each.oldest < limit]
        if not parts:
            return EMPTY[name]
        rows, rest = split(joined(parts), limit)
        self.state.waiting[name] = [each for each in waiting if each.oldest >= limit]
        if len(rest):
            self.state.waiting[name].append(Waiting.of(rest))
        ordered = in_order(rows)
        if len(ordered) < len(rows):
            self.metrics.dropped(duplicates=self._mine(name, rows) - self._mine(name, ordered))
        return ordered

    def _mine(self, name: str, rows: Rows) -> int:
        """How many rows this shard counts; a battery belongs to one shard, wherever its vehicle drives."""
        return len(rows) if name == "readings" else int(np.count_nonzero(self._lies_here(rows)))

    def _believable(self, frame: Frame, doubts: list[Codes]) -> Frame:
        """The frame without the rows that are not believed; what is wrong with each goes to `doubts`."""
        believed = self._safely(PLAUSIBILITY, frame, self.plausibility.believe, frame)
        if believed is None:
            self.plausibility = Plausibility()
            believed = frame, np.zeros(len(frame.observations), np.uint8)  # rather everybody than nobody
        doubts.append(believed[1])
        return believed[0]

    def _ask(self, name: str, frame: Frame) -> list[Finding]:
        """What a detector finds and this shard answers for."""
        detector = self.state.detectors[name]
        found = self._safely(name, frame, self._placed, detector, frame)
        if found is None:
            self.state.detectors[name] = type(detector)()
        return found or []

    def _placed(self, detector: Detector, frame: Frame) -> list[Finding]:
        return [mine for each in detector.update(frame) if (mine := self._place(each)) is not None]

    def _safely(self, name: str, frame: Frame, ask: Callable[..., T], *of: object) -> T | None:
        """The one broad boundary: a detector that raises is counted, named, and starts afresh; the flow goes on."""
        try:
            return ask(*of)
        except BaseException as error:  # a panic inside river's Rust classes is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            self.metrics.detector_failed(name)
            log.error("detector reset", detector=name, shard=self.shard, pane=frame.start, exc_info=error)
            return None

    def _place(self, finding: Finding) -> Finding | None:
        """Keep what this shard answers for, with its cell filled in; neighbours find the rest themselves."""
        cell = self.panes.grid.cell(finding.lat, finding.lon)
        if not FAMILIES[finding.kind].personal and self.panes.grid.owner(cell) != self.shard:
            return None
        cells = finding.cells or frozenset({cell} if cell else ())
        strangers = self.plausibility.strangers(finding.reporters)
        if finding.company > 1 and len(finding.reporters - strangers) + bool(strangers) < finding.company:
            return None
        return replace(finding, cells=cells, strangers=strangers)

    def _count_doubts(self, rows: Rows, doubts: list[Codes]) -> None:
        codes = np.concatenate(doubts) if doubts else np.zeros(0, np.uint8)
        if codes.any():
            self.metrics.implausible(dict(enumerate(np.bincount(codes[self._lies_here(rows)]).tolist())))

    def _lies_here(self, rows: Rows) -> Bools:
        """Which rows this shard counts: copies from over the border count where they belong."""
        if not len(rows):
            return np.zeros(0, np.bool_)
        views, lookers = self.panes.grid.views(rows["cell"])
        counts = np.bincount(views)
        here = np.zeros(len(counts), bool)
        here[[view for view in np.flatnonzero(counts).tolist() if lookers[view][0] == self.shard]] = True
        return here[views]
