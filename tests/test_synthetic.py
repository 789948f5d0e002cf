"""The made-up traffic of the growth benchmark: readable, believable, and as many cells and vehicles as it says."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.synthetic import Cars, Vehicles
from dataflows.grid import Grid
from dataflows.settings_reader import load
from detectors.model import Frame
from detectors.plausibility import Plausibility
from tests.wire import decode

RATE, SECONDS = 400, 12
GRID = Grid(load().window)


@pytest.mark.parametrize(
    ("traffic", "vehicles"),
    [
        (Vehicles(RATE, 1000), RATE * (SECONDS + 4) // 5),
        (Vehicles(RATE, 1000, 100, round=True), RATE + RATE // 10),
        (Vehicles(RATE, 1000, 1, round=True), RATE * SECONDS),
    ],
)
def test_vehicles(traffic: Vehicles, vehicles: int) -> None:
    plausibility, seen, doubts, cells = Plausibility(), set[int](), Counter[int](), set[int]()
    for second in traffic.seconds(SECONDS):
        decoded = decode("observation", *second)
        rows = decoded.observations
        assert len(rows) == RATE
        assert not decoded.refusals
        assert (np.diff(rows["time"]) >= 0).all()
        rows["cell"] = GRID.cells(rows["lat"], rows["lon"])
        start = int(rows["time"][0]) // 1000 * 1000
        frame = Frame(start, start + 1000, rows, decoded.sensors, decoded.readings)
        doubts.update(plausibility.believe(frame)[1].tolist())
        seen |= set(rows["reporter"].tolist())
        cells |= set(rows["cell"].tolist())
    assert abs(len(seen) - vehicles) <= RATE // 5
    assert doubts[0] >= 0.99 * RATE * SECONDS
    assert len(cells) <= 1100  # a few drive over the edge of theirs


def test_cars() -> None:
    seen, times = Counter[int](), set[int]()
    for second in Cars(RATE, 3 * RATE).seconds(6):
        decoded = decode("gbt32960", *second)
        assert len(decoded.readings) == RATE
        assert not decoded.refusals
        seen.update(decoded.readings["reporter"].tolist())
        times |= set(decoded.readings["time"].tolist())
    assert len(seen) == 3 * RATE
    assert set(seen.values()) == {2}
    assert len(times) == 6
