"""What an observation costs, and what memory is needed, as road cells, vehicles and electric cars become more and more.

    python -m benchmarks.growth [--seconds 500] [--rate 10000] [--only cells vehicles cars whole]

From memory, each run in a process of its own (benchmarks/load.py). The number of messages and of rows a pane is the same in all
runs of a table (`rate` a second of event time), and all 64 shards are in use in all of them; only over how many cells, vehicles
or cars they are spread differs. CPU is that of the second half of the messages, when what is remembered has been built up;
making the messages is in it (synthetic.py). Memory is the process's highest. A snapshot is that of all shards, by the wall; a
pause is the time from one poll to the next, in the second half too: a pane of 10,000 rows or more is closed in one go. A run
without snapshots has a single one, at its end. The last table has 100,000 cells and a million cars at once, without and with
snapshots every 10 s. In 100 s a vehicle of a million would speak once, and most places would still be new. Results go to
benchmarks/results/growth.md.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from bytewax.testing import run_main
from rich.console import Console

from benchmarks.load import Measure, measured
from benchmarks.machine import commit, versions
from benchmarks.memory import KEY, STAGES, spent
from benchmarks.synthetic import Cars, Vehicles
from benchmarks.table import Table
from dataflows.ends import Ends, PollSource
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.incidents import flow
from dataflows.intake import Intake, Poll
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.recorded import UNKNOWN
from dataflows.replay import FilePartition, Nowhere, Progressed
from dataflows.seal import Seal
from dataflows.settings import Settings
from dataflows.store import open_store

RESULTS = Path(__file__).parent / "results" / "growth.md"
FLAT = 1.25  # of the smallest
WANTED = 1.5  # GB
NEVER = timedelta(days=1)  # the engine asks for snapshots even if nobody keeps them
COLUMNS = (
    "",
    "CPU us a message",
    "of the first",
    "peak GB",
    "of the first",
    "a snapshot, s",
    "longest pause, s",
    "where it grows, us a message",
)
FORMS = ("observation", "gbt32960")

console = Console()


class Run:
    """The graph over made-up traffic, called in the forked process."""

    def __init__(self, seconds: int, traffic: Mapping[str, Vehicles | Cars], snapshots: bool = False) -> None:
        """`traffic` by the name of its format."""
        self._seconds, self._snapshots, self._traffic = seconds, snapshots, traffic

    def __call__(self, given: list[bytes], settings: Settings) -> Measure:
        count = sum(each.rate for each in self._traffic.values()) * self._seconds
        half = _Half(count)
        sources = ends(settings, {name: each.seconds(self._seconds) for name, each in self._traffic.items()}, half.progressed)
        if self._snapshots:
            run_kept(settings, sources)
        else:
            run_main(flow(settings, sources), epoch_interval=NEVER)
        cpu = time.process_time() - half.cpu
        stages = {name: seconds - half.stages[name] for name, seconds in spent(*FORMS).items()}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        whole = {"us": cpu / half.left * 1e6, "GB": peak, "pause": half.pause, "snapshot": _snapshot(settings)}
        return whole | {name: seconds / half.left * 1e6 for name, seconds in stages.items()}


class _Half:
    """What had been spent when half of the messages were read, and the longest pause between two polls from then on."""

    def __init__(self, count: int) -> None:
        self._count, self._read = count, dict[str, int]()
        self.left, self.cpu, self.stages = 0, 0.0, dict[str, float]()
        self.pause, self._polled = 0.0, 0.0  # s

    def progressed(self, file: str, messages: int, _: Poll) -> None:
        self._read[file] = messages
        now = time.perf_counter()
        if self.left:
            self.pause = max(self.pause, now - self._polled)
        self._polled = now
        read = sum(self._read.values())
        if not self.left and read >= self._count / 2:
            self.left, self.cpu, self.stages = self._count - read, time.process_time(), spent(*FORMS)


def _snapshot(settings: Settings) -> float:
    """Seconds that one snapshot of all shards takes, on the average of the run."""
    count = METRICS.value("snapshots_total", step="windows") or 0.0
    seconds = METRICS.value("snapshot_seconds_total", step="windows") or 0.0
    return seconds / count * settings.window.shards if count else 0.0


def run_kept(settings: Settings, sources: Ends) -> None:
    """Run the graph with snapshots every 10 s."""
    with tempfile.TemporaryDirectory() as folder:
        kept = settings.recovery.model_copy(update={"directory": Path(folder) / "recovery"})
        store = open_store(settings.model_copy(update={"recovery": kept}))
        graph = flow(settings, sources, kept.directory)
        run_main(graph, epoch_interval=timedelta(seconds=10), recovery_config=store)


def ends(settings: Settings, traffic: dict[str, Iterator[list[bytes]]], progressed: Progressed) -> Ends:
    """Made-up traffic by the name of its format, one partition each; who is told how many messages of which were read."""
    grid = Grid(settings.window)

    class Memory(PollSource):
        partitions = tuple(f"{name}/0" for name in traffic)
        pace = Pace(partitions, settings.window)

        def build_part(self, step_id: str, for_part: str, resume_state: Any) -> FilePartition:
            name = for_part.removesuffix("/0")
            context = Context(Pseudonym(KEY), settings.window.max_ahead)
            intake = Intake(name, 0, FORMATS[name], context, grid, settings.window)
            messages = ((0, message, UNKNOWN) for message in chain.from_iterable(traffic[name]))
            batch = settings.kafka.poll_messages
            return FilePartition(messages, intake, self.pace, Seal(KEY), batch, progressed=progressed)

    return Ends(grid, Memory(), Nowhere(), Nowhere(), Nowhere())


def compare(title: str, runs: dict[str, Run]) -> Table:
    console.print(f"{title} ...", highlight=False)
    made = Table(title, COLUMNS)
    first: Measure = {}
    for name, run in runs.items():
        found = measured(run, [])
        first = first or found
        more = sorted(((found[stage] - first[stage], stage) for stage in STAGES), reverse=True)
        grown = ", ".join(f"{stage} +{us:.1f}" for us, stage in more if us >= 0.2)
        ratios = [f"{found[key] / first[key]:.2f}" for key in ("us", "GB")]
        waits = [f"{found[key]:.2f}" for key in ("snapshot", "pause")]
        made.rows.append((name, f"{found['us']:.1f}", ratios[0], f"{found['GB']:.2f}", ratios[1], *waits, grown or "-"))
    console.print(made.rich())
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=500)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", default=["cells", "vehicles", "cars", "whole"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    rate, seconds = asked.rate, asked.seconds
    sizes = (10_000, 100_000, 1_000_000)
    full: dict[str, Vehicles | Cars] = {"observation": Vehicles(rate, 100_000), "gbt32960": Cars(rate, sizes[-1])}
    tables = {
        "cells": ("Road cells; each vehicle stays for 5 s", {
            f"{cells:,}": Run(seconds, {"observation": Vehicles(rate, cells)}) for cells in (1_000, 10_000, 100_000)
        }),
        "vehicles": ("Vehicles, in 10,000 road cells", {
            f"{size:,}": Run(seconds, {"observation": Vehicles(rate, 10_000, rate * seconds // size, round=True)})
            for size in sizes
        }),
        "cars": ("Electric cars", {
            f"{cars:,}": Run(2 * seconds, {"gbt32960": Cars(rate, cars)}) for cars in sizes
        }),
        "whole": ("All in one: 100,000 road cells and 1,000,000 electric cars", {
            "without snapshots": Run(2 * seconds, full), "with snapshots": Run(2 * seconds, full, snapshots=True)
        }),
    }  # fmt: skip
    note = f"Wanted: CPU and, for the cells and the cars, memory flat within {FLAT - 1:.0%}; all in one within {WANTED} GB."
    head = (
        f"# Growth\n\n`python -m benchmarks.growth {' '.join(sys.argv[1:])}` at commit {commit()}; {versions()}. "
        f"{rate:,} messages a second of event time. {note}\n"
    )
    made = []
    for name in asked.only:
        made.append(compare(*tables[name]).markdown())
        asked.out.write_text("\n".join([head, *made]))  # now, for the next takes minutes


if __name__ == "__main__":
    main()
