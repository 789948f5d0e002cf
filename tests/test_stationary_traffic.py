"""Traffic that falls to a stand is found, one way only; free traffic, single stops and lights that all know are not it."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import zstandard

from detectors.crawlers import LATELY, Crawlers
from detectors.driven import BATCH, Driven
from detectors.forks import FORKED
from detectors.geometry import distance
from detectors.incident import Change
from detectors.incidents import Incidents
from detectors.model import OBSERVATION, Finding, Rows, Sign
from detectors.occurrences import CLUMP, COMES_BACK, KINDS, MANY, Occurrences
from detectors.place_rates import PlaceRates
from detectors.queues import FREED, LASTS, PASSED, REACH, TIME, USUAL, WAITS, Queues, _crawl
from detectors.slowing import SLOWER, Slowing
from detectors.standing import _lead, _pass
from detectors.stationary_traffic import CRAWLED, NOT_ON, SCOPES, StationaryTraffic, _weigh
from detectors.tracks import Tracks
from tests import road

TOWN = 14.0  # m/s
CRASH = 300  # s and 2000 m: see road.motorway
OPEN = Path(__file__).parents[1].parent / "shared" / "scenarios" / "open"


def findings(rows: Rows, seconds: int | None = None) -> list[Finding]:
    detector = StationaryTraffic()
    return [f for frame in road.believed(road.frames(rows, seconds=seconds)) for f in detector.update(frame)]


def opened(found: list[Finding]) -> list[Change]:
    end = max((f.time for f in found), default=0) + 1
    return [change for change in Incidents(0).advance(end, found) if change.status == "opened"]


def seconds(finding: Finding | Change) -> float:
    return ((finding.time if isinstance(finding, Finding) else finding.updated) - road.T0) / 1000.0


def north(finding: Finding | Change) -> float:
    return (finding.lat - road.LAT) / road.METRE


def street(until: int, every: int = 6) -> list[Rows]:
    """A town street of one lane northbound: 600 m, a vehicle each `every` seconds, positions that err."""
    dice = np.random.default_rng(7)
    rows = [road.drive(k + 1, k * every, 43, 0.0, 0.0, 0.0, TOWN) for k in range((until - 43) // every)]
    for some in rows:
        some["lon"] += (dice.normal(0, 1.2) + dice.normal(0, 0.9, len(some))) * road.METRE_EAST
    return rows


def stand(reporter: int, start: int, lasts: int, east: float, place: float, speed: float = TOWN, **columns: float) -> Rows:
    """Drives up to `place` m, stands there for `lasts` s, with the jitter of a live receiver, and drives on."""
    dice = np.random.default_rng(reporter)
    reach = int(place / speed)
    where = np.concatenate([np.arange(reach) * speed, np.full(lasts, place), place + np.arange(1, 10) * speed])
    out = road.rows(len(where), east + dice.normal(0, 0.9, len(where)), where + dice.normal(0, 0.9, len(where)))
    out["time"] += (start + np.arange(len(where))) * 1000
    out["speed"] = np.concatenate([np.full(reach, speed), np.zeros(lasts), np.full(9, speed)])
    out["reporter"] = reporter
    for name, value in columns.items():
        out[name] = value
    return out


def crash() -> Rows:
    rows = road.motorway()
    return rows[rows["time"] < road.T0 + 420_000]


def queue(until: int) -> Rows:
    """From 400 s on every vehicle of a road at 20 m/s ends in a queue, 8 m behind the one before, its head at 800 m."""
    flowing = [road.drive(k + 1, k * 4, 50, 0.0, 0.0, 0.0, 20.0) for k in range(90)]
    stuck = [stand(1000 + k, 360 + k * 4, 300, 0.0, 800.0 - 8 * k, speed=20.0) for k in range(60)]
    rows = road.together(*flowing, *stuck)
    return rows[rows["time"] < road.T0 + until * 1000]


def test_more_of_a_kind_than_a_clump_say_no_more() -> None:
    for reporters, wanted in ((range(9), ([CLUMP, 0, 0, CLUMP, 0], MANY)), ([1] * 9, ([1, 0, 0, 1, 0], 1))):
        some, across = Occurrences(), StationaryTraffic()._ground.across
        for k, reporter in enumerate(reporters):
            did = {"fell": True} if k < 5 else {"halted": True}
            some.note(road.seen(1, 0.0, reporter=reporter, **did), across, road.T0 + k * 1000)
        (tally,) = some.tallies(road.LAT, road.LON, 0.0, road.T0 + 9_000, [(30.0, 100.0)])
        assert (tally.counts, tally.reporters) == wanted
        assert (tally.first, tally.last) == (road.T0, road.T0 + 8_000)


def test_a_queue_is_one_incident_that_opens_at_its_head() -> None:
    (incident,) = opened(findings(queue(600)))
    assert 400 < seconds(incident) < 430
    assert abs(north(incident) - 800) < 50


def test_both_ends_of_a_queue_are_followed() -> None:
    last = [f for f in findings(queue(600)) if seconds(f) > 590]
    heads = [north(f) for f in last if f.kind == "stationary_vehicle"]
    tails = [north(f) for f in last if f.kind == "dangerous_end_of_queue"]
    assert min(heads) > 740
    assert max(tails) < 500  # 50 vehicles of 8 m


def test_a_crash_is_found_within_seconds() -> None:
    (incident,) = opened([f for f in findings(crash()) if f.heading < 90 or f.heading > 270])
    assert seconds(incident) < CRASH + 10
    assert abs(north(incident) - 2000) < 100


def test_flowing_traffic_is_not_news() -> None:
    assert not [f for f in findings(crash()) if seconds(f) < 200]
    assert not findings(road.together(*street(900)))


STANDS = {
    "a taxi stops for half a minute": (stand(9001, 700, 35, 0.0, 300.0), False),
    "a taxi with hazard lights stops for half a minute": (
        stand(9001, 700, 35, 0.0, 300.0, signs=float(Sign.HAZARD_LIGHTS)),
        False,
    ),
    "a vehicle stands in the lane": (stand(9001, 700, 150, 0.0, 300.0), True),
    "a vehicle is parked beside the lane": (stand(9001, 700, 150, 7.0, 300.0), False),
    "a vehicle stands in the lane before anything is known": (stand(9001, 10, 70, 0.0, 300.0), False),
}


@pytest.mark.parametrize(("rows", "wanted"), STANDS.values(), ids=STANDS.keys())
def test_standing_vehicles(rows: Rows, wanted: bool) -> None:
    found = findings(road.together(*street(900), rows))
    assert bool(found) == wanted
    assert all(f.kind == "stationary_vehicle" and abs(north(f) - 300) < 10 for f in found)


def test_who_stops_anew_after_a_gap_has_not_stood_since_the_last_stop() -> None:
    """It stood at one light, was not heard for a minute, and stands at the next: it has driven in between."""
    first, next_one = stand(9001, 700, 10, 0.0, 100.0), stand(9001, 770, 150, 0.0, 400.0)
    alone = findings(road.together(*street(1000), next_one[28:]))
    apart = findings(road.together(*street(1000), first[:17], next_one[28:]))
    assert alone
    assert [(seconds(f), dict(f.evidence)) for f in apart] == [(seconds(f), dict(f.evidence)) for f in alone]


def test_hazard_lights_make_it_a_breakdown_and_sooner() -> None:
    plain, blinking = (
        findings(road.together(*street(900), stand(9001, 700, 150, 0.0, 300.0, signs=float(signs))))
        for signs in (0, int(Sign.HAZARD_LIGHTS))
    )
    assert {f.kind for f in blinking} == {"breakdown"}
    assert blinking[0].time < plain[0].time


@pytest.mark.parametrize("offset", [0, 3, 5, 9])
def test_one_that_reports_every_ten_seconds_is_one_incident_whatever_its_clock(offset: int) -> None:
    """With some jitter. Of who is looked at every ten seconds, rows of one pane are not all that there is to see."""
    one = stand(9001, 700, 300, 0.0, 300.0)
    stands = np.arange(300) + 21  # rows; it drives before
    heard = stands[offset::10] + np.random.default_rng(offset).integers(0, 3, len(stands[offset::10]))
    told = one[np.concatenate([np.arange(0, 21, 10), heard[heard < len(one) - 10]])]
    changes = list(Incidents(0).advance(road.T0 + 1_010_000, findings(road.together(*street(1050), told))))
    assert [change.status for change in changes if change.status != "updated"] == ["opened"]


def test_who_stands_anew_elsewhere_is_judged_anew() -> None:
    """It reports every ten seconds, was told of, and is heard next where it stands 300 m on."""
    one, there = stand(9001, 700, 200, 0.0, 100.0)[7:207:10], stand(9001, 900, 150, 0.0, 400.0)[28:178:10]
    assert not one["speed"].any()
    assert not there["speed"].any()
    alone = findings(road.together(*street(1100), there))
    both = findings(road.together(*street(1100), one, there))
    assert {round(north(f), -2) for f in both if seconds(f) < 915} == {100}
    assert [seconds(f) for f in both if seconds(f) > 930] == [seconds(f) for f in alone]


def test_a_light_is_learned() -> None:
    """Every 90 s somebody waits at the light; that one waits there for long is not the news that it is elsewhere."""
    reds = [stand(8000 + k, 20 + 90 * k, 40, 0.0, 300.0) for k in range(16)]
    for since in (60, 900):  # while the light still works, and when nobody had to wait for a quarter of an hour
        waits = stand(9001, 1440 + since, 110, 0.0, 300.0)
        assert not findings(road.together(*street(1700 + since), *reds, waits))
        assert findings(road.together(*street(1700 + since), waits))


def test_a_unit_that_froze_is_not_a_standing_vehicle() -> None:
    """Speed gone from one second to the next, and the same position to the last digit: no vehicle does that."""
    frozen = road.drive(9001, 700, 21, 0.0, 0.0, 0.0, TOWN)
    rest = np.repeat(frozen[-1:], 150)
    rest["time"] += np.arange(1, 151) * 1000
    rest["speed"] = 0.0
    assert not findings(road.together(*street(900), frozen, rest))


def seen_in(rows: Rows) -> list[Rows]:
    tracks = Tracks()
    return [tracks.update(frame).rows for frame in road.frames(rows)]


def test_ten_rows_a_second_are_one_vehicle() -> None:
    rows = np.repeat(road.drive(1, 0, 30, 0.0, 0.0, 0.0, TOWN), 10)
    rows["time"] += np.tile(np.arange(10) * 100, 30)
    metres = sum(float((seen["speed"] * seen["seconds"]).sum()) for seen in seen_in(rows))
    assert metres == pytest.approx(29 * TOWN, rel=0.05)


@pytest.mark.parametrize(("accel", "wanted"), [(-6.0, 6.0), (6.0, 0.0), (math.nan, 0.0)])
def test_the_hardest_braking_is_remembered_and_fades(accel: float, wanted: float) -> None:
    rows = road.drive(1, 0, 15, 0.0, 0.0, 0.0, TOWN)
    rows["accel"][3] = accel
    decel = [float(seen["decel"][0]) for seen in seen_in(rows)]
    assert decel[3] == pytest.approx(wanted)
    assert decel[13] == pytest.approx(wanted / math.e, rel=0.01)  # after ten seconds


def test_how_long_one_stood_is_not_known_of_who_was_not_heard_when_it_left() -> None:
    stood = road.rows(12, 0.0, 0.0, np.arange(12), reporter=7, speed=0.0, heading=0.0)
    for silent, north, rested in ((1, 10.0, 12.0), (10, 100.0, 21.0), (60, 1500.0, 0.0)):
        drives = road.rows(1, 0.0, north, 11.0 + silent, reporter=7, speed=20.0, heading=0.0)
        assert seen_in(road.together(stood, drives))[-1]["rested"].tolist() == [rested]


def test_only_those_who_drive_the_same_way_pass_one_that_stands() -> None:
    """One has stood for a minute; beside it one drives, one creeps, one comes the other way, and one drives far away."""
    rows = road.seen(5, [0.0, 10.0, 10.0, 10.0, 60.0], speed=[0.0, 20.0, 3.0, 20.0, 20.0], heading=[0.0, 0.0, 0.0, 180.0, 0.0])
    passing = np.zeros((9, 2), np.int64)
    assert _pass(rows, rows[:1], passing) == 1
    assert passing[0].tolist() == [0, 1]
    assert _pass(rows, rows[:1], passing[:0]) == 1  # no room, but it says how much there has to be


def test_of_those_who_pass_one_that_stands_few_are_remembered() -> None:
    detector = StationaryTraffic()
    parked = stand(9001, 10, 600, 6.0, 300.0)
    for frame in road.frames(road.together(*street(600), parked), seconds=500):
        detector.update(frame)
    (stander,) = detector._standing._standers.values()
    assert len(stander.passed) == 3


@pytest.mark.parametrize(
    ("north", "speed", "heading", "waits"),
    [
        (30.0, 1.0, 0.0, True),
        (30.0, 10.0, 0.0, False),
        (-30.0, 1.0, 0.0, False),
        (30.0, 1.0, 90.0, False),
        (90.0, 1.0, 0.0, False),
    ],
)
def test_who_creeps_in_front_is_waited_for(north: float, speed: float, heading: float, waits: bool) -> None:
    (leads,) = _lead(road.seen(1), road.seen(1, north, speed=speed, heading=heading)).tolist()
    assert leads != waits


def test_a_queue_grows_by_those_who_crawl_beyond_what_is_known_of_it() -> None:
    rows = road.seen(4, [-20.0, -100.0, -120.0, -400.0], speed=[2.0, 2.0, 12.0, 2.0])
    places = np.array([[road.T0, road.LAT, road.LON, way, 20.0, 3.0, 0.0] for way in (0.0, 180.0)])
    apart = np.full(4, -1.0)
    _crawl(rows, places, road.T0 + 5_000, apart)
    assert apart.tolist() == pytest.approx([20.0, 100.0, -1.0, -1.0], rel=1e-6)  # the third is too fast, the fourth too far
    assert places[:, TIME].tolist() == [road.T0 + 5_000, road.T0]  # news of its own carriageway only
    assert places[:, PASSED].tolist() == [0.0, 3.0]


def open_road(until: int, every: int = 12, speed: float = 25.0) -> list[Rows]:
    """A road of 2 km northbound on which few report: one each `every` seconds."""
    return [road.drive(k + 1, k * every, int(2000 / speed), 0.0, 0.0, 0.0, speed) for k in range(until // every)]


def test_one_who_does_not_get_on_is_enough_where_others_drive_fast() -> None:
    """In the queue of a blocked lane, where it creeps for half a minute; the others drive past it."""
    stuck = stand(9001, 700, 40, 0.0, 1000.0, speed=25.0)
    (incident,) = opened(findings(road.together(*open_road(900), stuck)))
    assert 15 < seconds(incident) - 740 < 40
    assert abs(north(incident) - 1000) < 60
    assert (incident.reporters, incident.certainty) == (1, "Possible")
    assert dict(incident.evidence)["crawling_seconds"] >= 16.0


@pytest.mark.parametrize(("others", "news"), [(0, True), (2, True), (3, False), (6, False)])
def test_who_does_not_get_on_among_several_who_fell_is_not_alone(
    others: int, news: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their falls say what there is to say: at a merge some of a small jam always crawl. In this test they say nothing."""
    monkeypatch.setattr("detectors.stationary_traffic.SURPRISE", math.inf)
    fell = [stand(9002 + k, 701 + 2 * k, 6, 0.0, 980.0 - 20 * k, speed=25.0) for k in range(others)]
    found = findings(road.together(*open_road(900), stand(9001, 700, 40, 0.0, 1000.0, speed=25.0), *fell))
    assert bool(found) == news


