"""The same messages in stock Bytewax, as its documentation shows it: one object a message, fold_window by cell.

Typed decoding as ours, panes of one second as ours, no detectors. At its best: with a system clock that stands still, for
the stock watermark follows that clock, and the operator asks for the time at every item.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
import h3.api.basic_int as h3
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource, run_main

from benchmarks.load import Measure
from dataflows.formats.observation import Observation
from dataflows.settings import Settings

Sums = list[float]


def stock_bytewax(messages: list[bytes], settings: Settings) -> Measure:
    read, start = msgspec.json.Decoder(Observation).decode, datetime(2025, 1, 1, tzinfo=UTC)
    clock = win.EventClock(
        lambda seen: datetime.fromtimestamp(seen.ts / 1000, UTC),
        wait_for_system_duration=timedelta(milliseconds=settings.window.lateness),
        now_getter=lambda: start,
    )
    windower = win.TumblingWindower(length=timedelta(milliseconds=settings.window.pane), align_to=start)

    def fold(sums: Sums, seen: Any) -> Sums:
        sums[0] += 1
        sums[1] += seen.v
        sums[2] += seen.ev
        return sums

    def merge(some: Sums, more: Sums) -> Sums:
        return [a + b for a, b in zip(some, more, strict=True)]

    out: list[Any] = []
    dataflow = Dataflow("stock")
    seen = op.map("read", op.input("in", dataflow, TestingSource(messages, batch_size=settings.kafka.poll_messages)), read)
    keyed = op.key_on("cell", seen, lambda row: str(h3.latlng_to_cell(row.lat, row.lon, settings.window.cell_resolution)))
    folded = win.fold_window("fold", keyed, clock, windower, lambda: [0.0, 0.0, 0.0], fold, merge)
    op.output("out", folded.down, TestingSink(out))
    run_main(dataflow)
    return {"windows": len(out)}
