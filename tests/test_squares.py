"""Whoever lies near is found, wherever on the globe, and whoever was dropped is not."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.geometry import apart
from detectors.squares import Squares

METRE = 1 / 111_195  # degrees of latitude
PLACES = st.lists(st.tuples(st.floats(-6000, 6000), st.floats(-6000, 6000)), min_size=1, max_size=60)


@given(PLACES, st.floats(-89, 89), st.floats(-179, 179), st.floats(0, 5000))
@settings(deadline=None)
def test_nobody_near_is_left_out(places: list[tuple[float, float]], lat: float, lon: float, metres: float) -> None:
    squares, where = Squares(), []
    for number, (north, east) in enumerate(places):
        where.append((lat + north * METRE, lon + east * METRE / math.cos(math.radians(lat))))
        squares.put(number, *where[-1])
    near = {number for number, place in enumerate(where) if apart(lat, lon, *place) <= metres and abs(place[0]) <= 90}
    found = squares.near(lat, lon, metres)
    assert near <= set(found)
    assert found == sorted(set(found))
    for number in list(near)[::2]:
        squares.drop(number)
        assert number not in squares.near(lat, lon, metres)


def test_who_is_far_away_is_not_asked() -> None:
    squares = Squares()
    for number in range(1000):
        squares.put(number, 22.0 + 0.05 * (number // 40), 114.0 + 0.05 * (number % 40))
    assert squares.near(22.5, 114.5, 500.0) == [410]
    assert len(squares.near(22.5, 114.5, 1e7)) == 1000


def test_what_is_nowhere_is_near_nothing() -> None:
    squares = Squares()
    squares.put(1, math.nan, 114.0)
    squares.put(2, 22.0, 114.0)
    assert squares.near(22.0, 114.0, 10.0) == [2]
    assert squares.near(math.nan, 114.0, 10.0) == []
    squares.drop(1)
