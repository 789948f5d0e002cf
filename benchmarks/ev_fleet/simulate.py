"""Runs a fleet of one seed from beginning to end and keeps what it sent and what was wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ev_fleet.faults import KINDS, Fault, draw
from benchmarks.ev_fleet.fleet import CELLS, draw_cars, draw_weather
from benchmarks.ev_fleet.packs import STEP, Packs
from benchmarks.ev_fleet.report import readings
from detectors.model import READING, Rows


@dataclass(frozen=True, slots=True)
class Recording:
    """What a simulated fleet sent, in order of time, and the truth about it."""

    readings: Rows  # READING
    faults: tuple[Fault, ...]
    vins: tuple[str, ...]
    reporters: NDArray[np.uint64]

    def vehicle_hours(self) -> float:
        """Hours under observation: reports times the pause before each, pauses over a minute not counted."""
        order = np.lexsort((self.readings["time"], self.readings["reporter"]))
        rows = self.readings[order]
        pause = np.diff(rows["time"])
        same = (np.diff(rows["reporter"]) == 0) & (pause <= 60_000)
        return float(pause[same].sum() / 3.6e6)


def simulate(
    seed: int,
    vehicles: int = 200,
    hours: float = 8.0,
    faults_per_kind: int = 4,
    start: int = 1_741_046_400_000,  # 2025-03-04 00:00 UTC
    faults: Sequence[Fault] | None = None,
    period: int | None = None,
    watch: Callable[[Packs, int], None] | None = None,
) -> Recording:
    """A fleet of one seed. Onsets fall between 30 % and 75 % of the time, no car has two faults; `start` in ms, `period` in s.

    `watch` is shown the packs after every step, for who wants to see what no report says.

    >>> simulate(1, vehicles=4, hours=0.2, faults_per_kind=0).readings.dtype.names[:3]
    ('time', 'reporter', 'cell')
    """
    rng = np.random.default_rng(seed)
    cars = draw_cars(rng, seed, vehicles)
    weather = draw_weather(rng)
    if period is not None:
        cars.period[:] = period
    if faults is None:
        if faults_per_kind * len(KINDS) > vehicles:
            raise ValueError(f"{vehicles} vehicles are too few for {faults_per_kind} faults of each of {len(KINDS)} kinds")
        struck = iter(rng.permutation(vehicles).tolist())
        faults = [
            draw(rng, kind, next(struck), start + round(rng.uniform(0.30, 0.75) * hours * 360) * STEP * 1000, CELLS)
            for kind in KINDS
            for _ in range(faults_per_kind)
        ]
    for fault in faults:
        if fault.kind == "insulation_loss":
            cars.no_insulation[fault.vehicle] = False
    packs = Packs(cars, weather, faults, start, rng)
    frozen: dict[int, Rows] = {}  # last true report of cars whose voltages are stuck
    parts: list[Rows] = []
    now = start
    for step in range(int(hours * 3600) // STEP):
        now = start + step * STEP * 1000
        packs.step(now)
        if watch is not None:
            watch(packs, now)
        rows = readings(packs, now, frozen)
        if len(rows):
            parts.append(rows)
    together = np.concatenate(parts) if parts else np.empty(0, READING)
    order = np.lexsort((together["reporter"], together["time"]))
    begun = tuple(f for f in packs.faults if f.onset < now)
    return Recording(together[order], begun, cars.vins, cars.reporters)
