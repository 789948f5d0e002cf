"""Where across the road the others drive, and which side of it is the slow one."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.across import Across
from detectors.driven import STEP, Driven
from detectors.tracks import Tracks
from tests import road

LANES = (-3.5, 0.0, 3.5)  # m to the right of the middle


def driven(faster_left: float, heading: float = 0.0) -> Across:
    """Three lanes learned for five minutes; each to the left of another is `faster_left` m/s faster."""
    turn = np.radians(heading)
    vehicles = []
    for k in range(150):
        lane = LANES[k % 3]
        east, north = lane * np.cos(turn), -lane * np.sin(turn)
        vehicles.append(road.drive(k + 1, 2.0 * k, 40, east, north, heading, 22.0 - faster_left * lane / 3.5))
    across, tracks, lately = Across(), Tracks(), Driven()
    for frame in road.frames(road.together(*vehicles)):
        lately.take(tracks.update(frame).rows, frame.end)
        lately.teach(frame.end, across)
    return across


def aside(across: Across, right: float, heading: float = 0.0, along: float = 400.0) -> float:
    turn = np.radians(heading)
    north, east = along * np.cos(turn) - right * np.sin(turn), along * np.sin(turn) + right * np.cos(turn)
    at = (np.array([road.LAT + north * road.METRE]), np.array([road.LON + east * road.METRE_EAST]), np.array([heading]))
    return float(across.aside(*at, road.T0 + 400_000)[0])


@pytest.mark.parametrize("heading", [0.0, 73.0, 200.0])
@pytest.mark.parametrize("along", [380.0, 391.0, 405.0])  # wherever the lattice lies
def test_metres_towards_the_slow_side(heading: float, along: float) -> None:
    across = driven(2.0, heading)
    for lane in LANES:
        assert aside(across, lane, heading, along) == pytest.approx(lane, abs=0.7)


def test_a_road_that_leads_east_has_as_many_passes_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Squares of the lattice are narrower in the north."""
    passes = []
    for degrees in (0.0, 40.0, 69.0):
        north = (round((degrees + 90.0) / STEP) + 0.5) * STEP - 90.0  # in the middle of its squares
        monkeypatch.setattr(road, "LAT", north)
        monkeypatch.setattr(road, "METRE_EAST", road.METRE / np.cos(np.radians(north)))
        across, places = driven(2.0, 90.0), road.LON + np.arange(380.0, 446.0, 3.0) * road.METRE_EAST
        driving = [across.driving(north, east, 90.0, road.T0 + 400_000) for east in places.tolist()]
        passes.append(np.mean([each.passes for each in driving if each]))
    assert passes == pytest.approx([passes[0]] * 3, rel=0.05)


def test_where_the_slow_keep_left_the_kerb_is_on_the_left() -> None:
    across = driven(-2.0)
    assert aside(across, -3.5) == pytest.approx(3.5, abs=0.7)
    assert aside(across, 3.5) == pytest.approx(-3.5, abs=0.7)


def test_an_unknown_place_has_no_side() -> None:
    assert aside(driven(2.0), 3.5, along=9_000.0) == 0.0