@pytest.mark.parametrize(
    "stopped",
    [
        [stand(9001, 700, 40, 0.0, 1000.0, speed=25.0)],
        [stand(9001 + k, 700 + k, 12, 0.0, 1000.0 - 20 * k, speed=25.0) for k in range(3)],
    ],
    ids=["one who does not get on", "several who stop"],
)
def test_where_roads_join_or_part_it_is_less_of_a_surprise(stopped: list[Rows], monkeypatch: pytest.MonkeyPatch) -> None:
    rows = road.together(*open_road(900), *stopped)
    plain, *_ = findings(rows)
    monkeypatch.setattr("detectors.forks.Forks.spread", lambda *_: FORKED)
    at_a_ramp, *_ = findings(rows)
    assert at_a_ramp.score < plain.score - 0.3


def test_a_moment_of_crawling_is_no_news() -> None:
    assert not findings(road.together(*open_road(900), stand(9001, 700, 12, 0.0, 1000.0, speed=25.0)))


def test_who_does_not_get_on_where_many_do_not_is_no_news() -> None:
    often = [stand(8000 + k, 20 + 60 * k, 20, 0.0, 1000.0, speed=25.0) for k in range(25)]
    assert not [f for f in findings(road.together(*open_road(1700), *often)) if seconds(f) > 900]


