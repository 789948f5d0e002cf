"""Where roads join and part is known by the ways of those who pass; bends, lanes and other roads are no forks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detectors.forks import FORKED, OFTEN, PLAIN, Forks
from detectors.model import Frame, Rows
from tests import road

RAMP = 0.2  # rad between a ramp and its road: it has left a lane of 3.5 m behind after 18 m
END = 3000.0  # m


def straight(north: float) -> float:
    return 0.0


def joins(north: float) -> float:
    """Metres beside the road on which a ramp is that joins it after 1500 m."""
    return RAMP * max(1500.0 - north, 0.0)


def parts(north: float) -> float:
    return RAMP * max(north - 1500.0, 0.0)


def bends(north: float) -> float:
    """A bend of 1500 m radius."""
    return 1500.0 - math.sqrt(1500.0**2 - (north / 2.0) ** 2)


def drive(reporter: int, start: int, speed: float, path: object, begins: float = 0.0, lane: float = 0.0) -> Rows:
    """Once a second from `begins` m to END, beside the axis as `path` says, with errors of a receiver."""
    assert callable(path)
    noise = np.random.default_rng(reporter)
    north = np.arange(begins, END, speed)
    east = np.array([path(metre) for metre in north])
    heading = np.degrees(np.arctan2([path(metre + 1.0) - path(metre - 1.0) for metre in north], 2.0)) % 360.0
    errors = noise.normal(0.0, 1.5, (2, len(north)))
    where = east + lane + errors[0], north + errors[1]
    return road.rows(len(north), *where, start + np.arange(len(north)), reporter=reporter, heading=heading, speed=speed)


def learned(*drives: Rows) -> tuple[Forks, int]:
    """What is known after these, and when."""
    some, frames = Forks(), list(road.frames(road.together(*drives)))
    for frame in frames:
        some.learn(seen(frame), frame)
    return some, frames[-1].end


def seen(frame: Frame) -> Rows:
    rows = frame.observations
    return road.seen(len(rows), **{name: rows[name] for name in ("reporter", "lat", "lon", "heading", "speed")})


def spread(path: object, share: int, at: float, speed: float = 25.0, others: object = straight) -> float:
    """At a metre of a road on which one of so many drives on `path`, and the rest beside the axis as `others` say."""
    drives = [drive(1 + k, 8 * k, speed, others if k % share else path, lane=3.5 * (k % 3)) for k in range(60)]
    some, now = learned(*drives)
    assert callable(others)
    heading = math.degrees(math.atan2(others(at + 1.0) - others(at - 1.0), 2.0)) % 360.0
    return some.spread(road.LAT + at * road.METRE, road.LON + (others(at) + 3.5) * road.METRE_EAST, heading, now)


@pytest.mark.parametrize(("path", "at"), [(joins, 1550.0), (joins, 1850.0), (parts, 1450.0), (parts, 1600.0)])
@pytest.mark.parametrize(("share", "least"), [(5, FORKED), (10, PLAIN)])
def test_a_ramp_is_known_by_the_ways_of_a_few(path: object, at: float, share: int, least: float) -> None:
    assert spread(path, share, at) > least


@pytest.mark.parametrize(
    ("path", "at"), [(straight, 1500.0), (joins, 1200.0), (joins, 2250.0), (parts, 900.0), (parts, 1950.0)]
)
def test_there_is_none_elsewhere(path: object, at: float) -> None:
    assert spread(path, 5, at) < PLAIN


@pytest.mark.parametrize("at", [800.0, 1500.0, 2200.0])
def test_a_bend_is_no_fork(at: float) -> None:
    assert spread(bends, 5, at, others=bends) < PLAIN


def test_the_area_of_a_ramp_ends_within_a_hundred_metres() -> None:
    """So wide is the kernel that reads it: the nose is at 1500 m, and its ways end 450 m behind it."""
    assert spread(joins, 5, 1950.0) > PLAIN > spread(joins, 5, 2000.0)


def test_who_queues_teaches_nothing() -> None:
    """Nor who drives through a town: of short ways all seem to differ."""
    assert spread(joins, 5, 1550.0, speed=12.0) > FORKED
    assert spread(joins, 5, 1550.0, speed=9.0) == 0.0


def test_a_way_that_is_bent_too_much_is_no_way_along_this_road() -> None:
    drives = [drive(1 + k, 8 * k, 25.0, straight) for k in range(60)]
    for rows in drives[::5]:
        rows["heading"] = 40.0
    some, now = learned(*drives)
    assert some.spread(road.LAT + 1500.0 * road.METRE, road.LON, 0.0, now) > FORKED
    for rows in drives[::5]:
        rows["heading"] = 50.0
    some, now = learned(*drives)
    assert some.spread(road.LAT + 1500.0 * road.METRE, road.LON, 0.0, now) < PLAIN


def test_the_other_direction_is_another_road() -> None:
    drives = [drive(1 + k, 8 * k, 25.0, straight if k % 5 else joins) for k in range(60)]
    some, now = learned(*drives)
    assert some.spread(road.LAT + 1550.0 * road.METRE, road.LON, 180.0, now) == 0.0


def test_how_often_is_a_matter_of_the_spread() -> None:
    class Known(Forks):
        def __init__(self, spread: float) -> None:
            super().__init__()
            self._spread = spread

        def spread(self, *_: object) -> float:
            return self._spread

    said = [
        Known(metres).often(road.LAT, road.LON, 0.0, road.T0) for metres in (0.0, PLAIN, (PLAIN + FORKED) / 2, FORKED, 99.0)
    ]
    assert said == pytest.approx([1.0, 1.0, math.sqrt(OFTEN), OFTEN, OFTEN])


def test_it_is_the_same_whatever_the_order_of_reporters() -> None:
    """Names are keyed hashes: who is seen first in a pane says nothing."""
    drives = [(k, 8 * k, straight if k % 5 else joins) for k in range(30)]
    one, now = learned(*(drive(1 + k, start, 25.0, path) for k, start, path in drives))
    where = road.LAT + 1550.0 * road.METRE, road.LON, 0.0, now
    again = learned(*(_named(drive(1 + k, start, 25.0, path), 99 - k) for k, start, path in drives))[0]
    assert one.spread(*where) == pytest.approx(again.spread(*where), rel=1e-6)


def _named(rows: Rows, reporter: int) -> Rows:
    rows["reporter"] = reporter
    return rows
