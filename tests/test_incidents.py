"""An incident's life: opened, updated as it worsens, cleared; one story at one place is one incident."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.incident import Change, Incident
from detectors.incidents import Incidents
from detectors.judgement import FAMILIES
from detectors.model import CAUSES, Finding

T0 = 1_741_073_400_000
LAT, LON = 22.55, 114.06
METRE = 1 / 111_195  # degrees of latitude


def finding(kind: str = "stationary_vehicle", at: int = 0, north: float = 0.0, **more: object) -> Finding:
    fields: dict[str, object] = {
        "kind": kind,
        "time": T0 + at * 1000,
        "onset": T0 + at * 1000 - 5000,
        "lat": LAT + north * METRE,
        "lon": LON,
        "heading": 70.0,
        "radius": 20.0,
        "score": 6.0,
        "reporters": frozenset({1, 2}),
        "cells": frozenset({0x89411CA886BFFFF}),
    }
    return Finding(**(fields | more))  # type: ignore[arg-type]


def live(*found: Finding, until: int = 3600) -> list[Change]:
    return list(Incidents(2000).advance(T0 + until * 1000, found))


def statuses(changes: list[Change]) -> list[str]:
    return [change.status for change in changes]


def test_opened_and_cleared() -> None:
    opened, cleared = live(finding())
    assert (opened.status, opened.sequence, opened.kind, opened.cause) == ("opened", 0, "stationary_vehicle", 94)
    assert opened.opened == opened.updated == T0 + 2000  # the pane's end and the allowed lateness
    assert opened.onset == T0 - 5000
    assert (cleared.status, cleared.sequence) == ("cleared", 1)
    assert cleared.updated == T0 + FAMILIES["stationary_vehicle"].lasts + 2000
    assert cleared.incident_id == opened.incident_id
    assert cleared.urgency == "Past"


def test_it_stays_open_while_findings_keep_coming() -> None:
    changes = live(*(finding(at=n) for n in range(0, 600, 5)), until=600)
    assert statuses(changes) == ["opened", "updated"]  # the second word before the first expires
    assert changes[1].updated - changes[0].updated == FAMILIES["stationary_vehicle"].valid // 2


def test_a_graver_kind_revises_the_cause_of_the_same_incident() -> None:
    changes = live(finding("dangerous_situation"), finding("stationary_vehicle", 30), finding("accident", 60), until=61)
    assert [(c.status, c.kind) for c in changes] == [
        ("opened", "dangerous_situation"),
        ("updated", "stationary_vehicle"),
        ("updated", "accident"),
    ]
    assert len({c.incident_id for c in changes}) == 1
    assert changes[-1].severity == "Severe"


def test_a_lesser_kind_does_not_take_the_name_back() -> None:
    changes = live(finding("accident"), finding("dangerous_end_of_queue", 30, north=-150), until=31)
    assert {c.kind for c in changes} == {"accident"}


def test_a_queue_is_followed_upstream_as_one_incident() -> None:
    tail = (finding("dangerous_end_of_queue", 5 * n, north=-20.0 * n) for n in range(1, 120))
    changes = live(finding(), *tail, until=600)
    assert len({c.incident_id for c in changes}) == 1
    assert changes[-1].radius > 1000
    assert (changes[-1].lat, changes[-1].kind) == (LAT, "stationary_vehicle")  # the trouble is still where it was


@pytest.mark.parametrize(
    ("other", "incidents"),
    [
        ({"north": 180.0}, 1),
        ({"north": 400.0}, 2),
        ({"heading": 250.0}, 2),  # the other carriageway
        ({"heading": float("nan")}, 1),
        ({"kind": "adhesion"}, 2),  # another story
        ({"at": 115}, 1),
        ({"at": 125}, 2),  # over by then
    ],
)
def test_what_touches_is_one(other: dict[str, object], incidents: int) -> None:
    second = finding(**({"at": 10} | other))  # type: ignore[arg-type]
    assert len({c.incident_id for c in live(finding(), second)}) == incidents


def test_what_only_follows_opens_nothing_but_carries_on() -> None:
    changes = live(finding(at=0), finding(at=60, opens=False), finding(at=60, north=5000.0, opens=False))
    assert statuses(changes) == ["opened", "cleared"]
    assert changes[1].updated == T0 + 60_000 + FAMILIES["stationary_vehicle"].lasts + 2000


def test_another_alarm_of_a_battery_is_said_at_once_and_once() -> None:
    def says(at: int, bits: float) -> Finding:
        evidence = (("alarm_bits", bits), ("hard_limit", 1.0), ("thermal", 1.0))
        return finding("battery_anomaly", at, evidence=evidence, reporters=frozenset({7}))

    hot, event = float(1 << 1), float(1 << 1 | 1 << 23)
    changes = live(*(says(at, event if at >= 240 else hot) for at in range(0, 400, 10)), until=400)
    assert [(c.updated - 2000 - T0, dict(c.evidence)["alarm_bits"]) for c in changes] == [(0, hot), (240_000, event)]
    turns = live(*(says(at, event if at // 10 % 2 else hot) for at in range(0, 400, 10)), until=400)
    assert len(turns) == 2


def test_a_battery_belongs_to_its_vehicle() -> None:
    def sick(reporter: int, at: int, north: float) -> Finding:
        return finding("battery_anomaly", at, north, reporters=frozenset({reporter}), heading=float("nan"))

    changes = live(sick(1, 0, 0), sick(2, 0, 0), sick(1, 60, 5000), until=61)
    assert len({c.incident_id for c in changes}) == 2
    assert all(c.certainty == "Possible" for c in changes)


def test_a_vehicle_without_a_position_is_still_reported() -> None:
    nan = float("nan")
    (opened,) = live(finding("battery_anomaly", lat=nan, lon=nan, heading=nan, reporters=frozenset({1})), until=1)
    assert opened.status == "opened"


def test_where_it_is_is_said_as_soon_as_that_is_known() -> None:
    """A car that burns in a garage has no fix; every other news of the place can wait."""
    nan = float("nan")
    lost = [finding("battery_anomaly", n, lat=nan, lon=nan, heading=nan, reporters=frozenset({1})) for n in range(0, 30, 10)]
    seen = [finding("battery_anomaly", n, heading=nan, reporters=frozenset({1})) for n in range(30, 60, 10)]
    changes = live(*lost, *seen, until=61)
    assert [(c.status, (c.updated - T0) // 1000) for c in changes] == [("opened", 2), ("updated", 32)]
    assert changes[1].lat == pytest.approx(LAT)


def test_another_subcause_is_said_at_once() -> None:
    gale, hurricane = (finding("extreme_weather", n, subcause=n // 30 * 2 + 1) for n in (0, 30))
    assert [c.subcause for c in live(gale, hurricane, until=31)] == [1, 3]


@pytest.mark.parametrize("apart", [7, 20, 60, 90])
@pytest.mark.parametrize("upstream", [1, -1])
def test_a_row_of_standing_vehicles_is_one_incident(apart: int, upstream: int) -> None:
    """Each of them is told of in every look, from one end of 1 km to the other: none makes the one before it forgotten."""
    row = range(0, 1000, apart)
    looks = [finding(at=at, north=upstream * north, reporters=frozenset({north})) for at in range(0, 600, 5) for north in row]
    changes = live(*looks, until=601)
    assert [c.status for c in changes if c.status != "updated"] == ["opened"]
    assert 0.9 * row[-1] < changes[-1].radius < row[-1] + 100


def ids(changes: list[Change]) -> set[str]:
    return {change.incident_id for change in changes}


def test_who_still_calls_is_not_told_as_over_because_a_queue_came_up_to_him() -> None:
    """The queue of a crash one kilometre ahead reaches another crash, whose unit goes on saying so."""
    ahead = [finding("accident", n, 2000.0, reporters=frozenset({1})) for n in range(300)]
    here = [finding("accident", n, 1000.0, reporters=frozenset({2})) for n in range(60, 900)]
    tail = [finding("dangerous_end_of_queue", n, 2000.0 - 4.0 * n, score=0.0, opens=False) for n in range(0, 400, 5)]
    changes = live(*ahead, *here, *tail, until=899)
    (second,) = ids([c for c in changes if round((c.lat - LAT) / METRE) == 1000])
    assert "cleared" not in statuses([c for c in changes if c.incident_id == second])
    assert len({(c.incident_id, round((c.lat - LAT) / METRE)) for c in changes}) == 2, "neither moves to the other's place"


def test_a_queue_is_followed_round_a_bend() -> None:
    """Through a right angle: from one spot to the next it turns little."""
    tail = [finding("dangerous_end_of_queue", n, -4.0 * n, opens=False, heading=70.0 + n * 0.3) for n in range(0, 300, 5)]
    changes = live(finding(), *tail, until=300)
    assert statuses(changes)[0] == "opened"
    assert "cleared" not in statuses(changes)
    assert changes[-1].radius > 800


def test_who_says_no_heading_goes_the_way_of_those_beside_him() -> None:
    """So an airbag without one does not make both carriageways one incident."""
    nan = float("nan")
    crash = [finding("accident", n, 100.0, heading=nan, reporters=frozenset({1})) for n in range(20, 200)]
    other = [finding("dangerous_end_of_queue", n, 50.0, heading=250.0) for n in range(40, 200, 5)]
    changes = live(finding(), *crash, *other, until=200)
    assert len(ids(changes)) == 2
    assert {c.kind for c in changes if c.heading == 250.0} == {"dangerous_end_of_queue"}


def test_an_accident_is_not_over_while_it_was_said_to_be_valid() -> None:
    """A unit that dies in the crash says no more. And while it is open its last word is valid: who has called it over because
    that expired would not know what an update is of."""
    opened, repeated, cleared = live(finding("accident"))
    assert cleared.updated >= opened.expires
    assert (repeated.status, repeated.evidence, repeated.sequence) == ("updated", opened.evidence, 1)
    for heard in range(0, 900, 50):
        life = live(*(finding("accident", at) for at in range(0, heard + 1, 10)))
        assert all(after.updated < before.expires for before, after in pairwise(life))
    queue = [finding("dangerous_end_of_queue", n) for n in range(130, 500, 5)]
    assert {c.kind for c in live(finding("accident"), *queue, until=500)} == {"accident"}


def test_what_has_not_been_heard_of_for_as_long_as_it_is_valid_names_nothing_any_more() -> None:
    """A jam stays where a wreck was; a wave of it runs upstream, and its circle does not grow for ever."""
    crash = [finding("accident", n, reporters=frozenset({1}), evidence=(("airbag", 1.0),)) for n in range(120)]
    wave = [finding("dangerous_end_of_queue", n, -4.0 * n, score=0.0, opens=False) for n in range(0, 7200, 5)]
    changes = live(*crash, *wave, until=7200)
    later = [c for c in changes if c.updated > T0 + 720_000 + 60_000]
    assert len(ids(changes)) == 1
    assert {c.kind for c in later} == {"dangerous_end_of_queue"}
    assert all("airbag" not in dict(c.evidence) for c in later)
    assert max(c.radius for c in changes) < 4.0 * 720 + 100
    assert later[-1].lat < LAT - 20_000 * METRE


def test_others_of_the_same_kind_do_not_keep_the_place_of_one_that_is_gone() -> None:
    """The car that made the queue has gone; others stand 300 m farther back, and are not where it stood."""
    car = [finding("stationary_vehicle", n, reporters=frozenset({1})) for n in range(0, 120, 5)]
    others = [finding("stationary_vehicle", n, -300.0, reporters=frozenset({2, 3})) for n in range(60, 1500, 5)]
    changes = live(*car, *others, until=1500)
    assert len(ids(changes)) == 1
    assert {round((LAT - c.lat) / METRE) for c in changes if c.updated < T0 + 700_000} == {0}, "it may be there, and be silent"
    assert {round((LAT - c.lat) / METRE) for c in changes if c.updated > T0 + 760_000} == {300}


@pytest.mark.parametrize("kind", ["battery_anomaly", "wrong_way"])
def test_what_moves_is_where_it_is_now(kind: str) -> None:
    moving = [finding(kind, n, 30.0 * n, reporters=frozenset({1}), cells=frozenset({n})) for n in range(0, 600, 10)]
    last = live(*moving, until=600)[-1]
    assert last.radius == 20.0
    assert len(last.cells) == 1


def test_who_drives_is_one_incident_however_far_he_was_from_one_finding_to_the_next() -> None:
    """A minute at 40 m/s in which nobody could say that he drives the wrong way; another driver there is another incident."""
    me = [finding("wrong_way", 5 * n, -200.0 * n, reporters=frozenset({1})) for n in (0, 1, 13, 14)]
    another = finding("wrong_way", 66, -1200.0, reporters=frozenset({2}))
    assert len(ids(live(*me))) == 1
    assert len(ids(live(*me, another))) == 2
    book = Incidents(2000)
    before = list(book.advance(T0 + 30_000, me[:2]))
    book = pickle.loads(pickle.dumps(book))
    assert len(ids([*before, *book.advance(T0 + 90_000, me[2:])])) == 1, "after a restart, too"


def test_two_drivers_of_whom_one_station_warns_are_two() -> None:
    """As an operator's does for all his roads."""
    warned = [finding("wrong_way", at, north, reporters=frozenset({1})) for at in range(0, 60, 10) for north in (0.0, 8000.0)]
    assert len(ids(live(*warned))) == 2
    later = [one for one in warned if one.lat == LAT or one.time >= T0 + 20_000]
    assert len(ids(live(*later))) == 2