def test_the_place_is_the_foremost_who_crawled() -> None:
    """The first creeps 300 m ahead of the second, too shortly to be noticed."""
    ahead = stand(9001, 660, 14, 0.0, 1300.0, speed=25.0)
    stuck = stand(9002, 740, 60, 0.0, 1000.0, speed=25.0)
    (incident,) = opened(findings(road.together(*open_road(900), ahead, stuck)))
    assert abs(north(incident) - 1300) < 20
    assert incident.reporters == 2


def test_the_place_is_no_farther_ahead_than_a_shard_sees_over_its_border() -> None:
    """Else the shard that owns the place may not know of all that lies 150 m behind him, and the one that does not own it keeps
    silent: at its border each shard sees 500 m of the other's."""
    some = Crawlers()
    some.note(road.seen(3, [340.0, 360.0, -100.0], reporter=[1, 2, 3]), road.T0)
    lat, lon, who = some.foremost(road.LAT, road.LON, 0.0)
    assert (lat, lon) == (pytest.approx(road.LAT + 340 * road.METRE), road.LON)
    assert who == {1}
    some.note(road.seen(0), road.T0 + LATELY)
    assert some.foremost(road.LAT, road.LON, 0.0) == (road.LAT, road.LON, frozenset())


def slowing(until: int) -> Rows:
    """From 600 s on everybody drives slower and slower, from 25 to 8 m/s; from 900 s on the road is a jam."""
    flows = [r for r in open_road(until, every=6) if r["time"][0] < road.T0 + 600_000]
    speeds = np.linspace(24.0, 8.0, 50)
    slower = [road.drive(2000 + k, 600 + 6 * k, int(2000 / v), 0.0, 0.0, 0.0, v) for k, v in enumerate(speeds.tolist())]
    stuck = [stand(9000 + k, 900 + 10 * k, 60, 0.0, 1200.0 - 20 * k, speed=12.0) for k in range(15)]
    return road.together(*flows, *slower, *stuck)


