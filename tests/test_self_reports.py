"""What vehicles say of themselves is believed unless they drive on as if nothing were."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.incidents import Incidents
from detectors.model import Finding, Frame, Rows, Sign
from detectors.self_reports import FORGET, SelfReports
from tests import road

CASES = {
    "an airbag, and it stands": (Sign.AIRBAG, 0.0, 0.0, ["accident"]),
    "an airbag, and it slows down hard": (Sign.AIRBAG, 20.0, -9.0, ["accident"]),
    "an airbag, and nothing else is said": (Sign.AIRBAG, np.nan, np.nan, ["accident"]),
    "an airbag, and it drives": (Sign.AIRBAG, 25.0, 0.0, []),
    "disabled": (Sign.DISABLED, 0.0, 0.0, ["breakdown"]),
    "disabled, and it drives": (Sign.DISABLED, 15.0, 0.0, []),
    "both": (Sign.AIRBAG | Sign.DISABLED, 0.0, 0.0, ["accident"]),
    "hazard lights alone": (Sign.HAZARD_LIGHTS, 0.0, 0.0, []),
}


def findings(rows: Rows, silence: int = 0) -> list[Finding]:
    """`silence`: s without a row after them."""
    detector = SelfReports()
    frames = list(road.frames(rows))
    for _ in range(silence):
        frames.append(Frame(frames[-1].end, frames[-1].end + 1000, rows[:0], frames[-1].sensors, frames[-1].readings))
    return [f for frame in frames for f in detector.update(frame)]


@pytest.mark.parametrize(("signs", "speed", "accel", "kinds"), CASES.values(), ids=CASES.keys())
def test_cases(signs: Sign, speed: float, accel: float, kinds: list[str]) -> None:
    row = road.rows(1, reporter=7, speed=speed, accel=accel, heading=np.nan, signs=int(signs))
    assert [f.kind for f in findings(row)] == kinds


AIRBAG = int(Sign.AIRBAG)
DRIVES_ON = {
    "its unit is destroyed": ([25.0, 25.0], [0, AIRBAG], 10, 1),
    "its unit is destroyed a second later": ([25.0, 25.0, 20.0], [0, AIRBAG, AIRBAG], 10, 1),
    "its unit is destroyed, and nobody has waited yet": ([25.0, 25.0], [0, AIRBAG], 1, 0),
    "it stops, and says no more of it": ([25.0, 25.0, 3.0], [0, AIRBAG, 0], 0, 1),
    "it stops, and goes on saying it": ([25.0, 25.0, 3.0, 0.0, 0.0], [0, AIRBAG, AIRBAG, AIRBAG, AIRBAG], 0, 3),
    "it drives on for miles": ([25.0] * 60, [AIRBAG] * 60, 120, 0),
    "it says it once, and drives on": ([25.0] * 60, [AIRBAG] + [0] * 59, 120, 0),
    "it drives on, leaves, comes back and leaves again": ([25.0] * 9 + [np.nan] * 30 + [25.0] * 2, [AIRBAG] * 41, 120, 0),
}


@pytest.mark.parametrize(("speeds", "signs", "silence", "said"), DRIVES_ON.values(), ids=DRIVES_ON.keys())
def test_who_says_it_while_it_drives_is_believed_once_it_slows_down_or_is_silent(
    speeds: list[float], signs: list[int], silence: int, said: int
) -> None:
    """A NaN is a second without a message. What a crash destroys says nothing more; whoever drives on has a broken unit."""
    heard = np.flatnonzero(~np.isnan(speeds))
    rows = road.rows(len(heard), seconds=heard, reporter=7, speed=np.array(speeds)[heard], signs=np.array(signs)[heard])
    found = findings(rows, silence)
    assert [f.kind for f in found] == ["accident"] * said
    changes = list(Incidents(0).advance(road.T0 + 3_600_000, found))
    assert sum(change.status == "opened" for change in changes) == min(said, 1)
    assert {change.certainty for change in changes} <= {"Possible"}
    for one in found:
        assert one.onset >= road.T0 + 1000
        assert one.lat in rows["lat"]


@pytest.mark.parametrize("before", [0, 1, 5, 20])
def test_an_airbag_is_heard_of_who_said_before_that_it_is_disabled(before: int) -> None:
    signs = [int(Sign.DISABLED)] * before + [AIRBAG | int(Sign.DISABLED)]
    rows = road.rows(len(signs), seconds=np.arange(len(signs)), reporter=7, speed=25.0, signs=np.array(signs))
    assert "accident" in {f.kind for f in findings(rows, 10)}


@pytest.mark.parametrize("speed", [2.0, 8.0])
def test_an_airbag_at_speed_is_heard_of_who_then_only_says_that_it_is_disabled(speed: float) -> None:
    rows = road.rows(
        2, seconds=np.arange(2), reporter=7, speed=np.array([30.0, speed]), signs=np.array([AIRBAG, int(Sign.DISABLED)])
    )
    assert {f.kind for f in findings(rows)} == {"accident", "breakdown"}


def test_a_second_crash_is_told_of_who_drove_on_without_a_word_of_the_first() -> None:
    at = np.array([0.0, 1.0, *range(6, 40), 40.0])  # silent for five seconds after the first
    signs = np.where(np.isin(at, (1.0, 40.0)), AIRBAG, 0)
    found = findings(road.rows(len(at), seconds=at, reporter=7, speed=25.0, signs=signs), 10)
    assert [(f.time - road.T0) // 1000 for f in found] == [4, 43]


def test_who_speaks_every_ten_seconds_and_drives_on_is_told_once() -> None:
    rows = road.rows(12, seconds=10.0 * np.arange(12), reporter=7, speed=25.0, signs=AIRBAG)
    assert len(findings(rows)) == 1


@pytest.mark.parametrize("signs", [[AIRBAG] * 20, [AIRBAG] + [0] * 19], ids=["always", "once"])
def test_whoever_drove_on_is_forgotten(signs: list[int]) -> None:
    """A temporary id is not to be known for longer than it lives, nor a list of broken units to grow."""
    detector = SelfReports()
    frames = list(road.frames(road.rows(20, seconds=np.arange(20), reporter=7, speed=25.0, signs=np.array(signs))))
    for frame in frames:
        detector.update(frame)
    assert (detector.watched, list(detector.broken)) == ({}, [(7, "accident")])
    rows, end = frames[0].observations[:0], frames[-1].end
    for silent in range(0, FORGET + 1000, 1000):
        detector.update(Frame(end + silent, end + silent + 1000, rows, frames[0].sensors, frames[0].readings))
    assert detector.broken == {}


def test_it_is_one_incident_for_as_long_as_it_says_so() -> None:
    rows = road.rows(60, seconds=np.arange(60), reporter=7, speed=0.0, signs=int(Sign.AIRBAG))
    found = findings(rows)
    assert len(found) == 60
    changes = list(Incidents(0).advance(road.T0 + 3_600_000, found))
    assert [c.status for c in changes if c.status != "updated"] == ["opened", "cleared"]
    assert {c.certainty for c in changes} == {"Possible"}


def test_two_vehicles_are_two_findings_and_ten_rows_one() -> None:
    rows = road.rows(20, seconds=np.arange(20) * 0.04, reporter=np.arange(20) % 2, speed=0.0, signs=int(Sign.DISABLED))
    assert [sorted(f.reporters) for f in findings(rows)] == [[0], [1]]
