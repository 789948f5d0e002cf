"""Made-up messages, through the real graph without an engine (tests/simulation.py), among honest traffic with real incidents.

What is shown: one source, under one name or fifty that stand on one spot, makes no incident that is more than Possible or that
has more than one reporter, when a worker begins as well as later, and what is said of real incidents stays the same but for
the score; old messages sent again change nothing; a flood of one partition changes no alert, makes no new series of metrics,
and takes memory that is bounded and comes back.

What is not, for nothing in a track tells it from the truth: names that drive for a quarter of a minute as real vehicles would,
and then brake. Until then they count as one. That is for signatures to tell (IEEE 1609.2), and those the roadside units check.
"""

from __future__ import annotations

import json
import pickle
import random
import sys
from functools import cache

import numpy as np
import pytest

from dataflows import grid
from dataflows.formats.base import Pseudonym
from dataflows.metrics import METRICS
from detectors.blocked_road import BlockedRoad
from detectors.model import READING, SENSOR, Frame, Rows, Sign
from detectors.shunned_lane import ShunnedLane
from detectors.stations import FORGET
from tests import road
from tests.sent import Sent, inputs, sent
from tests.simulation import Alerts, Input, calm, calm_world
from tests.test_plausibility import LATER

SECONDS = 560
SEED = 3  # of all dice here
CLAIMS = (Sign.HARD_BRAKE, Sign.AIRBAG, Sign.ABS, Sign.DISABLED)
TRACK = 200  # bytes of a name's state, at most
BACK = 130  # s after which it is gone


@cache
def honest() -> tuple[Sent, ...]:
    return tuple(sent(road.motorway(SECONDS), random.Random(1)))


@cache
def true() -> Alerts:
    found = calm(inputs(honest()))
    assert {"accident", "adhesion", "wrong_way"} <= {json.loads(alert)["kind"] for alert in found.values()}
    return found


def standing(names: int, sign: Sign, at: float, north: float, first: int, speed: float = 12.0) -> Rows:
    """So many names speak from one spot, within a second, for half a minute."""
    dice, made = np.random.default_rng(SEED), []
    for k in range(names):
        some = road.drive(first + k, at + k / names, 30, dice.normal(0, 2), north + dice.normal(0, 15), 0.0, 0.0)
        some["speed"], some["accel"], some["signs"] = speed, -6.0, int(sign)
        made.append(some)
    return road.together(*made)


def added(found: Alerts) -> list[dict[str, object]]:
    """What is not said in truth. And the truth is said as ever, but for the score: of how rare a thing is, lies tell too."""
    for name, alert in true().items():
        said, meant = json.loads(found[name]), json.loads(alert)
        assert abs(said.pop("score") - meant["score"]) <= 0.1 * meant.pop("score"), f"{name}, seed {SEED}"
        assert said == meant, f"{name}, seed {SEED}"
    return [json.loads(alert) for name, alert in found.items() if name not in true()]


@pytest.mark.parametrize("names", [1, 50])
@pytest.mark.parametrize("at", [10.0, LATER + 60.0], ids=["when a worker begins", "later"])
def test_one_source_makes_nothing_more_than_possible(names: int, at: float) -> None:
    """All claims at once, on a stretch on which nothing is wrong."""
    floods = [standing(names, sign, at, 1300.0 + 30.0 * k, 90_000 + 100 * k) for k, sign in enumerate(CLAIMS)]
    lies = added(calm(inputs([*honest(), *sent(road.together(*floods), random.Random(SEED))])))
    assert {lie["kind"] for lie in lies} == {"accident"}, "who says that it crashed is always heard"
    assert {lie["certainty"] for lie in lies} == {"Possible"}
    assert {lie["reporters"] for lie in lies} == {1}


@pytest.mark.parametrize("apart", [0.02, 1.0], ids=["at once", "one a second"])
@pytest.mark.parametrize("at", [10.0, LATER + 60.0], ids=["when a worker begins", "later"])
def test_names_that_drive_for_a_moment_and_brake_are_one_source(apart: float, at: float) -> None:
    """Fifty that drive as vehicles do, so that they are believed, and brake hard at one place after six seconds."""
    ghosts = []
    for k in range(50):
        ghost = road.drive(90_000 + k, at + apart * k, 10, 1.7 * (k % 2), 1180.0, 0.0, 20.0)
        slow = np.maximum(0.0, 20.0 - 8.0 * np.maximum(0.0, np.arange(10) - 6.0))
        ghost["lat"] = road.LAT + (1180.0 + np.concatenate([[0.0], np.cumsum(slow)[:-1]])) * road.METRE
        ghost["speed"], ghost["accel"] = slow, np.where((slow > 0.0) & (np.arange(10) > 6), -8.0, 0.0)
        ghost["signs"] = np.where(np.arange(10) > 6, int(Sign.HARD_BRAKE), 0)
        ghosts.append(ghost)
    found = calm(inputs([*honest(), *sent(road.together(*ghosts), random.Random(SEED))]))
    said, meant = ([json.loads(alert) for alert in alerts.values()] for alerts in (found, true()))
    real = {alert["incident_id"] for alert in meant}
    assert real <= {alert["incident_id"] for alert in said}, (
        f"seed {SEED}"
    )  # though braking that is believed makes it less rare
    lies = [alert for alert in said if alert["incident_id"] not in real]
    assert {lie["certainty"] for lie in lies} <= {"Possible"}, f"seed {SEED}"
    assert {lie["reporters"] for lie in lies} <= {1}, f"seed {SEED}"


