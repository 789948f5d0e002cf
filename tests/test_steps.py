"""The steps as the engine has them: what a start makes of what the life before kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataflows.disk import Disk
from dataflows.grid import Grid
from dataflows.intake import Chunk
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.seal import Seal
from dataflows.settings import Settings, Window
from dataflows.steps import WindowStep
from dataflows.window import Panes
from tests import road

LATENESS, PANE, SEEN = 2000, 1000, 20
SPARSE, BUSY = "ev/0", "v2x/0"
GRID = Grid(Window())
PANES = Panes(PANE, (SPARSE, BUSY), GRID, ())


def said(partition: str, until: int, *, holds: bool = True, seen: bool = False) -> tuple[int, Chunk]:
    """The partition has come to `until` ms; `seen`: with rows of five seconds after the start."""
    rows = None
    if seen:
        rows = road.rows(SEEN)
        rows["time"], rows["reporter"] = road.T0 + 5000, np.arange(SEEN)
        rows["cell"] = GRID.cells(rows["lat"], rows["lon"])
    return 0, Chunk(partition, until - LATENESS, until, holds, -1, rows)


@pytest.mark.parametrize("kept_on_disk", [False, True])
def test_who_was_silent_before_a_start_is_waited_for_after_it(kept_on_disk: bool, tmp_path: Path) -> None:
    """He may have spoken while nobody listened, and be read after the others: then his rows would come too late."""

    def step(snapshot: bytes | None) -> WindowStep:
        disk = Disk(tmp_path) if kept_on_disk else None
        return WindowStep(PANES, Pace(PANES.partitions, Settings().window), Seal(b"key"), disk, snapshot)

    before = step(None)
    before.on_batch([said(SPARSE, road.T0), said(BUSY, road.T0)])
    before.on_batch([said(SPARSE, road.T0, holds=False), said(BUSY, road.T0 + 1000)])
    late = METRICS.value("late_at_shard_records_total")
    after = step(before.snapshot())
    closed, _ = after.on_batch([said(BUSY, road.T0 + 30_000)])
    assert list(closed) == []
    (report,), _ = after.on_batch([said(SPARSE, road.T0 + 30_000, seen=True)])
    assert report.closed == road.T0 + 28_000
    assert METRICS.value("late_at_shard_records_total") == late