def test_equals_do_not_take_turns() -> None:
    """Two stations that say the same, one of them ice and the other black ice."""
    one, other = frozenset({1}), frozenset({2})
    said = [finding("adhesion", n, 0.0, subcause=5, radius=500.0, reporters=one) for n in range(0, 600, 10)]
    said += [finding("adhesion", n + 5, 900.0, subcause=6, radius=500.0, reporters=other) for n in range(0, 600, 10)]
    changes = live(*said, until=600)
    assert [(c.status, c.subcause) for c in changes] == [("opened", 5), ("updated", 5)]


def test_a_front_is_no_circle_of_a_hundred_kilometres() -> None:
    """A station every kilometre of 60: each incident keeps near where it began, and each station stays with its own."""
    said = [
        finding("extreme_weather", 10 * n, 1000.0 * k, subcause=1, radius=500.0, heading=math.nan, reporters=frozenset({k}))
        for n in range(60)
        for k in range(60)
    ]
    changes = live(*said, until=600)
    assert 3 <= sum(c.status == "opened" for c in changes) <= 6
    assert all(c.opened == T0 + 2000 for c in changes)
    assert max(c.radius for c in changes) <= FAMILIES["extreme_weather"].widest + 500.0 + 1.0


def test_a_hurricane_leads_and_who_told_of_it_takes_it_back() -> None:
    def wind(at: int, subcause: int, station: int) -> Finding:
        score = 12.0 if subcause == 3 else 6.0
        more = {"subcause": subcause, "score": score, "radius": 500.0, "reporters": frozenset({station})}
        return finding("extreme_weather", at, 1000.0 * station, **more)

    assert [c.subcause for c in live(wind(0, 1, 1), wind(10, 3, 2), wind(20, 1, 1), wind(30, 1, 2), until=40)] == [1, 3, 1]


