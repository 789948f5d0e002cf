"""Which way one heads that does not say so: as it drove up to where it stands, or as it went lately."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.geometry import angle_between
from detectors.headings import LATCHED, STEP
from detectors.incidents import Incidents
from detectors.model import Frame, Rows
from detectors.plausibility import Plausibility
from detectors.stationary_traffic import StationaryTraffic
from tests import road
from tests.test_stationary_traffic import TOWN, stand, street

UNKNOWN = math.nan


def headings(*said: tuple[float, float]) -> list[float]:
    """What detectors get of a vehicle that says these speeds (m/s) and headings, a second each."""
    rows = road.rows(len(said), 0.0, 0.0)
    rows["time"] += 1000 * np.arange(len(said))
    rows["reporter"] = 1
    rows["speed"], rows["heading"] = zip(*said, strict=True)
    rows["lat"] += np.cumsum(rows["speed"]) * road.METRE
    return [heading for frame in road.believed(road.frames(rows)) for heading in frame.observations["heading"].tolist()]


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ([(4.0, 10.0), (0.0, 200.0), (0.0, UNKNOWN), (1.0, 300.0), (4.0, 20.0), (0.0, 5.0)], [10, 10, 10, 10, 20, 20]),
        ([(0.0, UNKNOWN), (0.0, 40.0), (0.0, 90.0), (4.0, 50.0)], [UNKNOWN, 40, 40, 50]),  # never seen driving before
        ([(4.0, 10.0), (4.0, UNKNOWN), (0.0, UNKNOWN)], [10, 10, 10]),  # as it went before
        ([(4.0, 10.0), (UNKNOWN, 70.0)], [10, 70]),  # whoever says no speed may drive
        ([(4.0, 10.0), (LATCHED - 0.01, 70.0), (LATCHED + 0.01, 80.0), (0.0, 90.0)], [10, 10, 80, 80]),
    ],
)
def test_a_heading_is_held_while_the_vehicle_hardly_moves(said: list[tuple[float, float]], wanted: list[float]) -> None:
    assert headings(*said) == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("course", [0.0, 45.0, 200.0, 359.0])
def test_who_never_says_a_heading_is_known_by_where_it_went(course: float) -> None:
    """Ten metres a second, ten seconds one way and ten to the right of it."""
    turn = np.radians(np.repeat([course, course + 90.0], 10))
    rows = road.rows(20, np.cumsum(10.0 * np.sin(turn)), np.cumsum(10.0 * np.cos(turn)))
    rows["time"] += 1000 * np.arange(20)
    rows["reporter"], rows["speed"], rows["heading"] = 1, 10.0, UNKNOWN
    got = [heading for frame in road.believed(road.frames(rows)) for heading in frame.observations["heading"].tolist()]
    assert np.isnan(got[: round(STEP / 10.0)]).all()
    for heading, wanted in zip(got[3:10] + got[13:], [course] * 7 + [(course + 90.0) % 360.0] * 7, strict=True):
        assert angle_between(heading, wanted) < 0.5


def test_a_heading_that_was_said_is_where_the_way_begins() -> None:
    """One message without it, a long way round after the first: it goes as it went a second ago."""
    assert headings(*[(20.0, 10.0)] * 10, (20.0, 99.0), (19.0, UNKNOWN)) == pytest.approx([10.0] * 10 + [99.0] * 2)


def test_the_rows_of_one_pane_are_taken_in_their_order() -> None:
    rows = road.rows(3, 0.0, 0.0)
    rows["reporter"], rows["time"] = 1, rows["time"] + np.array([0, 100, 200])
    rows["speed"], rows["heading"] = (2.0, 0.5, 0.5), (10.0, UNKNOWN, 99.0)
    frame = Frame(road.T0, road.T0 + 1000, rows, *(np.empty(0),) * 2)
    before = rows.tobytes()
    assert Plausibility().believe(frame)[0].observations["heading"].tolist() == [10, 10, 10]
    assert rows.tobytes() == before, "another shard may look at the same rows"
    rows["heading"] = 10.0
    assert Plausibility().believe(frame)[0] is frame, "of a unit that latches nothing is copied"
    rows["heading"] = UNKNOWN
    assert Plausibility().believe(frame)[0] is frame, "nor of one of which nothing is known"


def breakdown(wild: bool) -> Rows:
    """A car stands in a lane of a town, and its unit leaves the heading out meanwhile, or says any."""
    rows = stand(9001, 900, 240, 0.0, 300.0)
    still = rows["speed"] < 1.0
    rows["heading"][still] = np.random.default_rng(3).uniform(0.0, 360.0, still.sum()) if wild else UNKNOWN
    return road.together(*street(1143), rows)


@pytest.mark.parametrize("wild", [False, True])
def test_a_car_that_breaks_down_is_found_though_its_unit_has_no_course_at_rest(wild: bool) -> None:
    detector = StationaryTraffic()
    found = [f for frame in road.believed(road.frames(breakdown(wild))) for f in detector.update(frame)]
    opened = [c for c in Incidents(0).advance(road.T0 + 1_143_000, found) if c.status == "opened"]
    assert [c.heading for c in opened] == [0.0]
    assert 300 / TOWN + 900 < (opened[0].updated - road.T0) / 1000 < 300 / TOWN + 900 + 120
