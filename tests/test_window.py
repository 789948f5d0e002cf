"""Panes: their contents follow from the partitions' contents, whatever the order in which chunks come."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.grid import Grid
from dataflows.intake import NEVER, Chunk
from dataflows.metrics import METRICS
from dataflows.packing import load, pack, unpack
from dataflows.panes import QUIET, SOUND, TURN, in_order
from dataflows.settings import Window
from dataflows.window import Panes, Report, ShardWindow
from detectors.model import OBSERVATION, Finding, Frame, Rows

GRID = Grid(Window())
T0 = 1_741_073_400_000
LAT, LON = 22.55, 114.06
CELL = GRID.cell(LAT, LON)
SHARD = GRID.owner(CELL)


class Recorder:
    """Reports each pane as a finding whose evidence is what the pane held: so that reports can be compared."""

    kinds: ClassVar[tuple[str, ...]] = ("traffic_condition",)

    def __init__(self) -> None:
        self.seen = 0

    def update(self, frame: Frame) -> list[Finding]:
        self.seen += len(frame.observations)
        held = float(frame.observations["speed"].sum()), float(len(frame.observations)), float(self.seen)
        evidence = tuple(zip(("speed", "rows", "seen"), held, strict=True))
        return [Finding("traffic_condition", frame.end, frame.start, LAT, LON, 0.0, 1.0, 1.0, frozenset(), evidence)]


class Broken:
    kinds: ClassVar[tuple[str, ...]] = ("obstacle",)
    panics: ClassVar[type[BaseException]] = ValueError

    def update(self, frame: Frame) -> list[Finding]:
        raise self.panics("on purpose")


class Stumbler:
    """Fails in every third pane: what it still knows afterwards shows whether it was reset."""

    kinds: ClassVar[tuple[str, ...]] = ("obstacle",)

    def __init__(self) -> None:
        self.panes = 0

    def update(self, frame: Frame) -> list[Finding]:
        self.panes += 1
        if self.panes == 3:
            raise ValueError("on purpose")
        return []


class Lost:
    """Finds something, and does not say where."""

    kinds: ClassVar[tuple[str, ...]] = ("obstacle",)

    def update(self, frame: Frame) -> list[Finding]:
        nowhere = float("nan")
        return [Finding("obstacle", frame.end, frame.end, nowhere, nowhere, 0.0, 1.0, 9.0, frozenset({1}))]


class Clock:
    """Remembers its panes."""

    kinds: ClassVar[tuple[str, ...]] = ("obstacle",)

    def __init__(self) -> None:
        self.heard: list[int] = []

    def update(self, frame: Frame) -> list[Finding]:
        self.heard.append(frame.end)
        return []


class Panic(BaseException):
    """As a panic in river's Rust classes comes to Python."""


def rows(times: list[int], reporter: int = 1) -> Rows:
    made = np.zeros(len(times), OBSERVATION)
    made["time"], made["reporter"], made["cell"] = times, reporter, CELL
    made["lat"], made["lon"], made["speed"] = LAT, LON, np.arange(len(times)) % 7
    return made


def window(partitions: tuple[str, ...] = ("a",), detectors: tuple[type, ...] = (Recorder,)) -> ShardWindow:
    return ShardWindow(SHARD, Panes(1000, partitions, GRID, detectors))


def chunks(partition: str, times: list[int], sizes: Iterator[int] | None = None) -> list[Chunk]:
    """A partition's rows in order of arrival, in chunks of the given sizes, and its end."""
    made, start, latest = [], 0, NEVER
    values = rows(times, reporter=ord(partition))
    while start < len(times):
        stop = start + (next(sizes) if sizes else len(times))
        latest = max([latest, *times[start:stop]])
        made.append(Chunk(partition, latest - 2000, latest, True, -1, values[start:stop]))
        start = stop
    return [*made, Chunk(partition, latest - 2000, latest, False, -1)]


def findings(reports: list[Report | None]) -> list[Finding]:
    return [finding for report in reports if report for finding in report.findings]


def feed(shard: ShardWindow, order: list[Chunk]) -> list[Finding]:
    reports = []
    for chunk in order:
        shard.add(chunk)
        reports.append(shard.close())
    return findings(reports)


