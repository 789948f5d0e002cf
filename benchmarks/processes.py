"""What a second process is worth: `roadwatch run` with one, with a cluster of two, and as two workers that share nothing.

    python -m benchmarks.processes [--minutes 18] [--copies 10] [--rounds 3]

Over a topic of 8 partitions and from 8 files, twice: a city of parallel motorways 1.2 km apart, which lies in a few shards, and
the same motorways 28 km apart, which do not. Of those each half has four partitions, as a producer that deals by province would
do it, so that two workers may share nothing as well; a city is dealt by vehicle.
Through the broker the clock runs from the first reading of the metrics pages that shows messages to the one that shows all of
them, over the messages in between; broker and workers share the machine's cores, and how much of them each took is in the
table. From files, as a replay reads them, nobody takes any: the clock runs from the first poll until both processes have ended.
Where strangers take cores, the CPU of the busiest process says what two could do. Rounds pair one run of each; alerts are
compared byte for byte, those of two workers taken together: a shard that has cells of both halves learns from both in one
process, and in two workers from its own, so some may differ. Results go to benchmarks/results/processes.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.run import cli_main
from confluent_kafka import Producer
from rich.console import Console

from benchmarks.live import Stage, children, cpu, everybody, stage
from benchmarks.live_traffic import VEHICLES
from benchmarks.load import APART, city
from benchmarks.machine import ROOT, commit, versions
from benchmarks.table import Table
from dataflows import replay
from dataflows.cluster import _free_addresses
from dataflows.demo.page import scrape
from dataflows.grid import Grid
from dataflows.incidents import flow
from dataflows.intake import Poll
from dataflows.rehearsal import rehearse
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests.living import FreshWorker, LivingCluster, LivingWorker, wait_for

RESULTS = Path(__file__).parent / "results" / "processes.md"
PARTITIONS = 8
WANTED = 1.8
CITY, COUNTRY = "A city", "A country"
PLACES = {CITY: APART, COUNTRY: 0.25}  # degrees of latitude between two motorways
LOOK = 0.05  # s between two looks at the metrics pages

console = Console()


class Shape(NamedTuple):
    """Workers that share nothing, each of so many processes."""

    name: str
    workers: int
    processes: int

    def halves(self) -> list[range]:
        """The partitions that each worker reads."""
        each = PARTITIONS // self.workers
        return [range(first, first + each) for first in range(0, PARTITIONS, each)]


ONE = Shape("one process", 1, 1)
CLUSTER = Shape("a cluster of two", 1, 2)
NOTHING_SHARED = Shape("two that share nothing", 2, 1)
SHAPES = {CITY: (ONE, CLUSTER), COUNTRY: (ONE, CLUSTER, NOTHING_SHARED)}


class Run(NamedTuple):
    rate: float  # messages a second
    busiest: float  # s: CPU of the process that took most of it
    workers: float  # cores that the workers took
    broker: float
    strangers: float  # whoever else ran on the machine
    alerts: list[bytes]


def deal(name: str, messages: Sequence[bytes]) -> list[list[bytes]]:
    """The messages of each partition: by vehicle, as a producer with the id for a key does it, or by half and vehicle."""
    seen = [json.loads(message) for message in messages]
    middle = statistics.median(each["lat"] for each in seen)
    dealt: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for message, each in zip(messages, seen, strict=True):
        vehicle = sum(each["id"].encode())
        half = each["lat"] > middle
        dealt[vehicle % PARTITIONS if name == CITY else vehicle % (PARTITIONS // 2) + PARTITIONS // 2 * half].append(message)
    return dealt


def fill(broker: str, dealt: Sequence[Sequence[bytes]]) -> None:
    """Each message with its own arrival; the partitions grow side by side."""
    producer = Producer({"bootstrap.servers": broker, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    rows = sorted((json.loads(message)["rx"], number, message) for number, part in enumerate(dealt) for message in part)
    for arrival, number, message in rows:
        while True:
            try:
                producer.produce(VEHICLES, message, partition=number, timestamp=arrival)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()


def through_the_broker(scene: Stage, name: str, count: int, shape: Shape) -> Run:
    log, topics = scene.folder / "worker.log", {VEHICLES: "observation"}
    with ExitStack() as ends:
        workers: list[LivingWorker] = []
        for number, reads in enumerate(shape.halves()):
            config, settings = scene.settings(f"{name}-{number}", topics, PARTITIONS, f"{name}-", reads)
            one = FreshWorker(config, log) if shape.processes == 1 else LivingCluster(config, log, shape.processes)
            workers.append(ends.enter_context(one))
        parents = [worker.child.pid for worker in workers]
        pids = parents if shape.processes == 1 else children(*parents)

        def read() -> tuple[float, ...]:
            pages = [scrape(url) for worker in workers for url in worker.urls]
            messages = sum(page.total("received_messages_total") for page in pages if page)
            return messages, time.perf_counter(), cpu([scene.broker_pid]), everybody(), *(cpu([pid]) for pid in pids)

        seen = [read()]
        while seen[-1][0] < count:
            for worker in workers:
                worker.check()
            time.sleep(LOOK)
            seen.append(read())
        begun = next(each for each in seen if each[0])
        messages, seconds, broker, busy, *spent = (after - before for before, after in zip(begun, seen[-1], strict=True))
        wait_for(lambda: _all_idle(workers), "the workers have noticed that no more comes")
        for worker in workers:
            worker.stop()
    with Reader(settings, settings.outputs.alerts) as reader:
        alerts: list[bytes] = []
        while got := reader.read(1.0):
            alerts += [message.value or b"" for message in got]
    strangers = (busy - sum(spent) - broker) / seconds
    return Run(messages / seconds, max(spent), sum(spent) / seconds, broker / seconds, strangers, sorted(alerts))


def _all_idle(workers: Sequence[LivingWorker]) -> bool:
    pages = [scrape(url) for worker in workers for url in worker.urls]
    idle = [value for page in pages if page for value in page.values("partition_idle")]
    return len(idle) == PARTITIONS and all(idle)


def from_files(files: Sequence[Path], count: int, shape: Shape, out: Path) -> Run:
    addresses = _free_addresses(shape.processes) if shape.processes > 1 else None
    orders = [
        {
            "files": [str(files[number]) for number in half],
            "out": str(out.with_name(f"{worker}-{out.name}")),
            "process_id": process if addresses else None,
            "addresses": addresses,
        }
        for worker, half in enumerate(shape.halves())
        for process in range(shape.processes)
    ]
    for order in orders:
        Path(str(order["out"])).unlink(missing_ok=True)
    began, busy = time.time(), everybody()
    members = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.processes", "--member", json.dumps(order)], cwd=ROOT, stdout=subprocess.PIPE
        )
        for order in orders
    ]
    said = [json.loads(member.communicate()[0].splitlines()[-1]) for member in members]  # before it the engine may speak
    seconds = max(each["ended"] for each in said) - min(each["began"] for each in said)
    workers = [each["cpu"] for each in said]
    strangers = max(0.0, (everybody() - busy - sum(each["all"] for each in said)) / (time.time() - began))
    said_by = {Path(str(order["out"])) for order in orders}  # the sink makes it with the first alert
    alerts = sorted(alert for path in said_by if path.exists() for alert in path.read_bytes().splitlines())
    return Run(count / seconds, max(workers), sum(workers) / seconds, 0.0, strangers, alerts)


def member(order: dict[str, Any]) -> None:
    """One process of a replay of several."""
    began: list[tuple[float, float]] = []

    def progressed(file: str, messages: int, _: Poll) -> None:
        if not began:
            began.append((time.time(), time.process_time()))

    settings = load(None, {"privacy": {"key": "the key of the benchmarks"}})
    files = [(Path(path), "observation") for path in order["files"]]
    rehearse(settings.window)  # as a worker does before its first message
    graph = flow(settings, replay.ends(files, settings, Path(order["out"]), progressed=progressed), kept=False)
    cli_main(graph, process_id=order["process_id"], addresses=order["addresses"])
    ended, (first, spent) = time.time(), began[0]
    print(json.dumps({"began": first, "ended": ended, "cpu": time.process_time() - spent, "all": time.process_time()}))


def table(title: str, shapes: Sequence[Shape], rounds: Sequence[Sequence[Run]]) -> Table:
    """Each round has a run of each shape."""
    columns = ("", "k messages/s", "CPU s of the busiest", "cores of the workers", "of the broker", "of strangers", "alerts")
    made, notes = Table(title, columns), []
    for shape, runs in zip(shapes, zip(*rounds, strict=True), strict=True):
        rate, *cores = (statistics.median(getattr(run, name) for run in runs) for name in Run._fields[:-1])
        made.rows.append((shape.name, f"{rate / 1000:.1f}", *(f"{each:.2f}" for each in cores), str(len(runs[0].alerts))))
        if shape != ONE:
            ratios = [two.rate / one[0].rate for one, two in zip(rounds, runs, strict=True)]
            possible = statistics.median(one[0].busiest / two.busiest for one, two in zip(rounds, runs, strict=True))
            seen = f"{statistics.median(ratios):.2f} x one (median of {', '.join(f'{ratio:.2f}' for ratio in ratios)})"
            notes.append(f"{shape.name}: {seen}; with cores of their own, by the CPU of the busiest, {possible:.2f} x")
    first = Counter(rounds[0][0].alerts)
    differ = {shape.name: max((Counter(runs[i].alerts) - first).total() for runs in rounds) for i, shape in enumerate(shapes)}
    others = ", ".join(f"{count} of {name}" for name, count in differ.items() if count)
    said = f"Of the alerts these differ from one process's: {others}" if others else "The alerts of all runs are the same"
    made.note = f"{'. '.join(notes)}. {WANTED} x is wanted. {said}."
    return made


def both(name: str, messages: list[bytes], turns: int) -> list[Table]:
    """From files and through the broker."""
    dealt, shapes = deal(name, messages), SHAPES[name]
    count = len(messages)
    size = f"{count:,} messages in {shards(messages)} shards, {PARTITIONS} partitions, {turns} rounds"
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.jsonl" for number in range(PARTITIONS)]
        for path, part in zip(files, dealt, strict=True):
            path.write_bytes(b"\n".join(part))
        out = Path(folder) / "alerts.jsonl"
        rounds = [[from_files(files, count, shape, out) for shape in shapes] for _ in range(turns)]
    tables = [table(f"{name}, from files: {size}", shapes, rounds)]
    console.print(tables[0].rich())
    with stage() as scene:
        scene.settings("filling", {VEHICLES: "observation"}, PARTITIONS)
        fill(scene.broker, dealt)
        named = [[(f"{turn}-{number}", shape) for number, shape in enumerate(shapes)] for turn in range(turns)]
        rounds = [[through_the_broker(scene, called, count, shape) for called, shape in turn] for turn in named]
    tables.append(table(f"{name}, through the broker: {size}", shapes, rounds))
    console.print(tables[1].rich())
    return tables


def shards(messages: Sequence[bytes]) -> int:
    """How many shards own the places of a sample of messages."""
    grid = Grid(load().window)
    places = [json.loads(message) for message in messages[:20_000]]
    return len({grid.owner(grid.cell(place["lat"], place["lon"])) for place in places})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=18.0, help="nothing happens in the first ten")
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--member", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.member:
        return member(json.loads(asked.member))
    tables = []
    for name, apart in PLACES.items():
        tables += both(name, city(asked.minutes, asked.copies, apart), asked.rounds)
    asked.out.write_text(
        f"# Two processes\n\n`python -m benchmarks.processes {' '.join(sys.argv[1:])}` at commit {commit()}; {versions()}.\n\n"
        + "\n".join(each.markdown() for each in tables)
    )
    return None


if __name__ == "__main__":
    main()
