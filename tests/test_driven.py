"""What was driven waits for a batch, on the lattice that everybody means; who speaks more often has not driven farther."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.driven import BATCH, STEP, Driven, place_key
from detectors.hard_braking import HardBraking
from detectors.lattice import Steps
from detectors.model import Rows
from tests import road

LATTICE = Steps(STEP, 8)


class Learns:
    """Keeps what it is taught."""

    def __init__(self) -> None:
        self.batches: list[tuple[Rows, int]] = []

    def learn(self, driven: Rows, now: int) -> None:
        self.batches.append((driven.copy(), now))

    def tick(self, now: int) -> None:
        pass


@given(st.floats(-89.0, 89.0), st.floats(-180.0, 179.9), st.floats(0.0, 359.9))
@settings(deadline=None)  # the first is compiled
def test_the_lattice_is_the_one_of_steps(lat: float, lon: float, heading: float) -> None:
    assert place_key(lat, lon, heading) == LATTICE.key(*LATTICE.index(lat, lon), int(heading // 45.0))


@pytest.mark.parametrize("put_away", [False, True])
def test_a_batch_is_learned_when_it_is_complete(put_away: bool) -> None:
    lately, learns = Driven(), Learns()
    panes = range(road.T0, road.T0 + BATCH + 5_000, 1000)
    for now in panes:
        lately.take(road.seen(7, np.arange(7) * 50.0), now)
        lately.teach(now, learns)
        if put_away:
            lately = pickle.loads(pickle.dumps(lately))
    ((driven, until),) = learns.batches
    assert until == road.T0 + BATCH
    assert len(driven) == 7 * (BATCH // 1000 + 1)
    assert float((driven["speed"] * driven["seconds"]).sum()) == 20.0 * len(driven)


@pytest.mark.parametrize("heading", [0.0, 90.0, 200.0])
def test_offsets_are_to_the_right(heading: float) -> None:
    """Of two in one square, 10 m apart across the road."""
    lately, learns, turn = Driven(), Learns(), np.radians(heading)
    east, north = np.array([-5.0, 5.0]) * np.cos(turn), np.array([-5.0, 5.0]) * -np.sin(turn)
    middle_lat, middle_lon = LATTICE.centre(*LATTICE.index(np.array([road.LAT]), np.array([road.LON])))
    two = road.seen(2, heading=heading)
    two["lat"], two["lon"] = middle_lat + north * road.METRE, middle_lon + east * road.METRE_EAST
    lately.take(two, road.T0)
    lately.teach(road.T0 + BATCH, learns)
    assert learns.batches[0][0]["offset"].tolist() == pytest.approx([-5.0, 5.0], abs=0.01)


@pytest.mark.parametrize("beside", [0, 3])
def test_who_speaks_ten_times_a_second_drives_no_farther(beside: int) -> None:
    """Every row is learned, each with its share of its reporter's second, whoever else speaks once in it."""
    one = road.drive(1, 0, 40, 0.0, 0.0, 0.0, 20.0)
    ten = np.repeat(one, 10)
    ten["time"] += np.tile(np.arange(10) * 100, len(one))
    others = [road.drive(2 + k, 0, 40, 0.0, 0.0, 0.0, 10.0) for k in range(beside)]
    metres = []
    for rows in (road.together(one, *others), road.together(ten, *others)):
        detector = HardBraking()
        for frame in road.frames(rows, seconds=80):
            detector.update(frame)
        metres.append(detector._places.at(road.LAT + 300.0 * road.METRE, road.LON, 0.0, road.T0 + 80_000).metres)
    assert metres[1] == pytest.approx(metres[0], rel=1e-3)
    assert metres[0] > 0.0
