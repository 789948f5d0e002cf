"""One source partition's way in: messages are decoded, judged for lateness, given a cell, and cut into chunks.

Nothing here knows Kafka or a file; both feed the same `Intake`, so a replay says what the live worker would have said.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflows.formats import Format
from dataflows.formats.base import Context, Decoded, Refusal
from dataflows.formats.guard import decode_safely
from dataflows.grid import Grid
from dataflows.metrics import METRICS
from dataflows.panes import TABLES, dealt
from dataflows.settings import Window
from detectors.model import Rows

NEVER = -(2**62)  # ms: before any event time
UNSEEN = 30_000  # ms behind a warning after which what is no warning is waited for no more
GATHERED = 120_000  # ms that a roadside row may be on its way, a feed that is published once a minute and a minute more
BREATH = 0.05  # s that one poll may take: meanwhile no pane closes, no snapshot is taken, no signal is heard
LEAST = 20  # messages a poll, also the first one: of the dearest ones (34 ms each, `make fuzz`) these take 0.7 s
Table = tuple[str, Rows, NDArray[np.int32]]


class Chunk(NamedTuple):
    """One poll's rows for one shard, and how far its partition has come. Most are ticks: their tables are None."""

    partition: str
    watermark: int  # ms: the partition will accept nothing older
    latest: int  # ms: up to which event time it has spoken, NEVER if not at all
    holds: bool  # False: idle or ended, so nobody waits for it
    arrival: int  # ms: when its newest message reached the broker, -1 if unknown
    observations: Rows | None = None
    sensors: Rows | None = None
    readings: Rows | None = None
    notices: Rows | None = None

    def carrying(self, *tables: Rows | None) -> Chunk:
        """The same with these rows, or with none."""
        return Chunk(self.partition, self.watermark, self.latest, self.holds, self.arrival, *tables)


class DeadLetter(NamedTuple):
    """A message that could not be read: its bytes as they came, where it came from, and why it was refused."""

    message: bytes
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str


class Poll(NamedTuple):
    """What one call to the source brought: a chunk for each shard that has rows, a tick for all others, dead letters."""

    chunks: dict[int, Chunk]
    tick: Chunk | None  # None where no pane can close by it: then nobody else need hear
    dead: tuple[DeadLetter, ...] = ()


NUMBERS = struct.Struct("<4q")


class Progress(NamedTuple):
    """Where a partition stands: what the source snapshots."""

    offset: int  # of the next message
    latest: int  # ms: running maximum of credible event times
    newest: int  # ms: running maximum of all accepted ones
    seen: int  # ms: running maximum of credible event times of all but warnings
    topic: str = ""  # Kafka's id of it, which a topic that is made anew under the same name does not have

    def pack(self) -> bytes:
        return NUMBERS.pack(*self[:4]) + self.topic.encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Progress:
        offset, latest, newest, seen = NUMBERS.unpack_from(packed)
        return cls(offset, latest, newest, seen, packed[NUMBERS.size :].decode())


