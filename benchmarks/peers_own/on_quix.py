"""The job on Quix Streams: group_by on the cell, a tumbling window with a reducer, final results only."""

from __future__ import annotations

from typing import Any

from h3.api.basic_int import latlng_to_cell
from job import LATENESS, RESOLUTION, WINDOW, Job, Span, say
from quixstreams import Application
from quixstreams.models import Deserializer
from typed import Seen, read


class Typed(Deserializer):
    """Typed decoding, several times quicker than the library's JSON."""

    def __call__(self, value: bytes, ctx: Any) -> Seen:
        return read(value)


def main() -> None:
    job, span = Job.asked(), Span()
    left, took, found = job.count, {}, [0, 0, 0]

    def count(topic: str, partition: int, offset: int) -> None:
        nonlocal left, took
        left -= 1
        if left == 0:
            took = span.end()
            app.stop()

    app = Application(
        broker_address=job.broker,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.folder,
        use_changelog_topics=False,
        commit_interval=30.0,
        loglevel="ERROR",
        consumer_extra_config={"session.timeout.ms": 6000, "fetch.wait.max.ms": 20, "fetch.queue.backoff.ms": 5},
        on_message_processed=count,
    )

    def cell(row: Seen) -> str:
        span.begin()
        return str(latlng_to_cell(row.lat, row.lon, RESOLUTION))

    def reduce(sums: list[float], row: Seen) -> list[float]:
        return [sums[0] + 1, sums[1] + row.v, sums[2] + row.ev]

    def gather(window: dict[str, Any]) -> None:
        found[0] += 1
        found[1] += window["value"][0]
        found[2] += window["value"][2]

    topic = app.topic(job.topic, value_deserializer=Typed(), timestamp_extractor=lambda row, *_: row.ts)
    frame = app.dataframe(topic).group_by(cell, name="cell")
    windows = frame.tumbling_window(WINDOW, grace_ms=LATENESS).reduce(reduce, lambda row: [1, row.v, row.ev])
    windows.final(closing_strategy="partition").update(gather)
    app.run()
    say(took, *found)


main()
