"""A clock that is set back ends the worker, so that it starts again; one that is slewed or set forward does not."""

from __future__ import annotations

import pytest

from dataflows.clock_watch import EVERY, LEAP, SAID, ClockWatch, _watch
from dataflows.cluster import START_AGAIN


class Clock:
    """Time passes by itself; the wall clock is set as the script says, look by look."""

    def __init__(self, steps: list[float]) -> None:
        self.passed, self.set, self.steps = 0.0, 0.0, steps

    def wall(self) -> float:
        return 1_741_073_400.0 + self.passed + self.set

    def steady(self) -> float:
        return self.passed

    def wait(self, seconds: float) -> None:
        if not self.steps and seconds == EVERY:
            raise StopIteration
        self.passed += seconds
        self.set += self.steps.pop(0) if seconds == EVERY else 0.0


@pytest.mark.parametrize(
    ("steps", "looks"),
    [
        ([0.0, 0.0, -3600.0], 3),
        ([3600.0, -LEAP - 1.0], 2),
        ([3600.0, 0.0], None),
        ([-LEAP + 1.0] * 9, None),
        ([-0.0005 * EVERY] * 100_000, None),
    ],
    ids=["an hour back", "forward and back", "forward", "a little, again and again", "slewed for a day"],
)
def test_it_ends_when_the_clock_is_set_back(steps: list[float], looks: int | None) -> None:
    clock, ended = Clock(list(steps)), list[int]()
    try:
        _watch(ClockWatch(clock.wall, clock.steady), clock.wait, ended.append)
    except StopIteration:
        assert looks is None
    else:
        assert ended == [START_AGAIN]
        assert clock.passed == pytest.approx(looks + SAID)
