"""GCJ-02: known places, there and back, and nothing moved outside China."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats.gcj02 import EAST, NORTH, SOUTH, WEST, to_gcj02, to_wgs84

KNOWN = {  # WGS-84 and GCJ-02, to a millionth of a degree: what public implementations of the rule agree upon
    "Shanghai": ((31.177428, 121.527211), (31.175304, 121.531542)),
    "Shenzhen": ((22.543847, 113.912316), (22.540796, 113.917176)),
    "Beijing": ((39.911954, 116.377817), (39.913345, 116.384047)),
}
ELSEWHERE = {
    "Tokyo": (35.681236, 139.767125),
    "Berlin": (52.516272, 13.377722),
    "Sydney": (-33.856784, 151.215297),
    "the antipode of Beijing": (-39.911954, -63.622183),
}
MARGIN = 0.02  # degrees: at the edge of the box a place is moved over it


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    north, east = (b - a for a, b in zip(one, other, strict=True))
    return 111_320.0 * math.hypot(north, east * math.cos(math.radians(one[0])))


@pytest.mark.parametrize("city", KNOWN)
def test_known_places(city: str) -> None:
    wgs84, gcj02 = KNOWN[city]
    assert metres(to_wgs84(*gcj02), wgs84) < 1.0
    assert metres(to_gcj02(*wgs84), gcj02) < 1.0
    assert 100.0 < metres(wgs84, gcj02) < 800.0


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.floats(SOUTH + MARGIN, NORTH - MARGIN), st.floats(WEST + MARGIN, EAST - MARGIN))
def test_there_and_back(lat: float, lon: float) -> None:
    assert metres(to_wgs84(*to_gcj02(lat, lon)), (lat, lon)) < 0.05


def test_the_meridian_and_the_parallel_from_which_it_counts() -> None:
    """Where a square root begins, steep: 105 E."""
    for lon in (105.0, 105.0 + 1e-9, 105.0 - 1e-9, 105.0 + 1e-6):
        assert metres(to_wgs84(*to_gcj02(35.0, lon)), (35.0, lon)) < 0.05


@pytest.mark.parametrize("place", ELSEWHERE)
def test_nothing_is_moved_elsewhere(place: str) -> None:
    assert to_wgs84(*ELSEWHERE[place]) == ELSEWHERE[place] == to_gcj02(*ELSEWHERE[place])


def test_no_place_stays_no_place() -> None:
    assert all(map(math.isnan, to_wgs84(math.nan, math.nan)))
