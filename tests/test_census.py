"""Cell minutes: right sums, whatever the cut into panes, and nobody shown who is one of fewer than three."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.census import CellMinute, Census, road_cell
from detectors.model import OBSERVATION, Rows, Sign

T0 = 1_741_073_400_000  # a whole minute


def rows(count: int, reporters: int, seed: int = 0) -> Rows:
    dice = np.random.default_rng(seed)
    made = np.zeros(count, OBSERVATION)
    made["time"] = T0 + np.sort(dice.integers(0, 60_000, count))
    made["reporter"] = dice.integers(0, reporters, count)
    made["cell"] = 0x89411CA886BFFFF
    made["speed"] = dice.uniform(0, 30, count).round(2)
    made["heading"] = 44.0
    made["signs"] = np.where(dice.random(count) < 0.1, Sign.HARD_BRAKE, 0)
    return made


def minutes(parts: list[Rows]) -> list[CellMinute]:
    counting = Census()
    found = [minute for part in parts for minute in counting.update(part, int(part["time"].max(initial=T0)))]
    return found + counting.update(np.empty(0, OBSERVATION), T0 + 180_000)


def test_a_minute_adds_up() -> None:
    seen = rows(200, 7)
    (minute,) = minutes([seen])
    assert (minute.start, minute.octant, minute.reporters, minute.observations) == (T0, 1, 7, 200)
    assert minute.mean_speed == pytest.approx(seen["speed"].mean(), abs=1e-4)
    assert minute.hard_brakes == int((seen["signs"] != 0).sum())


@given(st.lists(st.integers(0, 200), max_size=5))
@settings(max_examples=50, deadline=None)
def test_the_cut_does_not_matter(cuts: list[int]) -> None:
    seen = rows(200, 5)
    seen["time"] = T0 + (seen["time"] - T0) * 3  # over three minutes
    assert minutes(np.split(seen, sorted(cuts))) == minutes([seen])


@given(roads=st.integers(0, 200), closes=st.lists(st.integers(0, 40), max_size=8))
@settings(max_examples=50, deadline=None)
def test_a_minute_is_told_bit_by_bit(roads: int, closes: list[int]) -> None:
    """So much of it as of half a minute is over, each road cell once, however often somebody asks."""
    seen = np.repeat(rows(3, 1), roads)
    seen["time"], seen["reporter"] = T0, np.arange(3 * roads) % 3
    seen["cell"] += np.repeat(np.arange(roads, dtype=np.uint64), 3)
    counting, told = Census(), 0
    assert counting.update(seen, T0 + 1000) == []
    for seconds in sorted(closes):
        told += len(counting.update(seen[:0], T0 + 60_000 + seconds * 1000))
        assert told == roads * min(seconds, 30) // 30
    assert told + len(counting.update(seen[:0], T0 + 60_000 + max(closes, default=0) * 1000, last=True)) == roads


def test_two_reporters_are_not_shown() -> None:
    assert minutes([rows(200, 2)]) == []


def test_missing_values_do_not_count_as_zero() -> None:
    seen = rows(10, 5)
    seen["speed"] = 20.0
    seen["speed"][3] = np.nan
    seen["heading"][4] = np.nan
    (minute,) = minutes([seen])
    assert minute.mean_speed == 20.0
    assert minute.observations == 9  # without a heading it belongs to no road cell


@given(st.floats(0, 359.99))
def test_the_octant_stands_in_the_reserved_bits(heading: float) -> None:
    cell = int(road_cell(np.uint64(0x89411CA886BFFFF), heading))
    assert cell & ~(7 << 56) == 0x89411CA886BFFFF
    centre = (cell >> 56 & 7) * 45
    assert abs((heading - centre + 180) % 360 - 180) <= 22.5001
