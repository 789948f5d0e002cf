"""What a message costs where traffic stands: the bench's city through a quarter of an hour, and ever more of it in a shard.

    python -m benchmarks.jams [--minutes 16] [--copies 20] [--rounds 5]

`make bench` plays the first four minutes, in which traffic flows. In the recording's jams detectors have more to do, and what
is compared with what lies near must not grow with the square of what a shard holds. The first table reads the same city on into
them, beside the floor; the second puts copies of the road 280 m apart into one shard or two, and looks at the last three
minutes of six in the jams. All runs are processes of their own, one after the other; medians of `rounds`. Results go to
benchmarks/results/jams.md with the commit.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h3.api.basic_int as h3
import msgspec
from rich.console import Console

from benchmarks.load import Measure, city, measured
from benchmarks.machine import commit, versions
from benchmarks.memory import DECODING, Floor, Graph, spent
from benchmarks.table import Table
from dataflows.grid import Grid
from dataflows.settings import Settings
from dataflows.settings_reader import load

RESULTS = Path(__file__).parent / "results" / "jams.md"
QUARTERS = 4
BESIDE = 0.0025  # degrees of latitude between two copies, 280 m: more than a queue reaches
JAMMED = 8.0, 14.0  # minutes of the recording
CROWDS = 8, 30, 60  # copies
TRAFFIC = "StationaryTraffic"

console = Console()


@dataclass
class Stopwatch:
    """CPU and stages, read whenever another part of the messages has been given."""

    parts: int
    read: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def __call__(self, given: int, count: int) -> None:
        while len(self.read) < self.parts and given * self.parts >= len(self.read) * count:
            self.read.append((time.process_time(), spent("observation")))

    def measure(self, count: int) -> Measure:
        """Microseconds a message of each part, by `part`, and of its stages, by `part stage`."""
        self.read.append((time.process_time(), spent("observation")))
        made, each = Measure(), count / self.parts / 1e6
        for part in range(self.parts):
            (begun, before), (ended, after) = self.read[part], self.read[part + 1]
            made[f"{part}"] = (ended - begun) / each
            made |= {f"{part} {stage}": (after[stage] - before[stage]) / each for stage in after}
        return made


@dataclass(frozen=True)
class Parts:
    """A run that is measured part by part."""

    run: Floor | Graph
    parts: int

    def __call__(self, messages: list[bytes], settings: Settings) -> Measure:
        watch = Stopwatch(self.parts)
        self.run(messages, settings, lambda given: watch(given, len(messages)))
        return watch.measure(len(messages))


def medians(runs: Sequence[Parts], messages: list[bytes], rounds: int) -> list[Measure]:
    """Of each run; a round runs each once, for the machine is faster at one time than at another."""
    found = [[measured(run, messages) for run in runs] for _ in range(rounds)]
    return [{key: statistics.median(each[key] for each in same) for key in same[0]} for same in zip(*found, strict=True)]


def by_quarter(minutes: float, copies: int, rounds: int) -> Table:
    messages = city(minutes, copies)
    floor, ours = medians([Parts(Floor(), QUARTERS), Parts(Graph(), QUARTERS)], messages, rounds)
    what = f"{minutes:.0f} minutes of a city of {copies} motorways"
    title = f"{what}, by quarters of its {len(messages):,} messages; median of {rounds}"
    table = Table(title, ("quarter", "the floor, CPU us a message", "roadwatch", "of the floor", f"of it {TRAFFIC}"))
    for part in map(str, range(QUARTERS)):
        least, whole, traffic = floor[part], ours[part], ours[f"{part} {TRAFFIC}"]
        table.rows.append((f"{int(part) + 1}", f"{least:.2f}", f"{whole:.2f}", f"{least / whole:.0%}", f"{traffic:.2f}"))
    return table


def by_crowd(rounds: int) -> Table:
    title = f"Ever more of it in a shard, minutes {JAMMED[0]:.0f} to {JAMMED[1]:.0f}, the second half; median of {rounds}"
    head = ("vehicles a second and shard", "messages", "CPU us a message", "of the first", DECODING, TRAFFIC)
    table, first = Table(title, head), 0.0
    for copies in CROWDS:
        messages = city(JAMMED[1], copies, BESIDE, JAMMED[0])
        (found,) = medians([Parts(Graph(), 2)], messages, rounds)
        first = first or found["1"]
        stages = [f"{found[f'1 {stage}']:.2f}" for stage in (DECODING, TRAFFIC)]
        vehicles = f"{_crowd(messages):,.0f}"
        table.rows.append((vehicles, f"{len(messages):,}", f"{found['1']:.2f}", f"{found['1'] / first:.2f}", *stages))
    return table


def _crowd(messages: list[bytes]) -> float:
    """Messages a second of those that the busiest shard owns."""
    window = load(None, {"privacy": {"key": "bench"}}).window
    grid, owned = Grid(window), dict[int, int]()
    for message in messages[::50]:
        row = msgspec.json.decode(message)
        owner = grid.owner(h3.latlng_to_cell(row["lat"], row["lon"], window.cell_resolution))
        owned[owner] = owned.get(owner, 0) + 50
    return max(owned.values()) / (JAMMED[1] - JAMMED[0]) / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=16.0)
    parser.add_argument("--copies", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    lines = [f"# Jams\n\n`python -m benchmarks.jams` at commit {commit()}; {versions()}.\n"]
    for table in (by_quarter(asked.minutes, asked.copies, asked.rounds), by_crowd(asked.rounds)):
        console.print(table.rich())
        lines.append(table.markdown())
    RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
