"""What closing a pane costs the worker in CPU, all shards and the incidents together: no alert can be there sooner.

    python -m benchmarks.pane_cost [--copies 20 100 400] [--seconds 30]

The parts of the graph without its engine, on the bundled recording copied side by side; from memory, in one process. What is
between the message that closes a pane and its alert on the worker's side cannot be less than this, whatever else runs on the
machine (benchmarks/latency.py has the whole of it). With shards of the default size, and with larger ones. Results go to
benchmarks/results/pane_cost.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.load import city
from benchmarks.machine import commit, versions
from benchmarks.table import Table
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import Intake
from dataflows.merge import IncidentMerge
from dataflows.settings_reader import load
from dataflows.window import Panes, ShardWindow
from detectors import CATALOGUE

RESULTS = Path(__file__).parent / "results" / "pane_cost.md"
POLL = 100  # ms of traffic that one poll brings
RESOLUTIONS = (5, 4)  # the default, and shards of seven times the area
WARMED = 10  # panes that are not counted


def closings(messages: list[bytes], resolution: int) -> tuple[list[float], list[float], int]:
    """ms of CPU for each pane that was closed, and for each poll that was taken in; and how many shards were in use."""
    settings = load(None, {"privacy": {"key": "bench"}, "window": {"shard_resolution": resolution}})
    grid, window = Grid(settings.window), settings.window
    context = Context(Pseudonym(b"bench"), window.max_ahead)
    intake = Intake("memory", 0, FORMATS["observation"], context, grid, window)
    panes = Panes(window.pane, ("memory/0",), grid, CATALOGUE)
    shards = [ShardWindow(number, panes) for number in range(window.shards)]
    merge = IncidentMerge(window.shards, window.lateness)
    arrivals = np.array([json.loads(message)["rx"] for message in messages])
    polls = np.searchsorted(arrivals, np.arange(arrivals[0], arrivals[-1], POLL)).tolist()
    closed, taken, used = list[float](), list[float](), set[int]()
    for start, stop in pairwise(polls):
        if start == stop:
            continue
        before = time.process_time()
        poll = intake.take(messages[start:stop], arrivals[start:stop], range(start, stop))
        used |= set(poll.chunks)
        for shard in shards:
            if chunk := poll.chunks.get(shard.shard, poll.tick):
                shard.add(chunk)
        between = time.process_time()
        reports = [report for shard in shards if (report := shard.close()) is not None]
        for report in reports:
            merge.add(report)
        merge.advance()
        after = time.process_time()
        taken.append((between - before) * 1000)
        if reports:
            closed.append((after - between) * 1000)
    return closed[WARMED:], taken[WARMED:], len(used)


def _row(rate: float, resolution: int, shards: int, closed: list[float], taken: list[float]) -> tuple[str, ...]:
    middle, last = float(np.median(closed)), float(np.percentile(closed, 99))
    figures = (f"{middle:.0f}", f"{last:.0f}", f"{middle * 1000 / rate:.1f}", f"{np.median(taken):.1f}")
    return f"{rate:,.0f}", str(resolution), str(shards), *figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=int, nargs="+", default=[20, 100, 400])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    head = ("messages a second", "shard_resolution", "shards in use", "ms of CPU, p50", "p99", "us a message", "a poll, ms")
    table = Table("What closing a pane of 1 s costs", head)
    for copies in asked.copies:
        messages = city(asked.seconds / 60, copies)
        for resolution in RESOLUTIONS:
            closed, taken, shards = closings(messages, resolution)
            table.rows.append(_row(len(messages) / asked.seconds, resolution, shards, closed, taken))
    Console().print(table.rich())
    asked.out.write_text(
        f"# Closing a pane\n\n`python -m benchmarks.pane_cost {' '.join(sys.argv[1:])}` at commit {commit()}; {versions()}.\n\n"
        + table.markdown()
    )


if __name__ == "__main__":
    main()
