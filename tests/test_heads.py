"""The head of a queue that stays is found inside a jam too; waves, merges, ramps and lights have none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from detectors.heads import APART, LASTED, LEAST, ONE_PLACE, Heads, at_one_place
from detectors.incidents import Incidents
from detectors.model import Finding, Rows
from detectors.place_rates import Usual
from detectors.stationary_traffic import StationaryTraffic
from tests import road

HEAD = 1000.0  # m
WARM = 400  # s
Legs = list[tuple[float, float]]  # (until which metre, m/s), the last one to the end of the road


def drive(reporter: int, start: float, legs: Legs, end: float = 1600.0, east: float = 0.0) -> Rows:
    """Northbound from the origin, once a second, one leg after the other."""
    north, speeds, at = [0.0], [legs[0][1]], 0.0
    while at < end:
        speed = next((v for until, v in legs if at < until), legs[-1][1])
        at += speed
        north.append(at)
        speeds.append(speed)
    n = len(north)
    return road.rows(n, east, north, start + np.arange(n), reporter=reporter, speed=speeds)


def flow(until: int, every: int = 4) -> list[Rows]:
    return [drive(k + 1, k * every, [(1600.0, 22.0)]) for k in range(until // every)]


def crawl(speed: float, beyond: float, head: float = HEAD, length: float = 120.0) -> Legs:
    return [(head - length, 22.0), (head, speed), (1600.0, beyond)]


def heads(*some: Rows) -> list[Finding]:
    """What is said of heads."""
    detector = StationaryTraffic()
    found = [f for frame in road.believed(road.frames(road.together(*some))) for f in detector.update(frame)]
    return [f for f in found if "leaving_vehicles" in dict(f.evidence)]


def metre(finding: Finding) -> float:
    return (finding.lat - road.LAT) / road.METRE


def test_a_head_that_stays_is_found_where_it_is() -> None:
    slow = [drive(1000 + k, WARM + 10 * k, crawl(1.6, 20.0)) for k in range(30)]
    found = heads(*flow(WARM), *slow)
    assert found
    assert all(abs(metre(f) - HEAD) < 15 for f in found)
    first = found[0]
    assert first.kind == "stationary_vehicle"
    assert first.time - first.onset >= LASTED
    said = dict(first.evidence)
    assert said["speed_behind"] < 3.0 < 10.0 < said["speed_beyond"]
    assert first.score >= ONE_PLACE
    assert len(first.reporters) == said["leaving_vehicles"] >= 4


@pytest.mark.parametrize(
    "legs",
    [
        lambda k: crawl(1.6, 20.0, head=HEAD - 45.0 * k),  # 4.5 m/s upstream
        lambda k: crawl(3.5, 20.0),
        lambda k: crawl(1.6, 8.0),
        lambda k: crawl(1.6, 20.0, length=10.0),
    ],
    ids=["a wave travels", "a merge lets them get on", "no free road beyond", "a moment of crawling"],
)
def test_what_is_no_head(legs: Callable[[int], Legs]) -> None:
    slow = [drive(1000 + k, WARM + 10 * k, legs(k)) for k in range(12)]
    assert not heads(*flow(WARM), *slow)


def test_those_who_wait_beside_a_road_that_flows_are_no_queue() -> None:
    """At the end of a ramp one crawls until there is a gap; everybody else drives by."""
    slow = [drive(1000 + k, WARM + 10 * k, crawl(1.6, 20.0)) for k in range(30)]
    assert not heads(*flow(WARM + 400, every=2), *slow[::3])


def test_a_light_is_no_head_once_it_is_known() -> None:
    """Every vehicle waits there, from the first on: it is usual by the time that anything is said."""
    assert not heads(*[drive(1 + k, 10 * k, crawl(1.6, 20.0)) for k in range(80)])


def test_those_who_leave_at_many_places_leave_no_head() -> None:
    """As in stop and go: every third at the head."""
    slow = [drive(1000 + k, WARM + 10 * k, crawl(1.6, 20.0, head=HEAD - 90.0 * (k % 3))) for k in range(30)]
    assert not heads(*flow(WARM), *slow)


def test_nothing_is_said_before_anything_is_known() -> None:
    assert not heads(*flow(100), *[drive(1000 + k, 100 + 10 * k, crawl(1.6, 20.0)) for k in range(8)])


def test_the_more_leave_at_one_place_and_the_fewer_elsewhere_the_surer() -> None:
    assert at_one_place(1, 9) == pytest.approx(0.0, abs=1e-9)
    assert at_one_place(3, 0) < at_one_place(4, 0) < at_one_place(5, 0)
    assert at_one_place(5, 4) < at_one_place(5, 1)
    assert at_one_place(LEAST - 1, 0) < ONE_PLACE <= at_one_place(LEAST, 0)


@dataclass
class Known:
    """What is learned elsewhere: the usual speed, the speeds behind a head and beyond it, and how the ways there differ."""

    behind: float = 1.5
    beyond: float = 20.0
    warm: bool = True
    ways: float = 0.0

    def at(self, *_: object) -> Usual:
        return Usual(speed=22.0, flow=0.3, metres=1e5, known=[], expected=[], warm=self.warm)

    def lately(self, lat: float, *_: object) -> float:
        return self.behind if lat < road.LAT + HEAD * road.METRE else self.beyond

    def spread(self, *_: object) -> float:
        return self.ways


def leave(
    known: Known,
    every: float = 25.0,
    crawls: int = 12,
    slower: int = 4,
    gap: int = 1,
    others: float = math.nan,
    turned: float = 0.0,
) -> list[Finding]:
    """Six vehicles crawl at the head and drive on, and before each of them another one at that metre, if any; every second
    of them goes in another direction, if any."""
    some, found, queues = Heads(known, known, known), [], StationaryTraffic()._queues  # type: ignore[arg-type]
    rows = []
    places = [place for _ in range(6) for place in (others, HEAD)]
    for k, place in enumerate(places):
        if math.isnan(place):
            continue
        start = every * k / 2.0
        rows += [(start + s, 100 + k, place, 1.0) for s in range(0, crawls, gap)]
        rows += [(start + crawls + slower, 100 + k, place + 60, 12.0)]
    for seconds, reporter, north, speed in sorted(rows):
        seen = road.seen(1, north, reporter=reporter, speed=speed, heading=turned * (reporter // 2 % 2))
        found += some.update(seen, road.T0 + int(seconds * 1000), queues)
    return found


def test_the_fourth_who_leaves_there_after_a_minute_makes_a_head() -> None:
    first, *_ = leave(Known())
    assert len(first.reporters) == 4
    assert first.time - first.onset == 75_000


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (Known(behind=3.5), {}),
        (Known(behind=math.nan), {}),
        (Known(beyond=8.0), {}),
        (Known(beyond=11.0, ways=15.0), {}),  # as a queue before a ramp gets on
        (Known(warm=False), {}),
        (Known(), {"every": 10.0}),  # all six within 50 s: a wave is still near
        (Known(), {"every": 50.0}),  # three in two minutes
        (Known(), {"crawls": 7}),
        (Known(), {"slower": 25}),  # it took too long to drive: then it had to wait for others
        (Known(), {"crawls": 40, "gap": 10}),  # one who is seen now and then may have driven in between
        (Known(), {"others": 700.0}),  # stop and go
        (Known(), {"turned": 180.0}),  # three each way
    ],
)
def test_what_makes_no_head(known: Known, said: dict[str, Any]) -> None:
    assert not leave(known, **said)


@pytest.mark.parametrize("known", [Known(beyond=11.0, ways=12.0), Known(beyond=14.0, ways=15.0)])
def test_what_makes_one_all_the_same(known: Known) -> None:
    assert leave(known)


def test_what_happens_out_of_sight_says_nothing_of_a_head() -> None:
    assert leave(Known(), others=600.0)


def finding(north: float, **more: float) -> Finding:
    place = {"lat": road.LAT + north * road.METRE, "lon": road.LON, "heading": 0.0, "radius": 50.0, "score": 5.0}
    return Finding("stationary_vehicle", road.T0 + int(north), road.T0, reporters=frozenset({1}), **(place | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(("far", "incidents"), [(APART - 10.0, 1), (APART + 10.0, 2)])
def test_a_head_far_from_where_an_incident_began_is_one_of_its_own(far: float, incidents: int) -> None:
    """Though the queue of the other reaches it."""
    some = Incidents(0)
    list(some.advance(road.T0 + 400, [finding(0.0), finding(200.0), finding(far, within=APART)]))
    assert len(some.open) == incidents
