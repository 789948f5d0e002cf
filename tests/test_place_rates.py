"""A place where drivers brake gently all day is less surprised by a stop than the open road, before it has seen one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike

from detectors.driven import BATCH, Driven
from detectors.lattice import FadingSums
from detectors.place_rates import SETTLE, PlaceRates
from tests import road

MINUTES = 20
CALM, RAMP = 0.0, 3_000.0  # m north of the origin


def drive(places: PlaceRates, lately: Driven, now: int, north: ArrayLike, **columns: ArrayLike) -> None:
    lately.take(road.seen(np.size(north), north, **columns), now)
    lately.teach(now, places)


def learned() -> tuple[PlaceRates, Driven]:
    """Two places, equally busy; at one of them everybody brakes for two seconds. A stop was seen at a third."""
    places, lately = PlaceRates(), Driven()
    for second in range(MINUTES * 60):
        now = road.T0 + second * 1000
        drive(places, lately, now, [CALM, RAMP], braking=[0.0, 2.0] if second % 4 == 0 else 0.0)
        if second == 300:
            places.occur(now, road.LAT + 9_000.0 * road.METRE, road.LON, 0.0)
    return places, lately


def score(places: PlaceRates, north: float, after: int = MINUTES * 60_000) -> float:
    return places.at(road.LAT + north * road.METRE, road.LON, 0.0, road.T0 + after).surprises([2], 30.0, 60.0)[0]


def test_a_nervous_place_is_less_surprised() -> None:
    places, _ = learned()
    assert score(places, RAMP) < score(places, CALM) - 0.5


def test_the_braking_of_a_cluster_does_not_excuse_it() -> None:
    """What was braked within the last half minute is not counted yet."""
    places, lately = learned()
    before = score(places, CALM)
    began = road.T0 + MINUTES * 60_000
    for second in range(SETTLE // 1000):
        drive(places, lately, began + second * 1000, CALM, speed=10.0, braking=30.0)
    assert abs(score(places, CALM, MINUTES * 60_000 + SETTLE) - before) < 0.3
    for second in range(SETTLE // 1000, (SETTLE + 2 * BATCH) // 1000 + 1):
        drive(places, lately, began + second * 1000, CALM, speed=10.0)
    assert score(places, CALM, MINUTES * 60_000 + SETTLE + 2 * BATCH) < before - 0.5


def test_a_night_in_which_nothing_occurs_makes_nothing_a_greater_surprise() -> None:
    """Nor do a thousand: what a fleet's rate is is not known better than by the three quarters of an hour that count."""
    places, lately = PlaceRates(), Driven()
    surprised = []
    for hours in (12, 24, 24 * 30):
        began = road.T0 + hours * 3_600_000
        for second in range(0, 8 * 3_600, 10):
            drive(places, lately, began + second * 1000, CALM)
        surprised.append(score(places, CALM, hours * 3_600_000 + 8 * 3_600_000))
    assert max(surprised) - min(surprised) < 0.1


def test_where_more_is_to_be_expected_a_place_is_less_surprised_until_it_has_shown_its_own_rate() -> None:
    places, _ = learned()
    usual = places.at(road.LAT, road.LON, 0.0, road.T0 + MINUTES * 60_000)
    surprised, known = (
        [each.surprises([2], 30.0, 60.0)[0] for each in (some, some.where_often(10.0))]
        for some in (usual, replace(usual, metres=1e8, known=[1e5]))
    )
    assert surprised[1] < surprised[0] - 0.5
    assert known[1] > known[0] - 0.2
    assert usual.where_often(1.0) == usual


def test_what_has_faded_is_asked_anew_after_it_was_rebased() -> None:
    """Many ask in one pane, so it is reckoned once; not when the sums are held otherwise since."""
    sums = FadingSums((1000.0,), 0.0)
    sums.add(np.array([7]), (np.array([1.0]),), 0)
    late = 25_000
    before = sums.read(sums.find(np.array([7])), late)
    sums.add(np.array([8]), (np.array([1.0]),), late)
    assert sums.read(sums.find(np.array([7, 8])), late)[0].tolist() == pytest.approx([before[0, 0], 1.0])
