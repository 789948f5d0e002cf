"""The job on Faust as a consumer only: batches of stream.take, and a dict of open windows as one would keep by hand."""

from __future__ import annotations

import os
import sys

import faust
from h3.api.basic_int import latlng_to_cell
from job import RESOLUTION, WINDOW, Job, Span, say
from typed import read

job, span = Job.asked(), Span()
app = faust.App(
    job.group,
    broker=f"kafka://{job.broker}",
    datadir=job.folder,
    value_serializer="raw",
    web_enabled=False,
    worker_redirect_stdouts=False,
    topic_disable_leader=True,
    broker_session_timeout=6.0,
    broker_heartbeat_interval=2.0,
    broker_max_poll_records=5000,
    stream_buffer_maxsize=20_000,
    stream_wait_empty=False,
)
topic = app.topic(job.topic, value_type=bytes, value_serializer="raw", key_serializer="raw")


@app.agent(topic)
async def sums(stream):
    left, out = job.count, {}
    async for batch in stream.noack().take(5000, within=0.2):
        span.begin()
        for raw in batch[:left]:
            row = read(raw)
            key = row.ts // WINDOW, latlng_to_cell(row.lat, row.lon, RESOLUTION)
            found = out.get(key)
            if found is None:
                out[key] = [1, row.v, row.ev]
            else:
                found[0] += 1
                found[1] += row.v
                found[2] += row.ev
        left -= len(batch)
        if left <= 0:
            took = span.end()
            rows = list(out.values())
            say(took, len(rows), sum(row[0] for row in rows), sum(row[2] for row in rows))
            os._exit(0)  # a clean stop is no part of the measure


if __name__ == "__main__":
    sys.argv = sys.argv[:1]
    faust.Worker(app, loglevel="ERROR").execute_from_commandline()
