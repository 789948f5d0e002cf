"""The way in: lateness is judged by the order of messages alone, and every record is counted once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import FORMATS, encode, encode_etsi
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import LEAST, UNSEEN, Intake, Poll, Progress
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.replay import FilePartition
from dataflows.seal import Seal
from dataflows.settings import Window

WINDOW = Window()
GRID = Grid(WINDOW)
T0 = 1_741_073_400_000


def intake(topic: str = "t") -> Intake:
    return Intake(topic, 0, FORMATS["observation"], Context(Pseudonym(b"key")), GRID, WINDOW)


def message(time: int, arrival: int | None = None, lat: float = 22.55, lon: float = 114.06, **more: object) -> bytes:
    fields = {"id": "66a4c17b", "ts": time, "lat": lat, "lon": lon, "v": 20.0, "hdg": 70.0} | more
    return json.dumps(fields if arrival is None else fields | {"rx": arrival}).encode()


def take(way: Intake, messages: list[bytes]) -> Poll:
    return way.take(messages, np.full(len(messages), -1, np.int64), range(len(messages)))


def own_times(poll: Poll) -> list[int]:
    """Event times of the rows as their owners get them."""
    rows = [
        int(row["time"])
        for shard, chunk in poll.chunks.items()
        for rows in (chunk.observations, chunk.sensors)
        if rows is not None
        for row in rows
        if GRID.owner(int(row["cell"])) == shard
    ]
    return sorted(rows)


def test_what_is_further_behind_than_the_lateness_is_late() -> None:
    way = intake()
    poll = take(way, [message(T0), message(T0 - 2000), message(T0 - 2001), message(T0 + 50)])
    assert own_times(poll) == [T0 - 2000, T0, T0 + 50]
    assert way.latest == T0 + 50


@given(ms=st.integers(0, 5000))
@settings(deadline=None, max_examples=50)
def test_a_message_that_late_brings_news_and_none_before_it(ms: int) -> None:
    """So the partition may rest until then (`pace.nap`)."""
    way = intake()
    take(way, [message(T0 + ms)])
    due = T0 + ms + way.to_close
    assert take(way, [message(due - 1)]).tick is None
    assert take(way, [message(due)]).tick is not None


def test_a_clock_that_runs_ahead_makes_nobody_late() -> None:
    way = intake()
    poll = take(way, [message(T0 + 9000, arrival=T0), message(T0, arrival=T0 + 100)])
    assert own_times(poll) == [T0, T0 + 9000]
    assert way.latest == T0


def test_a_clock_that_runs_far_ahead_is_refused() -> None:
    way = intake()
    poll = take(way, [message(T0 + 10_001, arrival=T0)])
    assert not poll.chunks
    assert [letter.reason for letter in poll.dead] == ["ahead_of_time"]


times = st.lists(st.integers(-6000, 6000), min_size=1, max_size=40)


@given(times, st.data())
@settings(max_examples=60, deadline=None)
def test_batches_do_not_matter(offsets: list[int], data: st.DataObject) -> None:
    messages = [message(T0 + offset) for offset in offsets]
    whole = own_times(take(intake(), messages))
    cut = data.draw(st.integers(0, len(messages)))
    way = intake()
    parts = [time for part in (messages[:cut], messages[cut:]) if part for time in own_times(take(way, part))]
    assert sorted(parts) == whole


@given(st.lists(st.one_of(times.map(lambda ts: message(T0 + ts[0])), st.binary(max_size=30)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_received_is_accepted_and_late_and_refused(messages: list[bytes]) -> None:
    topic = "accounts"
    before = {name: METRICS.value(f"{name}_records_total", topic=topic) for name in ("received", "accepted", "late")}
    poll = take(intake(topic), messages)
    after = {name: METRICS.value(f"{name}_records_total", topic=topic) - was for name, was in before.items()}
    assert after["received"] == len(messages)
    assert after["received"] == after["accepted"] + after["late"] + len(poll.dead)
    assert after["accepted"] == len(own_times(poll))


def test_a_feed_of_nothing_but_refusals_moves_no_time_and_holds_nobody() -> None:
    way = intake()
    way.rest()
    assert take(way, [b"{not json", message(T0, lat=91.0)]).tick is None
    poll = take(way, [message(T0)])
    assert poll.tick is not None
    assert poll.tick.holds


def test_a_dead_letter_keeps_the_bytes_and_the_place() -> None:
    poll = intake().take([message(T0), b"{"], np.full(2, -1, np.int64), [41, 42])
    (letter,) = poll.dead
    assert (letter.message, letter.topic, letter.partition, letter.offset) == (b"{", "t", 0, 42)


@given(st.floats(1, 60), st.floats(-179, 179))
@settings(max_examples=100, deadline=None)
def test_neighbours_see_over_the_border(lat: float, lon: float) -> None:
    """Whoever owns a point within 150 m of a row gets the row."""
    poll = take(intake(), [message(T0, lat=lat, lon=lon)])
    for north, east in ((150, 0), (-150, 0), (0, 150), (0, -150)):
        there = GRID.cell(lat + north / 111_195, lon + east / (111_195 * np.cos(np.radians(lat))))
        assert GRID.owner(there) in poll.chunks


def test_one_batch_from_all_over_is_dealt_as_each_message_alone_would_be() -> None:
    """Along a meridian of some hundred shards, whose borders others look over: a poll has rows of many views."""
    some = [message(T0 + k, lat=22.0 + k / 50, lon=114.0) for k in range(200)]
    alone: dict[int, list[int]] = {}
    for one in some:
        for shard, chunk in take(intake(), [one]).chunks.items():
            assert chunk.observations is not None
            alone.setdefault(shard, []).extend(chunk.observations["time"].tolist())
    together = {
        shard: sorted(chunk.observations["time"].tolist())
        for shard, chunk in take(intake(), some).chunks.items()
        if chunk.observations is not None
    }
    assert together == alone
    assert sum(map(len, alone.values())) > len(some)


@pytest.mark.parametrize("bad", [b"", b"[]", b"nonsense", b'{"id": 1}'])
def test_nothing_raises(bad: bytes) -> None:
    assert len(take(intake(), [bad]).dead) == 1


def test_a_file_is_read_in_portions_too() -> None:
    way = intake()
    taken = [(1, message(T0), -1)] * (LEAST + 1)
    recording = FilePartition(iter(taken), way, Pace((way.name,), WINDOW), Seal(b"key"), 10 * LEAST)
    (poll,) = recording.next_batch()
    assert len(own_times(poll)) == LEAST


class Clock:
    """Stands in for the module: every take lasts as long as it is told."""

    def __init__(self, *lasts: float) -> None:
        self._readings = (reading for each in lasts for reading in (0.0, each))

    def perf_counter(self) -> float:
        return next(self._readings)


def test_a_poll_is_as_large_as_what_is_read_in_a_breath(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few that came live say nothing, for they cost what a poll costs; a slow poll does, however small."""
    way, portions = intake(), []
    monkeypatch.setattr("dataflows.intake.time", Clock(0.001, 0.002, 0.08, 3.0))
    for count in (LEAST, 4, 400, 4):
        take(way, [message(T0)] * count)
        portions.append(way.portion)
    assert portions == [1000, 1000, 250, LEAST]


