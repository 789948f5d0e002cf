"""Messages a second of the real graph with every detector on, beside the floor and beside stock Bytewax, in one run.

    python -m benchmarks.throughput [--minutes 5] [--copies 20] [--rounds 3] [--no-broker]

All runs are processes of their own on the same bytes, one after the other; a round runs each once, and medians are printed with
what share of the floor they are. Results go to benchmarks/results/throughput.md with the commit.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from bytewax.testing import run_main
from rich.console import Console
from rich.table import Table

from benchmarks import brokered, peers
from benchmarks.load import Measure, Run, city, measured
from benchmarks.machine import commit, versions
from dataflows import broker
from dataflows.ends import Ends, PollSource
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.incidents import flow
from dataflows.intake import Intake
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.replay import FilePartition, Nowhere
from dataflows.seal import Seal
from dataflows.settings import Settings
from dataflows.window import PLAUSIBILITY
from detectors import CATALOGUE

RESULTS = Path(__file__).parent / "results" / "throughput.md"
console = Console()


def floor(messages: list[bytes], settings: Settings) -> Measure:
    """Only decode, and give each its cell: nobody can do with less."""
    decode, grid = FORMATS["observation"].decode, Grid(settings.window)
    context = Context(Pseudonym(b"key"), settings.window.max_ahead)
    for start in range(0, len(messages), settings.kafka.poll_messages):
        batch = messages[start : start + settings.kafka.poll_messages]
        rows = decode(batch, np.full(len(batch), -1, np.int64), context).observations
        grid.cells(rows["lat"], rows["lon"])
    return {}


def graph(messages: list[bytes], settings: Settings) -> Measure:
    """The real graph from memory, every detector on. Beside the time: microseconds a message by stage."""
    run_main(flow(settings, _memory(messages, settings)))
    stages = {
        name: METRICS.value("detector_seconds_total", detector=name)
        for name in (*(d.__name__ for d in CATALOGUE), PLAUSIBILITY)
    }
    stages["decoding, cells, sharding"] = METRICS.value("decode_seconds_sum", format="observation")
    return {f"us {name}": spent / len(messages) * 1e6 for name, spent in stages.items()}


def _memory(messages: list[bytes], settings: Settings) -> Ends:
    grid = Grid(settings.window)

    class Memory(PollSource):
        partitions = ("memory/0",)
        pace = Pace(partitions, settings.window)

        def build_part(self, step_id: str, for_part: str, resume_state: Any) -> FilePartition:
            context = Context(Pseudonym(b"key"), settings.window.max_ahead)
            intake = Intake("memory", 0, FORMATS["observation"], context, grid, settings.window)
            return FilePartition(iter(messages), intake, self.pace, Seal(b"key"), settings.kafka.poll_messages)

    return Ends(grid, Memory(), Nowhere(), Nowhere(), Nowhere())


def compare(title: str, runs: dict[str, Run], messages: list[bytes], rounds: int, **flags: dict[str, object]) -> list[str]:
    """Run each once a round; print and return a table of medians, the first run being the floor."""
    found: dict[str, list[Measure]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            found[name].append(measured(run, messages, **flags))
    columns = ("", "k messages/s", "of the floor", "CPU us a message")
    shown = Table(*columns, title=f"{title}: {len(messages):,} messages, median of {rounds}")
    lines = [f"\n## {shown.title}\n", "| " + " | ".join(columns) + " |", "|---|---|---|---|"]
    best = statistics.median(measure["seconds"] for measure in next(iter(found.values())))
    for name, measures in found.items():
        seconds = statistics.median(measure["seconds"] for measure in measures)
        cpu = statistics.median(measure["cpu"] for measure in measures) / len(messages) * 1e6
        row = (name, f"{len(messages) / seconds / 1000:.1f}", f"{best / seconds:.0%}", f"{cpu:.2f}")
        shown.add_row(*row)
        lines.append("| " + " | ".join(row) + " |")
    console.print(shown)
    for name, measures in found.items():
        if any(key.startswith("us ") for key in measures[0]):
            lines.append("\n" + _where(name, sorted(measures, key=lambda m: m["seconds"])[len(measures) // 2]))
            console.print(lines[-1].strip(), highlight=False)
    return lines


def _where(name: str, measure: Measure) -> str:
    stages = {key[3:]: value for key, value in measure.items() if key.startswith("us ")}
    stages["engine, windows, incidents"] = measure["seconds"] / measure["messages"] * 1e6 - sum(stages.values())
    parts = [f"{stage} {us:.2f}" for stage, us in sorted(stages.items(), key=lambda pair: -pair[1])]
    return f"Where the time of '{name}' goes, us a message: {', '.join(parts)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-broker", action="store_true")
    asked = parser.parse_args()
    memory: dict[str, Run] = {
        "decode and cells only (the floor)": floor,
        "roadwatch, all detectors": graph,
        "stock Bytewax fold_window, no detectors": peers.stock_bytewax,
    }
    dense, sparse = city(asked.minutes, asked.copies), city(asked.minutes * 5, 1)
    lines = [f"# Throughput\n\n`make bench` at commit {commit()}; {versions()}, {platform.machine()}."]
    lines += compare(f"A city of {asked.copies} parallel motorways, from memory", memory, dense, asked.rounds)
    lines += compare("One motorway, from memory", memory, sparse, asked.rounds)
    if asked.no_broker or not broker.available():
        console.print("not run: through the broker, which is for Linux on x86-64 only and off with --no-broker")
    else:
        with brokered.filled(dense) as flags:
            through: dict[str, Run] = {
                "consume and decode only (the floor)": brokered.bare_loop,
                "roadwatch, all detectors": brokered.worker,
            }
            lines += compare("The city, through the broker", through, dense, asked.rounds, **flags)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
