"""Messages a second of the real graph with every detector on, beside the floor and beside stock Bytewax, in one run.

    python -m benchmarks.throughput [--minutes 4] [--copies 20] [--rounds 5] [--no-broker]

All runs are processes of their own on the same bytes, one after the other; a round runs each once, and medians are printed with
what share of the floor they are. Results go to benchmarks/results/throughput.md with the commit.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import brokered, peers
from benchmarks.load import Measure, Run, city, measured
from benchmarks.machine import commit, versions
from benchmarks.memory import Floor, Graph, by_message
from benchmarks.rewritten import REWRITTEN
from dataflows import broker

RESULTS = Path(__file__).parent / "results" / "throughput.md"
FLOOR = "decode and cells only (the floor)"
BY_MESSAGE = "the same, one msgspec object and one call of h3 a message"
OURS = "roadwatch, all detectors"
CROWD = 570  # copies of a road on which 88 vehicles report each second

console = Console()


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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-broker", action="store_true")
    asked = parser.parse_args()
    rounds, stock = asked.rounds, {"stock Bytewax fold_window, no detectors": peers.stock_bytewax}
    memory: dict[str, Run] = {FLOOR: Floor(), BY_MESSAGE: by_message, OURS: Graph()}
    dense, sparse, crowd = city(asked.minutes, asked.copies), city(asked.minutes * 5, 1), city(0.7, CROWD)
    lines = [f"# Throughput\n\n`make bench` at commit {commit()}; {versions()}, {platform.machine()}."]
    lines += compare(f"A city of {asked.copies} parallel motorways, from memory", memory | stock, dense, rounds)
    lines += compare("One motorway, from memory", memory | stock, sparse, rounds)
    lines += compare("A city of 50,000 vehicles at 1 Hz, its first 40 s, from memory", memory, crowd, rounds)
    for title, rewrite in REWRITTEN.items():
        messages, form = rewrite(dense)
        lines += compare(f"{title}, from memory", {FLOOR: Floor(form), OURS: Graph(form)}, messages, rounds)
    if asked.no_broker or not broker.available():
        console.print("not run: through the broker, which is for Linux on x86-64 only and off with --no-broker")
    else:
        with brokered.filled(dense) as flags:
            through: dict[str, Run] = {**brokered.BARE, OURS: brokered.worker}
            lines += compare("The city, through the broker", through, dense, rounds, **flags)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
