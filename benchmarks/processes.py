"""What a second process is worth: `roadwatch run` with one and with two over a topic of 8 partitions, and from 8 files.

    python -m benchmarks.processes [--minutes 18] [--copies 10] [--rounds 3]

Twice: a city of parallel motorways 1.2 km apart, which lies in a few shards, and the same motorways 28 km apart, which do not.
Through the broker the clock runs from the first reading of the metrics pages that shows messages to the one that shows all of
them, over the messages in between; broker and workers share the machine's cores, and how much of them each took is in the
table. From files, as a replay reads them, nobody takes any: the clock runs from the first poll until both processes have ended.
Where strangers take cores, the CPU of the busiest process says what two could do. Rounds pair one run of each; alerts are
compared byte for byte. Results go to benchmarks/results/processes.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
from dataflows.rehearsal import rehearse
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.tap import Reader
from tests.living import LivingCluster, LivingWorker, wait_for

RESULTS = Path(__file__).parent / "results" / "processes.md"
PARTITIONS = 8
PROCESSES = (1, 2)
WANTED = 1.8
PLACES = {"A city": APART, "A country": 0.25}  # degrees of latitude between two motorways
LOOK = 0.05  # s between two looks at the metrics pages

console = Console()


class Run(NamedTuple):
    rate: float  # messages a second
    busiest: float  # s: CPU of the process that took most of it
    workers: float  # cores that the workers took
    broker: float
    strangers: float  # whoever else ran on the machine
    alerts: list[bytes]


def partition(message: bytes) -> int:
    """By vehicle, as a producer with the id for a key deals messages out."""
    name: str = json.loads(message)["id"]
    return sum(name.encode()) % PARTITIONS


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


def through_the_broker(scene: Stage, config: Path, settings: Settings, count: int, processes: int) -> Run:
    log = scene.folder / "worker.log"
    one = LivingWorker(config, log) if processes == 1 else LivingCluster(config, log, processes)
    with one as worker:
        pids = [worker.child.pid] if processes == 1 else children(worker.child.pid)

        def read() -> tuple[float, ...]:
            pages = [scrape(url) for url in worker.urls]
            messages = sum(page.total("received_messages_total") for page in pages if page)
            return messages, time.perf_counter(), cpu([scene.broker_pid]), everybody(), *(cpu([pid]) for pid in pids)

        seen = [read()]
        while seen[-1][0] < count:
            worker.check()
            time.sleep(LOOK)
            seen.append(read())
        begun = next(each for each in seen if each[0])
        messages, seconds, broker, busy, *workers = (after - before for before, after in zip(begun, seen[-1], strict=True))
        wait_for(lambda: _all_idle(worker), "the worker has noticed that no more comes")
        worker.stop()
    with Reader(settings, settings.outputs.alerts) as reader:
        alerts: list[bytes] = []
        while got := reader.read(1.0):
            alerts += [message.value or b"" for message in got]
    strangers = (busy - sum(workers) - broker) / seconds
    return Run(messages / seconds, max(workers), sum(workers) / seconds, broker / seconds, strangers, sorted(alerts))


def _all_idle(worker: LivingWorker) -> bool:
    idle = [value for url in worker.urls if (page := scrape(url)) for value in page.values("partition_idle")]
    return len(idle) == PARTITIONS and all(idle)


def from_files(files: Sequence[Path], count: int, processes: int, out: Path) -> Run:
    addresses = _free_addresses(processes) if processes > 1 else None
    orders = [
        {"files": [*map(str, files)], "out": str(out), "process_id": number if addresses else None, "addresses": addresses}
        for number in range(processes)
    ]
    out.unlink(missing_ok=True)
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
    return Run(count / seconds, max(workers), sum(workers) / seconds, 0.0, strangers, _alerts(out))


def _alerts(out: Path) -> list[bytes]:
    return sorted(out.read_bytes().splitlines()) if out.exists() else []  # the sink makes it with the first alert


def member(order: dict[str, Any]) -> None:
    """One process of a replay of several."""
    began: list[tuple[float, float]] = []

    def progressed(file: str, messages: int) -> None:
        if not began:
            began.append((time.time(), time.process_time()))

    settings = load(None, {"privacy": {"key": "the key of the benchmarks"}})
    files = [(Path(path), "observation") for path in order["files"]]
    rehearse(settings.window)  # as a worker does before its first message
    graph = flow(settings, replay.ends(files, settings, Path(order["out"]), progressed=progressed), kept=False)
    cli_main(graph, process_id=order["process_id"], addresses=order["addresses"])
    ended, (first, spent) = time.time(), began[0]
    print(json.dumps({"began": first, "ended": ended, "cpu": time.process_time() - spent, "all": time.process_time()}))


def table(title: str, rounds: Sequence[Sequence[Run]]) -> Table:
    """Each round has a run of one and of two processes."""
    made = Table(
        title,
        (
            "processes",
            "k messages/s",
            "CPU s of the busiest",
            "cores of the workers",
            "of the broker",
            "of strangers",
            "alerts",
        ),
    )
    for number, runs in zip(PROCESSES, zip(*rounds, strict=True), strict=True):
        rate, *cores = (statistics.median(getattr(run, name) for run in runs) for name in Run._fields[:-1])
        made.rows.append((str(number), f"{rate / 1000:.1f}", *(f"{each:.2f}" for each in cores), str(len(runs[0].alerts))))
    ratios = [two.rate / one.rate for one, two in rounds]
    possible = statistics.median(one.busiest / two.busiest for one, two in rounds)
    same = all(run.alerts == rounds[0][0].alerts for runs in rounds for run in runs)
    made.note = (
        f"Two are {statistics.median(ratios):.2f} x one (median of {', '.join(f'{ratio:.2f}' for ratio in ratios)}); "
        f"{WANTED} x is wanted. With cores of their own, by the CPU of the busiest, they could be {possible:.2f} x. "
        f"The alerts of all runs are {'the same' if same else 'NOT the same'}."
    )
    return made


def both(name: str, messages: list[bytes], turns: int) -> list[Table]:
    """From files and through the broker."""
    dealt: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    for message in messages:
        dealt[partition(message)].append(message)
    count = len(messages)
    size = f"{count:,} messages in {shards(messages)} shards, {PARTITIONS} partitions, {turns} rounds"
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.jsonl" for number in range(PARTITIONS)]
        for path, part in zip(files, dealt, strict=True):
            path.write_bytes(b"\n".join(part))
        out = Path(folder) / "alerts.jsonl"
        rounds = [[from_files(files, count, number, out) for number in PROCESSES] for _ in range(turns)]
    tables = [table(f"{name}, from files: {size}", rounds)]
    console.print(tables[0].rich())
    with stage() as scene:
        topics, rounds = {VEHICLES: "observation"}, []
        scene.settings("filling", topics, PARTITIONS)
        fill(scene.broker, dealt)
        for turn in range(turns):
            made = [(n, *scene.settings(f"{turn}-{n}", topics, PARTITIONS, f"{turn}-{n}-")) for n in PROCESSES]
            rounds.append([through_the_broker(scene, config, settings, count, n) for n, config, settings in made])
    tables.append(table(f"{name}, through the broker: {size}", rounds))
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
