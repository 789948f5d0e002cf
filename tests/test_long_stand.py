"""One vehicle that stands much longer than anybody: found; reds, taxis, parked-up and stuck transmitters: not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detectors.long_stand import ENOUGH, LongStand
from detectors.model import Finding, Rows
from tests import road

LEARNING = 3_000  # s of lights before anything happens
RED = 45  # s


def lights(seconds: int, vehicles: int = 4, seed: int = 3) -> Rows:
    """Vehicles that stop at a light for some seconds up to RED, then drive on, over and over."""
    dice = np.random.default_rng(seed)
    some = []
    reporter = 100
    for start in range(0, seconds, 90):
        for k in range(vehicles):
            waits = int(dice.uniform(8, RED))
            reporter += 1
            some.append(road.drive(reporter, start, 20, 0.0, -300.0 + 7 * k, 0.0, 10.0))
            some.append(stand(reporter, start + 20, waits, north=-100.0 - 7.0 * k))
            some.append(road.drive(reporter, start + 20 + waits, 15, 0.0, -90.0, 0.0, 10.0))
    return road.together(*some)


def stand(reporter: int, start: float, seconds: int, north: float = 0.0, trembles: float = 0.5, **columns: float) -> Rows:
    """A vehicle that stands; its receiver's position trembles by half a metre."""
    dice = np.random.default_rng(reporter)
    seen = road.drive(reporter, start, seconds, 0.0, north, 0.0, 0.0)
    for name, value in columns.items():
        seen[name] = value
    seen["lat"] += dice.normal(0, trembles, len(seen)) * road.METRE
    seen["lon"] += dice.normal(0, trembles, len(seen)) * road.METRE_EAST
    return seen


def found(*some: Rows) -> list[Finding]:
    detector = LongStand()
    return [finding for frame in road.frames(road.together(*some)) for finding in detector.update(frame)]


def test_a_vehicle_that_does_not_drive_on_is_found() -> None:
    findings = found(lights(LEARNING), stand(7, LEARNING, 300, north=50.0))
    assert findings
    first = findings[0]
    assert (first.kind, first.reporters) == ("stationary_vehicle", frozenset({7}))
    assert first.onset == road.T0 + LEARNING * 1000
    assert RED * 1000 < first.time - first.onset < 250_000
    assert findings[-1].time == road.T0 + (LEARNING + 300) * 1000  # for as long as it stands
    assert findings[-1].score > first.score


def test_who_drives_on_for_a_moment_begins_to_stand_anew() -> None:
    creeps = road.drive(7, LEARNING + 100, 2, 0.0, 50.0, 0.0, 3.0)
    findings = found(lights(LEARNING), stand(7, LEARNING, 100, north=50.0), creeps, stand(7, LEARNING + 102, 300, north=56.0))
    assert {f.onset for f in findings} == {road.T0 + (LEARNING + 102) * 1000}


@pytest.mark.parametrize(("first", "then", "stands"), [(1.0, 0.0, True), (0.0, 1.0, False)])
def test_the_newest_of_several_rows_a_second_counts(first: float, then: float, stands: bool) -> None:
    both = stand(7, LEARNING, 300, speed=first), stand(7, LEARNING + 0.5, 300, speed=then)
    assert bool(found(lights(LEARNING), *both)) == stands


def test_reds_are_usual() -> None:
    assert found(lights(2 * LEARNING)) == []


def test_nobody_is_accused_before_the_fleet_has_shown_how_long_it_stops() -> None:
    assert found(stand(7, 0, 250)) == []


@pytest.mark.parametrize(
    ("east", "heading", "tells"),
    [(0.0, 0.0, True), (3.5, 0.0, True), (20.0, 0.0, False), (5_000.0, 0.0, False), (0.0, 90.0, False)],
)
def test_where_nobody_drives_nobody_is_in_the_way(east: float, heading: float, tells: bool) -> None:
    """On a car park beside the road, at a charger far from any, and across the lanes, as from a yard."""
    parked = stand(7, LEARNING, 600, north=50.0, lon=road.LON + east * road.METRE_EAST, heading=heading)
    assert bool(found(lights(LEARNING), parked)) == tells


@pytest.mark.parametrize("pane", [1_000, 20_000])
def test_who_drove_past_is_counted_alike_by_short_and_by_long_panes(pane: int) -> None:
    """Rows of a pane stand for all of it: counted as five seconds each, in panes of twenty a road was hardly driven on."""
    passing = road.together(*(road.drive(100 + k, 7 * k, 60, 0.0, -300.0, 0.0, 10.0) for k in range(100)))
    detector = LongStand()
    for frame in road.frames(passing, pane=pane):
        detector.update(frame)
    driving = detector._across.driving(road.LAT, road.LON, 0.0, road.T0 + 760_000)
    assert driving is not None
    assert driving.passes == pytest.approx(100.0, rel=0.3)


