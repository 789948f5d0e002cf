"""The job as one would write it by hand: confluent-kafka, msgspec and a dict of open windows by second and cell."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition
from h3.api.basic_int import latlng_to_cell
from job import LATENESS, RESOLUTION, WINDOW, Job, Span, say
from typed import read


def main() -> None:
    job, span = Job.asked(), Span()
    settings = {
        "bootstrap.servers": job.broker,
        "group.id": job.group,
        "fetch.wait.max.ms": 20,
        "fetch.queue.backoff.ms": 5,  # by default a full queue stops the fetching for a second
        "enable.auto.commit": False,
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(job.topic, 0, 0)])
    panes: dict[int, dict[int, list[float]]] = {}
    closed: list[tuple[int, dict[int, list[float]]]] = []
    newest, left = 0, job.count
    while left > 0:
        got = consumer.consume(min(5000, left), timeout=1.0)
        span.begin()
        left -= len(got)
        for message in got:
            seen = read(message.value())
            ts = seen.ts
            if ts > newest:
                newest = ts
            pane = panes.get(ts // WINDOW)
            if pane is None:
                pane = panes[ts // WINDOW] = {}
            cell = latlng_to_cell(seen.lat, seen.lon, RESOLUTION)
            sums = pane.get(cell)
            if sums is None:
                pane[cell] = [1, seen.v, seen.ev]
            else:
                sums[0] += 1
                sums[1] += seen.v
                sums[2] += seen.ev
        complete = (newest - LATENESS) // WINDOW
        closed += [(second, panes.pop(second)) for second in sorted(panes) if second < complete]
    closed += sorted(panes.items())
    took = span.end()
    sums = [sums for _, pane in closed for sums in pane.values()]
    say(took, len(sums), sum(row[0] for row in sums), sum(row[2] for row in sums))


main()
