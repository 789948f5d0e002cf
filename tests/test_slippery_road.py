"""Slippery road: who counts as a witness, how many it takes, and how long a place stays slippery."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import proba

from detectors.geometry import distance
from detectors.model import Finding, Rows, Sign
from detectors.passers import WINDOW, Passers
from detectors.slippery_road import SlipperyRoad
from detectors.surprise import ReporterShare, Surprise, witnesses
from tests import road

PASS, SPEED = 60, 20.0  # s on the road, m/s: 1200 m


def passing(reporter: int, start: float, heading: float = 0.0, slip_at: float | None = None, **slip: Any) -> Rows:
    """One vehicle along 1200 m of road; `slip_at` metres from its start it slips for 2 s, as `slip` says."""
    north = 0.0 if heading == 0.0 else 1200.0
    way = road.drive(reporter, start, PASS, 0.0, north, heading, SPEED)
    if slip_at is not None:
        at = int(slip_at / SPEED)
        for name, value in {"signs": Sign.TRACTION, **slip}.items():
            way[name][at : at + 2] = value
    return way


def traffic(
    vehicles: int, slipping: dict[int, dict[str, Any]], every: float = 6.0, start: float = 0.0, first: int = 0
) -> list[Rows]:
    return [passing(first + k, start + k * every, **slipping.get(k, {})) for k in range(vehicles)]


def findings(*some: Rows, seconds: int | None = None) -> list[Finding]:
    detector = SlipperyRoad()
    return [f for frame in road.frames(road.together(*some), seconds=seconds) for f in detector.update(frame)]


HERE: dict[str, Any] = {"slip_at": 600.0}
ABS_GENTLE = {**HERE, "signs": Sign.ABS, "accel": -2.0}
ABS_HARD = {**HERE, "signs": Sign.ABS | Sign.HARD_BRAKE, "accel": -7.0}

FOUND = {
    "two of ten lose traction": traffic(10, {3: HERE, 5: HERE}),
    "stability control counts too": traffic(10, {3: {**HERE, "signs": Sign.STABILITY}, 5: HERE}),
    "anti-lock brakes at a gentle braking": traffic(10, {3: ABS_GENTLE, 5: ABS_GENTLE}),
    "150 m apart": traffic(10, {3: HERE, 5: {"slip_at": 750.0}}),
    "six of forty": traffic(40, dict.fromkeys(range(4, 40, 6), HERE)),
}
QUIET = {
    "nobody slips": traffic(10, {}),
    "one vehicle, however often": [
        *traffic(10, {}),
        *(passing(50, 30.0 * k, slip_at=600.0) for k in range(3)),
    ],
    "anti-lock brakes in an emergency braking say that the road grips": traffic(10, {3: ABS_HARD, 4: ABS_HARD, 5: ABS_HARD}),
    "nor need the sign for it be set": traffic(10, {k: {**ABS_HARD, "signs": Sign.ABS} for k in (3, 4, 5)}),
    "400 m apart": traffic(10, {3: HERE, 5: {"slip_at": 1000.0}}),
    "six minutes apart": traffic(70, {3: HERE, 63: HERE}),
    "one each way": [*traffic(10, {3: HERE}), passing(90, 30.0, heading=180.0, slip_at=600.0)],
    "two of a hundred and fifty in five minutes": traffic(150, {5: HERE, 145: HERE}, every=2.0),
    "wheels spin at standing": traffic(10, {3: {**HERE, "speed": 1.0}, 5: {**HERE, "speed": 1.0}}),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    found = findings(*FOUND[name])
    assert {f.kind for f in found} == {"adhesion"}
    first = found[0]
    assert distance(first.lat, first.lon, road.LAT + 650 * road.METRE, road.LON) < 120.0
    assert abs((first.heading + 180) % 360 - 180) < 1.0
    assert len(first.reporters) >= 2


@pytest.mark.parametrize("name", QUIET)
def test_quiet(name: str) -> None:
    assert findings(*QUIET[name]) == []


def test_it_lasts_as_long_as_its_witnesses_are_of_the_last_five_minutes() -> None:
    found = findings(*traffic(10, {3: HERE, 5: HERE}), seconds=900)
    times = [(f.time - road.T0) / 1000 for f in found]
    slipped = 5 * 6.0 + 30.0
    assert times[0] <= slipped + 2.0  # at once
    assert max(np.diff(times)) <= 10.0  # repeated
    assert slipped + 230 < times[-1] < slipped + 310


def test_the_hard_braking_that_follows_takes_the_word_back() -> None:
    """The anti-lock brakes begin a second before the deceleration is reported."""
    some = traffic(10, {3: ABS_GENTLE, 5: ABS_GENTLE})
    for k in (3, 5):
        some[k]["signs"][33] |= Sign.HARD_BRAKE
        some[k]["accel"][33] = -6.0
    assert all(f.time < road.T0 + 70_000 for f in findings(*some, seconds=300))


def test_a_place_where_some_always_slip_is_no_news() -> None:
    """One in ten for two hours: cobbles, or a steep start."""
    usual = traffic(1200, dict.fromkeys(range(0, 1200, 10), HERE))
    detector, late = SlipperyRoad(), []
    for frame in road.frames(road.together(*usual, *traffic(10, {3: HERE, 5: HERE}, start=7210.0, first=5000))):
        found = detector.update(frame)
        late += [f for f in found if f.time > road.T0 + 6_600_000]
    assert late == []


@given(
    said=st.integers(1, 12),
    others=st.integers(0, 60),
    alpha=st.floats(0.3, 5.0),
    beta=st.floats(0.5, 2000.0),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_the_tail_is_the_sum_of_the_beta_binomial(said: int, others: int, alpha: float, beta: float) -> None:
    passed = said + others

    def term(k: int) -> float:
        choose = math.lgamma(passed + 1) - math.lgamma(k + 1) - math.lgamma(passed - k + 1)
        up = math.lgamma(k + alpha) + math.lgamma(passed - k + beta) - math.lgamma(passed + alpha + beta)
        return math.exp(choose + up - math.lgamma(alpha) - math.lgamma(beta) + math.lgamma(alpha + beta))

    expected = -math.log10(min(1.0, sum(term(k) for k in range(said, passed + 1))))
    score = ReporterShare(alpha, beta).score_one({"said": said, "passed": passed})
    assert score == pytest.approx(expected, abs=1e-6)
    assert ReporterShare(alpha, beta).score_one({"said": said - 1, "passed": passed}) <= score + 1e-9


@given(st.lists(st.booleans(), max_size=40))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_shares_are_learned_as_rivers_beta_learns(said: list[bool]) -> None:
    ours, theirs = ReporterShare(1.0, 9.0), proba.Beta(alpha=1, beta=9)
    for each in said:
        theirs.update(each)  # type: ignore[no-untyped-call]  # river's method has no annotation
    ours.learn_one({"said": float(sum(said)), "passed": float(len(said))})
    assert (ours.alpha, ours.beta) == pytest.approx((theirs.alpha, theirs.beta))


def test_no_estimate_of_passers_hides_the_witnesses_themselves() -> None:
    """All that pass slip, one a minute: the count of passers may be low, but never lower than the count of witnesses."""
    assert findings(*(passing(k, 60.0 * k, slip_at=600.0) for k in range(5)))


def test_what_is_usual_is_counted_however_often_it_is_said() -> None:
    """Of ten thousand who passed here every fifth said it."""
    passers = Passers()
    told = Surprise(0.001, passers)
    for pane in range(100):
        start = road.T0 + pane * WINDOW
        rows = road.rows(100, 0.0, np.linspace(-150.0, 150.0, 100), pane * WINDOW / 1000, speed=40.0, heading=10.0)
        rows["reporter"] = 100 * pane + np.arange(100)
        assert passers.tick(rows, start, start + 1000)
        said = witnesses(rows[::5])
        assert told.hear(said, 60_000)
        told.age(start + 1000)
    now = road.T0 + 100 * WINDOW
    share = told._share(road.LAT, road.LON, 10.0, passers.near(road.LAT, road.LON, 10.0, now)[1], now)
    assert share.alpha > 1500
    assert share.alpha / (share.alpha + share.beta) == pytest.approx(0.2, rel=0.1)


def test_shares_are_clonable() -> None:
    clone = ReporterShare(0.5, 9.5).clone()
    assert isinstance(clone, ReporterShare)
    assert np.isclose(clone.beta, 9.5)


def test_a_vehicle_seen_ten_times_a_second_passes_once() -> None:
    """Where and as fast as it was last: 400 m make one passer-by, and the next count is 10 s away."""
    seconds = np.arange(0.0, 1.0, 0.1)
    fast = road.rows(10, 0.0, 20.0 * seconds, seconds, reporter=1, speed=np.linspace(10.0, 20.0, 10))
    slow = road.rows(10, 0.0, 0.0, seconds, reporter=2, speed=5.0)
    stands = road.rows(10, 0.0, 0.0, seconds, reporter=3, speed=0.0)
    passers, end = Passers(), road.T0 + 1000
    assert passers.tick(road.together(fast, slow, stands), road.T0, end)
    assert passers.total(end) == pytest.approx((20.0 + 5.0) * 10.0 / 400.0)
