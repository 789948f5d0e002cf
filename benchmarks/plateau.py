"""Whether memory stays flat: 100,000 road cells and a million electric cars, for six hours of event time.

    python -m benchmarks.plateau [--hours 6] [--rate 500]

As the last table of benchmarks/growth.py, with snapshots every 10 s, but at `rate` messages a second each of vehicles and of
cars, so that six hours take some ten minutes; what is remembered of places, vehicles and cars comes and goes as it would at
any rate. Memory is what the process holds (Linux's VmRSS) when so much event time has been read, the highest of the quarter of
an hour before. Results go to benchmarks/results/plateau.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.growth import FORMS, WANTED, ends, run_kept
from benchmarks.load import Measure, measured
from benchmarks.machine import commit, versions
from benchmarks.synthetic import Cars, Vehicles
from benchmarks.table import Table
from dataflows.intake import Poll
from dataflows.settings import Settings

RESULTS = Path(__file__).parent / "results" / "plateau.md"
CELLS, CARS = 100_000, 1_000_000
QUARTER = 900  # s of event time

console = Console()


class Run:
    """The graph over made-up traffic, called in the forked process."""

    def __init__(self, seconds: int, rate: int) -> None:
        self._seconds, self._rate = seconds, rate

    def __call__(self, given: list[bytes], settings: Settings) -> Measure:
        traffic = dict(zip(FORMS, (Vehicles(self._rate, CELLS), Cars(self._rate, CARS)), strict=True))
        seen = _Seen(self._rate)
        sources = ends(settings, {name: each.seconds(self._seconds) for name, each in traffic.items()}, seen.progressed)
        run_kept(settings, sources)
        return {str(quarter): held for quarter, held in seen.held.items()}


class _Seen:
    """What the process held in each quarter of an hour of event time, in GB, at most."""

    def __init__(self, rate: int) -> None:
        self._rate, self._read = rate, dict[str, int]()
        self.held: dict[int, float] = {}

    def progressed(self, file: str, messages: int, _: Poll) -> None:
        self._read[file] = messages
        quarter = min(self._read.values()) // (self._rate * QUARTER)
        self.held[quarter] = max(self.held.get(quarter, 0.0), _resident())


def _resident() -> float:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=6)
    parser.add_argument("--rate", type=int, default=500)
    asked = parser.parse_args()
    measuring = commit()
    console.print(f"{asked.hours} hours of event time, which take some {asked.hours * 2} minutes ...", highlight=False)
    held = measured(Run(asked.hours * 3600, asked.rate), [])
    made = Table(f"{CELLS:,} road cells and {CARS:,} electric cars", ("hours of event time", "GB", "of the second hour"))
    hours = [max(held[str(quarter)] for quarter in range(4 * hour, 4 * hour + 4)) for hour in range(asked.hours)]
    for hour, highest in enumerate(hours, 1):
        made.rows.append((str(hour), f"{highest:.2f}", f"{highest / hours[min(1, len(hours) - 1)]:.2f}"))
    console.print(made.rich())
    head = f"# Plateau\n\n`python -m benchmarks.plateau {' '.join(sys.argv[1:])}` at commit {measuring}; {versions()}. "
    head += f"{asked.rate:,} messages a second of event time from vehicles, as many from cars. Wanted: flat, in {WANTED} GB.\n"
    RESULTS.write_text("\n".join([head, made.markdown()]))


if __name__ == "__main__":
    main()