def test_a_jam_that_grew_is_known_and_nothing_is_said() -> None:
    assert not findings(slowing(1200))
    stuck = [stand(9000 + k, 900 + 10 * k, 60, 0.0, 1200.0 - 20 * k, speed=25.0) for k in range(15)]
    assert findings(road.together(*open_road(900, every=6), *stuck))


def test_a_jam_that_grows_ahead_is_known_where_it_has_not_slowed_anybody_yet() -> None:
    """For an hour everybody drives 20 m/s; then for three minutes half as fast, beyond 1200 m."""
    driven, slowing = Driven(), Slowing()
    places = np.arange(0.0, 2000.0, 20.0)
    for half_minute in range(126):
        slower = half_minute >= 120
        now = road.T0 + half_minute * BATCH
        driven.teach(now, slowing)
        driven.take(road.seen(100, places, speed=np.where(slower & (places > 1200.0), 10.0, 20.0)), now)
    here, back, jam = ((road.LAT + north * road.METRE, road.LON, 0.0, now) for north in (1000.0, 600.0, 1400.0))
    assert slowing.share(*here) > SLOWER
    assert slowing.doubt(*jam) > slowing.doubt(*here) > 0.5
    assert slowing.doubt(*back) == 0.0


@pytest.mark.parametrize(
    ("stood", "at", "known"),
    [
        ((1200.0, 1350.0), 400, True),
        ((800.0, 850.0), 400, False),  # behind
        ((1200.0, 1350.0), 760, False),  # it began just now
        ((1700.0, 1750.0), 400, False),  # a shard may not see so far over its border
    ],
    ids=["a jam", "behind", "now", "too far"],
)
def test_a_jam_that_comes_from_ahead_is_known(stood: tuple[float, ...], at: int, known: bool) -> None:
    """Nobody stood there so long that it was news."""
    ahead = [stand(9100 + k, at, 9, 0.0, place, speed=25.0) for k, place in enumerate(stood)]
    stuck = stand(9001, 860, 17, 0.0, 1000.0, speed=25.0)
    found = findings(road.together(*open_road(960), *ahead, stuck))
    assert bool([f for f in found if seconds(f) > 860]) != known