class Intake:
    """Turns one partition's messages into polls. What it has to remember is three running maxima of event time in ms.

    `latest` is what lateness is judged by; `newest` also counts clocks that run ahead, and only says where a recording ends;
    `seen` leaves warnings out.
    How many messages to ask for next, `portion`, depends on the clock; what is said of them does not.
    """

    def __init__(self, topic: str, partition: int, form: Format, context: Context, grid: Grid, window: Window) -> None:
        self.topic = topic
        self.partition = partition
        self.name = f"{topic}/{partition}"
        self.latest = NEVER
        self.newest = NEVER
        self.seen = NEVER
        self.portion = LEAST  # messages that it takes in within a BREATH, going by the last poll that tells
        self.records = (0, 0, 0)  # so far: received, late, refused
        self._told = NEVER  # number of the pane in which everybody last heard of the watermark
        self._form = form
        self._context = context
        self._grid = grid
        self._lateness = window.lateness
        self._max_behind = window.max_behind or -NEVER
        self._pane = window.pane

    def take(self, messages: Sequence[bytes], arrivals: NDArray[np.int64], offsets: Sequence[int]) -> Poll:
        """Decode a batch; `arrivals` in ms, -1 where unknown; `offsets` only name the dead letters."""
        started, latest = time.perf_counter(), self.latest
        decoded = decode_safely(self._form.decode, messages, arrivals, self._context)
        arrived = arrivals if decoded.arrivals is None else decoded.arrivals
        if len(decoded.sensors):
            self._bring_forward(decoded.sensors, arrived[decoded.sensor_of])
        kept, late = self._keep_timely(decoded, arrived)
        chunks = self._cut(kept, int(arrivals.max(initial=-1)))
        accepted = sum(len(rows) for _, rows, _ in kept) + decoded.recognised.total()
        spent = time.perf_counter() - started
        self._count(messages, decoded, accepted, late, spent)
        if 2 * len(messages) >= self.portion or spent > BREATH:  # of a few that came live the price of a poll is the most part
            self.portion = max(LEAST, int(len(messages) * BREATH / max(spent, 1e-6)))
        dead = self._dead_letters(decoded.refusals, messages, offsets)
        if not chunks and self.latest == latest:  # nothing but refusals is no sign that this partition will ever move time
            return Poll({}, None, dead)
        METRICS.watermark(self.topic, self.partition, self.watermark)
        tick = self._tick(int(arrivals.max(initial=-1)))
        news = tick.watermark // self._pane != self._told
        self._told = tick.watermark // self._pane
        return Poll(chunks, tick if news else None, dead)

    def rest(self, ended: bool = False) -> Poll:
        """The partition is silent, or at its end for good: nobody is to wait for it until it speaks again."""
        self._told = NEVER
        tick = self._tick(holds=False)
        METRICS.watermark(self.topic, self.partition, tick.watermark, idle=True)
        return Poll({}, tick._replace(latest=self.newest) if ended else tick)

    def wait(self) -> Poll:
        """The partition may have spoken where nobody hears it: it is waited for again."""
        self._told = NEVER
        tick = self._tick()
        METRICS.watermark(self.topic, self.partition, tick.watermark)
        return Poll({}, tick)

    @property
    def watermark(self) -> int:
        """Event time in ms up to which the partition is complete; NEVER before its first row."""
        return self.latest - self._lateness if self.latest != NEVER else NEVER

    @property
    def to_close(self) -> int:
        """Event time in ms that is missing until a pane can close by this partition."""
        return self._pane - self.watermark % self._pane

    def progress(self, offset: int) -> Progress:
        return Progress(offset, self.latest, self.newest, self.seen)

    def resume(self, progress: Progress) -> None:
        self.latest, self.newest, self.seen = progress.latest, progress.newest, progress.seen

    def _tick(self, arrival: int = -1, holds: bool = True) -> Chunk:
        """A chunk without rows: says how far this partition has come, and whether others should wait for it."""
        return Chunk(self.name, self.watermark, self.latest, holds, arrival)

    def _bring_forward(self, sensors: Rows, arrived: NDArray[np.int64]) -> None:
        """A roadside device tells of an interval that is over, and its gateway gathers: when it arrives, vehicles have moved
        time on. What it says is taken for what is so when it can still be heard, if it was not too long on its way.
        """
        heard = arrived - max(0, self._lateness - self._pane)
        slow = (arrived >= 0) & (sensors["time"] < heard) & (sensors["time"] >= arrived - GATHERED)
        sensors["time"][slow] = heard[slow]

    def _keep_timely(self, decoded: Decoded, arrivals: NDArray[np.int64]) -> tuple[list[Table], int]:
        """Drop what is further behind the running maximum than allowed, judged message by message in the order of arrival.

        A clock that runs ahead moves the maximum no further than its message's arrival: it must not make others late. What
        is further behind its arrival than allowed moves it up to there: nobody waits for slow clocks, or for old messages
        that are sent again.
        """
        tables: list[Table] = [
            ("observations", decoded.observations, decoded.observation_of),
            ("sensors", decoded.sensors, decoded.sensor_of),
            ("readings", decoded.readings, decoded.reading_of),
            ("notices", decoded.notices, decoded.notice_of),
        ]
        tables = [t for t in tables if len(t[1])]
        if not tables:
            return [], 0
        sizes = [len(rows) for _, rows, _ in tables]
        times = np.concatenate([rows["time"] for _, rows, _ in tables])
        origins = np.concatenate([origin for _, _, origin in tables])
        order = np.argsort(origins, kind="stable")
        arrived = arrivals[origins]
        floor = np.where(arrived >= 0, arrived - self._max_behind, NEVER)
        credible = np.where(arrived >= 0, np.clip(times, floor, arrived), times)[order]
        if len(decoded.notices):
            credible = self._hold_back(credible, np.repeat([name == "notices" for name, *_ in tables], sizes)[order])
        else:
            self.seen = max(self.seen, int(credible.max()))
        maxima = np.maximum.accumulate(np.concatenate(([self.latest], credible)))
        self.latest, before = int(maxima[-1]), maxima[:-1]
        messages = origins[order]
        if (messages[1:] == messages[:-1]).any():  # the rows of one message come at once: none makes another late
            before = before[np.searchsorted(messages, messages)]
        timely = np.empty(len(times), bool)
        timely[order] = times[order] >= np.maximum(before, floor[order]) - self._lateness
        self.newest = max(self.newest, int(times.max()))
        kept, start = [], 0
        for name, rows, origin in tables:
            mine = timely[start : start + len(rows)]
            start += len(rows)
            kept.append((name, rows, origin) if mine.all() else (name, rows.compress(mine), origin[mine]))
        return kept, int(len(times) - timely.sum())

    def _hold_back(self, credible: NDArray[np.int64], warns: NDArray[np.bool_]) -> NDArray[np.int64]:
        """The same times, with which warnings make nobody late: they are of when they were heard, and what vehicles say of
        themselves comes some seconds behind that. Where nothing else comes for long they move time as others do.
        """
        seen = np.maximum.accumulate(np.concatenate(([self.seen], np.where(warns, NEVER, credible))))
        self.seen, before = int(seen[-1]), seen[:-1]
        held: NDArray[np.int64] = np.where(warns & (credible - before <= UNSEEN), NEVER, credible)
        return held

    def _cut(self, tables: list[Table], arrival: int) -> dict[int, Chunk]:
        pieces: dict[int, dict[str, Rows]] = {}
        for name, rows, _ in tables:
            if not len(rows):
                continue
            rows["cell"] = self._grid.cells(rows["lat"], rows["lon"])
            if name == "readings":  # a battery belongs to its vehicle, wherever that drives
                by, takers = self._grid.fleets(rows["reporter"])
            else:  # to the shard that owns the cell, and to those that own a neighbouring one
                by, takers = self._grid.views(rows["cell"])
            for shard, mine in dealt(rows, by, takers).items():
                pieces.setdefault(shard, {})[name] = mine
        tick = self._tick(arrival)
        return {shard: tick.carrying(*map(piece.get, TABLES)) for shard, piece in pieces.items()}

    def _dead_letters(
        self, refusals: Sequence[Refusal], messages: Sequence[bytes], offsets: Sequence[int]
    ) -> tuple[DeadLetter, ...]:
        """One for each message, however many of its records were refused: with the reason of the first."""
        first = {refusal.message: refusal for refusal in reversed(refusals)}
        return tuple(
            DeadLetter(messages[n], self.topic, self.partition, offsets[n], first[n].reason.value, first[n].detail)
            for n in sorted(first)
        )

    def _count(self, messages: Sequence[bytes], decoded: Decoded, accepted: int, late: int, seconds: float) -> None:
        received, before, refused = self.records
        self.records = received + decoded.records, before + late, refused + len(decoded.refusals)
        METRICS.polled(
            self.topic,
            self.partition,
            format=self._form.name,
            messages=len(messages),
            size=sum(map(len, messages)),
            seconds=seconds,
            received=decoded.records,
            accepted=accepted,
            late=late,
            refused=Counter(str(refusal.reason) for refusal in decoded.refusals),
            recognised=decoded.recognised.total(),
            speechless=int(np.isnan(decoded.observations["speed"]).sum()),
        )
