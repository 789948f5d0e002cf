"""What a fault of a cell shows, minutes after its onset, in the true voltages: how soon it could be seen by anybody.

    python -m benchmarks.battery_visibility --seeds 1 2 3 11 12

A cell is measured only while it is the lowest or the highest, so a fault shows once the struck cell has left the others behind.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ev_fleet import simulate
from benchmarks.ev_fleet.fleet import PARKED
from benchmarks.ev_fleet.packs import STEP, Packs

KINDS = ("internal_short", "loose_connection", "weak_cell")
AFTER = (5, 10, 15, 20, 30)  # minutes after onset
LOOK = 5 * 60 // STEP  # steps over which a median is taken


@dataclass(frozen=True, slots=True)
class Sight:
    """One fault: by how many steps of its sensor the struck cell lies outside the others, per entry of AFTER."""

    kind: str
    steps: tuple[float, ...]  # median of the five minutes before; 0 while the cell is still among the others
    silent: tuple[bool, ...]  # the car said nothing in those five minutes


def sights(seed: int) -> list[Sight]:
    """All faults of cells in the fleet of one seed."""
    outside: list[NDArray[np.float64]] = []  # (faults,) V by which each struck cell lies outside the others, step by step
    awake: list[NDArray[np.bool_]] = []
    held: list[Packs] = []

    def watch(packs: Packs, now: int) -> None:
        held[:] = [packs]
        apart, talks = [], []
        for fault in packs.faults:
            volts = packs.cell_voltage[fault.vehicle]
            others = np.delete(volts, fault.place)
            struck = volts[fault.place]
            apart.append(max(others.min() - struck, struck - others.max(), 0.0))
            talks.append(packs.doing[fault.vehicle] != PARKED or packs.cars.reports_parked[fault.vehicle])
        outside.append(np.array(apart))
        awake.append(np.array(talks))

    simulate(seed, watch=watch)
    (packs,) = held
    volts, talking = np.array(outside), np.array(awake)
    found = []
    for k, fault in enumerate(packs.faults):
        first = (fault.onset - packs.start) // (STEP * 1000)
        if fault.kind in KINDS and first < len(volts):
            grain = float(packs.cars.step_voltage[fault.vehicle])
            spans = [slice(first + a * 60 // STEP - LOOK, first + a * 60 // STEP) for a in AFTER]
            found.append(
                Sight(
                    fault.kind,
                    tuple(float(np.median(volts[s, k])) / grain if len(volts[s]) else 0.0 for s in spans),
                    tuple(not talking[s, k].any() for s in spans),
                )
            )
    return found


def text(seen: Sequence[Sight]) -> str:
    """Per kind and time: median number of steps, and the share of faults in which nothing at all can be seen."""
    lines = [f"{'fault':<18}{'n':>4}" + "".join(f"{f'after {a} min':>24}" for a in AFTER)]
    for kind in (*KINDS, "all"):
        mine = [s for s in seen if kind in (s.kind, "all")]
        cells = []
        for k in range(len(AFTER)):
            hidden = [s.silent[k] or s.steps[k] < 1.0 for s in mine]
            cells.append(f"{np.median([s.steps[k] for s in mine]):.1f} steps, {np.mean(hidden):.0%} hidden")
        lines.append(f"{kind:<18}{len(mine):>4}" + "".join(f"{c:>24}" for c in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 11, 12])
    print(text([s for seed in parser.parse_args().seeds for s in sights(seed)]))


if __name__ == "__main__":
    main()
