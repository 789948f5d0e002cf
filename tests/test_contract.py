"""What every detector of the catalogue has to keep, because it is in it."""

from __future__ import annotations

import ast
import math
import pickle
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from detectors import CATALOGUE
from detectors.incident import Change
from detectors.incidents import Incidents
from detectors.model import CAUSES, NOTICE, OBSERVATION, READING, SENSOR, Detector, Finding, Frame, Rows, Sign, Surface
from tests import road

HOUR = 3_600
PER_CELL = 8_192  # bytes that a busy H3 cell may cost a detector
PER_VEHICLE = 512  # bytes that a vehicle whose identity lasts, an EV's, may cost
FRESH = 4_096  # bytes beside an empty detector's own that are as good as nothing

every = pytest.mark.parametrize("make", CATALOGUE, ids=lambda make: make.__name__)


def stations() -> Rows:
    """A device that measures good weather, then fog, ice and wind, then good weather."""
    some = []
    for k in range(10):
        bad = 3 <= k < 7
        some.append(
            road.station(
                7,
                k * 60.0 + 1,
                visibility=80.0 if bad else 5000.0,
                wind=25.0 if bad else 3.0,
                friction=0.15 if bad else 0.8,
                surface_temperature=-2.0 if bad else 5.0,
                surface=float(Surface.ICE if bad else Surface.DRY),
            )
        )
    return road.together(*some, *loops(), *lanes(), dtype=SENSOR)


def loops() -> list[Rows]:
    """Two stations of a road; behind the first, traffic jams after seven minutes, and fewer pass the second."""
    some = []
    for k in range(20):
        jam = k >= 14
        for name, north in ((8, 0.0), (9, 600.0)):
            speed, volume = (5.0, 900.0) if jam and name == 8 else (24.0, 900.0 if jam else 3000.0)
            some.append(road.station(name, 30.0 * k + 30, 30.0, north, heading=0.0, speed=speed, volume=volume))
    return some


def lanes() -> list[Rows]:
    """A station that counts by lane; after six minutes hardly anybody takes the first one."""
    some = []
    for k in range(24):
        row = road.station(10, 25.0 * k + 25, 25.0, heading=0.0)
        row["lane_volume"][0, :2] = (3240.0, 3960.0) if k < 16 else (0.0, 5400.0)
        row["lane_speed"][0, :2] = (25.0 if k < 16 else math.nan), 28.0
        some.append(row)
    return some


def batteries(vehicles: int = 6, seconds: int = 600) -> Rows:
    """EVs every 10 s; the first grows hot and says so."""
    times = np.arange(0, seconds, 10)
    out = np.zeros(vehicles * len(times), READING)
    which, at = np.repeat(np.arange(vehicles), len(times)), np.tile(times, vehicles)
    out["time"], out["reporter"] = road.T0 + at * 1000 + which, which + 70_000
    out["lat"], out["lon"] = road.LAT + 100 * which * road.METRE, road.LON
    plain = {"speed": 10.0, "mileage": 1000.0, "soc": 0.6, "voltage": 360.0, "current": 20.0, "insulation": 5e6}
    cells = {"cell_voltage_max": 3.71, "cell_voltage_min": 3.70, "cell_voltage_mean": 3.705}
    for name, value in {**plain, **cells, "temperature_max": 30.0, "temperature_min": 28.0, "motor_temperature": 50.0}.items():
        out[name] = value
    hot = (which == 0) & (at > 300)
    out["temperature_max"][hot], out["alarms"][hot], out["alarm_level"][hot] = 75.0, 1 << 1, 3
    out["state"], out["charging"] = 1, 3
    return out[np.lexsort((out["reporter"], out["time"]))]


def notices() -> Rows:
    """Two stations that warn of people on the road; one of them takes it back."""
    said = [road.notice(5000, 200.0 + k, 12, 700.0, heading=0.0) for k in range(0, 60, 5)]
    also = [road.notice(5001, 210.0 + k, 12, 720.0, heading=0.0) for k in range(3)]
    return road.together(*said, *also, road.notice(5000, 280.0, 0, 700.0, ended=1), dtype=NOTICE)


@lru_cache(maxsize=1)
def stream() -> tuple[Frame, ...]:
    return tuple(road.frames(road.motorway(), stations(), batteries(), notices()))


