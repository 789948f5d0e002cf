"""Clusters of hard brakings are found, everyday brakings are not; and the rates behind them are what they claim to be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.driven import Driven
from detectors.hard_braking import HardBraking
from detectors.model import Finding, Rows, Sign
from detectors.place_rates import PlaceRates
from detectors.rarity import Rarity, surprise, tail
from tests import road

SPEED = 25.0  # m/s
BEFORE = 600  # s of traffic before anything happens


def traffic(seconds: int, every: int = 4) -> list[Rows]:
    """Northbound, one vehicle each `every` seconds, on 1 km."""
    return [road.drive(k + 1, k * every, 40, 0.0, 0.0, 0.0, SPEED) for k in range((seconds - 40) // every)]


def brake(reporter: int, at: float, north: float, heading: float = 0.0, decel: float = 5.0, **columns: Any) -> Rows:
    """One vehicle that brakes hard at `north` m, `at` s after the start."""
    row = road.rows(1, 0.0, north, at, reporter=10_000 + reporter, speed=15.0, heading=heading, accel=-decel)
    for name, value in columns.items():
        row[name] = value
    return row


def findings(*rows: Rows, seconds: int = BEFORE + 100) -> list[Finding]:
    detector = HardBraking()
    return [f for frame in road.frames(road.together(*traffic(seconds), *rows)) for f in detector.update(frame)]


QUIET: dict[str, list[Rows]] = {
    "one vehicle brakes": [brake(1, BEFORE, 500)],
    "one vehicle brakes as hard as can be": [brake(1, BEFORE, 500, decel=12.0)],
    "one vehicle brakes three times": [brake(1, BEFORE + 5 * k, 500 + 10 * k) for k in range(3)],
    "three brake minutes apart": [brake(k, BEFORE - 200 + 100 * k, 500) for k in range(3)],
    "one brakes and all behind brake for it": [brake(k, BEFORE + k, 500 - 15 * k, decel=9.0) for k in range(4)],
    "three brake 200 m apart": [brake(k, BEFORE + 5 * k, 200 + 200 * k) for k in range(3)],
    "two brake 100 m apart": [brake(k, BEFORE + 5 * k, 450 + 100 * k, decel=8.0) for k in range(2)],
    "two brake on the two carriageways": [brake(1, BEFORE, 500), brake(2, BEFORE + 5, 500, heading=180.0)],
    "three brake as drivers do": [brake(k, BEFORE + 5 * k, 500, decel=3.0) for k in range(3)],
    "three brake before anything is known": [brake(k, 60 + 5 * k, 500) for k in range(3)],
    "nobody says which way": [brake(k, BEFORE + 5 * k, 500, heading=np.nan) for k in range(3)],
}


@pytest.mark.parametrize("rows", QUIET.values(), ids=QUIET.keys())
def test_everyday_brakings_are_not_news(rows: list[Rows]) -> None:
    assert findings(*rows) == []


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_cluster_is_found_where_it_is(count: int) -> None:
    found = findings(*(brake(k, BEFORE + 4 * k, 500 + 8 * k, decel=6.0) for k in range(count)))
    last = found[-1]
    assert last.kind == "dangerous_situation"
    assert last.reporters == {10_000 + k for k in range(count)}
    assert last.time <= road.T0 + (BEFORE + 4 * count + 1) * 1000
    assert abs((last.lat - road.LAT) / road.METRE - 500) < 60
    assert dict(last.evidence)["hardest_deceleration"] == pytest.approx(6.0)


def test_who_braked_elsewhere_before_brakes_again() -> None:
    """And who brakes on, or again where he did, does not brake twice."""
    again = [brake(k, BEFORE + 4 * k, 600 + 8 * k, decel=6.0) for k in range(4)]
    assert findings(*again)[-1].reporters == {10_000 + k for k in range(4)}
    before = [brake(k, BEFORE - 40 + 4 * k, 60 + 8 * k) for k in (1, 2)]
    found = findings(*before, *again)
    assert found[-1].reporters == {10_000 + k for k in range(4)}
    on = [brake(1, BEFORE + k, 420 + 15 * k, decel=9.0) for k in range(10)]
    assert findings(*on) == []
    twice = [brake(1, BEFORE + 8 * k, 450 + 70 * k, decel=9.0) for k in range(2)]
    both = findings(*twice, brake(2, BEFORE + 20, 485, decel=9.0))
    assert [dict(f.evidence)["hard_braking_vehicles"] for f in both] in ([], [2.0])  # one of them twice is two, not three


@pytest.mark.parametrize("every", [1, 6, 10])
def test_a_flag_that_stays_on_is_one_braking(every: int) -> None:
    detector, occurred = HardBraking(), []
    wrecks = [
        brake(k, BEFORE + second, 500, speed=0.0, accel=np.nan, signs=int(Sign.HARD_BRAKE))
        for second in range(0, 300, every)
        for k in (1, 2)
    ]
    detector._places.occur = lambda *told: occurred.append(told)  # type: ignore[method-assign]
    for frame in road.frames(road.together(*traffic(BEFORE + 300), *wrecks)):
        detector.update(frame)
    assert len(occurred) == 2


def test_who_drives_on_with_the_flag_and_reports_every_ten_seconds_brakes_once() -> None:
    detector, occurred = HardBraking(), []
    drives = [brake(1, BEFORE + 10 * k, 100 + 150 * k, accel=np.nan, signs=int(Sign.HARD_BRAKE)) for k in range(6)]
    detector._places.occur = lambda *told: occurred.append(told)  # type: ignore[method-assign]
    for frame in road.frames(road.together(*traffic(BEFORE + 100), *drives)):
        detector.update(frame)
    assert len(occurred) == 1


def test_where_nobody_says_how_he_drives_nothing_is_gathered_for_ever() -> None:
    detector = HardBraking()
    mute = [brake(k, 2.0 * k, 500, speed=np.nan) for k in range(1000)]
    for frame in road.frames(road.together(*mute)):
        detector.update(frame)
    assert len(detector._places._occurred) <= 301


@pytest.mark.parametrize(("decel", "hard"), [(3.92, False), (3.93, True)])
def test_hard_is_over_two_fifths_of_gravity(decel: float, hard: bool) -> None:
    found = findings(*(brake(k, BEFORE + 4 * k, 500, decel=decel) for k in range(6)))
    assert bool(found) == hard


def test_the_sign_alone_is_enough() -> None:
    rows = [brake(k, BEFORE + 2 * k, 500, accel=np.nan, signs=int(Sign.HARD_BRAKE)) for k in range(3)]
    assert findings(*rows)


@pytest.mark.parametrize("later", [4, 20, 55])
def test_what_is_in_the_way_is_still_there_for_who_comes_later(later: int) -> None:
    """Of those who brake at once one may have made the others; with who brakes there afterwards it is a finding."""
    at_once = [brake(k, BEFORE, 500 - 20 * k, decel=8.0) for k in range(2)]
    (found,) = findings(*at_once, brake(2, BEFORE + later, 490, decel=5.0))
    assert found.time == road.T0 + (BEFORE + later + 1) * 1000
    assert found.onset == road.T0 + (BEFORE + 1) * 1000
    assert dict(found.evidence)["hard_braking_vehicles"] == 3
    assert not findings(*at_once, brake(2, BEFORE + 70, 490, decel=5.0))


def test_harder_is_surer() -> None:
    soft, hard = (findings(*(brake(k, BEFORE + 2 * k, 500, decel=d) for k in range(3)))[-1] for d in (4.0, 8.0))
    assert hard.score > soft.score


def test_at_the_side_it_is_less_of_a_surprise() -> None:
    """Three lanes, the right one the slowest: what queues for a ramp there brakes every day."""
    lanes = [road.drive(k + 1, 4.0 * k, 40, 3.5 * (k % 3 - 1), 0.0, 0.0, SPEED - 3.0 * (k % 3)) for k in range(150)]

    def score(east: float) -> float:
        detector = HardBraking()
        clusters = [brake(k, BEFORE + 2 * k, 500, decel=8.0) for k in range(3)]
        for row in clusters:
            row["lon"] += east * road.METRE_EAST
        rows = road.together(*lanes, *clusters)
        return max(f.score for frame in road.frames(rows) for f in detector.update(frame))

    middle, kerb = score(0.0), score(4.0)
    assert kerb == pytest.approx(middle - 3.0, abs=0.7)


@pytest.mark.parametrize(("place", "speed", "found"), [(600.0, 5.0, False), (600.0, 16.0, True), (100.0, 5.0, True)])
def test_who_brakes_for_a_jam_that_stands_ahead_is_no_news(place: float, speed: float, found: bool) -> None:
    """For three minutes everybody drives so fast from `place` m on: only what is ahead, and much slower, is a jam."""
    jam = [road.drive(5000 + k, BEFORE - 180 + 4 * k, int(300 / speed), 0.0, place, 0.0, speed) for k in range(45)]
    brakings = [brake(k, BEFORE + 2 * k, 500, decel=6.0) for k in range(3)]
    assert bool([f for f in findings(*jam, *brakings) if f.time >= road.T0 + BEFORE * 1000]) == found


def test_a_pile_up_at_the_tail_of_a_jam_is_news() -> None:
    jam = [road.drive(5000 + k, BEFORE - 180 + 4 * k, 60, 0.0, 600.0, 0.0, 5.0) for k in range(45)]
    assert findings(*jam, *(brake(k, BEFORE + k, 500, decel=9.0) for k in range(5)))


def test_a_place_that_often_sees_it_is_not_surprised() -> None:
    often = [brake(k, 100 + 20 * k, 500) for k in range(100)]
    seconds = 2200
    assert not [
        f for f in findings(*often, seconds=seconds) if f.time > road.T0 + 1_500_000
    ]  # three within 30 s there are what they are every minute


@given(count=st.integers(0, 12), shape=st.floats(0.3, 6.0), mean=st.floats(1e-4, 20.0))
@settings(max_examples=60, derandomize=True, deadline=None)
def test_the_tail_is_the_negative_binomials(count: int, shape: float, mean: float) -> None:
    share = mean / (mean + shape)
    below = sum(
        math.exp(math.lgamma(n + shape) - math.lgamma(shape) - math.lgamma(n + 1)) * share**n * (1 - share) ** shape
        for n in range(count)
    )
    assert tail(count, shape, mean) == pytest.approx(1.0 - below, abs=1e-9)


def test_far_out_the_tail_keeps_its_digits() -> None:
    assert 30 < surprise(12, 1e-3, 0.0, 1e6, 1e-3) < 300


def test_the_lattice_learns_what_the_estimator_learns() -> None:
    """PlaceRates holds for every place what a Rarity holds for one."""
    place, places, lately = Rarity(rate=1 / 300.0), PlaceRates(), Driven()
    dice = np.random.default_rng(4)
    for minute in range(120):
        now, metres = minute * 60_000, dice.uniform(100.0, 2000.0)
        place.learn_one({"time": float(now), "exposure": metres, "count": 0.0})
        lately.take(road.seen(1, heading=90.0, seconds=metres / 20.0), now)
        lately.teach(now, places)
        if minute % 7 == 0:
            places.occur(now, road.LAT, road.LON, 90.0)
            place.learn_one({"time": float(now), "exposure": 0.0, "count": 1.0})
    now = 122 * 60_000
    for later in (now - 60_000, now):
        lately.take(road.seen(1, heading=90.0, seconds=0.0), later)
        lately.teach(later, places)  # what waits
    usual = places.at(road.LAT, road.LON, 90.0, now)
    assert usual.known[0] / usual.metres == pytest.approx(place._count / place._exposure, rel=0.05)  # a minute or two late
    assert place.score_one({"time": 0.0, "exposure": 100.0, "count": 2.0}) > 0.0
    assert place.clone()._count == 0.0  # as river's estimators are: a clone knows the parameters and nothing else
