"""Honest vehicles are believed whatever befalls them, crashes too; units that fail and names that are made up are not."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import CATALOGUE
from detectors.incident import Change
from detectors.incidents import Incidents
from detectors.model import HARD_BRAKING, Doubt, Frame, Rows, Sign
from detectors.movement import MISTRUST, TRACK, VOWED
from detectors.newcomers import AT_ONCE, MANY, TIMES, USUAL, WARM, Newcomers
from detectors.plausibility import Plausibility
from tests import road

TOWN = 14.0  # m/s
MINUTE = 60  # s for which a reporter is not believed
LATER = WARM / 1000 + 60.0  # s: when newcomers are told from the others


def doubts(rows: Rows, plausibility: Plausibility | None = None) -> list[Doubt]:
    """What is wrong with each row, fed in panes of a second."""
    asked = Plausibility() if plausibility is None else plausibility
    start = (int(rows["time"][0]) - road.T0) // 1000
    codes = [asked.believe(frame)[1] for frame in road.frames(rows, start=start)]
    return [Doubt(code) for code in np.concatenate(codes).tolist()]


def warm(plausibility: Plausibility | None = None) -> Plausibility:
    """It has known traffic for some minutes: one vehicle far away."""
    asked = Plausibility() if plausibility is None else plausibility
    assert set(doubts(road.together(road.drive(1, 0, int(LATER), 50_000.0, 0.0, 0.0, TOWN)), asked)) == {Doubt.NONE}
    return asked


def wander(seed: int, seconds: int, hertz: int, noise: float, loss: float, rotate: float, offset: float) -> Rows:
    """An honest vehicle that drives, bends, brakes, stands and drives on; its receiver errs, its messages get lost."""
    dice = np.random.default_rng(seed)
    count, step = seconds * hertz, 1.0 / hertz
    pull = np.repeat(dice.uniform(-8.0, 3.0, seconds // 3 + 1), 3 * hertz)[:count]
    speed = np.zeros(count)
    speed[0] = dice.uniform(0.0, 40.0)
    for k in range(1, count):
        speed[k] = min(45.0, max(0.0, speed[k - 1] + pull[k] * step))
    accel = np.diff(speed, prepend=speed[0]) / step
    turn = np.repeat(dice.uniform(-1.0, 1.0, seconds // 5 + 1), 5 * hertz)[:count]  # rad/s at most, and 0.6 g
    heading = np.cumsum(np.clip(turn, -6.0 / np.maximum(speed, 1.0), 6.0 / np.maximum(speed, 1.0)) * step)
    east, north = np.cumsum(speed * np.sin(heading) * step), np.cumsum(speed * np.cos(heading) * step)
    errs = dice.normal(0, 0.8 * noise, (2, 1)) + dice.normal(0, 0.6 * noise, (2, count))
    rows = road.rows(count, east + errs[0], north + errs[1], 10.0 + offset + np.arange(count) * step)
    rows["speed"], rows["accel"] = np.maximum(0.0, speed + dice.normal(0, 0.08, count)), accel
    rows["heading"] = (np.degrees(heading) + dice.normal(0, 2.0, count)) % 360
    rows["signs"] = np.where(accel < -3.92, int(Sign.HARD_BRAKE), 0)
    rows["reporter"] = 100 + np.arange(count) * step // rotate
    rows = rows[dice.random(count) >= loss]
    twice = rows[dice.random(len(rows)) < 0.05]
    twice["lat"] += road.METRE  # the same moment told twice, not quite the same
    return road.together(rows, twice)


honest = st.builds(
    wander,
    seed=st.integers(0, 2**32),
    seconds=st.integers(30, 120),
    hertz=st.sampled_from((1, 1, 2, 10)),
    noise=st.sampled_from((0.0, 1.5, 3.0)),
    loss=st.sampled_from((0.0, 0.05, 0.5)),
    rotate=st.sampled_from((20.0, 60.0, 1e9)),
    offset=st.floats(-3.0, 3.0),
)


@given(honest)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_an_honest_vehicle_is_believed(rows: Rows) -> None:
    """What it claims before it has been seen to drive straight on for some way must wait. And who stands, with a receiver that
    holds still, after a hard braking that nobody heard looks like one that froze."""
    for doubt, row in zip(doubts(rows), rows, strict=True):
        claims = int(row["signs"]) & int(Sign.HARD_BRAKE) or row["accel"] < -HARD_BRAKING
        stands = row["speed"] < 1.0 and doubt == Doubt.CONSTANT_POSITION
        assert doubt == Doubt.NONE or (claims and doubt == Doubt.CLAIM_WITHOUT_HISTORY) or stands


# -- what is wrong with one vehicle ------------------------------------------------------------------------------------------


def driving(hertz: int = 1, seconds: int = 90, speed: float = 20.0) -> Rows:
    """Straight north, with a receiver that errs by a metre."""
    dice, count = np.random.default_rng(3), seconds * hertz
    t = np.arange(count) / hertz
    rows = road.rows(count, dice.normal(0, 0.9, count), speed * t + dice.normal(0, 0.9, count), t)
    rows["reporter"], rows["speed"] = 7, speed
    return rows


def jumps(rows: Rows, k: int) -> None:
    rows["lat"][k:] += 113 * road.METRE


def freezes_at_speed(rows: Rows, k: int) -> None:
    rows["lat"][k:], rows["lon"][k:] = rows["lat"][k], rows["lon"][k]


def freezes_and_says_that_it_stands(rows: Rows, k: int) -> None:
    freezes_at_speed(rows, k)
    rows["speed"][k:] = 0.0


def creeps_at_speed(rows: Rows, k: int) -> None:
    rows["lat"][k:] = rows["lat"][k] + (rows["lat"][k:] - rows["lat"][k]) / 20


def says_that_it_stands(rows: Rows, k: int) -> None:
    rows["speed"][k:] = 0.0
    rows["accel"][k:] = -5.0  # as if it had braked


def turns_round_its_compass(rows: Rows, k: int) -> None:
    rows["heading"][k:] = 180.0


def leaps_off(rows: Rows, k: int) -> None:
    rows["speed"][:k] = 0.0
    rows["lat"][:k] = rows["lat"][k]


def accelerates_beyond_grip(rows: Rows, k: int) -> None:
    rows["accel"][k] = 12.0


def flies(rows: Rows, k: int) -> None:
    rows["speed"][k] = 150.0


FAULTS: dict[Callable[[Rows, int], None], tuple[Doubt, int]] = {  # at 20 s; and within how many seconds it must be known
    jumps: (Doubt.POSITION_CHANGE_TOO_LARGE, 0),
    freezes_at_speed: (Doubt.CONSTANT_POSITION, 1),
    freezes_and_says_that_it_stands: (Doubt.CONSTANT_POSITION, 1),
    creeps_at_speed: (Doubt.POSITION_CHANGE_TOO_SMALL, 10),
    says_that_it_stands: (Doubt.POSITION_CHANGE_TOO_LARGE, 16),
    turns_round_its_compass: (Doubt.HEADING_AGAINST_MOVEMENT, 6),
    leaps_off: (Doubt.SPEED_CHANGE_TOO_LARGE, 0),
    accelerates_beyond_grip: (Doubt.LONG_ACC_VALUE_TOO_LARGE, 0),
    flies: (Doubt.SPEED_VALUE_TOO_LARGE, 0),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("hertz", [1, 10])
def test_a_fault_is_known_within_seconds(fault: Callable[[Rows, int], None], hertz: int) -> None:
    rows = driving(hertz)
    fault(rows, 20 * hertz)
    wanted, within = FAULTS[fault]
    found = doubts(road.together(rows))
    assert set(found[: 20 * hertz]) == {Doubt.NONE}
    assert wanted in found[20 * hertz : (20 + within) * hertz + hertz]


def every(seconds: int, speed: float = 20.0, count: int = 1, lasting: int = 300) -> Rows:
    """Vehicles that drive side by side and report once in so many seconds, in turn."""
    some = []
    for k in range(count):
        rows = driving(seconds=lasting, speed=speed)
        rows["reporter"] = 100 * seconds + k
        rows["lon"] += 0.001 * (k + 1)
        some.append(rows[k % seconds :: seconds])
    return road.together(*some)


@pytest.mark.parametrize("others", [0, 10])
@pytest.mark.parametrize("seconds", [1, 5, 10])
@pytest.mark.parametrize("speed", [10.0, 20.0, 33.0])
@pytest.mark.parametrize(("unit", "believed"), [(3.6, False), (2.237, False), (1.3, True)], ids=["km/h", "mph", "worn tyres"])
def test_a_speed_in_another_unit_is_known_by_the_way_that_it_makes(
    unit: float, believed: bool, speed: float, seconds: int, others: int
) -> None:
    """A feed that says km/h would teach every place what nobody drives there; others may report seldom or often beside it."""
    rows = every(seconds, speed)
    rows["speed"] *= unit
    if others:
        beside = every(10, 20.0, others)
        beside["reporter"] += 50_000
        rows = road.together(rows, beside)
    found = [doubt for doubt, name in zip(doubts(rows), rows["reporter"], strict=True) if name == 100 * seconds]
    if believed:
        assert set(found) == {Doubt.NONE}
    else:
        known = math.ceil(VOWED / (unit * speed * seconds)) + 1
        assert set(found[known:]) == {Doubt.POSITION_CHANGE_TOO_SMALL}


def test_who_stops_at_every_light_is_believed() -> None:
    """He says 12 m/s each 20 s, and stands most of the time in between."""
    rows = every(20, speed=12.0, lasting=1200)
    rows["lat"] = rows["lat"][0] + (rows["lat"] - rows["lat"][0]) * 0.3
    assert set(doubts(rows)) == {Doubt.NONE}


@pytest.mark.parametrize("hertz", [1, 10])
def test_one_odd_row_costs_a_minute_and_no_more(hertz: int) -> None:
    rows = driving(hertz)
    rows["lat"][20 * hertz] += 113 * road.METRE
    found = doubts(rows)
    hidden = [k for k, doubt in enumerate(found) if doubt]
    assert {found[k] for k in hidden} == {Doubt.POSITION_CHANGE_TOO_LARGE}
    assert hidden[0] == 20 * hertz
    assert hidden[-1] <= (21 + MINUTE) * hertz


def test_an_odd_row_before_a_long_stand_costs_no_more_than_a_minute() -> None:
    """Some receivers hold their position still while they stand."""
    rows = driving(seconds=120, speed=0.0)
    rows["lat"], rows["lon"] = rows["lat"][0], rows["lon"][0]
    rows["lat"][20] += 113 * road.METRE
    hidden = [k for k, doubt in enumerate(doubts(rows)) if doubt]
    assert hidden == list(range(20, 21 + MINUTE))


def test_what_is_wrong_with_a_row_only_costs_that_row() -> None:
    for fault in (accelerates_beyond_grip, leaps_off):
        rows = driving()
        fault(rows, 20)
        assert [k for k, doubt in enumerate(doubts(rows)) if doubt] == [20]


def test_without_a_speed_only_the_way_is_judged() -> None:
    rows = driving()
    rows["speed"] = np.nan
    assert set(doubts(rows)) == {Doubt.NONE}
    jumps(rows, 20)
    assert doubts(rows)[20] == Doubt.POSITION_CHANGE_TOO_LARGE


# -- a crash ---------------------------------------------------------------------------------------------------------------


def crash(sign: Sign | None, accel: float = 0.0, living: bool = False) -> Rows:
    """From 20 m/s to nothing between two rows, and then the same position for ever, unless it lives."""
    rows = driving()
    freezes_and_says_that_it_stands(rows, 20)
    if living:
        rows["lat"][20:] += np.random.default_rng(4).normal(0, 0.9, len(rows) - 20) * road.METRE
    rows["accel"][20] = accel
    rows["signs"][20:] = int(sign or 0)
    return rows


@pytest.mark.parametrize("sign", [Sign.AIRBAG, Sign.DISABLED, Sign.HAZARD_LIGHTS, Sign.HARD_BRAKE])
def test_a_crash_that_is_spoken_of_is_believed_though_it_freezes(sign: Sign) -> None:
    assert set(doubts(crash(sign))) == {Doubt.NONE}


def test_a_crash_that_the_accelerometer_felt_is_believed() -> None:
    assert set(doubts(crash(None, accel=-40.0))) == {Doubt.NONE}


def test_a_fall_without_a_word_is_believed_as_soon_as_the_position_lives() -> None:
    assert [k for k, doubt in enumerate(doubts(crash(None, living=True))) if doubt] == [20]


def test_an_airbag_is_heard_even_of_one_that_is_not_believed() -> None:
    rows = driving()
    jumps(rows, 20)
    rows["signs"][40] = int(Sign.AIRBAG)
    found = doubts(rows)
    assert found[39] == found[41] == Doubt.POSITION_CHANGE_TOO_LARGE
    assert found[40] == Doubt.NONE


def test_whoever_has_a_history_is_heard_and_not_one_for_all() -> None:
    others = []
    for k in range(3):
        wreck = crash(Sign.AIRBAG)
        wreck["time"] += int(LATER * 1000) + 5000 * k
        wreck["reporter"] += k
        others.append(wreck)
    assert set(doubts(road.together(*others), warm())) == {Doubt.NONE}


# -- names without a history -------------------------------------------------------------------------------------------------


def town(seconds: float = 540.0) -> Rows:
    """A street on which a vehicle comes every three seconds at 14 m/s, over 1500 m; every receiver errs."""
    dice, made = np.random.default_rng(9), []
    for k in range(int(seconds / 3)):
        some = road.drive(1000 + k, 3.0 * k, 107, 0.0, 0.0, 0.0, TOWN)
        some["lat"] += dice.normal(0, 0.9, len(some)) * road.METRE
        some["lon"] += dice.normal(0, 0.9, len(some)) * road.METRE_EAST
        made.append(some)
    rows = road.together(*made)
    return rows[rows["time"] < road.T0 + seconds * 1000]


SPOT = 700.0  # m up the street


def flood(
    count: int = 50, sign: Sign = Sign.HARD_BRAKE, speed: float = 12.0, at: float = LATER + 60.0, over: float = 1.0
) -> Rows:
    """So many names that nobody has heard of begin to speak from one spot, `over` so many s, each for half a minute."""
    dice, made = np.random.default_rng(11), []
    for k in range(count):
        some = road.drive(90_000 + k, at + over * k / count, 30, dice.normal(0, 2), SPOT + dice.normal(0, 15), 0.0, 0.0)
        some["speed"], some["accel"], some["signs"] = speed, -6.0, int(sign)
        made.append(some)
    return road.together(*made)


def incidents(frames: list[Frame]) -> list[Change]:
    detectors, book = [make() for make in CATALOGUE], Incidents(0)
    return [c for frame in frames for c in book.advance(frame.end, [f for d in detectors for f in d.update(frame)])]


@pytest.mark.parametrize("at", [10.0, LATER + 60.0], ids=["when a worker begins", "later"])
@pytest.mark.parametrize("count", [2, 5, 50])
@pytest.mark.parametrize(
    ("sign", "speed"), [(Sign.HARD_BRAKE, 12.0), (Sign.HARD_BRAKE, 0.0), (Sign.AIRBAG, 0.0), (Sign.ABS, 12.0)]
)
def test_one_source_with_many_names_makes_nothing_more_than_possible(count: int, sign: Sign, speed: float, at: float) -> None:
    made_up = flood(count, sign, speed, at, over=10.0)  # all at once they would be one braking and its answers
    rows = road.together(town(), made_up)
    found = incidents(list(road.believed(road.frames(rows))))
    assert {change.certainty for change in found} <= {"Possible"}
    assert all(change.reporters <= 1 for change in found)
    if count == 50:
        assert "Likely" in {change.certainty for change in incidents(list(road.frames(rows)))}, "or this shows nothing"


def test_those_around_a_flood_are_believed_as_before() -> None:
    rows = road.together(town(), flood())
    found = np.array(doubts(rows))
    real = rows["reporter"] < 90_000
    assert set(found[real].tolist()) == {Doubt.NONE}
    assert set(found[~real].tolist()) == {Doubt.MANY_IDENTITIES}


def test_a_real_crash_in_a_flood_is_heard() -> None:
    wreck = driving()
    wreck["time"] += int(LATER * 1000) + 40_000
    freezes_and_says_that_it_stands(wreck, 35)
    wreck["signs"][35:] = int(Sign.AIRBAG)
    found = doubts(road.together(town(), flood(), wreck))
    rows = road.together(town(), flood(), wreck)
    assert {doubt for doubt, name in zip(found, rows["reporter"].tolist(), strict=True) if name == 7} == {Doubt.NONE}


def test_of_the_airbags_that_come_out_of_nowhere_one_is_heard() -> None:
    rows = flood(sign=Sign.AIRBAG)
    found = doubts(road.together(rows), warm())
    assert {name for doubt, name in zip(found, rows["reporter"].tolist(), strict=True) if not doubt} == {90_000}


@pytest.mark.parametrize("begins", [0.0, LATER], ids=["when a worker begins", "later"])
def test_who_has_been_seen_to_drive_is_believed_that_it_brakes(begins: float) -> None:
    rows = driving()
    rows["time"] += int(begins * 1000)
    rows["signs"][[2, 7]] = int(Sign.HARD_BRAKE)
    found = doubts(rows, warm() if begins else None)
    assert [k for k, doubt in enumerate(found) if doubt] == [2]
    assert found[2] == Doubt.CLAIM_WITHOUT_HISTORY


def test_at_a_ramp_vehicles_are_believed_when_they_have_driven() -> None:
    """Thirty are switched on within seconds, drive off one after the other, and are believed a minute later."""
    made = []
    for k in range(30):
        waits = np.zeros(20 + 2 * k)
        speed = np.concatenate([waits, np.full(150 - len(waits), 8.0)])
        some = road.rows(150, 0.0, np.cumsum(speed) - 8.0 * k, LATER + 60 + k / 10 + np.arange(150.0))
        some["speed"], some["reporter"] = speed, 500 + k
        made.append(some)
    rows = road.together(*made)
    found = np.array(doubts(rows, warm()))
    late = rows["time"] > road.T0 + (LATER + 60 + 5 + MINUTE) * 1000
    moving = np.isin(rows["reporter"], np.arange(500, 510))
    assert set(found[late & moving].tolist()) == {Doubt.NONE}
    assert Doubt.MANY_IDENTITIES in found


def test_at_the_rim_of_what_is_seen_newcomers_are_usual() -> None:
    """A motorway at full flow enters the picture: two vehicles a second, for ten minutes."""
    made = [road.drive(100 + k, k / 2, 20, 0.0, 0.0, 0.0, 30.0) for k in range(1200)]
    assert set(doubts(road.together(*made))) == {Doubt.NONE}


def test_ids_that_change_in_a_jam_are_no_crowd() -> None:
    """A hundred vehicles stand for a quarter of an hour; each takes a new name every five minutes, when its time comes."""
    dice, made = np.random.default_rng(2), []
    for k in range(100):
        t = np.arange(900.0)
        some = road.rows(900, dice.normal(0, 1.0, 900), 2.0 * k + dice.normal(0, 1.0, 900), t)
        some["reporter"] = 1000 * (k + 1) + (t + dice.uniform(0, 300)) // 300
        made.append(some)
    assert set(doubts(road.together(*made))) == {Doubt.NONE}


def test_when_a_worker_begins_everybody_is_new_and_only_claims_are_doubted() -> None:
    rows = road.together(*[flood(50, at=at) for at in (0.0, 30.0)])
    rows["reporter"] += np.where(rows["time"] > road.T0 + 30_000, 1000, 0).astype(np.uint64)
    rows["speed"] = 3.0
    found = set(doubts(rows))
    assert Doubt.MANY_IDENTITIES not in found
    assert Doubt.NONE not in found  # they claim that they brake hard, and never drove
    rows["signs"] = rows["accel"] = rows["speed"] = 0
    assert set(doubts(rows)) == {Doubt.NONE}


def test_after_a_long_silence_everybody_is_new_again() -> None:
    asked = warm()
    rows = flood(at=LATER + 700.0, speed=3.0)
    assert Doubt.MANY_IDENTITIES not in doubts(rows, asked)


@pytest.mark.parametrize("more", [0, 1])
def test_newcomers_are_counted_by_cell_and_a_crowd_is_more_than_ever_came_before_it(more: int) -> None:
    """Two every ten seconds in one cell, then as many as can come without being a crowd, and maybe one more."""
    counted, start, now = Newcomers(), road.T0, road.T0 + WARM
    counted.wake(start)
    lately = usually = 0.0
    for at in range(now - 100_000, now, 10_000):
        counted.wake(at)
        come(counted, 2, at)
        lately, usually = lately * np.exp(-10_000 / AT_ONCE) + 2, usually * np.exp(-10_000 / USUAL) + 2
    lately, usually = lately * np.exp(-10_000 / AT_ONCE), usually * np.exp(-10_000 / USUAL)
    rate = usually / (USUAL * -np.expm1(-(WARM - 60_000) / USUAL))  # of all that was learned since the first minute
    most = int(MANY + TIMES * rate * AT_ONCE - lately)
    assert most > 1
    counted.wake(now)
    tracks = come(counted, most + more, now)
    assert tracks["crowd"].tolist() == [now + MISTRUST if more else 0] * len(tracks)


def come(counted: Newcomers, count: int, now: int) -> Rows:
    """So many tracks that begin in cell 7 in the pane that ends at `now`."""
    tracks = np.zeros(count, TRACK)
    tracks["cell"], tracks["time"], tracks["since"] = 7, now - 1, now - 1
    counted.crowd(tracks, 0, tracks["cell"].copy(), np.arange(count), now)
    return tracks


# -- what every detector keeps, too ------------------------------------------------------------------------------------------


def busy() -> Rows:
    """All of it together."""
    broken = []
    for k, fault in enumerate(FAULTS):
        some = driving()
        fault(some, 20)
        some["time"] += 100_000 + 7 * k
        some["reporter"] = 50 + k
        broken.append(some)
    claims = driving()
    claims["time"] += int(LATER * 1000)
    claims["signs"] = int(Sign.TRACTION)
    broken.append(claims)
    return road.together(town(), flood(), flood(5, Sign.AIRBAG, at=20.0), *broken)


def test_the_whole_is_its_parts_and_pickling_changes_nothing() -> None:
    whole, parted = Plausibility(), Plausibility()
    seen = set()
    for k, frame in enumerate(road.frames(busy())):
        believed, codes = whole.believe(frame)
        again, same = parted.believe(frame)
        assert (believed.observations.tobytes(), codes.tobytes()) == (again.observations.tobytes(), same.tobytes())
        seen |= set(codes.tolist())
        if k % 37 == 0:
            parted = pickle.loads(pickle.dumps(parted, protocol=5))
    assert {Doubt(code) for code in seen} == set(Doubt), "all of it is in there"


def test_the_rows_are_left_as_they_are() -> None:
    rows = busy()
    before = rows.tobytes()
    doubts(rows)
    assert rows.tobytes() == before


def test_vehicles_are_forgotten_and_in_the_end_places_too() -> None:
    asked = Plausibility()
    empty = len(pickle.dumps(asked, protocol=5))
    apart = [road.drive(200 + k, 400 + k / 10, 5, 0.0, 1000.0 * k, 0.0, TOWN) for k in range(300)]  # a cell of its own for each
    doubts(road.together(busy(), *apart), asked)
    full = len(pickle.dumps(asked, protocol=5))
    for frame in road.silence(road.T0 + 600_000, 180):
        asked.believe(frame)
    places = len(pickle.dumps(asked, protocol=5))
    assert places < full - 200 * 100
    for frame in road.silence(road.T0 + 800_000, 4 * 3600, 10_000):
        asked.believe(frame)
    assert len(pickle.dumps(asked, protocol=5)) < empty + 100 < places
