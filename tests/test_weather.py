"""Weather: what a device's numbers mean, how long they are believed, and when drivers are believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detectors.model import SENSOR, Finding, Rows, Sign, Surface
from detectors.weather import Weather
from tests import road

NOBODY = road.NO_ROWS


def findings(sensors: list[Rows], vehicles: Rows = NOBODY, seconds: int | None = None) -> list[Finding]:
    detector = Weather()
    some = road.together(*sensors, dtype=SENSOR)
    return [f for frame in road.frames(vehicles, some, seconds=seconds) for f in detector.update(frame)]


MEANS: dict[str, tuple[dict[str, float], set[tuple[str, int]]]] = {
    "a fine day": ({"visibility": 9000.0, "wind": 4.0, "precipitation": 0.0, "friction": 0.8, "surface": Surface.DRY}, set()),
    "nothing measured": ({}, set()),
    "fog": ({"visibility": 120.0}, {("visibility", 1)}),
    "haze": ({"visibility": 250.0}, set()),
    "a gale": ({"wind": 18.0}, {("extreme_weather", 1)}),
    "a hurricane": ({"wind": 40.0}, {("extreme_weather", 3)}),
    "a cloudburst": ({"precipitation": 80.0}, {("extreme_weather", 0)}),
    "rain": ({"precipitation": 8.0, "surface": Surface.WET, "surface_temperature": 12.0}, set()),
    "ice, by its friction": ({"friction": 0.12, "surface": Surface.ICE, "surface_temperature": -4.0}, {("adhesion", 5)}),
    "something slippery on a warm road": ({"friction": 0.2, "surface_temperature": 20.0}, {("adhesion", 0)}),
    "ice, by the surface alone": ({"surface": Surface.ICE}, {("adhesion", 5)}),
    "snow": ({"surface": Surface.SNOW, "surface_temperature": -1.0}, {("adhesion", 4)}),
    "ice on a road of ten degrees is the device's error": ({"surface": Surface.ICE, "surface_temperature": 10.0}, set()),
    "snow that was gritted": ({"surface": Surface.SNOW, "surface_temperature": -1.0, "friction": 0.6}, set()),
    "a wet road that freezes": ({"surface": Surface.WET, "surface_temperature": -1.0}, {("adhesion", 6)}),
    "rain on a frozen road": ({"precipitation": 1.0, "surface_temperature": -2.0}, {("adhesion", 6)}),
    "cold and dry": ({"surface": Surface.DRY, "surface_temperature": -9.0}, set()),
    "a state of which we know nothing": ({"surface": 99.0}, set()),
    "everything": (
        {"visibility": 30.0, "wind": 30.0, "friction": 0.1},
        {("visibility", 1), ("extreme_weather", 1), ("adhesion", 0)},
    ),
}


@pytest.mark.parametrize("name", MEANS)
def test_what_numbers_mean(name: str) -> None:
    numbers, expected = MEANS[name]
    found = findings([road.station(7, 5.5, **numbers)])
    assert {(f.kind, f.subcause) for f in found} == expected
    assert all(f.reporters == {7} for f in found)
    assert all(f.time == road.T0 + 6000 for f in found)


def test_a_measurement_is_repeated_for_three_intervals() -> None:
    found = findings([road.station(7, 0.5, interval=120.0, visibility=90.0)], seconds=900)
    times = [(f.time - road.T0) / 1000 for f in found]
    assert max(np.diff(times)) <= 10.0
    assert 350 <= times[-1] <= 361


@pytest.mark.parametrize("every", [20.0, 300.0, 600.0])
def test_who_names_no_interval_is_believed_until_he_is_to_speak_again(every: float) -> None:
    """As road-weather stations do, some of which speak every ten minutes."""
    some = [road.station(7, every * k + 0.5, interval=float("nan"), friction=0.12) for k in range(4)]
    found = findings(some, seconds=round(every * 20))
    times = [0.0, *((f.time - road.T0) / 1000 for f in found)]
    assert max(np.diff(times)) <= 11.0
    assert 3 * every <= times[-1] <= max(every * 6, every * 3 + 60) + 11.0


def test_what_is_told_in_two_messages_of_one_moment_holds_for_as_long() -> None:
    messages = [{"wind": 3.0}, {"friction": 0.12}]
    some = [road.station(7, 600.0 * k + 0.5, interval=float("nan"), **said) for k in range(3) for said in messages]
    times = [(f.time - road.T0) / 1000 for f in findings(some, seconds=1800)]
    assert max(np.diff(times)) <= 11.0
    assert times[-1] >= 1790


def test_it_takes_more_to_let_go_than_to_take_up() -> None:
    def series(*visibilities: float) -> list[int]:
        some = [road.station(7, 60.0 * k + 0.5, visibility=v) for k, v in enumerate(visibilities)]
        return sorted({(f.time - road.T0) // 60_000 for f in findings(some, seconds=60 * len(visibilities) - 1)})

    assert series(150.0, 250.0, 150.0) == [0, 1, 2]
    assert series(250.0, 250.0) == []
    assert series(150.0, 350.0, 250.0) == [0]


def test_gusts_at_the_limit_do_not_take_turns() -> None:
    some = [road.station(7, 60.0 * k + 0.5, wind=wind) for k, wind in enumerate((30.0, 33.0, 32.0, 33.0, 31.0, 27.0, 32.0))]
    said = [f.subcause for f in findings(some, seconds=60 * len(some) - 1)]
    assert [a for a, b in zip(said, [0, *said], strict=False) if a != b] == [1, 3, 1]


def test_what_is_not_measured_this_time_still_holds() -> None:
    some = [road.station(7, 0.5, visibility=90.0), road.station(7, 60.5, wind=3.0), road.station(7, 120.5, visibility=5000.0)]
    found = findings(some, seconds=200)
    assert {f.kind for f in found} == {"visibility"}
    assert road.T0 + 110_000 <= found[-1].time <= road.T0 + 120_000


def test_the_onset_is_that_of_the_first_measurement() -> None:
    found = findings([road.station(7, 60.0 * k + 0.5, visibility=90.0) for k in range(5)])
    assert {f.onset for f in found} == {road.T0 + 500}


def test_what_has_not_held_for_long_is_not_taken_up_again() -> None:
    """After a gap haze is haze, although there was fog before it."""
    fog, haze = (road.station(7, at, interval=900.0, visibility=seen) for at, seen in ((0.5, 90.0), (3000.5, 250.0)))
    detector = Weather()
    found = [detector.update([*road.frames(NOBODY, some)][-1]) for some in (fog, haze)]
    assert found[0]
    assert found[1] == []


def drivers(shown: int, others: int, sign: Sign, every: float = 6.0) -> Rows:
    """Vehicles one after the other along 1200 m, the first of every group with the sign."""
    total = shown + others
    with_sign = set(np.linspace(0, total - 1, shown).astype(int).tolist()) if shown else set()
    some = [
        road.drive(100 + k, every * k, 60, 0.0, 0.0, 0.0, 20.0, **({"signs": int(sign)} if k in with_sign else {}))
        for k in range(total)
    ]
    return road.together(*some)


DRIVERS: dict[str, tuple[Any, int | None]] = {
    "most have fog lights on": (drivers(12, 3, Sign.FOG_LIGHTS), 1),
    "two forgot them": (drivers(2, 40, Sign.FOG_LIGHTS), None),
    "everybody wipes": (drivers(15, 0, Sign.WIPERS), 4),
    "half of them wipe: a drizzle": (drivers(10, 10, Sign.WIPERS), None),
    "one washes his windscreen": (drivers(1, 20, Sign.WIPERS), None),
    "four vehicles on an empty road wipe": (drivers(4, 0, Sign.WIPERS, every=40.0), None),
}


@pytest.mark.parametrize("name", DRIVERS)
def test_drivers(name: str) -> None:
    rows, subcause = DRIVERS[name]
    found = findings([], rows)
    assert {(f.kind, f.subcause) for f in found} == (set() if subcause is None else {("visibility", subcause)})
    assert all(len(f.reporters) >= 3 for f in found)
