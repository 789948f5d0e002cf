"""The job on stock Bytewax: its KafkaSource and its fold_window, as its documentation shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, run_main
from h3.api.basic_int import latlng_to_cell
from job import LATENESS, RESOLUTION, WINDOW, Job, Span, say
from typed import Seen, read


def main() -> None:
    job, span = Job.asked(), Span()
    start = datetime(2025, 1, 1, tzinfo=UTC)

    def keyed(messages: list[Any]) -> list[tuple[str, Seen]]:
        span.begin()
        rows = [read(message.value) for message in messages]
        return [(str(latlng_to_cell(row.lat, row.lon, RESOLUTION)), row) for row in rows]

    def fold(sums: list[float], row: Seen) -> list[float]:
        sums[0] += 1
        sums[1] += row.v
        sums[2] += row.ev
        return sums

    # The clock stands still: the stock watermark follows the system's, and would drop what comes slower than it was recorded.
    clock = win.EventClock(
        lambda row: datetime.fromtimestamp(row.ts / 1000, UTC),
        wait_for_system_duration=timedelta(milliseconds=LATENESS),
        now_getter=lambda: start,
    )
    windower = win.TumblingWindower(length=timedelta(milliseconds=WINDOW), align_to=start)
    source = KafkaSource(
        [job.broker],
        [job.topic],
        tail=False,
        batch_size=5000,
        add_config={"fetch.wait.max.ms": "20", "fetch.queue.backoff.ms": "5"},
    )
    out: list[tuple[str, tuple[int, list[float]]]] = []
    flow = Dataflow("stock")
    stream = op.flat_map_batch("read", op.input("in", flow, source), keyed)
    windows = win.fold_window(
        "fold", stream, clock, windower, lambda: [0, 0.0, 0], fold, lambda a, b: [x + y for x, y in zip(a, b, strict=True)]
    )
    op.output("out", windows.down, TestingSink(out))
    run_main(flow)
    took = span.end()
    say(took, len(out), sum(sums[0] for _, (_, sums) in out), sum(sums[2] for _, (_, sums) in out))


main()
