"""A road blocked between two stations is told from the jam of every day at a bottleneck, and from one farther downstream."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.blocked_road import BlockedRoad
from detectors.incidents import Incidents
from detectors.model import SENSOR, Finding, Rows
from detectors.stations import LATE
from tests import road

INTERVAL = 30.0  # s
BLOCKED = 14  # interval from which on something is the matter
STATIONS = ((8, 0.0), (9, 600.0), (10, 1200.0))  # reporter, m along the road
USUAL = 24.0, 3000.0  # m/s, vehicles per hour

Said = dict[int, tuple[float, float]]  # by station, what it says instead of the usual


def played(
    wrong: Said,
    intervals: int = 24,
    heading: float = 0.0,
    turned: int | None = None,
    since: int = BLOCKED,
    interval: float = INTERVAL,
    usual: tuple[float, float] = USUAL,
    occupancy: float = math.nan,
    others: float = 0.0,
    quiet: int = 0,
) -> list[Finding]:
    """What is found when `wrong` holds from interval `since` on; `turned` watches the other carriageway, `occupancy` is what
    who says no speed says instead, another loop far away speaks every `others` s, and for `quiet` intervals afterwards nobody.
    """
    some: list[Rows] = []
    for k in range(intervals):
        for name, north in STATIONS:
            speed, volume = wrong.get(name, usual) if k >= since else usual
            covered = occupancy if math.isnan(speed) else 0.1
            way = (heading + 180.0) % 360.0 if name == turned else heading
            told = {"heading": way, "speed": speed, "volume": volume, "occupancy": covered}
            some.append(road.station(name, interval * (k + 1), interval, north, **told))
    if others:
        usually = {"heading": heading, "speed": 24.0, "volume": 3000.0}
        moments = np.arange(others - 0.5, interval * intervals, others)  # when claims are repeated
        some += [road.station(99, moment, others, 50_000.0, **usually) for moment in moments]
    detector, rows = BlockedRoad(), road.together(*some, dtype=SENSOR)
    seconds = round(interval * (intervals + quiet)) + 1
    return [f for frame in road.frames(road.together(), rows, seconds=seconds) for f in detector.update(frame)]


def test_it_is_found_in_its_first_interval_and_told_as_long_as_it_lasts() -> None:
    found = played({8: (6.0, 1500.0), 9: (24.0, 1500.0)})
    assert (found[0].time - road.T0) / 1000 <= INTERVAL * (BLOCKED + 2) + 1
    assert len(found) >= 24 - BLOCKED - 1
    assert found[0].reporters == {8, 9}
    assert (found[0].lat - road.LAT) / road.METRE == pytest.approx(300.0)
    assert found[0].score > 4.0
    assert len([c for c in Incidents(0).advance(found[-1].time + 1, found) if c.status == "opened"]) == 1


NOBODY = (math.nan, 0.0)  # where nobody passes there is no speed


def lives(found: list[Finding], until: float) -> list[str]:
    """What is said of the incidents that come of it, `until` s."""
    return [c.status for c in Incidents(0).advance(road.T0 + round(until * 1000), found) if c.status != "updated"]


def test_a_road_on_which_nobody_comes_through_is_blocked() -> None:
    found = played({8: (3.0, 600.0), 9: NOBODY, 10: NOBODY}, occupancy=0.0)
    assert (found[0].time - road.T0) / 1000 <= INTERVAL * (BLOCKED + 2) + 1
    lasting = played({8: (3.0, 600.0), 9: NOBODY, 10: NOBODY}, occupancy=0.0, intervals=80)
    assert lives(lasting, INTERVAL * 80) == ["opened"]  # an empty road does not teach that it is an empty road


def test_vehicles_that_stand_on_a_loop_are_a_queue() -> None:
    assert played({8: NOBODY, 9: (24.0, 1500.0)}, occupancy=1.0)
    assert played({8: NOBODY, 9: (24.0, 1500.0)}, occupancy=0.0) == []  # nobody comes to where fewer pass
    assert played({8: (6.0, 1500.0), 9: NOBODY}, occupancy=1.0) == []  # they stand farther downstream, too


def test_where_few_drive_nobody_means_nothing() -> None:
    assert played({8: (6.0, 60.0), 9: NOBODY, 10: NOBODY}, usual=(24.0, 240.0), occupancy=0.0) == []


def test_a_trailer_that_was_moved_is_another_station_and_nothing_counts_twice() -> None:
    detector, told = BlockedRoad(), {"heading": 0.0, "speed": 24.0, "volume": 3000.0}

    def hears(at: float, interval: float, north: float = 0.0) -> tuple[int, float]:
        *_, frame = road.frames(road.together(), road.station(8, at, interval, north, **told))
        detector.update(frame)
        (station,) = detector._stations.values()
        return station.heard, station.interval

    assert hears(0.5, 60.0) == hears(0.5, 60.0) == (1, 60.0)
    assert hears(60.5, 60.0) == (2, 60.0)
    assert hears(360.5, 300.0) == (3, 300.0)
    assert hears(660.5, 300.0, 44_000.0) == (1, 300.0)


@pytest.mark.parametrize("interval", [60.0, 120.0, 300.0])
def test_slow_stations_keep_their_incident(interval: float) -> None:
    """They are silent for longer than an incident lasts without a word."""
    found = played({8: (6.0, 1500.0), 9: (24.0, 1500.0)}, interval=interval)
    assert lives(found, interval * 24) == ["opened"]
    beside = played({8: (6.0, 1500.0), 9: (24.0, 1500.0)}, interval=interval, others=10.0)
    assert lives(beside, interval * 24) == ["opened"]  # however often others speak meanwhile
    silent = played({8: (6.0, 1500.0), 9: (24.0, 1500.0)}, interval=interval, intervals=BLOCKED + 3, quiet=4)
    assert (silent[-1].time - road.T0) / 1000 <= interval * (BLOCKED + 3 + LATE)


@pytest.mark.parametrize(
    "wrong",
    [
        {8: (6.0, 2900.0), 9: (24.0, 2900.0)},  # as many come through as ever: a bottleneck at capacity
        {8: (6.0, 1500.0), 9: (6.0, 1500.0)},  # the jam comes from farther downstream
        {9: (24.0, 1500.0)},  # fewer drive, and freely: the evening
        {8: (19.0, 1500.0), 9: (24.0, 1500.0)},  # slower, but it flows
    ],
)
def test_what_is_no_blockage(wrong: Said) -> None:
    assert played(wrong) == []


def test_the_other_carriageway_is_not_compared() -> None:
    assert played({8: (6.0, 1500.0), 9: (24.0, 1500.0)}, turned=9) == []


def test_a_stranger_is_not_judged() -> None:
    """What stands there when it is first heard of may be the usual."""
    assert played({8: (6.0, 1500.0), 9: (24.0, 1500.0)}, since=5, intervals=10) == []
    assert played({8: (6.0, 1500.0), 9: (24.0, 1500.0)}, since=11, intervals=14) != []


def test_what_lasts_for_hours_becomes_usual() -> None:
    """On a road that was slowed by works, a blockage is still one."""
    some = []
    for k in range(400):
        for name, north in STATIONS:
            speed, volume = USUAL if k < BLOCKED or name != 8 else (18.0, USUAL[1])
            if k >= 390:
                speed, volume = (6.0, 1500.0) if name == 8 else (24.0, 1500.0)
            some.append(road.station(name, INTERVAL * (k + 1), INTERVAL, north, heading=0.0, speed=speed, volume=volume))
    detector, rows = BlockedRoad(), road.together(*some, dtype=SENSOR)
    found = [f for frame in road.frames(road.together(), rows) for f in detector.update(frame)]
    assert found
    assert all(f.time > road.T0 + 1000 * INTERVAL * 390 for f in found)


def test_streets_with_lights_are_left_alone() -> None:
    slow: list[Rows] = []
    for k in range(24):
        for name, north in STATIONS:
            speed, volume = (3.0, 300.0) if k >= BLOCKED and name == 8 else (12.0, 300.0 if k >= BLOCKED else 900.0)
            slow.append(road.station(name, INTERVAL * (k + 1), INTERVAL, north, heading=0.0, speed=speed, volume=volume))
    detector = BlockedRoad()
    assert [
        f for frame in road.frames(road.together(), road.together(*slow, dtype=SENSOR)) for f in detector.update(frame)
    ] == []
