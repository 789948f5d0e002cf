"""What stations warn of is told for as long as they say so; what is everyday, when two say so."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.incident import Change
from detectors.incidents import Incidents
from detectors.judgement import FAMILIES
from detectors.model import NOTICE, Finding, Rows
from detectors.notices import ALL, ALONE, ANY, HELD, MOST, NAMED, NOTHING, TOGETHER, Notices
from tests import road


def findings(*some: Rows, seconds: int | None = None) -> list[Finding]:
    detector = Notices()
    rows = road.together(*some, dtype=NOTICE)
    return [f for frame in road.frames(road.together(), notices=rows, seconds=seconds) for f in detector.update(frame)]


def changes(found: list[Finding], until: int = 3600) -> list[Change]:
    return list(Incidents(0).advance(road.T0 + until * 1000, found))


@pytest.mark.parametrize(("meaning", "kind"), ALONE.items())
def test_what_speaks_for_itself_opens_alone_and_stays_possible(meaning: tuple[int, int], kind: str) -> None:
    cause, subcause = meaning
    subcause = 5 if subcause == ANY else subcause
    first, *_ = changes(findings(road.notice(7, 10.0, cause, heading=90.0, subcause=subcause)))
    assert (first.status, first.kind, first.certainty, first.reporters) == ("opened", kind, "Possible", 1)
    finer = {f"warned_{cause}_{subcause}": 1.0} if meaning == (94, 6) or (cause, subcause) == (2, 5) else {}
    assert dict(first.evidence) == {f"warned_{cause}": 1.0} | finer
    assert first.onset == road.T0 + 9_000


@pytest.mark.parametrize(("meaning", "kind"), TOGETHER.items())
def test_what_is_everyday_opens_when_two_stations_say_so(meaning: tuple[int, int], kind: str) -> None:
    cause, _ = meaning
    alone = [road.notice(7, 10.0 + k, cause) for k in range(10)]
    assert changes(findings(*alone)) == []
    first, *_ = changes(findings(*alone, road.notice(8, 14.5, cause, 100.0)))
    assert (first.status, first.kind, first.reporters, first.opened) == ("opened", kind, 2, road.T0 + 16_000)
    assert first.onset == road.T0 + 13_500
    assert changes(findings(*alone, road.notice(8, 14.0, cause, 400.0))) == []
    assert changes(findings(*alone, *(road.notice(7, 10.0 + k, cause, number=1) for k in range(10)))) == []
    north, south = (road.notice(8 + k, 14.0, cause, heading=180.0 * k) for k in range(2))
    assert changes(findings(north, south)) == []
    assert changes(findings(*alone, north))


def test_who_goes_on_under_another_name_is_no_company() -> None:
    """Temporary ids change every few minutes; the old one falls silent when the new one begins."""
    before = [road.notice(7, 10.0 + k, 94) for k in range(30)]
    after = [road.notice(8, 40.5 + k, 94, onset=road.T0 + 9_000) for k in range(30)]
    assert changes(findings(*before, *after)) == []


def test_two_causes_of_one_kind_are_company() -> None:
    *_, last = findings(road.notice(7, 10.0, 2), road.notice(8, 10.5, 92), road.notice(7, 11.0, 2))
    assert (last.kind, last.reporters, last.evidence) == ("accident", {7, 8}, (("warned_2", 1.0),))


def test_how_many_warn_of_each_cause_is_counted() -> None:
    *_, last = changes(findings(*(road.notice(name, 10.0, 2) for name in (7, 8, 9)), road.notice(9, 10.5, 92, number=1)))
    assert last.evidence == (("warned_2", 3.0), ("warned_92", 1.0))


def test_another_cause_at_a_known_incident_is_told_at_once() -> None:
    """A crash, and twenty seconds later people on the road beside it, by the same station: a second is news by itself."""
    said = changes(findings(road.notice(7, 10.0, 2), road.notice(7, 30.5, 12, 50.0, number=1)), until=60)
    assert [(c.status, c.kind, c.updated - road.T0, dict(c.evidence)) for c in said] == [
        ("opened", "accident", 11_000, {"warned_2": 1.0}),
        ("updated", "accident", 31_000, {"warned_2": 1.0, "warned_12": 1.0}),
    ]


def test_a_fire_is_told_at_once_where_its_cause_was_known() -> None:
    """A vehicle that stands after a crash, and catches fire twenty seconds later: the cause, 94, is no news."""
    stands, burns = road.notice(7, 10.0, 94, subcause=3), road.notice(7, 30.5, 94, subcause=6)
    said = changes(findings(stands, burns), until=60)
    assert [(c.status, c.updated - road.T0, dict(c.evidence)) for c in said] == [
        ("opened", 11_000, {"warned_94": 1.0}),
        ("updated", 31_000, {"warned_94": 1.0, "warned_94_6": 1.0}),
    ]


@pytest.mark.parametrize(("cause", "subcause"), sorted(NAMED))
def test_what_other_help_is_sent_to_is_told_even_of_the_cause_that_the_incident_is_called_by(cause: int, subcause: int) -> None:
    before = [road.notice(name, 10.0, cause) for name in (7, 8)]
    after = [road.notice(name, 30.5, cause, subcause=subcause) for name in (7, 8)]
    *_, last = changes(findings(*before, *after), until=60)
    assert (last.status, last.updated - road.T0) == ("updated", 31_000)
    assert dict(last.evidence) == {f"warned_{cause}": 2.0, f"warned_{cause}_{subcause}": 2.0}


def test_a_warning_of_what_the_incident_is_called_already_is_no_news() -> None:
    """Here by an emergency call."""
    call, crash = road.notice(7, 10.0, 92), road.notice(7, 20.0, 2, number=1)
    assert [c.status for c in changes(findings(call, crash), until=60)] == ["opened"]


def test_causes_that_take_turns_are_each_told_once() -> None:
    """Beside that their incident is repeated as one of which nothing changes."""
    causes = sorted({cause for (cause, _), kind in (ALONE | TOGETHER).items() if FAMILIES[kind] is FAMILIES["accident"]})
    turns = [road.notice(7 + k % 2, 10.0 + k, causes[k // 2 % len(causes)], number=k) for k in range(3590)]
    said = changes(findings(*turns))
    repeats = 3_600_000 // (FAMILIES["accident"].valid // 2)
    assert len(causes) == 12
    assert len({change.incident_id for change in said}) == 1
    assert len(said) <= len(causes) + repeats


def test_the_other_carriageway_is_no_company() -> None:
    one, other = (road.notice(name, 10.0, 94, heading=heading) for name, heading in ((7, 10.0), (8, 190.0)))
    assert changes(findings(one, other)) == []


def test_a_lone_everyday_warning_neither_leads_an_incident_nor_keeps_it_open() -> None:
    crash, jam = road.notice(7, 10.0, 99), [road.notice(8, 20.0 + k, 27, 50.0) for k in range(300)]
    other = road.notice(9, 10.0, 99)
    alone, beside = changes(findings(crash, other, seconds=400)), changes(findings(crash, other, *jam, seconds=400))
    assert [(c.status, c.kind, c.updated, c.score) for c in alone] == [(c.status, c.kind, c.updated, c.score) for c in beside]


def test_what_nobody_here_acts_upon_is_no_finding() -> None:
    acted_upon = {cause for cause, _ in ALONE | TOGETHER}
    rest = [(cause, 0) for cause in range(256) if cause not in acted_upon] + list(NOTHING)
    some = [
        road.notice(name + 2 * place, 10.0 + k, cause, subcause=subcause)
        for place, (cause, subcause) in enumerate(rest)
        for k in range(3)
        for name in (100, 101)
    ]
    assert findings(*some, seconds=60) == []


def test_two_who_see_it_otherwise_do_not_take_turns() -> None:
    """Nor does one that sends two warnings of one thing."""
    for names in ((7, 8), (7, 7)):
        said = [road.notice(names[k % 2], 10.0 + k, 2, 80.0 * (k % 2), number=k % 2, subcause=1 + k % 2) for k in range(60)]
        assert len(changes(findings(*said), 70)) <= 3


def test_it_is_told_for_as_long_as_it_is_valid() -> None:
    """One that is heard once: the incident ends when its silence is over, counted from the last moment of validity."""
    found = findings(road.notice(7, 10.0, 91, until=road.T0 + 200_000), seconds=900)
    assert max(f.time for f in found) == road.T0 + 190_000
    *_, last = changes(found)
    assert (last.status, last.updated) == ("cleared", road.T0 + 190_000 + FAMILIES["breakdown"].lasts)
    assert max(f.time for f in findings(road.notice(7, 10.0, 91, until=road.T0 + 86_400_000), seconds=900)) == road.T0 + HELD


def test_it_is_over_when_its_station_says_so_and_does_not_come_back() -> None:
    said = [road.notice(7, 10.0 + k, 91, version=road.T0 + 9_000) for k in range(5)]
    end, echo = road.notice(7, 15.0, 0, ended=1), road.notice(7, 16.0, 91, version=road.T0 + 9_000)
    assert max(f.time for f in findings(*said, end, echo, seconds=120)) == road.T0 + 15_000
    assert max(f.time for f in findings(*said, echo, seconds=120)) == road.T0 + 120_000
    others = findings(*said, road.notice(8, 15.0, 0, ended=1), road.notice(7, 15.0, 0, ended=1, number=1), seconds=120)
    assert max(f.time for f in others) == road.T0 + 120_000
    late = road.notice(7, 630.0, 91, version=road.T0 + 9_000, until=road.T0 + 3_600_000)
    lasts = road.notice(7, 15.0, 0, ended=1, until=road.T0 + 3_600_000)
    assert max(f.time for f in findings(*said, lasts, late, seconds=700)) == road.T0 + 15_000


def test_an_older_version_does_not_take_its_place() -> None:
    new, old = (road.notice(7, 10.0, 91, north, version=road.T0 + at) for north, at in ((500.0, 9_000), (0.0, 4_000)))
    *_, last = findings(new, old, seconds=60)
    assert last.lat == pytest.approx(road.LAT + 500.0 * road.METRE)


def test_nobody_calls_over_what_has_not_been_said() -> None:
    """Neither before it happens, nor so often that it is pushed out."""
    before = road.notice(7, 10.0, 0, ended=1)
    assert findings(before, road.notice(7, 30.0, 2))
    flood = [road.notice(100 + k, 12.0 + k / 100, 0, ended=1) for k in range(2 * ALL)]
    own = [road.notice(7, 12.0, 0, ended=1, number=1 + k) for k in range(2 * MOST)]
    assert max(f.time for f in findings(road.notice(7, 10.0, 2), *flood, *own, seconds=120)) == road.T0 + 120_000


def test_what_has_become_something_else_is_over() -> None:
    assert max(f.time for f in findings(road.notice(7, 10.0, 91), road.notice(7, 20.0, 3), seconds=60)) == road.T0 + 20_000


def test_what_is_heard_late_and_is_over_is_not_told() -> None:
    assert findings(road.notice(7, 10.0, 2, until=road.T0 + 5_000), seconds=60) == []


def test_a_place_that_moves_is_followed() -> None:
    """Who drives the wrong way says where he is now."""
    *_, newest = findings(*(road.notice(7, 10.0 + k, 14, 40.0 * k, heading=180.0) for k in range(5)))
    assert newest.lat == pytest.approx(road.LAT + 160.0 * road.METRE)
    assert max(f.time for f in findings(road.notice(7, 10.0, 14), seconds=300)) == road.T0 + 11_000


def test_one_station_warns_of_a_few_things_and_a_shard_remembers_some() -> None:
    flood = [road.notice(7, 10.0, 10, 1000.0 * k, number=k) for k in range(3 * MOST)]
    places = {f.lat for f in findings(*flood, road.notice(8, 10.0, 2, -500.0))}
    assert len(places) == MOST + 1
    detector = Notices()
    crowd = road.together(*(road.notice(k, 10.0, 10, 1000.0 * k) for k in range(1, ALL + 50)), dtype=NOTICE)
    for frame in road.frames(road.together(), notices=crowd):
        detector.update(frame)
    assert len(detector.held) == ALL


def test_who_never_drove_counts_as_one_with_the_others_of_that_kind() -> None:
    """Names are easily made up: the window step says who was seen to drive."""
    found = findings(*(road.notice(name, 10.0, 2) for name in (7, 8, 9)))
    strangers = [Finding(**{n: getattr(f, n) for n in Finding.__slots__} | {"strangers": f.reporters}) for f in found]
    assert {c.certainty for c in changes(strangers)} == {"Possible"}
    assert {c.certainty for c in changes(found)} == {"Likely"}


def test_order_does_not_matter_within_a_pane() -> None:
    rows = road.together(*(road.notice(k % 5, 10.0, 91, 60.0 * k, number=k) for k in range(12)), dtype=NOTICE)
    said = []
    for order in (np.arange(12), np.arange(12)[::-1]):
        found = findings(*(rows[i : i + 1] for i in order))
        said.append(sorted(repr(f.order) for f in found))
    assert said[0] == said[1]