@pytest.mark.parametrize("apart", [0, 2, 4])
def test_who_falls_for_one_who_falls_is_no_witness(apart: int) -> None:
    """Two brake to a crawl and drive on: within three seconds the second one may do so for the first."""
    for_the_first = [stand(9000 + k, 860 + apart * k, 3, 0.0, 1000.0, speed=25.0) for k in range(2)]
    for rows in for_the_first:
        rows["accel"][rows["speed"] == 0.0] = -6.0
    found = findings(road.together(*open_road(960), *for_the_first))
    assert bool([f for f in found if seconds(f) > 860]) == (apart > 3)


@pytest.mark.parametrize(("fall", "told"), [(2, False), (4, True)])
def test_falls_that_are_too_many_for_a_known_jam_are_told(fall: int, told: bool) -> None:
    """What stood ahead minutes ago makes the first two known; two more who brake hard soon after are no jam."""
    ahead = [stand(9100 + k, 1100, 9, 0.0, place, speed=25.0) for k, place in enumerate((1200.0, 1350.0))]
    stuck = [stand(9000 + k, 1580 + 5 * k, 12, 0.0, 1000.0 - 10 * k, speed=25.0) for k in range(fall)]
    for rows in stuck:
        rows["accel"][rows["speed"] == 0.0] = -6.0
    found = findings(road.together(*open_road(1680), *ahead, *stuck))
    assert bool([f for f in found if seconds(f) > 1500]) == told