def test_old_messages_sent_again_change_nothing() -> None:
    """All that was said around the crash, again three minutes later, byte for byte."""
    crash = [each for each in honest() if 300_000 <= each.time - road.T0 < 330_000]
    again = [each._replace(arrival=each.arrival + 180_000) for each in crash]
    before = sum(METRICS.value("late_records_total", topic=f"v{n}") for n in range(3))
    assert calm(inputs([*honest(), *again])) == true()
    assert sum(METRICS.value("late_records_total", topic=f"v{n}") for n in range(3)) - before >= len(again) > 1000


def test_copies_in_time_change_nothing_either() -> None:
    at_once = [each._replace(arrival=each.arrival + 1) for each in honest() if each.time - road.T0 >= 300_000]
    assert calm(inputs([*honest(), *at_once])) == true()


# -- floods ------------------------------------------------------------------------------------------------------------------


def strangers(count: int, at: float, seconds: float = 20.0, within: float = 7000.0) -> Rows:
    """So many names, each heard once, somewhere in the same part of the city; all of them brake hard."""
    dice = np.random.default_rng(SEED)
    east, north = dice.uniform(2000.0, within, count), dice.uniform(-within, within, count)
    rows = road.rows(count, east, north, at + dice.uniform(0, seconds, count), speed=12.0, accel=-6.0)
    rows["reporter"], rows["signs"] = 200_000 + np.arange(count), int(Sign.HARD_BRAKE)
    return road.together(rows)


def test_a_flood_of_names_changes_no_alert() -> None:
    series = METRICS.page().count(b"\n")
    assert calm(inputs([*honest(), *sent(strangers(10_000, SECONDS - 25.0), random.Random(SEED))])) == true()
    assert METRICS.page().count(b"\n") == series


def test_its_memory_comes_back() -> None:
    sizes = {}
    for count in (0, 10_000):
        for until in (30, 30 + BACK):
            somebody = sent(road.drive(5, 0.0, until, 0.0, 0.0, 0.0, 20.0), random.Random(SEED))
            world = calm_world(inputs([*somebody, *sent(strangers(count, 5.0), random.Random(SEED))]))
            sizes[count, until] = sum(len(pickle.dumps(shard.plausibility._tracks)) for shard in world.shards.values())
    grown = sizes[10_000, 30] - sizes[0, 30]
    assert 10_000 < grown < 10_000 * TRACK * 1.5  # some are seen by two shards
    assert sizes[10_000, 30 + BACK] <= sizes[0, 30 + BACK] + TRACK


def rubbish(pieces: int) -> list[Input]:
    """Before each honest message of one partition some rubbish."""
    dice = random.Random(SEED)
    flooded, *others = inputs(honest())
    mixed = [dice.randbytes(dice.randrange(200)) for _ in range(pieces)]
    for place, message in enumerate(flooded.messages):
        mixed.insert(2 * place, message)
    return [Input(flooded.name, flooded.form, mixed), *others]


def test_a_flood_of_rubbish_into_one_partition_changes_nothing() -> None:
    series = []
    for pieces in (1000, 20_000):
        assert calm(rubbish(pieces)) == true()
        series.append(METRICS.page().count(b"\n"))
    assert series[0] == series[1]


def test_what_is_remembered_of_names_and_cells_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pseudonym, "REMEMBERED", 1000)
    monkeypatch.setattr(grid, "REMEMBERED", 100)
    world = calm_world(inputs(sent(strangers(5000, 0.0), random.Random(SEED))))
    for intake in world.intakes.values():
        assert len(intake._context.pseudonym._known) <= 1000
    assert len(world.grid._known) <= 100


@pytest.mark.parametrize("detector", [BlockedRoad, ShunnedLane])
def test_there_is_an_end_of_stations(detector: type[BlockedRoad | ShunnedLane], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was there first stays, and names that were made up leave room when they are forgotten."""
    monkeypatch.setattr(sys.modules[detector.__module__], "MOST", 20)
    watches, seconds = detector(), 0.0
    for first in (0, 10, 20, 10_000):
        seconds += 30.0 if first < 10_000 else FORGET / 1000.0
        rows = [
            road.station(name, seconds, 30.0, 100.0 * (name % 50), heading=0.0, speed=25.0, volume=900.0)
            for name in range(first, first + 15)
        ]
        for row in rows:
            row["lane_volume"][0, :2], row["lane_speed"][0, :2] = 450.0, 25.0
        end = road.T0 + int(seconds * 1000) + 1000
        watches.update(Frame(end - 1000, end, road.together(), road.together(*rows, dtype=SENSOR), np.empty(0, READING)))
        assert set(watches._stations) == (set(range(first, first + 15)) if first == 10_000 else set(range(min(first + 15, 20))))
