"""How much memory the battery detector needs for a vehicle: a detector filled with many of them, in memory and pickled.

python -m benchmarks.battery_state --vehicles 100000
"""

from __future__ import annotations

import argparse
import gc
import pickle
import tracemalloc
from dataclasses import dataclass

import numpy as np

from benchmarks.ev_fleet import simulate
from detectors.battery import BatteryHealth
from detectors.model import OBSERVATION, SENSOR, Frame, Rows

BATCH = 5_000  # vehicles a frame
MINUTES = 12.0  # of every vehicle's life: a block of ten minutes is closed, and every field is in use
BUDGET = 600  # bytes a vehicle: a million in 0.6 GB


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes for so many vehicles; `held` is what Python and numpy allocated for the detector's state and still hold."""

    vehicles: int
    held: int
    pickled: int

    def text(self) -> str:
        each, wire = self.held / self.vehicles, self.pickled / self.vehicles
        return (
            f"{self.vehicles} vehicles: {each:.0f} bytes each in memory, {wire:.0f} pickled; "
            f"a million: {each / 1000:.2f} GB in memory, {wire / 1000:.2f} GB pickled"
        )


def fill(vehicles: int) -> Size:
    """The size of a detector that has heard the same twelve minutes of driving from each of so many vehicles."""
    lives = simulate(1, vehicles=50, hours=MINUTES / 60.0, faults_per_kind=0, period=10).readings
    first = int(lives["time"][0])
    _hear(BatteryHealth(), lives, first, 0, 50)  # what is imported late is not the detector's state
    detector = BatteryHealth()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for start in range(0, vehicles, BATCH):
        _hear(detector, lives, first, start, min(BATCH, vehicles - start))
    gc.collect()
    held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return Size(vehicles, held, len(pickle.dumps(detector, protocol=5)))


def _hear(detector: BatteryHealth, lives: Rows, first: int, start: int, count: int) -> None:
    """Let `count` strangers live through `lives`, each one of its vehicles under a name of its own."""
    names = np.unique(lives["reporter"])
    copies = -(-count // len(names))
    for step in range(int(MINUTES * 6)):
        begin = first + step * 10_000
        now = lives[(lives["time"] >= begin) & (lives["time"] < begin + 10_000)]
        rows = np.repeat(now, copies)
        rank = np.searchsorted(names, rows["reporter"]) + len(names) * np.tile(np.arange(copies), len(now))
        rows = rows[rank < count]
        rows["reporter"] = (start + 1 + rank[rank < count]).astype(np.uint64)
        rows = rows[np.lexsort((rows["reporter"], rows["time"]))]
        detector.update(Frame(begin, begin + 10_000, np.empty(0, OBSERVATION), np.empty(0, SENSOR), rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicles", type=int, default=100_000)
    print(fill(parser.parse_args().vehicles).text())


if __name__ == "__main__":
    main()
