"""Only what is on a level is compared, and nothing else follows from it: the answers are those of comparing all with all."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detectors.geometry import angle_between, distance
from detectors.model import Rows
from detectors.place_rates import PlaceRates
from detectors.queues import APART, LINKED, REACH, SAME_WAY, Queues, _link
from detectors.standing import ACROSS, AHEAD, NEAR, _lead, _pass
from detectors.tracks import CREEP
from tests import road
from tests.test_formats_fuzz import tried

NOW = road.T0
seeds = st.integers(0, 2**32 - 1)


def scattered(dice: np.random.Generator, count: int, wide: float) -> Rows:
    """Vehicles within so many metres, which drive, creep and stand, two ways and across."""
    seen = road.seen(count, dice.uniform(-wide, wide, count), reporter=np.arange(count))
    seen["lon"] += dice.uniform(-wide, wide, count) * road.METRE
    seen["heading"] = dice.choice([0.0, 20.0, 180.0, 270.0], count)
    seen["speed"] = dice.choice([0.0, 3.0, 20.0], count)
    return seen


def apart(one: Rows, others: Rows) -> np.ndarray:
    """Metres to those that go the same way, infinite to the others."""
    far = distance(others["lat"], others["lon"], float(one["lat"]), float(one["lon"]))
    return np.where(angle_between(others["heading"], float(one["heading"])) <= SAME_WAY, far, math.inf)


@tried(60)
@given(seeds)
def test_a_queue_is_found_wherever_it_was_noted(seed: int) -> None:
    dice = np.random.default_rng(seed)
    queues, places, others = Queues(PlaceRates(1)), scattered(dice, 40, 1500.0), scattered(dice, 60, 1500.0)
    asked, noted = dice.choice([3.0, 5.0, math.inf], 40), list[int]()
    for k in range(40):
        if not noted or apart(places[k], places[noted]).min() > APART:
            noted.append(k)
            where = places[["lat", "lon", "heading"]][k].tolist()
            queues.note(NOW, *where, reported=bool(asked[k] == math.inf), asked=float(asked[k]))
    reached = [apart(one, places[noted]) <= REACH for one in others]
    assert queues.strays(others).tolist() == [not each.any() for each in reached]
    for where, each in zip(others[["lat", "lon", "heading"]].tolist(), reached, strict=True):
        least = asked[noted][each]
        told = np.isinf(least).any()
        assert queues.asks(*where) == (0.0 if not len(least) else math.inf if told else least.min())


@tried(60)
@given(seeds)
def test_places_that_are_linked_are_one_queue_with_its_ends(seed: int) -> None:
    dice = np.random.default_rng(seed)
    seen = scattered(dice, 50, 1200.0)
    places = np.zeros((50, 8))
    places[:, 1], places[:, 2], places[:, 3] = seen["lat"], seen["lon"], seen["heading"]
    places = places[np.argsort(places[:, 1])]
    queue, ends = np.arange(50), np.zeros((50, 2), np.bool_)
    _link(places, queue, ends)
    rows = seen[np.argsort(seen["lat"])]
    near = np.array([apart(one, rows) <= LINKED for one in rows])
    reach = near.copy()
    for _ in range(6):  # whoever is linked with one who is linked
        reach = (reach.astype(int) @ reach.astype(int)) > 0
    assert queue.tolist() == [int(np.flatnonzero(each)[0]) for each in reach]
    for i in range(50):
        turn, narrow = math.radians(places[i, 3]), math.cos(math.radians(places[0, 1]))
        north, east = (places[:, 1] - places[i, 1]) / road.METRE, (places[:, 2] - places[i, 2]) / road.METRE * narrow
        ahead = (east * math.sin(turn) + north * math.cos(turn))[near[i]]
        assert ends[i].tolist() == [bool((ahead <= APART / 2).all()), bool((ahead >= -APART / 2).all())]


@tried(60)
@given(seeds)
def test_whoever_stands_is_passed_and_waits_as_if_all_were_compared(seed: int) -> None:
    dice = np.random.default_rng(seed)
    seen = scattered(dice, 80, 150.0)
    standing, passing = seen[seen["speed"] == 0.0], np.zeros((6400, 2), np.int64)
    standing = standing[np.argsort(standing["lat"])]
    count = _pass(seen, standing, passing)
    pairs = {
        (i, j) for i, one in enumerate(standing) for j in np.flatnonzero(apart(one, seen) <= NEAR) if seen["speed"][j] > CREEP
    }
    assert {tuple(pair) for pair in passing[:count].tolist()} == pairs
    assert _lead(standing, seen).tolist() == [not in_front(one, seen[seen["speed"] <= CREEP]) for one in standing]


def in_front(one: Rows, others: Rows) -> bool:
    turn = math.radians(float(one["heading"]))
    north = (others["lat"] - one["lat"]) / road.METRE
    east = (others["lon"] - one["lon"]) / road.METRE * math.cos(math.radians(float(one["lat"])))
    ahead, across = east * math.sin(turn) + north * math.cos(turn), east * math.cos(turn) - north * math.sin(turn)
    same_way = angle_between(others["heading"], float(one["heading"])) <= SAME_WAY
    return bool(((ahead > 2.0) & (ahead <= AHEAD) & (np.abs(across) <= ACROSS) & same_way).any())
