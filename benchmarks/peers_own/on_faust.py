"""The job on Faust: a windowed table in memory, one update a message."""

from __future__ import annotations

import os
import sys

import faust
from h3.api.basic_int import latlng_to_cell
from job import RESOLUTION, WINDOW, Job, Span, say
from typed import read

job, span, now = Job.asked(), Span(), 0.0
app = faust.App(
    job.group,
    broker=f"kafka://{job.broker}",
    store="memory://",
    datadir=job.folder,
    value_serializer="raw",
    web_enabled=False,
    worker_redirect_stdouts=False,
    topic_disable_leader=True,
    topic_partitions=1,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=2.0,
    broker_max_poll_records=5000,
    stream_buffer_maxsize=20_000,
    stream_wait_empty=False,
    producer_acks=1,
    producer_linger=0.05,
    producer_max_batch_size=1_000_000,
)
topic = app.topic(job.topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
# No expiry: Faust compares the end of a window with the system's clock, so a recording's windows would close at once.
cells = app.Table("cells", default=lambda: (0, 0.0, 0), partitions=1).tumbling(WINDOW / 1000).relative_to(lambda _: now)


@app.agent(topic)
async def sums(stream):
    global now
    left = job.count
    async for raw in stream.noack():
        span.begin()
        row = read(raw)
        now, cell = row.ts / 1000, str(latlng_to_cell(row.lat, row.lon, RESOLUTION))
        n, v, ev = cells[cell].value()
        cells[cell] = (n + 1, v + row.v, ev + row.ev)
        left -= 1
        if not left:
            took = span.end()
            found = list(cells.table.data.values())
            say(took, len(found), sum(row[0] for row in found), sum(row[2] for row in found))
            os._exit(0)  # a clean stop is no part of the measure


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    faust.Worker(app, loglevel="ERROR").execute_from_commandline()