def test_who_is_idle_stays_so_on_the_page_whatever_is_refused() -> None:
    """Garbage or heartbeats in the night are no word of a time that nobody waits for."""
    way = intake("idle")
    take(way, [message(T0)])
    assert METRICS.value("partition_idle", topic="idle", partition="0") == 0.0
    way.rest()
    take(way, [b"nonsense"])
    assert METRICS.value("partition_idle", topic="idle", partition="0") == 1.0
    take(way, [message(T0 + 1000)])
    assert METRICS.value("partition_idle", topic="idle", partition="0") == 0.0


def test_the_rows_of_one_message_do_not_make_one_another_late() -> None:
    """A feed tells of devices whose intervals end one after the other, in any order; of the message before it all are late."""
    ends = [T0 + 60_000 - 5000 * n for n in range(12)]
    place = {"lat": 22.55, "lon": 114.06}
    devices = [json.loads(encode.traffic_sensor(time=t, id=f"loop-{t}", speed=20.0, volume=1200.0, **place)) for t in ends]
    feed = json.dumps({"type": "FeatureCollection", "features": devices}).encode()
    way = Intake("s", 0, FORMATS["sensor"], Context(Pseudonym(b"key")), GRID, WINDOW)
    assert own_times(take(way, [feed])) == sorted(ends)
    assert own_times(take(way, [feed])) == [time for time in sorted(ends) if time >= ends[0] - WINDOW.lateness]


