"""What a pane costs, counted in Python's own instructions and not in seconds: they are the same on every machine, however busy.

Per row nothing may be done in Python: that is what compiled loops are for. So twice as many vehicles cost hardly more, and
a pane in which nothing happens has a budget for each detector, a quarter more than it took when the budget was written.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from detectors import CATALOGUE
from detectors.model import Frame
from detectors.plausibility import Plausibility
from tests.road import drive, frames, together

WARM, COUNTED = 360, 20  # panes of one second: everybody's warm-up is over, and those in which somebody has a turn
BUDGET = {  # instructions a pane of CPython 3.11
    "Plausibility": 290, "HardBraking": 430, "StationaryTraffic": 1010, "LongStand": 145, "BlockedRoad": 40,
    "ShunnedLane": 80, "Notices": 30,
    "SelfReports": 38, "SlipperyRoad": 125, "WrongWay": 965, "Weather": 120, "BatteryHealth": 50,
}  # fmt: skip


def instructions(work: Callable[[], object]) -> int:
    """Bytecode instructions that are executed in it."""
    count = 0

    def trace(frame: FrameType, what: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += what == "opcode"
        return trace

    before = sys.gettrace()
    sys._getframe().f_trace_opcodes = True  # Python 3.12 counts none unless somebody wants them when tracing begins
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def panes(vehicles: int) -> list[Frame]:
    """Vehicles that drive one behind the other at 20 m/s, once a second, and nothing happens."""
    road = together(*(drive(1 + n, n * 0.9 / vehicles, WARM + COUNTED, 0.0, n * 40.0, 0.0, 20.0) for n in range(vehicles)))
    return list(frames(road))


def cost(kind: type[Any], vehicles: int) -> float:
    """Instructions a pane."""
    detector, seen = kind(), panes(vehicles)
    assert len(seen) == WARM + COUNTED

    def ask(some: list[Frame]) -> None:
        for frame in some:
            detector.believe(frame) if kind is Plausibility else detector.update(frame)

    ask(seen[:WARM])
    return instructions(lambda: ask(seen[WARM:])) / COUNTED


@pytest.mark.parametrize("kind", [Plausibility, *CATALOGUE], ids=lambda kind: kind.__name__)
def test_a_quiet_pane_keeps_to_its_budget_however_many_vehicles(kind: type[Any]) -> None:
    some, many = cost(kind, 300), cost(kind, 600)
    assert some <= BUDGET[kind.__name__]
    assert many <= 1.2 * some  # what is learned is learned in lots of some hundred rows
