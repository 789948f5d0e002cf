"""Messages out of order, twice, and with wrong clocks: what is in time gives the same incidents, and nobody waits for a fool.

What is shown, through the real graph without an engine (tests/simulation.py):
- Any order within the lateness, and copies of a fifth of all messages: the same alerts, byte for byte.
- A vehicle whose clock runs an hour ahead: the same bytes as without it.
- Clocks that are up to 30 s wrong, of one vehicle in five: what is further off than allowed is refused or late, and counted;
  the incidents that have another witness are the same ones by kind and place, and there are no others. What is within the
  limits is believed at the time that it says, so detection times and scores may differ.
- Whatever clocks say: a partition's watermark stays behind its arrivals, and a message that is in time is never late.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.intake import Intake
from dataflows.metrics import METRICS
from dataflows.settings import Window
from dataflows.window import Panes, ShardWindow
from detectors.geometry import distance
from detectors.model import Sign
from tests import road
from tests.sent import LATENESS, Sent, inputs, sent, shuffled
from tests.simulation import Alerts, World, calm
from tests.test_intake import GRID, T0, message

SEEDS = (1, 2, 4)
SKEW = 30_000  # ms
HOUR = 3_600_000  # ms
ALONE = {99_998, 99_999}  # the one that stands and the one that drives the wrong way: each is an incident of its own
SAME = 150.0  # m: by so much may the place of an incident differ when some of its witnesses are missing


@cache
def traffic() -> tuple[Sent, ...]:
    return tuple(sent(road.motorway(560), random.Random(1)))


@cache
def in_order() -> Alerts:
    """What the messages give in the order of their times, each once."""
    found = calm(inputs([each._replace(arrival=each.time) for each in traffic()]))
    kinds = {json.loads(alert)["kind"] for alert in found.values()}
    assert kinds >= {"accident", "adhesion", "stationary_vehicle", "visibility", "wrong_way"}
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_order_and_copies_cannot_be_seen(seed: int) -> None:
    messages = shuffled(traffic(), LATENESS, 0.2, random.Random(seed))
    assert len(messages) > 1.19 * len(traffic())
    assert calm(inputs(messages)) == in_order(), f"seed {seed}"


def test_nor_can_they_with_crashes_in_between() -> None:
    messages = shuffled(traffic(), LATENESS, 0.2, random.Random(5))
    assert World(inputs(messages), seed=5).run() == in_order(), "seed 5, of the shuffle and of the world"


def test_more_than_the_lateness_is_counted_as_late() -> None:
    """So that the tests above can fail: the order is what decides."""
    before = late()
    calm(inputs(shuffled(traffic(), 3 * LATENESS, 0.0, random.Random(1))))
    assert late() > before


# -- clocks ------------------------------------------------------------------------------------------------------------------


def test_an_hour_ahead_is_as_if_it_were_not_there() -> None:
    dice = random.Random(2)
    fool = sent(road.drive(77, 5.0, 550, 0.0, 0.0, 0.0, 5.0, signs=1 << 1, accel=-6.0), dice, skew=HOUR)
    before, late_before = refused("ahead_of_time"), late()
    assert calm(inputs([*traffic(), *fool])) == calm(inputs(traffic()))
    assert refused("ahead_of_time") - before == len(fool) == 550
    assert late() == late_before


def wrong_clocks(seed: int) -> tuple[list[Sent], set[int]]:
    """The same traffic, with every fifth vehicle's clock up to 30 s wrong; and who those are. The only ones who could tell
    of an incident are not among them: it has no other witness.
    """
    dice, rows, made = random.Random(seed), road.motorway(560), []
    crashed = set(rows["reporter"][(rows["signs"] & int(Sign.AIRBAG)) != 0].tolist())
    whose = [int(who) for who in np.unique(rows["reporter"])]
    wrong = set(dice.sample([who for who in whose if who not in ALONE | crashed], len(whose) // 5))
    for who in whose:
        made += sent(rows[rows["reporter"] == who], dice, skew=dice.randint(-SKEW, SKEW) if who in wrong else 0)
    return made, wrong


@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_clocks_leave_the_incidents_as_they_are(seed: int) -> None:
    messages, wrong = wrong_clocks(seed)
    assert len(wrong) >= 50
    before, late_before = refused("ahead_of_time"), late()
    found = incidents(calm(inputs(messages)))
    ahead = sum(each.time > each.arrival + Window().max_ahead for each in messages)
    assert refused("ahead_of_time") - before == ahead > 1000, f"seed {seed}"
    assert late() - late_before > 1000, f"seed {seed}"
    assert matched(found, incidents(in_order())), f"seed {seed}: {found}, not {incidents(in_order())}"


def test_and_nobody_with_a_right_clock_is_late_for_it() -> None:
    messages, wrong = wrong_clocks(1)
    before = late()
    calm(inputs(messages))
    mine = sum(each.who in wrong and each.time < each.arrival - LATENESS for each in messages)
    assert 0 < late() - before <= mine


clocks = st.one_of(st.integers(-LATENESS, 0), st.integers(-HOUR, HOUR), st.sampled_from((-(10**12), -HOUR, HOUR, 10**12)))


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 3000), clocks), max_size=12), max_size=4), st.sampled_from((0, 60_000)))
def test_no_clock_moves_the_watermark_past_the_arrivals(polls: list[list[tuple[int, int]]], max_behind: int) -> None:
    """Lists of (ms since the last arrival, how wrong the clock is). Who is in time is never late; all are counted."""
    window = Window(max_behind=max_behind)
    way = Intake("clocks", 0, FORMATS["observation"], Context(Pseudonym(b"key")), GRID, window)
    names = ("received", "accepted", "late", "refused")
    now = T0
    for poll in polls:
        before = counts("clocks")
        arrivals = (now + np.cumsum([wait for wait, _ in poll])).astype(np.int64)
        now = int(arrivals[-1]) if poll else now
        messages = [message(arrived + off) for arrived, (_, off) in zip(arrivals.tolist(), poll, strict=True)]
        way.take(messages, arrivals, range(len(poll)))
        received, accepted, late, refused = (counts("clocks")[name] - before[name] for name in names)
        assert received == len(poll) == accepted + late + refused
        assert accepted >= sum(-LATENESS <= off <= Window().max_ahead for _, off in poll)
        assert way.latest <= now
        if max_behind and accepted + late:
            assert way.latest >= min(arrivals) - max_behind


def test_where_a_limit_is_set_nobody_waits_for_slow_clocks_or_old_messages() -> None:
    """A partition on which nobody else speaks: a station whose clock is an hour slow, or last hour's messages sent again."""
    reached = {}
    for limit in (0, 60_000):
        window = Window(max_behind=limit)
        way = Intake(f"slow-{limit}", 0, FORMATS["observation"], Context(Pseudonym(b"key")), GRID, window)
        arrivals = T0 + np.arange(0, 30_000, 1000)
        poll = way.take([message(int(at) - HOUR) for at in arrivals], arrivals, range(len(arrivals)))
        reached[limit] = way.latest, bool(poll.chunks), counts(f"slow-{limit}")["late"]
    assert reached[0] == (T0 + 29_000 - HOUR, True, 0)  # recordings are played again long after: that must work
    assert reached[60_000] == (T0 + 29_000 - 60_000, False, 30)