def test_a_receiver_that_repeats_itself_is_not_believed() -> None:
    assert found(lights(LEARNING), stand(7, LEARNING, 600, trembles=0.0)) == []


def test_who_stands_behind_it_is_a_witness() -> None:
    findings = found(lights(LEARNING), stand(7, LEARNING, 300), stand(8, LEARNING + 5, 295, north=-15.0))
    assert findings[-1].reporters == frozenset({7, 8})


def test_a_vehicle_that_is_switched_off_is_let_go() -> None:
    findings = found(lights(LEARNING), stand(7, LEARNING, 200), road.drive(9, LEARNING, 600, 0.0, 500.0, 0.0, 1.0))
    assert findings[-1].time <= road.T0 + (LEARNING + 200 + 35) * 1000


def test_at_a_stop_line_lengths_tell_nothing() -> None:
    """Somebody waits five minutes for a gap where everybody stops."""
    assert found(lights(LEARNING), stand(7, LEARNING, 300, north=-100.0)) == []


def test_where_nobody_stops_it_takes_less() -> None:
    kerb = [stand(1000 + k, 600 * k, 10, north=50.0) for k in range(4)]  # now and then somebody is let out
    drives_on = [road.drive(1000 + k, 600 * k + 10, 5, 0.0, 50.0, 0.0, 8.0) for k in range(4)]
    first = found(lights(LEARNING), stand(7, LEARNING, 300, north=50.0))[0]
    first_at_a_kerb = found(lights(LEARNING), *kerb, *drives_on, stand(7, LEARNING, 300, north=50.0))[0]
    assert first.time < first_at_a_kerb.time


def test_a_spot_that_was_hardly_watched_is_judged_by_longer_stands() -> None:
    early, late = (found(lights(2 * LEARNING), stand(7, after, 300, north=50.0))[0] for after in (1500, 2 * LEARNING))
    assert late.time - late.onset < early.time - early.onset


def test_a_rank_at_which_one_stands_long_after_the_other_becomes_one() -> None:
    """Ten minutes each, two at a time, on the road's own side: the first are told of, and those of an hour later are not."""
    some, seconds = [lights(LEARNING + 6000)], 600
    for k in range(20):
        start = LEARNING + 300 * k
        some.append(stand(1_000_000 + k, start, seconds - 10, north=50.0))
        some.append(road.drive(1_000_000 + k, start + seconds - 10, 10, 0.0, 55.0, 0.0, 10.0))
    told = {name - 1_000_000 for finding in found(*some) for name in finding.reporters}
    assert 0 in told
    assert max(told) < 12


def test_places_where_nobody_stops_any_more_are_forgotten() -> None:
    detector = LongStand()
    for frame in road.frames(lights(LEARNING)):
        detector.update(frame)
    assert len(detector._spots) > len(detector._places) > 0
    later = frame.end + 10 * 86_400_000
    detector.update(replace(frame, start=later - 5000, end=later, observations=frame.observations[:0]))
    assert len(detector._spots) == len(detector._places) == 0


def test_days_without_a_stop_say_little_of_who_has_to() -> None:
    """However long a spot was watched: ten days of nobody's stopping make a stand no more surprising than one."""
    first = []
    for days in (1, 10):
        detector = LongStand()
        detector._begun = road.T0 - days * 86_400_000
        seen = road.together(lights(LEARNING), stand(7, LEARNING, 300, north=50.0))
        first.append(next(finding.time for frame in road.frames(seen) for finding in detector.update(frame)))
    assert first[0] == first[1]


def test_a_stop_line_is_one_whichever_way_its_vehicles_seem_to_point() -> None:
    """Headings of those that stand err by some degrees, over the border between two of eight directions."""
    stops = [stand(1000 + k, 60 * k, 10, north=50.0, heading=20.0) for k in range(LEARNING // 60)]
    drives_on = [road.drive(1000 + k, 60 * k + 10, 5, 0.0, 50.0, 20.0, 8.0) for k in range(LEARNING // 60)]
    assert found(lights(LEARNING), *stops, *drives_on, stand(7, LEARNING, 300, north=50.0, heading=25.0)) == []


def test_a_place_where_all_stand_long_learns_it() -> None:
    """A level crossing: two minutes are nothing there."""
    crossing = [stand(1000 + k, 90 * k, 120, north=5000.0) for k in range(60)]
    drives_on = [road.drive(1000 + k, 90 * k + 120, 5, 0.0, 5000.0, 0.0, 8.0) for k in range(60)]
    late = [f for f in found(lights(5400), *crossing, *drives_on) if f.time > road.T0 + 3_000_000]
    assert late == []


@pytest.mark.parametrize("missing", ["speed", "heading"])
def test_missing_values_do_no_harm(missing: str) -> None:
    holes = stand(7, LEARNING, 300)
    holes[missing][::2] = np.nan
    assert found(lights(ENOUGH * 30), holes)
