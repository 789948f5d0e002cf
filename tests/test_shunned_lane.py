"""A lane that is left is found, which one and for how long; queues, thin traffic, lights and chance leave none."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from detectors.incidents import Incidents
from detectors.lane_shares import INTERVALS, UNSETTLED, LaneShares
from detectors.model import LANES, SENSOR, Finding, Rows
from detectors.shunned_lane import ACCUSTOMED, CLAIMED, GAP, HELD, ShunnedLane
from tests import road

INTERVAL = 30.0  # s
NAME = 8
KNOWN = INTERVALS + round(UNSETTLED / INTERVAL) + 4  # intervals by which a station judges
USUAL = (9.0, 12.0, 11.0)  # vehicles in an interval
SPEEDS = (24.0, 27.0, 30.0)  # m/s
Said = tuple[Sequence[float], Sequence[float]]  # vehicles and m/s of each lane in one interval


def told(k: int, said: Said, interval: float = INTERVAL, heading: float = 0.0, name: int = NAME) -> Rows:
    """What a station says of interval `k`."""
    row = road.station(name, interval * (k + 1), interval, heading=heading)
    counts, speeds = said
    row["lane_volume"][0, : len(counts)] = np.array(counts) * 3600.0 / interval
    row["lane_speed"][0, : len(counts)] = np.where(np.array(counts) > 0.0, speeds, math.nan)
    return row


def played(*said: Said, interval: float = INTERVAL, heading: float = 0.0, quiet: float = 0.0) -> list[Finding]:
    """What is found when a station says these, one after the other, and nothing for `quiet` s afterwards."""
    rows = road.together(*(told(k, each, interval, heading) for k, each in enumerate(said)), dtype=SENSOR)
    detector, seconds = ShunnedLane(), round(interval * len(said) + quiet) + 1
    return [f for frame in road.frames(road.together(), rows, seconds=seconds) for f in detector.update(frame)]


def after(found: list[Finding], intervals: int) -> list[float]:
    """When each was said, in intervals after as many."""
    return [(f.time - road.T0) / 1000 / INTERVAL - intervals for f in found]


OPEN: Said = (USUAL, SPEEDS)
LEFT: Said = ((1.0, 15.0, 14.0), SPEEDS)
LESS: Said = ((7.0, 13.0, 12.0), SPEEDS)
EMPTY: Said = ((0.0, 15.0, 14.0), SPEEDS)


def test_a_lane_that_is_left_is_found_and_told_as_long_as_it_is() -> None:
    found = played(*[OPEN] * KNOWN, *[LEFT] * 10)
    assert after(found, KNOWN)[0] <= 2.1
    assert after(found, KNOWN)[-1] == pytest.approx(10.0, abs=0.1)
    assert {dict(f.evidence)["shunned_lane"] for f in found} == {1.0}
    assert {(f.radius, f.heading) for f in found} == {(300.0, 0.0)}
    assert {dict(f.evidence)["usual_share"] for f in found} == {round(9 / 32, 2)}
    assert {f.onset for f in found} == {road.T0 + round(1000 * INTERVAL * KNOWN)}
    changes = Incidents(0).advance(found[-1].time, found)
    assert [c.status for c in changes if c.status != "updated"] == ["opened"]


@pytest.mark.parametrize("lane", range(3))
def test_whichever_lane_it_is(lane: int) -> None:
    counts = [12.0, 12.0, 12.0]
    before: Said = (tuple(counts), SPEEDS)
    counts[lane] = 0.0
    found = played(*[before] * KNOWN, *[(tuple(counts), SPEEDS)] * 4)
    assert {dict(f.evidence)["shunned_lane"] for f in found} == {lane + 1.0}


def test_a_lane_that_half_of_its_vehicles_have_left_is_found_in_time() -> None:
    """What is about to be said must not be learned first as what is usual."""
    found = played(*[OPEN] * KNOWN, *[((5.0, 14.1, 12.9), SPEEDS)] * 40)
    assert after(found, KNOWN)[0] < 9.5


def test_who_uses_it_again_ends_it() -> None:
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 30, *[OPEN] * 10)
    assert 30.0 <= after(found, KNOWN)[-1] < 34.0


def test_some_who_use_it_again_do_not_end_it_at_once() -> None:
    """Evidence between what a claim takes and what holds it."""
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 3, *[OPEN] * 1, *[EMPTY] * 3)
    assert np.diff([f.time for f in found]).max() <= 10_000


def test_what_never_was_used_is_not_missed() -> None:
    assert played(*[((0.0, 15.0, 14.0), SPEEDS)] * (KNOWN + 10)) == []


def test_nobody_is_judged_before_he_is_known() -> None:
    assert played(*[OPEN] * (INTERVALS - 1), *[EMPTY] * 2) == []


def test_it_began_when_the_lane_was_left_and_not_when_it_was_empty_by_chance() -> None:
    again = KNOWN + 1 + 8
    found = played(*[OPEN] * KNOWN, EMPTY, *[OPEN] * 8, *[LEFT] * 4)
    assert {f.onset for f in found} == {road.T0 + round(1000 * INTERVAL * again)}
    far = KNOWN + 1 + math.ceil(GAP) + 1
    rows = [*(told(k, OPEN) for k in range(KNOWN)), told(KNOWN, LEFT), *(told(far + k, EMPTY) for k in range(4))]
    detector, seen = ShunnedLane(), road.together(*rows, dtype=SENSOR)
    found = [f for frame in road.frames(road.together(), seen) for f in detector.update(frame)]
    assert {f.onset for f in found} == {road.T0 + round(1000 * INTERVAL * far)}


# -- what is no blocked lane -------------------------------------------------------------------------------------------------


def test_a_lane_that_queues_is_not_shunned() -> None:
    """As before a ramp: few get through, and those crawl."""
    queue: Said = ((1.0, 15.0, 14.0), (3.0, 27.0, 30.0))
    assert played(*[OPEN] * KNOWN, *[queue] * 20) == []
    assert played(*[OPEN] * KNOWN, *[((0.0, 13.0, 12.0), SPEEDS), queue] * 20) == []  # and for a while nobody does


@pytest.mark.parametrize(("share", "found"), [(0.55, False), (0.65, True)])
def test_a_lane_queues_below_three_fifths_of_its_speed(share: float, found: bool) -> None:
    slower: Said = ((1.0, 15.0, 14.0), (share * SPEEDS[0], *SPEEDS[1:]))
    assert bool(played(*[OPEN] * KNOWN, *[slower] * 6)) == found


def test_of_a_lane_whose_speed_nobody_says_nothing_is_known() -> None:
    assert played(*[OPEN] * KNOWN, *[((1.0, 15.0, 14.0), (math.nan, 27.0, 30.0))] * 20) == []


def test_a_road_on_which_all_crawl_is_another_detectors() -> None:
    assert played(*[OPEN] * KNOWN, *[((0.0, 9.0, 9.0), (3.0, 3.0, 3.0))] * 20) == []


def test_few_who_keep_to_the_right_leave_no_lane_and_teach_nothing() -> None:
    """Behind a road that is closed there are hardly any; when it is opened again they drive as ever."""
    few: Said = ((3.0, 1.0, 0.0), SPEEDS)
    assert played(*[OPEN] * KNOWN, *[few] * 28, *[LESS] * 14) == []
    assert played(*[OPEN] * KNOWN, *[few] * 28, *[EMPTY] * 4) != []


@pytest.mark.parametrize("interval", [30.0, 60.0, 300.0])
@pytest.mark.parametrize("seed", range(3))
def test_an_evening_is_learned(interval: float, seed: int) -> None:
    """Over three hours traffic falls to a quarter and keeps to the right, and stays so for two more: what is claimed of it at
    all, about one station in six and an evening, is over in minutes.
    """
    dice, said = np.random.default_rng(seed), []
    for k in range(round(7 * 3600 / interval)):
        part = min(max((k * interval - 2 * 3600) / (3 * 3600), 0.0), 1.0)
        mean = (32.0 - 24.0 * part) * interval / 30.0
        left = 0.34 - 0.24 * part
        shares = (0.28 + 0.14 * part, 1.0 - 0.28 - 0.14 * part - left, left)
        said.append((tuple(dice.multinomial(dice.poisson(mean), shares).tolist()), SPEEDS))
    found = played(*said, interval=interval)
    assert len(found) * 10 < 15 * 60  # one is said each 10 s


def test_thin_traffic_neither_holds_a_claim_nor_makes_deaf() -> None:
    thin: Said = ((3.0, 4.0, 3.6), SPEEDS)
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 6, *[thin] * 60)
    assert after(found, KNOWN)[-1] < 6 + 10
    assert played(*[OPEN] * KNOWN, LEFT, *[thin] * 200, *[OPEN] * 60, *[EMPTY] * 6)


def test_a_lane_that_had_nearly_all_is_not_shunned_for_sharing() -> None:
    """As after road works, or when a dead loop counts again."""
    alone: Said = ((0.0, 20.0), SPEEDS[:2])
    both: Said = ((10.0, 10.0), SPEEDS[:2])
    assert played(*[alone] * (KNOWN + 10), *[both] * 60) == []
    assert played(*[alone] * (KNOWN + 10), *[((18.0, 0.0), SPEEDS[:2])] * 6)


def test_one_who_crawls_in_the_lane_ends_nothing() -> None:
    """It may be the recovery lorry."""
    lorry: Said = ((1.0, 15.0, 14.0), (5.0, 27.0, 30.0))
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 8, lorry, *[EMPTY] * 4)
    assert [s for s in np.diff([f.time for f in found]) if s > 10_000 + 1000] == []


def test_a_lane_that_never_says_its_speed_does_not_blind_the_others() -> None:
    mute: Said = (USUAL, (24.0, 27.0, math.nan))
    assert played(*[mute] * KNOWN, *[((0.0, 15.0, 14.0), (24.0, 27.0, math.nan))] * 6)


def test_another_lane_has_its_own_beginning() -> None:
    """One that was left for a moment hours ago is not what one that is left now has been for hours."""
    thin: Said = ((3.0, 4.0, 3.6), SPEEDS)
    found = played(*[OPEN] * KNOWN, LEFT, *[thin] * 3, *[((9.5, 12.0, 0.0), SPEEDS)] * 6)
    assert {f.onset for f in found} == {road.T0 + round(1000 * INTERVAL * (KNOWN + 4))}


def test_roads_with_lights_are_left_out() -> None:
    slow = tuple(0.5 * v for v in SPEEDS)
    assert played(*[(USUAL, slow)] * KNOWN, *[((0.0, 15.0, 14.0), slow)] * 10) == []


def test_a_station_that_watches_no_direction_or_one_lane_is_left_out() -> None:
    assert played(*[OPEN] * KNOWN, *[EMPTY] * 10, heading=math.nan) == []
    assert played(*[((12.0,), (25.0,))] * KNOWN, *[((0.0,), (25.0,))] * 10) == []


DEAD: Said = ((0.0, 12.0, 11.0), SPEEDS)  # its vehicles drive by, uncounted
FEWER: Said = ((6.3, 8.4, 7.7), SPEEDS)
DIVERTED: Said = ((0.0, 11.6, 10.8), SPEEDS)  # of as many as at FEWER


def beside(here: Sequence[Said], *others: tuple[float, Said], way: float = 0.0, until: int = KNOWN + 12) -> list[Finding]:
    """What is found where one station says `here` in turn, and others so many metres on say something else, up to `until`."""
    rows = [told(k, OPEN if k < KNOWN else here[k % len(here)]) for k in range(KNOWN + 12)]
    for name, (north, said) in enumerate(others, NAME + 1):
        for k in range(until):
            row = told(k, OPEN if k < KNOWN else said, heading=way, name=name)
            row["lat"] += north * road.METRE
            rows.append(row)
    detector, seen = ShunnedLane(), road.together(*rows, dtype=SENSOR)
    return [f for frame in road.frames(road.together(), seen) for f in detector.update(frame)]


def test_a_loop_that_is_dead_in_one_lane_is_not_a_blocked_lane() -> None:
    """Whoever drives by uncounted is counted by the station before or behind."""
    assert beside([DEAD], (600.0, OPEN)) == []
    assert beside([((0.0, 16.0, 14.0), SPEEDS), ((0.0, 10.0, 6.0), SPEEDS)], (600.0, OPEN)) == []
    assert {f.reporters for f in beside([EMPTY], (600.0, OPEN))} == {frozenset({NAME})}
    assert beside([DIVERTED], (600.0, FEWER))  # there are fewer everywhere


def test_of_the_two_nearest_stations_one_may_lie_beyond_a_ramp() -> None:
    assert beside([DIVERTED], (600.0, FEWER), (-700.0, OPEN))
    assert beside([DIVERTED], (600.0, OPEN), (-700.0, FEWER))
    assert beside([DIVERTED], (600.0, OPEN), (-700.0, OPEN), (1400.0, FEWER)) == []


@pytest.mark.parametrize(
    ("north", "way", "until"), [(1600.0, 0.0, KNOWN + 12), (600.0, 180.0, KNOWN + 12), (600.0, 0.0, KNOWN - 1)]
)
def test_who_watches_another_road_or_is_silent_says_nothing_of_a_dead_loop(north: float, way: float, until: int) -> None:
    assert beside([DEAD])  # nobody can tell
    assert beside([DEAD], (north, OPEN), way=way, until=until)


def test_a_loop_that_stays_dead_is_usual_in_the_end() -> None:
    """Its lane is then one that nobody takes, and another one may be left."""
    detector, hours = ShunnedLane(), ACCUSTOMED // 30_000 + KNOWN
    other: Said = ((0.0, 0.0, 23.0), SPEEDS)
    for k in range(2 * KNOWN + hours + 12):
        here = OPEN if k < KNOWN else DEAD if k < 2 * KNOWN + hours else other
        there = told(k, OPEN, name=NAME + 1)
        there["lat"] += 600.0 * road.METRE
        rows = road.together(told(k, here), there, dtype=SENSOR)
        second = 30 * (k + 1)
        for frame in road.frames(road.together(), rows, start=second, seconds=second + 1):
            found = detector.update(frame)
            assert not found or k >= 2 * KNOWN + hours
    assert {dict(f.evidence)["shunned_lane"] for f in found} == {2.0}


@pytest.mark.parametrize(
    ("mean", "shares", "together", "allowed"),
    [(32.0, (0.28, 0.37, 0.35), 1, 0.02), (10.0, (0.4, 0.6), 1, 0.02), (32.0, (0.28, 0.37, 0.35), 2, 0.1)],
)
@pytest.mark.parametrize("lives", [1.0, 100.0])
def test_chance_seldom_claims(mean: float, shares: tuple[float, ...], together: int, allowed: float, lives: float) -> None:
    """In 150 hours of vehicles that choose their lanes at random, alone or in twos, before stations that are made anew each
    `lives` hours: what they learn in the beginning they learn of little.
    """
    dice, claims, held, lanes = np.random.default_rng(1), 0, False, LaneShares(len(shares))
    for k in range(150 * 120):
        if k % round(lives * 120) == 0:
            lanes, held = LaneShares(len(shares)), False
        counts = dice.multinomial(dice.poisson(mean / together), shares) * float(together)
        lanes.hear(30.0, counts.tolist(), [25.0] * len(shares))
        most = max(lane.evidence for lane in lanes.lanes)
        claims += most >= CLAIMED and not held
        held = most >= (HELD if held else CLAIMED)
    assert claims <= 150 * allowed


def test_what_is_claimed_is_learned_slowly() -> None:
    lanes = LaneShares(3)
    for k in range(KNOWN + 120):
        lanes.hear(30.0, list(USUAL if k < KNOWN else (0.0, 15.0, 14.0)), list(SPEEDS))
    assert 0.3 < lanes.lanes[0].share / (9 / 32) < 0.5  # after an hour


# -- what a station may do ---------------------------------------------------------------------------------------------------


def test_it_is_said_no_longer_once_the_station_is_silent() -> None:
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 4, quiet=300.0)
    assert after(found, KNOWN)[-1] <= 4 + 1.5 + 0.1


def test_a_station_that_is_gone_is_forgotten() -> None:
    detector = ShunnedLane()
    for rows, seconds in ((told(0, OPEN), 60), (told(150, OPEN, name=9), 60)):
        start = int(rows["time"][0] - road.T0) // 1000
        for frame in road.frames(road.together(), road.together(rows, dtype=SENSOR), start=start, seconds=start + seconds):
            detector.update(frame)
    assert set(detector._stations) == {9}


def test_between_two_intervals_it_is_repeated() -> None:
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 6, interval=60.0)
    gaps = np.diff([f.time for f in found])
    assert gaps.max() <= 10_000


def test_a_lane_that_stays_empty_for_hours_is_closed_and_usual() -> None:
    intervals = ACCUSTOMED // round(1000 * INTERVAL) + 60
    found = played(*[OPEN] * KNOWN, *[EMPTY] * intervals)
    assert after(found, KNOWN)[-1] * INTERVAL == pytest.approx(ACCUSTOMED / 1000, abs=4 * INTERVAL)


def test_what_was_gathered_before_a_gap_is_void() -> None:
    rows = [told(k, OPEN) for k in range(KNOWN)] + [told(KNOWN, LEFT)]
    late = [told(KNOWN + k, LEFT) for k in (1 + math.ceil(GAP) + 1,)]
    for some, claimed in ((late, False), ([told(KNOWN + 1, LEFT)], True)):
        detector = ShunnedLane()
        seen = road.together(*rows, *some, dtype=SENSOR)
        found = [
            f for frame in road.frames(road.together(), seen, seconds=1 + round(INTERVAL * 45)) for f in detector.update(frame)
        ]
        assert bool(found) == claimed


@pytest.mark.parametrize("spoil", [lambda row: row, lambda row: np.concatenate([row, row])], ids=["once", "twice"])
def test_what_is_said_twice_counts_once(spoil: Callable[[Rows], Rows]) -> None:
    """A gateway may send an interval again, with another speed so that it is no copy."""
    rows = [spoil(told(k, OPEN)) for k in range(KNOWN)] + [spoil(told(KNOWN, LEFT))]
    for each in rows[-1:]:
        each["speed"][1:] = 1.0
    detector, seen = ShunnedLane(), road.together(*rows, dtype=SENSOR)
    assert [
        f for frame in road.frames(road.together(), seen, seconds=1 + round(INTERVAL * 40)) for f in detector.update(frame)
    ] == []


def test_with_other_lanes_it_is_learned_anew() -> None:
    two: Said = ((15.0, 14.0), SPEEDS[1:])
    assert played(*[OPEN] * KNOWN, *[two] * 10) == []
    assert played(*[OPEN] * KNOWN, *[two] * KNOWN, *[((0.0, 26.0), SPEEDS[1:])] * 6)


def test_one_row_with_other_lanes_changes_nothing() -> None:
    odd: Said = ((15.0, 14.0), SPEEDS[1:])
    found = played(*[OPEN] * KNOWN, *[EMPTY] * 4, *[odd, EMPTY, EMPTY] * 4)
    assert after(found, KNOWN)[-1] == pytest.approx(16.0, abs=0.1)


@pytest.mark.parametrize(("north", "turned"), [(200.0, 0.0), (0.0, 180.0)])
def test_a_trailer_that_is_moved_is_learned_anew(north: float, turned: float) -> None:
    rows = [told(k, OPEN) for k in range(KNOWN)]
    for k in range(KNOWN, KNOWN + 6):
        row = told(k, EMPTY, heading=turned)
        row["lat"] += north * road.METRE
        rows.append(row)
    detector, seen = ShunnedLane(), road.together(*rows, dtype=SENSOR)
    assert [f for frame in road.frames(road.together(), seen) for f in detector.update(frame)] == []


def test_intervals_of_a_second_are_put_together() -> None:
    """A vehicle a second: none of the three lanes is left for the seconds in between."""
    dice = np.random.default_rng(2)
    said = [(tuple(dice.multinomial(dice.poisson(1.0), (0.28, 0.37, 0.35)).tolist()), SPEEDS) for _ in range(7200)]
    assert played(*said, interval=1.0) == []
    left = [(tuple(float(1 + k % 2 == lane) for lane in range(3)), SPEEDS) for k in range(240)]
    assert played(*said, *left, interval=1.0)


def test_who_is_told_twice_counts_once() -> None:
    """A mean of the last minute, told each half of a minute."""
    dice, detector, claims = np.random.default_rng(5), ShunnedLane(), 0
    passed = [dice.multinomial(dice.poisson(32.0), (0.28, 0.37, 0.35)) for _ in range(60 * 120)]
    for k in range(1, len(passed)):
        row = told(k, (tuple((passed[k - 1] + passed[k]).tolist()), SPEEDS))
        row["lane_volume"] /= 2.0
        row["interval"] = 60.0
        rows, second = road.together(row, dtype=SENSOR), 30 * (k + 1)
        before = detector._stations[NAME].claimed if k > 1 else -1
        for frame in road.frames(road.together(), rows, start=second, seconds=second + 1):
            detector.update(frame)
        claims += before < 0 <= detector._stations[NAME].claimed
    assert claims <= 2  # in 60 hours


def test_as_many_lanes_as_there_may_be() -> None:
    many: Said = ((5.0,) * LANES, (25.0,) * LANES)
    left: Said = ((5.0,) * (LANES - 1) + (0.0,), (25.0,) * LANES)
    assert {dict(f.evidence)["shunned_lane"] for f in played(*[many] * KNOWN, *[left] * 8)} == {float(LANES)}