def feed(detector: Detector, some: Iterable[Frame]) -> list[Finding]:
    return [finding for frame in some for finding in detector.update(frame)]


def size(detector: Detector) -> int:
    return len(pickle.dumps(detector, protocol=5))


def opened(findings: list[Finding], until: int) -> list[Change]:
    return [change for change in Incidents(0).advance(until, findings) if change.status == "opened"]


def test_the_stream_has_something_for_the_catalogue() -> None:
    quiet = [make.__name__ for make in CATALOGUE if not feed(make(), stream())]
    assert quiet == []


@every
def test_detectors_do_not_import_one_another(make: type[Detector]) -> None:
    others = {other.__module__ for other in CATALOGUE} - {make.__module__}
    tree = ast.parse(Path(sys.modules[make.__module__].__file__ or "").read_text("utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not imported & others


@every
def test_kinds_are_causes_and_findings_are_sound(make: type[Detector]) -> None:
    assert make.kinds
    assert set(make.kinds) <= set(CAUSES)
    detector = make()
    for frame in stream():
        for f in detector.update(frame):
            assert f.kind in make.kinds
            assert f.time == frame.end
            assert 0 < f.onset <= f.time
            assert all(map(math.isfinite, (f.lat, f.lon, f.radius, f.score)))
            assert math.isnan(f.heading) or 0 <= f.heading < 360
            assert f.radius >= 0
            assert f.reporters
            assert all(type(name) is int for name in f.reporters)
            assert all(type(value) is float for _, value in f.evidence)
            assert list(f.evidence) == sorted(f.evidence)


@every
def test_the_whole_is_its_parts_and_pickling_changes_nothing(make: type[Detector]) -> None:
    whole, found = make(), []
    parted: Detector = make()
    for k, frame in enumerate(stream()):
        found.append((whole.update(frame), parted.update(frame)))
        if k % 37 == 0:
            parted = pickle.loads(pickle.dumps(parted, protocol=5))
    assert repr([a for a, _ in found]) == repr([b for _, b in found])


@every
def test_the_same_rows_give_the_same_findings(make: type[Detector]) -> None:
    """However they came: shuffled and brought into the frames' order again, in memory of its own."""
    dice = np.random.default_rng(5)
    again = []
    for frame in stream():
        tables = []
        for table in (frame.observations, frame.sensors, frame.readings, frame.notices):
            mixed = table[dice.permutation(len(table))]
            tables.append(mixed[np.lexsort((mixed["reporter"], mixed["time"]))])
        again.append(Frame(frame.start, frame.end, *tables))
    assert repr(feed(make(), stream())) == repr(feed(make(), again))


@every
def test_an_hour_of_silence_leaves_places_and_no_vehicles(make: type[Detector]) -> None:
    detector, fresh = make(), size(make())
    feed(detector, stream())
    end = stream()[-1].end
    assert not [f for f in feed(detector, road.silence(end, HOUR, 10_000)) if f.time > end + 1_800_000]
    cells = len({cell for frame in stream() for cell in np.unique(frame.observations["cell"]).tolist()})
    vehicles = len({name for frame in stream() for name in np.unique(frame.readings["reporter"]).tolist()})
    assert size(detector) <= fresh + FRESH + PER_CELL * cells + PER_VEHICLE * vehicles


@every
def test_a_season_of_silence_leaves_nothing(make: type[Detector]) -> None:
    detector, fresh = make(), size(make())
    feed(detector, stream())
    feed(detector, road.silence(stream()[-1].end + 100 * 24 * HOUR * 1000, 300, 1000))
    assert size(detector) <= fresh + FRESH


@every
def test_what_is_found_is_found_again_after_a_season(make: type[Detector]) -> None:
    """Of a road that is closed in winter, or by a worker whose store was put away: what fades must not fade to nothing."""
    detector, season = make(), 100 * 24 * HOUR * 1000
    found = [feed(detector, some) for some in (stream(), [road.later(frame, season) for frame in stream()])]
    assert {f.kind for f in found[1]} == {f.kind for f in found[0]}
    assert opened(found[1], stream()[-1].end + season)


@every
def test_more_vehicles_on_the_same_road_cost_no_more(make: type[Detector]) -> None:
    """Temporary ids change every few minutes: state that grew with them would grow for ever."""
    detector, held = make(), []
    for again in range(2):
        more = road.motorway(seed=again)
        more["time"] += again * 2 * HOUR * 1000
        more["reporter"] += again * 1_000_000
        feed(detector, road.frames(more, start=again * 2 * HOUR))
        feed(detector, road.silence(road.T0 + (again * 2 * HOUR + 600) * 1000, HOUR, 10_000))
        held.append(size(detector))
    assert held[1] <= 1.4 * held[0] + FRESH


@every
def test_missing_values_are_tolerated(make: type[Detector]) -> None:
    dice = np.random.default_rng(3)
    detector = make()
    for frame in stream():
        tables = []
        for table in (frame.observations, frame.sensors, frame.readings, frame.notices):
            holes, must = table.copy(), () if table.dtype is READING else ("lat", "lon")
            for name in holes.dtype.names or ():
                if holes.dtype[name].kind == "f" and name not in must:
                    holes[name][dice.random(len(holes)) < 0.5] = np.nan
            tables.append(holes)
        for f in detector.update(Frame(frame.start, frame.end, *tables)):
            assert math.isfinite(f.score)
            assert math.isfinite(f.radius)


@every
def test_nothing_but_missing_values_is_tolerated(make: type[Detector]) -> None:
    blank = []
    for dtype in (OBSERVATION, SENSOR, READING, NOTICE):
        table = np.zeros(50, dtype)
        for name in dtype.names or ():
            if dtype[name].kind == "f":
                table[name] = np.nan
        table["time"], table["reporter"] = road.T0 + np.arange(50), np.arange(50)
        if dtype is not READING:
            table["lat"], table["lon"] = road.LAT, road.LON
        blank.append(table)
    assert feed(make(), [Frame(road.T0 + 1000 * k, road.T0 + 1000 * (k + 1), *blank) for k in range(30)]) == []


@every
@pytest.mark.parametrize("hours", [0, 192])
def test_a_long_gap_is_no_news(make: type[Detector], hours: int) -> None:
    """A shard sleeps after half an hour without a row: then its detectors see a frame an hour, and after eight days none."""
    detector = make()
    ordinary = [frame for frame in stream() if frame.end <= road.T0 + 180_000]
    assert feed(detector, ordinary) == []
    nothing = [np.empty(0, dtype) for dtype in (OBSERVATION, SENSOR, READING, NOTICE)]
    hourly = [road.T0 + hour * HOUR * 1000 for hour in range(1, hours + 1)]
    assert feed(detector, [Frame(start, start + 1000, *nothing) for start in hourly]) == []
    later = 30 * 24 * HOUR * 1000
    for frame in ordinary:
        tables = [table.copy() for table in (frame.observations, frame.sensors, frame.readings, frame.notices)]
        for table in tables:
            table["time"] += later
        assert detector.update(Frame(frame.start + later, frame.end + later, *tables)) == []


@every
@pytest.mark.parametrize(("east", "north"), [(137.0, 211.0), (1003.0, -457.0), (8.0, -21.0)])
def test_the_world_may_lie_anywhere(make: type[Detector], east: float, north: float) -> None:
    """The same incidents, moved: no detection depends on where the grid lies."""
    end = stream()[-1].end
    here = opened(feed(make(), stream()), end)
    far = road.frames(*(road.moved(some, east, north) for some in (road.motorway(), stations(), batteries(), notices())))
    there = opened(feed(make(), far), end)
    assert [c.kind for c in here] == [c.kind for c in there]
    for a, b in zip(here, there, strict=True):
        off_north = (b.lat - a.lat) / road.METRE - north
        off_east = (b.lon - a.lon) / road.METRE_EAST - east
        assert math.hypot(off_north, off_east) < 60.0
        assert abs(a.opened - b.opened) <= 5_000


@every
@pytest.mark.parametrize("pole", [90.0, -90.0, 89.9999])
def test_a_vehicle_at_a_pole_takes_no_longer_than_others(make: type[Detector], pole: float) -> None:
    """Squares of degrees are narrow there, and those within so many metres without number."""
    detector = make()
    signs = int(Sign.ABS | Sign.HARD_BRAKE | Sign.WIPERS)
    for second in range(120):
        rows = road.rows(3, seconds=second, reporter=np.arange(3), speed=20.0 if second < 60 else 0.0, heading=0.0, signs=signs)
        rows["lat"], rows["lon"] = pole, np.arange(3.0)
        (frame,) = road.frames(rows, start=second)
        assert isinstance(detector.update(frame), list)