def told(end: int, arrival: int) -> list[int]:
    """The event time that a loop's row is given whose interval ends and arrives so, if any; the partition is at T0 + 60 s."""
    way = Intake("s", 0, FORMATS["sensor"], Context(Pseudonym(b"key")), GRID, WINDOW)

    def loop(time: int, arrived: int) -> list[int]:
        message = encode.traffic_sensor(time=time, id="loop", speed=20.0, volume=1200.0, lat=22.55, lon=114.06)
        return own_times(way.take([message], np.array([arrived], np.int64), [0]))

    assert loop(T0 + 60_000, T0 + 60_000)
    return loop(end, arrival)


@pytest.mark.parametrize("took", [0, 900, 1500, 5000, 30_000, 120_000])
def test_what_a_roadside_device_tells_late_is_taken_for_what_is_so_when_it_comes(took: int) -> None:
    """Vehicles have moved time on meanwhile: as of the interval's end it would find all panes closed."""
    arrival = T0 + 61_000
    assert told(arrival - took, arrival) == [max(arrival - took, arrival - 1000)]


def test_what_was_on_its_way_for_long_is_late() -> None:
    assert told(T0 - 60_000, T0 + 61_000) == []


def test_where_no_arrival_is_known_the_device_is_believed() -> None:
    assert told(T0 + 58_500, -1) == [T0 + 58_500]
    assert told(T0 + 55_000, -1) == []


LAG = 3000  # ms that CAMs are under way


def heard(seconds: int, warns: range, resume_at: int = -1) -> tuple[Intake, list[int]]:
    """A topic with a CAM a second, which is LAG old when it arrives, and in some seconds a DENM."""
    way, lates = Intake("its", 0, FORMATS["etsi"], Context(Pseudonym(b"key")), GRID, WINDOW), []
    place = {"lat": 22.55, "lon": 114.06, "station": 7}
    for second in range(seconds):
        now = T0 + 1000 * second
        messages = [encode_etsi.cam(time=now - LAG, speed=20.0, heading=0.0, **place)]
        if second in warns:
            messages.insert(0, encode_etsi.denm(detected=now, referred=now, number=1, cause=12, **place))
        if second == resume_at:
            later = Intake("its", 0, FORMATS["etsi"], Context(Pseudonym(b"key")), GRID, WINDOW)
            later.resume(Progress.unpack(way.progress(0).pack()))
            later.records, way = way.records, later
        way.take(messages, np.full(len(messages), now), range(len(messages)))
        lates.append(way.records[1])
    return way, lates


def test_warnings_make_nobody_late() -> None:
    """They are of when they are heard, and CAMs of when they were made."""
    calm, warned = heard(60, range(0)), heard(60, range(1, 60))
    assert calm[1][-1] == warned[1][-1] == 0
    assert calm[0].watermark == warned[0].watermark
    assert heard(60, range(1, 60), resume_at=30)[0].progress(0) == warned[0].progress(0)


def test_warnings_alone_move_time() -> None:
    way = Intake("its", 0, FORMATS["etsi"], Context(Pseudonym(b"key")), GRID, WINDOW)
    for now in range(T0, T0 + 60_000, 1000):
        denm = encode_etsi.denm(detected=now, referred=now, number=1, cause=12, lat=22.55, lon=114.06, station=7)
        way.take([denm], np.array([now]), [0])
        assert way.latest == now
    cam = encode_etsi.cam(time=now, lat=22.55, lon=114.06, station=7, speed=20.0, heading=0.0)
    way.take([cam], np.array([now]), [0])
    for later in (now + UNSEEN, now + UNSEEN + 1):  # CAMs have ended
        way.take([denm], np.array([later]), [0])
        assert (way.latest == later) is (later > now + UNSEEN)
