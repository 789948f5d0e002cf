"""How long after its pane could be closed an alert is there, live: the real worker on a broker, event time being wall time.

    [KAFKA_JARS=var/kafka] python -m benchmarks.latency [--loads 2000 10000 ...] [--minutes 2.5] [--begin 940] [--warm 8]

against the embedded broker, or a real Kafka (`make kafka` fetches it), which wakes those that wait for messages sooner.
From the broker's acknowledgement of the message that closes the pane (benchmarks/closing.py) to the moment at which a consumer
has the alert. The bundled recording's road is copied until it makes the load; `warm` of the copies have been driven on since
the recording's start, sent at once before the clock starts, so that their detectors know what is usual; electric cars, loops
and weather come once. Every 0.7 s a vehicle says that its airbag is out or that it is disabled. Broker, player, worker and
consumer share the machine, and maybe with strangers: the cores that each took are in the table. Results go to
benchmarks/results/latency.md.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import defaultdict
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from rich.console import Console

from benchmarks import live_traffic, player
from benchmarks.closing import closing, courses
from benchmarks.live import Stage, cpu, everybody, name_of_broker, stage
from benchmarks.live_traffic import TOPICS
from benchmarks.machine import commit, versions
from benchmarks.table import Table
from tests.living import FreshWorker

RESULTS = Path(__file__).parent / "results" / "latency.md"
PARTITIONS = 2  # of each input topic
POURED = 15_000  # messages of history a second that are surely sent and read
HEAD = 12.0  # s for the worker to start and for the history's end to be noticed
TAIL = 4.0  # s after the last message: its pane's alerts
SHARES = (50, 90, 99)

console = Console()


class Seen(NamedTuple):
    """One alert, as a consumer saw it."""

    kind: str
    closes: int  # ms: the event time that closed its pane
    produced: int  # ms: its time stamp, made by the worker's producer
    seen: float  # ms


class Latency(NamedTuple):
    kind: str
    whole: float  # ms
    worker: float  # ms of it until the worker produced the alert
    silence: bool
    closes: int


def listen(broker: str, topic: str, tell: Connection) -> None:
    """In a process of its own: note when each alert comes, until told to stop."""
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "latency", "fetch.wait.max.ms": 20})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    seen = []
    while not tell.poll():
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            continue
        now = time.time() * 1000
        said: dict[str, Any] = json.loads(message.value() or b"")
        closes = round(datetime.fromisoformat(said["updated_at"]).timestamp() * 1000)
        seen.append(Seen(said["kind"], closes, message.timestamp()[1], now))
    consumer.close()
    tell.send(seen)


def measure(scene: Stage, load: float, asked: argparse.Namespace) -> tuple[list[Latency], list[str], str]:
    """One load: the latencies, its row of the table, and where the time went."""
    traffic = live_traffic.read(0, 1, asked.warm)
    origin = traffic.arrivals[0]
    begin = origin + int(asked.begin * 1000)
    end = begin + int(asked.minutes * 60_000)
    span = [at for at in traffic.arrivals if begin <= at < end]
    copies = max(asked.warm, round(load / (len(span) / (end - begin) * 1000)))
    history = sum(1 for at in traffic.arrivals if at < begin) * asked.warm
    shift = int(time.time() + HEAD + history / POURED) * 1000 - begin // 1000 * 1000
    traffic = live_traffic.Traffic(traffic.arrivals, traffic.lines, shift, copies, asked.warm)
    config, settings = scene.settings(f"load-{load:.0f}", TOPICS, PARTITIONS)
    hear, tell = multiprocessing.Pipe()
    ask, answer = multiprocessing.Pipe()
    playing = multiprocessing.Process(
        target=player.run, args=(scene.broker, PARTITIONS, traffic, begin, end, tell), daemon=True
    )
    listening = multiprocessing.Process(target=listen, args=(scene.broker, settings.outputs.alerts, answer), daemon=True)
    with FreshWorker(config, scene.folder / "worker.log") as worker:
        listening.start()
        playing.start()
        poured = hear.recv()
        worker.page(lambda page: page.total("received_messages_total") >= poured, "the history is read")
        spare = (begin + shift) / 1000 - time.time()
        if spare < 1.0:
            raise SystemExit(f"the history took {1 - spare:.0f} s too long: give fewer --warm copies or an earlier --begin")
        time.sleep(spare)
        sides = {"worker": [worker.child.pid], "broker": [scene.broker_pid]}
        before, busy = {name: cpu(pids) for name, pids in sides.items()}, everybody()
        played: player.Played = hear.recv()
        shares = {name: (cpu(pids) - before[name]) / played.seconds for name, pids in sides.items()}
        shares |= {"player": played.cpu / played.seconds}
        shares["strangers"] = (everybody() - busy) / played.seconds - sum(shares.values())
        worker.page(lambda page: page.total("received_messages_total") >= poured + played.sent, "all is read")
        time.sleep(TAIL)
        ask.send(None)
        seen: list[Seen] = ask.recv()
    idle = {each.topic: each.idle_after * 1000 for each in settings.inputs.topics}
    made = courses(played.notes, idle)
    found = []
    first, last = begin + shift + 2 * settings.window.lateness + 1000, end + shift - 1000  # whole panes of the live part
    for alert in seen:
        if first <= alert.closes <= last:
            at = closing(made, alert.closes)
            found.append(Latency(alert.kind, alert.seen - at.at, alert.produced - at.at, at.silence, alert.closes))
    by_message = [each for each in found if not each.silence]
    row = [
        f"{played.sent / played.seconds / 1000:.1f}",
        *(f"{value:.0f}" for value in _shares([each.whole for each in by_message])),
        str(len(by_message)),
        str(len({each.closes for each in by_message})),
        ", ".join(f"{name} {share:.2f}" for name, share in shares.items()),
        f"{np.percentile(played.behind, 99):.0f}",
    ]
    inside = np.median([each.worker for each in by_message])
    outside = np.median([each.whole - each.worker for each in by_message])
    return found, row, f"{row[0]} k/s: {inside:.0f} ms until the worker produced the alert, {outside:.0f} ms from there"


def _shares(values: list[float]) -> list[float]:
    return [*(float(np.percentile(values, share)) for share in SHARES), max(values)] if values else [np.nan] * 4


def kinds(load: str, found: list[Latency]) -> list[list[str]]:
    grouped: dict[tuple[bool, str], list[float]] = defaultdict(list)
    for each in found:
        grouped[each.silence, "all" if each.silence else each.kind].append(each.whole)
    return [
        [load, kind if not silence else "(closed by a silence)", *(f"{v:.0f}" for v in _shares(whole)), str(len(whole))]
        for (silence, kind), whole in sorted(grouped.items())
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loads", type=float, nargs="+", default=[2000, 10_000], help="messages a second")
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--begin", type=float, default=940.0, help="second of the recording at which the clock starts")
    parser.add_argument("--warm", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    head = ("k messages/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "alerts", "panes", "cores", "player behind p99, ms")
    whole = Table("All alerts whose pane a message closed", head)
    each = Table("By kind", ("k messages/s", "kind", "p50 ms", "p90 ms", "p99 ms", "max ms", "alerts"))
    notes = []
    for load in asked.loads:
        console.print(f"{load:,.0f} messages a second for {asked.minutes} minutes", highlight=False)
        with stage() as scene:
            found, row, note = measure(scene, load, asked)
        whole.rows.append(row)
        each.rows += kinds(row[0], found)
        notes.append(note)
    met = "p50 <= 100 ms and p99 <= 250 ms are wanted."
    whole.note = f"{met} Where the medians go: {'; '.join(notes)}."
    for table in (whole, each):
        console.print(table.rich())
    how = f"`python -m benchmarks.latency {' '.join(sys.argv[1:])}` against {name_of_broker()}"
    asked.out.write_text(f"# Latency\n\n{how}, at commit {commit()}; {versions()}.\n\n{whole.markdown()}\n{each.markdown()}")


if __name__ == "__main__":
    main()
