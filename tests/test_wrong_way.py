"""Wrong way: found within seconds where everybody drives one way, and never where a position cannot tell."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest
from river import stats

from detectors.directions import ERROR, SEEN, Directions, contested, moments, place, share
from detectors.geometry import distance
from detectors.model import Finding, Rows
from detectors.strays import Strays
from detectors.wrong_way import ENOUGH, WrongWay
from tests import road

HISTORY = 700.0  # s
SPEED = 25.0  # m/s


def vehicle(
    reporter: int, start: float, east: float, heading: float, seconds: int = 60, speed: float = SPEED, off: float = 0.0
) -> Rows:
    """Along 1500 m of a north-south road, with a receiver that errs by 1 m all the time and 1 m more each second."""
    dice = np.random.default_rng(reporter)
    north = 0.0 if heading == 0.0 else 1500.0
    bias = dice.normal(0, 1.0) + dice.normal(0, 1.0, seconds) + off
    out = road.drive(reporter, start, seconds, east, north, heading, speed)
    out["lon"] += bias * road.METRE_EAST
    out["heading"] = (out["heading"] + dice.normal(0, 1.0, seconds)) % 360.0
    return out


@lru_cache(maxsize=4)
def history(apart: float, every: float = 5.0) -> tuple[Rows, ...]:
    """Northbound at 0, southbound `apart` to the west, one vehicle each way every few seconds."""
    some = []
    for k in range(int(HISTORY / every)):
        some.append(vehicle(1000 + k, k * every, 0.0, 0.0))
        some.append(vehicle(5000 + k, k * every, -apart, 180.0))
    return tuple(some)


def seen(rows: Rows) -> Rows:
    """Vehicles on the move as they are learned from."""
    out = np.zeros(len(rows), SEEN)
    for name in ("time", "reporter", "lat", "lon", "speed", "heading"):
        out[name] = rows[name]
    for one in out:
        one["key"], one["across"] = place(float(one["lat"]), float(one["lon"]), float(one["heading"]))
    out["counts"] = 1.0
    return out


def findings(*some: Rows, apart: float = 18.0) -> list[Finding]:
    detector = WrongWay()
    return [f for frame in road.frames(road.together(*history(apart), *some)) for f in detector.update(frame)]


def test_nobody_in_ordinary_traffic() -> None:
    for apart in (3.5, 10.0, 18.0):
        assert findings(apart=apart) == []


@pytest.mark.parametrize("east", [-1.9, 0.0, 1.9])
@pytest.mark.parametrize("apart", [14.0, 18.0, 30.0])
def test_found_within_seconds_and_followed(east: float, apart: float) -> None:
    ghost = vehicle(9, HISTORY, east, 180.0, seconds=50, speed=20.0)
    found = findings(ghost, apart=apart)
    assert {(f.kind, f.reporters) for f in found} == {("wrong_way", frozenset({9}))}
    assert found[0].time - ghost["time"][0] <= 25_000  # eleven minutes' traffic say little of how long receivers err
    assert found[0].onset - ghost["time"][0] <= 3_000
    for f in found:
        now = ghost[np.searchsorted(ghost["time"], f.time) - 1]
        assert distance(f.lat, f.lon, float(now["lat"]), float(now["lon"])) <= 20.0 * 4
        assert abs(f.heading - 180.0) < 10.0
    gaps = np.diff([f.time for f in found])
    assert gaps.max() <= 4_000  # goes on being said for as long as it drives
    assert found[-1].time - ghost["time"][-1] > -5_000


def test_a_vehicle_of_which_most_rows_are_lost_is_found_by_what_is_left() -> None:
    ghost = vehicle(9, HISTORY, 0.0, 180.0, seconds=60, speed=20.0)[::25]
    found = findings(ghost)
    assert found
    assert found[0].radius > 400.0  # the finding reaches back to where it was before, so that incidents stay one


def test_where_receivers_do_not_err_he_is_found_within_seconds() -> None:
    """A day on which 2,000 vehicles an hour drove 1.5 km, and none was taken for a wrong-way driver."""
    day = 24 * 2000 * 1500.0
    assert Strays().surprise(4.0, day, road.T0) > ENOUGH
    assert Strays().surprise(4.0, day / 100.0, road.T0) < ENOUGH


def drifting(reporter: int, start: float, east: float, heading: float, seconds: int = 90, spread: float = 4.5) -> Rows:
    """Along 2 km with a receiver that errs by some metres, and by about as much, to the same side, half a minute later."""
    dice = np.random.default_rng(reporter)
    north = 0.0 if heading == 0.0 else 2000.0
    out = road.drive(reporter, start, seconds, east, north, heading, SPEED)
    error, stays = dice.normal(0, 1.0), np.exp(-1 / 40.0)
    for row, step in zip(out, dice.normal(0, np.sqrt(1 - stays**2), seconds).tolist(), strict=True):
        error = stays * error + step
        row["lon"] += spread * error * road.METRE_EAST
    return out


@pytest.mark.parametrize("seed", range(3))
def test_receivers_that_drift_make_no_wrong_way_drivers(seed: int) -> None:
    """Two lanes each way, 10.5 m from middle to middle as on a motorway, and receivers that err by 4.5 m for half a minute."""
    dice, some = np.random.default_rng(seed), []
    for k in range(1200):
        lane, heading = float(dice.choice([-1.75, 1.75])), 180.0 * (k % 2)
        some.append(drifting(100_000 * (seed + 1) + k, 1.2 * k, lane - (10.5 if heading else 0.0), heading))
    detector = WrongWay()
    found = [f for frame in road.frames(road.together(*some)) for f in detector.update(frame)]
    assert detector._strays._count > 3, "nobody strayed, so nothing was tried"
    assert len({name for f in found for name in f.reporters}) <= 1


QUIET: dict[str, tuple[float, Rows]] = {
    "before anything is known": (18.0, vehicle(9, 20.0, 0.0, 180.0)),
    "overtaking on a two-lane road": (3.5, vehicle(9, HISTORY, -3.5, 0.0, seconds=12)),
    "a receiver that is five metres off": (18.0, vehicle(9, HISTORY, 0.0, 0.0, off=-5.0)),
    "rolling back": (18.0, vehicle(9, HISTORY, 0.0, 180.0, speed=3.0)),
    "eighteen metres, while turning at a junction": (18.0, vehicle(9, HISTORY, 0.0, 180.0, seconds=4, speed=6.0)),
    "three samples, for a position may err so often": (18.0, vehicle(9, HISTORY, 0.0, 180.0, seconds=4, speed=20.0)),
    "one sample": (18.0, vehicle(9, HISTORY, 0.0, 180.0, seconds=1)),
    "across the road": (18.0, road.drive(9, HISTORY, 40, -400.0, 700.0, 90.0, 15.0)),
    "where nobody drives": (18.0, road.drive(9, HISTORY, 40, 60.0, 1500.0, 180.0, 20.0)),
}


def u_turn() -> Rows:
    """North, a half circle of 9 m radius to the other carriageway at 6 m/s, and south."""
    up = road.drive(9, HISTORY, 20, 0.0, 0.0, 0.0, 20.0)
    angle = np.radians(np.linspace(0, 180, 6))
    round_ = road.rows(6, -9 + 9 * np.cos(angle), 400 + 9 * np.sin(angle), HISTORY + 20 + np.arange(6.0), reporter=9, speed=6.0)
    round_["heading"] = (-np.degrees(angle)) % 360
    down = road.drive(9, HISTORY + 26, 20, -18.0, 400.0, 180.0, 20.0)
    return road.together(up, round_, down)


def jump() -> Rows:
    """A southbound receiver that shows the northbound carriageway, 150 m on, for twelve seconds."""
    out = vehicle(9, HISTORY, -18.0, 180.0)
    out["lon"][20:32] += 18.0 * road.METRE_EAST
    out["lat"][20:32] += 150.0 * road.METRE
    return out


def stuck() -> Rows:
    """A transmitter that repeats one position with the speed and the heading of then, on the wrong carriageway."""
    return road.rows(60, 0.0, 700.0, HISTORY + np.arange(60.0), reporter=9, heading=180.0, speed=20.0)


QUIET |= {"a U-turn": (18.0, u_turn()), "a receiver that jumps": (18.0, jump()), "a stuck transmitter": (18.0, stuck())}


@pytest.mark.parametrize("name", QUIET)
def test_quiet(name: str) -> None:
    apart, way = QUIET[name]
    assert findings(way, apart=apart) == []


def test_forty_one_way_may_be_chance_on_a_two_way_street() -> None:
    detector = WrongWay()
    some = [vehicle(1000 + k, 10.0 * k, 0.0, 0.0) for k in range(40)]
    rows = road.together(*some, vehicle(9, 500.0, 0.0, 180.0))
    assert [f for frame in road.frames(rows) for f in detector.update(frame)] == []


def test_a_road_whose_direction_was_changed_is_learned() -> None:
    """Road works lead everybody over the other carriageway: the first are reported, the hundredth is not."""
    led = [vehicle(20_000 + k, HISTORY + 4.0 * k, 0.0, 180.0) for k in range(120)]
    reported = {name for f in findings(*led) for name in f.reporters}
    assert 20_000 in reported
    assert not reported & set(range(20_080, 20_120))


def test_the_sums_are_rivers_mean_and_variance() -> None:
    """Within a moment, when nothing has faded yet, the moments of a square are river.stats.Mean and Var of its offsets."""
    dice = np.random.default_rng(2)
    n = 200
    across = dice.normal(0, 3.0, n)
    speeds, headings = np.full(n, 3.0), dice.uniform(10, 40, n)
    some = seen(road.rows(n, across, reporter=np.arange(n), speed=speeds, heading=headings))
    directions = Directions()
    directions.learn(some, road.T0)
    directions.sweep(road.T0 + 61_000)
    for key in np.unique(some["key"]):
        here = some[some["key"] == key]
        mean, variance = stats.Mean(), stats.Var(ddof=0)
        for offset, speed in zip(here["across"].tolist(), here["speed"].tolist(), strict=True):
            weight = min(1.0, speed / 25.0)
            mean.update(offset, weight)
            variance.update(offset, weight)
        ours, spread, _ = moments(directions.known(road.T0 + 61_000), key)
        assert ours == pytest.approx(mean.get(), abs=1e-3)
        assert spread - ERROR**2 == pytest.approx(variance.get(), abs=1e-2)


@pytest.mark.parametrize("every", [0.1, 1.0])
def test_a_vehicle_leaves_a_pass_each_25_m_however_often_it_is_seen(every: float) -> None:
    seconds = np.arange(0.0, 50.0, every)
    way = road.rows(len(seconds), 0.0, 20.0 * seconds, seconds, reporter=9, speed=20.0)
    other = road.rows(len(seconds), 0.0, 0.0, seconds, reporter=8, speed=0.0)
    directions, now = Directions(), road.T0 + 120_000
    directions.learn(seen(road.together(way, other)), road.T0)
    directions.sweep(now)
    first = 1.0  # s: as is usual
    assert directions._sums.total(now)[2] == pytest.approx((50.0 - every + first) * 20.0 / 25.0, rel=1e-3)


@pytest.mark.parametrize("vehicles", [1.0, 20.0, 60.0])
def test_whoever_is_not_contested_has_nobody_against_him(vehicles: float) -> None:
    """The cheap question never spares a sample that the full one would have held against somebody."""
    directions, dice, now = Directions(), np.random.default_rng(7), road.T0
    for part in np.array_split(road.together(*history(10.0)), 40):
        now = int(part["time"][-1])
        directions.learn(seen(part), now)
    n, known = 3_000, directions.known(now)
    lat = road.LAT + dice.uniform(-200, 1700, n) * road.METRE
    lon = road.LON + dice.normal(0, 15.0, n) * road.METRE_EAST
    anywhere = list(zip(lat.tolist(), lon.tolist(), dice.uniform(0, 360, n).tolist(), strict=True))
    against = np.array([share(known, *where)[1] for where in anywhere]) >= vehicles
    spared = ~np.array([contested(known, *where, vehicles) for where in anywhere])
    assert against.any()
    assert spared.any()
    assert not (against & spared).any()