def test_the_panes_of_others_close_although_all_of_a_slow_partition_is_late() -> None:
    """What moves time says so: its partition's tick goes out without a row."""
    window = Window(max_behind=60_000, shards=1)
    context = Context(Pseudonym(b"key"))
    right, slow = (Intake(name, 0, FORMATS["observation"], context, GRID, window) for name in ("right", "slow"))
    shard = ShardWindow(0, Panes(window.pane, ("right/0", "slow/0"), GRID, ()))
    closed = 0
    for now in range(T0, T0 + 2 * 60_000, 1000):
        for way, off in ((right, 0), (slow, -HOUR)):
            poll = way.take([message(now + off)], np.array([now]), [0])
            report = shard.feed([heard] if (heard := poll.chunks.get(0, poll.tick)) else [])
            closed = report.closed if report else closed
    assert T0 + 2 * 60_000 - closed <= window.max_behind + window.lateness + 2 * window.pane


# -- what came of it ---------------------------------------------------------------------------------------------------------


def late() -> float:
    at_source = sum(METRICS.value("late_records_total", topic=f"v{n}") for n in range(3))
    return at_source + METRICS.value("late_at_shard_records_total")


def refused(reason: str) -> float:
    return sum(METRICS.value("refused_records_total", topic=f"v{n}", reason=reason) for n in range(3))


def counts(topic: str) -> Counter[str]:
    found = {name: METRICS.value(f"{name}_records_total", topic=topic) for name in ("received", "accepted", "late")}
    found["refused"] = METRICS.value("refused_records_total", topic=topic, reason="ahead_of_time")
    found["refused"] += METRICS.value("refused_records_total", topic=topic, reason="impossible_time")
    return Counter({name: int(value) for name, value in found.items()})


def incidents(found: Alerts) -> list[tuple[str, float, float]]:
    """The newest (kind, latitude, longitude) of each incident."""
    last: dict[str, dict[str, object]] = {}
    for alert in map(json.loads, found.values()):
        if alert["sequence"] >= last.get(alert["incident_id"], {"sequence": 0})["sequence"]:
            last[alert["incident_id"]] = alert
    return sorted((alert["kind"], alert["location"]["lat"], alert["location"]["lon"]) for alert in last.values())  # type: ignore[index, misc]


def matched(some: list[tuple[str, float, float]], others: list[tuple[str, float, float]]) -> bool:
    """One of the others for each of them, of the same kind and at the same place, and none left."""
    left = list(others)
    for kind, lat, lon in some:
        near = [each for each in left if each[0] == kind and distance(lat, lon, *each[1:]) <= SAME]
        if not near:
            return False
        left.remove(near[0])
    return not left