timely = st.lists(st.integers(0, 400), min_size=1, max_size=60).map(
    lambda steps: [T0 + int(t) - (i % 3) * 500 for i, t in enumerate(np.cumsum(steps))]
)


@given(timely, timely, st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_no_order_of_chunks_can_be_seen(first: list[int], second: list[int], dice: object) -> None:
    calm = feed(window(("a", "b")), chunks("a", first) + chunks("b", second))

    def sizes() -> Iterator[int]:
        while True:
            yield dice.randint(1, 7)  # type: ignore[attr-defined]

    left, right = chunks("a", first, sizes()), chunks("b", second, sizes())
    mixed: list[Chunk] = []
    while left or right:
        mixed.append((left if left and (not right or dice.random() < 0.5) else right).pop(0))  # type: ignore[attr-defined]
    shard = window(("a", "b"))
    half = len(mixed) // 2
    found = feed(shard, mixed[:half])
    shard = ShardWindow(SHARD, shard.panes, shard.snapshot())  # killed and resumed
    assert found + feed(shard, mixed[half:]) == calm


def test_a_pane_waits_for_the_slowest_partition() -> None:
    shard = window(("a", "b"))
    assert feed(shard, chunks("a", [T0, T0 + 60_000])[:-1]) == []
    found = feed(shard, [Chunk("b", T0 + 5000, T0 + 7000, True, -1)])
    assert [f.time for f in found] == [T0 + 1000 * n for n in range(1, 6)]


def test_an_idle_partition_holds_nobody() -> None:
    shard = window(("a", "b"))
    feed(shard, chunks("a", [T0, T0 + 4000])[:-1])
    assert feed(shard, [Chunk("b", NEVER, NEVER, False, -1)])[-1].time == T0 + 2000


def test_what_comes_too_late_after_idleness_is_counted() -> None:
    shard = window(("a", "b"))
    feed(shard, [Chunk("b", NEVER, NEVER, False, -1), *chunks("a", [T0, T0 + 9000])[:-1]])
    before = METRICS.value("late_at_shard_records_total")
    shard.add(Chunk("b", T0 - 2000, T0, True, -1, rows([T0, T0 + 8000], reporter=2)))
    assert METRICS.value("late_at_shard_records_total") == before + 1
    assert sum(len(each.rows) for each in shard.state.waiting["observations"]) == 2


def test_what_comes_too_late_is_counted_where_it_belongs() -> None:
    """And by nobody who only looks over the border."""
    away = next(cell for n in range(1, 200) if GRID.owner(cell := GRID.cell(LAT + 0.01 * n, LON)) != SHARD)
    shard = window(("a", "b"))
    feed(shard, [Chunk("b", NEVER, NEVER, False, -1), *chunks("a", [T0, T0 + 9000])[:-1]])
    before, theirs = METRICS.value("late_at_shard_records_total"), rows([T0, T0], reporter=2)
    theirs["cell"] = away
    shard.add(Chunk("b", T0 - 2000, T0, True, -1, theirs))
    assert METRICS.value("late_at_shard_records_total") == before


def test_silence_is_told_for_a_while_and_then_the_shard_sleeps() -> None:
    found = feed(window(), chunks("a", [T0, T0 + 10 * QUIET]))
    ticks = [f for f in found if dict(f.evidence)["rows"] == 0]
    assert len(ticks) == QUIET // 1000
    assert [f.time for f in found if dict(f.evidence)["rows"]] == [T0 + 1000, T0 + 10 * QUIET + 1000]


def test_a_sleeping_shard_turns_over_on_the_hour_and_says_nothing() -> None:
    """So that it forgets on time; and wherever its polls end, it has the same panes."""
    last = T0 + 30 * TURN + 1234
    whole, parts = window(detectors=(Recorder, Clock)), window(detectors=(Recorder, Clock))
    found = feed(whole, chunks("a", [T0, last]))
    assert [f.time for f in found if f.time > T0 + QUIET + 1000] == [last // 1000 * 1000 + 1000]
    first, *rest = chunks("a", [T0, last], iter((1, 1)))
    assert found == feed(parts, [first, *(Chunk("a", at - 2000, at, True, -1) for at in range(T0, last, 7_919_000)), *rest])
    heard = [state.heard for shard in (whole, parts) for state in shard.state.detectors.values() if isinstance(state, Clock)]
    assert heard[0] == heard[1]
    hours = last // TURN - (T0 + QUIET) // TURN
    assert len(heard[0]) == 1 + QUIET // 1000 + hours + 1
    assert [time % TURN for time in heard[0][-hours - 1 : -1]] == [1000] * hours


def test_nobody_turns_over_for_ever() -> None:
    """A clock that is years ahead must not make every shard count the hours."""
    shard = window(detectors=(Clock,))
    feed(shard, chunks("a", [T0, T0 + 100_000 * TURN]))
    (clock,) = shard.state.detectors.values()
    assert isinstance(clock, Clock)
    assert len(clock.heard) == 1 + QUIET // 1000 + SOUND // TURN + 1


def test_the_last_panes_close_when_all_have_ended() -> None:
    found = feed(window(), chunks("a", [T0, T0 + 500, T0 + 1500]))
    assert [dict(f.evidence)["rows"] for f in found] == [2.0, 1.0]


def test_copies_count_once() -> None:
    before = METRICS.value("duplicate_records_total")
    twice = Chunk("a", T0, T0 + 100, True, -1, np.concatenate([rows([T0, T0 + 100]), rows([T0, T0 + 100])]))
    found = feed(window(), [twice, Chunk("a", T0, T0 + 100, False, -1)])
    assert dict(found[0].evidence)["rows"] == 2
    assert METRICS.value("duplicate_records_total") == before + 2


@given(st.permutations(range(12)))
@settings(max_examples=40, deadline=None)
def test_rows_have_one_order(order: list[int]) -> None:
    mixed = np.concatenate([rows([T0 + n // 3], reporter=n % 2) for n in range(12)])
    mixed["speed"] = np.arange(12) % 4
    mixed["accel"][::2] = np.nan
    assert in_order(mixed[order]).tobytes() == in_order(mixed).tobytes()


@given(st.integers(0, 150), st.integers(1, 60), st.integers(1, 4), st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_the_order_is_by_time_reporter_and_bytes(count: int, span: int, names: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    mixed = rows([T0] * count)
    mixed["time"] += np.sort(dice.integers(0, span, count)) + dice.integers(0, 5, count)
    mixed["reporter"], mixed["speed"] = dice.integers(0, names, count) << 62, dice.integers(0, 3, count)
    once = np.unique(mixed.view(f"V{mixed.dtype.itemsize}")).view(mixed.dtype)  # by their bytes
    assert in_order(mixed).tobytes() == once.take(np.lexsort((once["reporter"], once["time"]))).tobytes()


@pytest.mark.parametrize("raised", [ValueError, Panic])
def test_a_broken_detector_is_reset_and_the_others_go_on(raised: type[BaseException], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broken, "panics", raised)
    before = METRICS.value("detector_errors_total", detector="Broken")
    found = feed(window(detectors=(Broken, Recorder)), chunks("a", [T0, T0 + 500]))
    assert [f.kind for f in found] == ["traffic_condition"]
    assert METRICS.value("detector_errors_total", detector="Broken") == before + 1


def test_a_finding_that_lies_nowhere_is_its_detectors_failure() -> None:
    before = METRICS.value("detector_errors_total", detector="Lost")
    found = feed(window(detectors=(Lost, Recorder)), chunks("a", [T0, T0 + 500]))
    assert [f.kind for f in found] == ["traffic_condition"]
    assert METRICS.value("detector_errors_total", detector="Lost") == before + 1


def test_a_detector_that_failed_starts_afresh() -> None:
    shard = window(detectors=(Stumbler,))
    feed(shard, chunks("a", [T0, T0 + 6500])[:-1])  # four panes close
    (stumbler,) = shard.state.detectors.values()
    assert isinstance(stumbler, Stumbler)
    assert stumbler.panes == 1


@pytest.mark.parametrize("ended", [False, True])
def test_copies_from_over_the_border_are_not_counted_here(ended: bool) -> None:
    """Nor in a minute that is told half a minute later, or at once when nobody holds a pane open any more."""
    away = next(cell for n in range(1, 200) if GRID.owner(cell := GRID.cell(LAT + 0.01 * n, LON)) != SHARD)
    mine, theirs = (rows([T0 + 100 * n for n in range(9)]) for _ in range(2))
    mine["heading"] = theirs["heading"] = 10.0
    mine["reporter"] = theirs["reporter"] = np.arange(9)
    theirs["cell"] = away
    shard, before = window(), METRICS.value("duplicate_records_total")
    shard.add(Chunk("a", T0 + 60_000, T0 + 62_000, True, -1, np.concatenate([mine, theirs, mine[:2], theirs])))
    at_once = shard.close()
    assert METRICS.value("duplicate_records_total") == before + 2
    until = T0 + (61_000 if ended else 90_000)
    shard.add(Chunk("a", until, until + 2000, not ended, -1))
    report = shard.close()
    assert at_once is not None
    assert report is not None
    assert not at_once.minutes
    assert [minute.cell for minute in report.minutes] == [CELL]


def reports(name: str) -> float:
    return METRICS.value("implausible_reports_total", reason=name)


def test_what_is_not_believed_is_counted_and_kept_from_the_detectors_and_the_census() -> None:
    away = next(cell for n in range(1, 200) if GRID.owner(cell := GRID.cell(LAT + 0.01 * n, LON)) != SHARD)
    made = []
    for k in range(4):  # the last two jump away, the very last of them in a cell of the neighbour
        some = rows([T0 + 1000 * n for n in range(30)], reporter=k)
        some["speed"], some["heading"] = 0.0, 10.0
        some["lat"][10:] += (k > 1) * 0.01
        some["cell"] = away if k == 3 else CELL
        made.append(some)
    before = reports("position_change_too_large")
    shard = window()
    shard.add(Chunk("a", T0 + 120_000, T0 + 122_000, True, -1, np.concatenate(made)))
    report = shard.close()
    assert report is not None
    assert [dict(f.evidence)["rows"] for f in report.findings][:30] == [4.0] * 10 + [2.0] * 20
    assert [minute.observations for minute in report.minutes] == [70]
    assert reports("position_change_too_large") == before + 20


def test_who_stands_without_a_heading_counts_where_it_was_heading() -> None:
    made = []
    for k in range(3):
        some = rows([T0 + 1000 * n for n in range(30)], reporter=k)
        some["speed"], some["heading"] = 4.0, 10.0
        some["lat"] += 4.0 / 111_320.0 * np.minimum(np.arange(30), 9)
        some["speed"][10:], some["heading"][10:] = 0.0, np.nan
        made.append(some)
    shard = window()
    shard.add(Chunk("a", T0 + 120_000, T0 + 122_000, True, -1, np.concatenate(made)))
    report = shard.close()
    assert report is not None
    assert [(minute.octant, minute.observations, round(minute.mean_speed, 2)) for minute in report.minutes] == [(0, 90, 1.33)]


def test_if_plausibility_fails_everybody_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError("on purpose")

    monkeypatch.setattr("detectors.plausibility.Plausibility.believe", fails)
    before = METRICS.value("detector_errors_total", detector="Plausibility")
    found = feed(window(), chunks("a", [T0, T0 + 500]))
    assert [dict(f.evidence)["rows"] for f in found] == [2.0]
    assert METRICS.value("detector_errors_total", detector="Plausibility") == before + 1


def test_a_snapshot_from_before_plausibility_is_taken_up() -> None:
    shard = window()
    feed(shard, chunks("a", [T0, T0 + 9000])[:-1])
    parts = {name: load(pieces) for name, pieces in unpack(shard.snapshot()).items()}
    del parts["Plausibility"]
    before = b"".join(pack(parts)[0])
    assert feed(ShardWindow(SHARD, shard.panes, before), chunks("a", [T0 + 12_000]))


def test_a_neighbours_finding_is_left_to_the_neighbour() -> None:
    shard = window()
    other = next(n for n in range(64) if n != SHARD)
    shard.shard = other
    assert feed(shard, chunks("a", [T0])) == []


def test_reports_travel_between_processes() -> None:
    shard = window()
    shard.add(chunks("a", [T0])[0])
    shard.add(chunks("a", [T0])[1])
    report = shard.close()
    assert pickle.loads(pickle.dumps(report)) == report