def test_a_queue_that_is_known_asks_for_more_and_one_that_was_told_of_for_no_end_of_it() -> None:
    some = queues()
    place = (road.LAT, road.LON, 0.0)
    assert some.asks(*place) == 0.0
    some.note(road.T0, *place, asked=5.0)
    some.note(road.T0, road.LAT + 100 * road.METRE, road.LON, 0.0)
    assert some.asks(*place) == 5.0
    some.note(road.T0, road.LAT - 100 * road.METRE, road.LON, 0.0, reported=True)
    assert some.asks(*place) == math.inf
    assert some.asks(road.LAT, road.LON, 180.0) == 0.0


def test_one_who_fell_ahead_may_have_had_his_own_reasons() -> None:
    some = Occurrences()
    for reporter, wanted in ((1, 0.5), (1, 0.5), (2, 1.0), (3, 1.0)):
        some.note(road.seen(1, 200.0, reporter=reporter, fell=True), StationaryTraffic()._ground.across, road.T0)
        assert some.jam_ahead(road.LAT, road.LON, 0.0, road.T0 + 300_000) == wanted * COMES_BACK


def test_where_nobody_fell_there_is_nothing_to_be_surprised_at() -> None:
    """As around one that has crept on since its fall, so long that the fall is forgotten."""
    where = road.LAT, road.LON, 0.0
    tallies = Occurrences().tallies(*where, road.T0, SCOPES)
    assert _weigh(tallies, PlaceRates(KINDS).at(*where, road.T0), 1)[0] == -math.inf


def test_a_cluster_is_what_was_done_near_lately_by_those_who_go_this_way() -> None:
    some, across = Occurrences(), StationaryTraffic()._ground.across
    done = [(0.0, 0.0, 0), (40.0, 0.0, 0), (90.0, 10.0, 20), (-99.0, 0.0, 25), (101.0, 0.0, 25), (0.0, 90.0, 25)]
    for reporter, (north, heading, second) in enumerate(done):
        halted = road.seen(1, north, reporter=reporter, heading=heading, halted=True)
        some.note(halted, across, road.T0 + second * 1000)
    assert some.cluster(road.LAT, road.LON, 0.0, road.T0 + 30_000, 30.0, 100.0)["reporter"].tolist() == [3, 2]
    assert some.cluster(road.LAT, road.LON, 0.0, road.T0 + 30_000, 31.0, 100.0)["reporter"].tolist() == [3, 2, 1, 0]


def test_who_does_not_get_on_before_anything_is_known_is_no_news() -> None:
    assert not findings(road.together(*open_road(290), stand(9001, 100, 60, 0.0, 1000.0, speed=25.0)))


def test_the_farther_others_would_have_driven_the_greater_the_surprise() -> None:
    scores = [
        findings(road.together(*open_road(960, speed=speed), stand(9001, 700, 20, 0.0, 1000.0, speed=speed)))[0].score
        for speed in (17.0, 25.0)
    ]
    assert scores[1] - scores[0] == pytest.approx(NOT_ON * (25.0 - 17.0) * CRAWLED, abs=0.1)