def test_what_is_over_is_evidence_no_more() -> None:
    """A battery that was hot an hour ago, and of which something lesser is still said."""
    hot = finding("battery_anomaly", 0, reporters=frozenset({7}), evidence=(("thermal", 1.0),))
    uneven = [finding("battery_anomaly", n, reporters=frozenset({7}), evidence=(("spread", 0.2),)) for n in range(10, 3600, 60)]
    changes = live(hot, *uneven, until=3600)
    assert (changes[0].severity, changes[-1].severity) == ("Extreme", "Moderate")
    over = next(c for c in changes if "thermal" not in dict(c.evidence))
    assert over.updated - T0 == pytest.approx(FAMILIES["battery_anomaly"].lasts + 2000, abs=62_000)


def test_what_was_wide_is_not_sought_when_it_is_over() -> None:
    incidents = Incidents(0)
    list(incidents.advance(T0, [finding(radius=20_000.0), finding(north=60_000.0, reporters=frozenset({2}))]))
    later = [finding(at=60 * k, north=60_000.0, reporters=frozenset({2})) for k in range(1, 20)]
    list(incidents.advance(later[-1].time, later))
    assert len(incidents.open) == 1
    assert incidents._widest == later[-1].radius


def test_nobody_is_asked_who_is_far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """With four hundred open incidents, each told of again in every pane, a second of traffic took a second and more."""
    asked = 0
    touched = Incident.touched

    def noted(self: Incident, finding: Finding) -> object:
        nonlocal asked
        asked += 1
        return touched(self, finding)

    monkeypatch.setattr(Incident, "touched", noted)
    panes = [
        finding("accident", at, 3000.0 * (k // 20), lon=LON + 0.03 * (k % 20), reporters=frozenset({k}))
        for at in (1, 2)
        for k in range(400)
    ]
    book = Incidents(2000)
    assert len(list(book.advance(T0 + 2000, panes))) == 400
    assert asked <= 3 * len(panes)


kinds = st.sampled_from(sorted(CAUSES))
found = st.builds(
    finding,
    kinds,
    st.integers(0, 300),
    st.floats(-800, 800),
    score=st.floats(0, 20),
    reporters=st.frozensets(st.integers(1, 9), min_size=1, max_size=5),
)


@given(st.lists(found, max_size=25), st.randoms(use_true_random=False), st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_order_and_interruption_cannot_be_seen(all_found: list[Finding], dice: object, middle: int) -> None:
    calm = live(*all_found)
    shuffled = list(all_found)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert live(*shuffled) == calm
    cut = T0 + middle * 1000
    book = Incidents(2000)
    first = list(book.advance(cut, [f for f in shuffled if f.time <= cut]))
    book = pickle.loads(pickle.dumps(book))
    rest = list(book.advance(T0 + 3_600_000, [f for f in shuffled if f.time > cut]))
    assert first + rest == calm


@given(st.lists(found, min_size=1, max_size=25))
@settings(max_examples=150, deadline=None)
def test_every_life_is_whole(all_found: list[Finding]) -> None:
    lives: dict[str, list[Change]] = {}
    for change in live(*all_found):
        lives.setdefault(change.incident_id, []).append(change)
    for changes in lives.values():
        assert [c.sequence for c in changes] == list(range(len(changes)))
        assert statuses(changes) == ["opened"] + ["updated"] * (len(changes) - 2) + ["cleared"]
        assert [c.updated for c in changes] == sorted(c.updated for c in changes)
        assert all(c.expires > c.updated for c in changes[:-1])
        assert all(c.certainty == "Possible" for c in changes if c.reporters < 2)
