"""The two stateful steps as Bytewax wants them: thin wrappers that feed, ask, and snapshot.

What they remember is pickled, sealed, and unpickled only behind an unbroken seal (dataflows/seal.py); without one, not at all.
Neither flushes nor forgets at the end of input: a drained worker resumes where it was, and no alert is born of a stop.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from bytewax.operators import StatefulBatchLogic

from dataflows.alerts import Record, alert_records
from dataflows.disk import Disk
from dataflows.intake import Chunk
from dataflows.merge import IncidentMerge
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.seal import Seal
from dataflows.settings import Settings
from dataflows.shard_shelf import ShardShelf
from dataflows.window import Panes, Report, ShardWindow

UNKEPT = b""  # what the engine is given where nobody keeps snapshots
AREA = "all"  # the one key of the incident step: findings are few, and no order may depend on where they lie


class WindowStep(StatefulBatchLogic[tuple[int, Chunk], Report, bytes]):
    """One shard. Which one, its first chunk tells."""

    def __init__(self, panes: Panes, pace: Pace, seal: Seal | None, disk: Disk | None, snapshot: bytes | None) -> None:
        self._panes = panes
        self._pace = pace
        self._seal = seal
        self._disk = disk
        self._resume = snapshot
        self._window: ShardWindow | None = None
        self._shelf: ShardShelf | None = None
        self._spent = 0.0  # s, for the next snapshot

    def on_batch(self, values: list[tuple[int, Chunk]]) -> tuple[Iterable[Report], bool]:
        if self._window is None:
            self._window, self._resume = self._begin(values[0][0]), None
        chunks = [chunk for _, chunk in values]
        if self._shelf is not None:
            self._shelf.feed(chunks)
        report = self._window.feed(chunks)
        for chunk in chunks:
            self._pace.hear(chunk)
        if self._shelf is not None:
            started = time.perf_counter()
            self._shelf.turn(self._window)
            self._spent += time.perf_counter() - started
        return ([] if report is None else [report]), self.RETAIN

    def snapshot(self) -> bytes:
        if self._seal is None:
            return UNKEPT
        if self._window is None:  # resumed, and the input ended before it was fed
            assert self._resume is not None
            return self._resume
        started = time.perf_counter()
        if self._shelf is None:
            taken = self._window.snapshot()
            size = len(taken)
        else:
            taken, size = self._shelf.put(self._window)
        sealed = self._seal.close(f"windows/{self._window.shard}", taken)
        METRICS.snapshot("windows", self._spent + time.perf_counter() - started, size)
        self._spent = 0.0
        return sealed

    def _begin(self, shard: int) -> ShardWindow:
        if self._disk is not None:
            self._shelf = ShardShelf(self._disk, shard)
        state = _opened(self._seal, f"windows/{shard}", self._resume)
        if state is None or self._shelf is None:
            window = ShardWindow(shard, self._panes, state)
        else:
            window = self._shelf.take(state, self._panes)
        window.wait_for_all()
        return window


class IncidentStep(StatefulBatchLogic[Report, Record, bytes]):
    """The one area: reports in, records for the alerts and incidents topics out."""

    def __init__(self, settings: Settings, seal: Seal | None, snapshot: bytes | None) -> None:
        self._settings = settings
        self._seal = seal
        state = _opened(seal, f"incidents/{AREA}", snapshot)
        self._merge = IncidentMerge(settings.window.shards, settings.window.lateness, state)

    def on_batch(self, values: list[Report]) -> tuple[Iterable[Record], bool]:
        for report in values:
            self._merge.add(report)
        arrival = self._merge.arrival
        return alert_records(self._merge.advance(), self._settings.outputs, self._settings.alerts, arrival), self.RETAIN

    def snapshot(self) -> bytes:
        if self._seal is None:
            return UNKEPT
        started = time.perf_counter()
        taken = self._seal.close(f"incidents/{AREA}", self._merge.snapshot())
        METRICS.snapshot("incidents", time.perf_counter() - started, len(taken))
        return taken


def _opened(seal: Seal | None, place: str, snapshot: bytes | None) -> bytes | None:
    """What was kept under a seal; who keeps nothing is given nothing back."""
    if snapshot is None:
        return None
    assert seal is not None, f"a snapshot of {place} where none is kept"
    return seal.open(place, snapshot)