def queues() -> Queues:
    """One, from 1000 m to 1400 m, of which nothing but that was heard."""
    some = Queues(StationaryTraffic()._places)
    for place in range(1000, 1401, 100):
        some.note(road.T0, road.LAT + place * road.METRE, road.LON, 0.0, reported=place == 1000)
    some._places[:, USUAL] = 20.0
    return some


def ends(some: Queues, rows: Rows, at: int) -> list[float]:
    """Where its ends are reported at `at` s, m."""
    frame = next(road.silence(road.T0 + (at - 1) * 1000, 1))
    some.forget(frame.end)
    return sorted(round(north(f)) for f in some.ends(rows, frame))


def test_a_reported_queue_is_followed_while_it_is_known_wherever_in_it_somebody_crawls() -> None:
    some = queues()
    within = road.seen(1, [1200.0], speed=2.0)
    assert ends(some, within, 5) == ends(some, within, 100) == ends(some, within, 200) == [1000, 1400]
    assert ends(some, within, LASTS // 1000) == [1200]  # of the rest nothing was heard
    assert not ends(some, road.seen(0), LASTS // 1000 + 5)


def lives(rows: Rows) -> list[tuple[str, str, float]]:
    """Status, kind and second of what is told of these."""
    end = int(rows["time"][-1]) + 1000
    changes = Incidents(0).advance(end, [f for f in findings(rows) if f.time <= end])
    return [(c.status, c.kind, (c.updated - road.T0) / 1000) for c in changes if c.status != "updated"]


def thin_queue(silent: int, stands: int) -> Rows:
    """The last of six that stood left their queue at 455 s; from `silent` s later on one a minute stands in it."""
    flowing = [road.drive(k + 1, k * 4, 50, 0.0, 0.0, 0.0, 20.0) for k in range(90)]
    six = [stand(1000 + k, 360 + k * 4, 40, 0.0, 800.0 - 8 * k, speed=20.0) for k in range(6)]
    then = [stand(2000 + k, 415 + silent + 60 * k, stands, 0.0, 800.0 - 8 * (k % 3), speed=20.0) for k in range(6)]
    return road.together(*flowing, *six, *then)


@pytest.mark.parametrize("silent", [125, 180, 235])
def test_who_waits_in_a_queue_of_which_nothing_was_heard_for_minutes_opens_it_anew(silent: int) -> None:
    [first, over, anew, *rest] = lives(thin_queue(silent, 100))
    assert (first[0], over, not rest) == ("opened", ("cleared", first[1], 575.0), True)
    assert anew[0] == "opened"
    assert 0 <= anew[2] - (455 + silent) - WAITS / 1000 <= 5


def test_who_moves_on_in_what_is_left_of_a_queue_opens_nothing() -> None:
    assert [status for status, _, _ in lives(thin_queue(125, 50))] == ["opened", "cleared"]


def opens(some: Queues, at: int, place: float, stood: int) -> list[int]:
    """Where a queue is opened at `at` s, m, by one who has stood at `place` m since `stood` s."""
    frame = next(road.silence(road.T0 + (at - 1) * 1000, 1))
    found = some.ends(road.seen(1, [place], speed=0.0, stood=road.T0 + stood * 1000), frame)
    assert all(dict(f.evidence) == {"standing_seconds": at - stood} for f in found if f.opens)
    return [round(north(f)) for f in found if f.opens]


def test_it_is_opened_anew_at_its_tail_and_once() -> None:
    some = queues()
    assert ends(some, road.seen(1, [1200.0], speed=2.0), 5) == [1000, 1400]
    assert not opens(some, 185, 1200.0, 130)  # for less than a minute
    assert opens(some, 190, 1200.0, 130) == [1000]
    assert not opens(some, 195, 1200.0, 130)


def test_who_comes_when_a_queue_would_be_forgotten_opens_nothing() -> None:
    some = queues()
    assert ends(some, road.seen(1, [1200.0], speed=2.0), 5) == [1000, 1400]
    some.note(road.T0 + 200_000, road.LAT + 1200 * road.METRE, road.LON, 0.0)  # somebody fell there
    lasts = 5 + LASTS // 1000
    assert not opens(some, lasts + 65, 1200.0, lasts + 1)
    assert opens(some, lasts + 65, 1200.0, lasts)


def test_a_queue_of_which_nothing_is_told_any_more_is_forgotten_though_somebody_crawls_in_it() -> None:
    some = queues()
    assert ends(some, road.seen(1, [1000.0], speed=2.0), 5) == [1000, 1400]
    some.note(road.T0 + 6_000, road.LAT + 950 * road.METRE, road.LON, 0.0)  # grows, and nobody crawls in it until it is over
    some._places[:, USUAL] = 20.0
    for at in range(130, 135 + LASTS // 1000, 5):
        assert not ends(some, road.seen(1, [955.0], speed=2.0), at)
    assert not some.holds(road.LAT + 950 * road.METRE, road.LON, 0.0)


def test_who_was_reported_before_a_queue_came_to_him_is_not_forgotten_in_it() -> None:
    """A vehicle that stands in a lane of a town, until traffic gets slower and stops behind it: its incident must not end."""
    free = [*street(1143), stand(9001, 900, 1500, 0.0, 300.0)]
    speeds = [13.0 - 0.25 * k for k in range(30)]
    slower = [road.drive(3000 + k, 1100 + 6 * k, round(600.0 / v), 0.0, 0.0, 0.0, v) for k, v in enumerate(speeds)]
    behind = [stand(4000 + k, 1400 + 8 * k, 24, 0.0, 275.0 - 8 * (k % 3), speed=12.0) for k in range(100)]
    rows = road.together(*free, *slower, *behind)
    found = findings(rows[rows["time"] < road.T0 + 2_300_000])
    assert max(seconds(f) for f in found if 9001 in f.reporters) > 2250


def test_a_queue_is_over_where_many_pass_freely_and_nobody_slow_in_between() -> None:
    some = queues()
    free = road.seen(5, [1000.0] * 4 + [1400.0], speed=[20.0] * 4 + [2.0])  # somebody crawls at the head
    slow = road.seen(2, [1010.0, 1400.0], speed=2.0)
    assert FREED / 2 <= 4 * 20.0 * 5.0 / 80.0 < FREED
    assert ends(some, free, 5) == ends(some, slow, 10) == ends(some, free, 15) == [1000, 1400]
    assert ends(some, free, 20) == [1000, 1400]  # ten since the last slow one
    assert ends(some, free, 25) == [1100, 1400]
    assert not some.holds(road.LAT + (1100 - REACH - 1) * road.METRE, road.LON, 0.0)


def recording(name: str, until: int) -> Rows:
    """The first `until` seconds of an open recording, in order; without the rules of lateness."""
    path = OPEN / name / "events.jsonl.zst"
    if not path.exists():
        pytest.skip(f"needs the labelled recording shared/scenarios/open/{name} beside the repository")
    start = json.loads((OPEN / name / "meta.json").read_text())["start_ms"]
    kept = []
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as stream:
        for line in io.TextIOWrapper(stream):
            seen = json.loads(line)
            if seen["rx"] - start > until * 1000:
                break
            signs = (Sign.HARD_BRAKE if seen.get("ev") else 0) | (Sign.HAZARD_LIGHTS if seen.get("hz") else 0)
            place = seen["lat"], seen["lon"], seen["v"], seen["hdg"], seen["ax"]
            kept.append((seen["ts"], int(seen["id"], 16), 0, *place, int(signs)))
    rows = np.array(kept, OBSERVATION)
    return rows[np.lexsort((rows["reporter"], rows["time"]))]


def test_an_open_recording() -> None:
    """The first quarter of an hour of a simulated motorway: a breakdown at 403 s and a crash at 716 s are found soon."""
    rows = recording("motorway-sz-1", 900)
    truth = [json.loads(line) for line in (OPEN / "motorway-sz-1" / "truth.jsonl").read_text().splitlines()]
    detector, found = StationaryTraffic(), []
    first = int(rows["time"][0]) // 1000 * 1000
    edges = np.arange(first, int(rows["time"][-1]) + 2000, 1000)
    cuts = np.searchsorted(rows["time"], edges)
    empty = next(road.silence(0, 1))
    for start, end, a, b in zip(edges, edges[1:], cuts, cuts[1:], strict=False):
        frame = type(empty)(int(start), int(end), rows[a:b], empty.sensors, empty.readings)
        found += detector.update(frame)
    changes = opened(found)
    for one in truth:
        if one["id"] in ("I00", "I01"):
            near = [c for c in changes if distance(c.lat, c.lon, one["lat"], one["lon"]) < 300]
            assert any(0 <= c.updated - one["start"] <= 120_000 for c in near), one["id"]
    assert len(changes) <= 4
    assert not any(math.isnan(c.heading) for c in changes)
