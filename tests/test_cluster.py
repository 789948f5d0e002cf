"""Supervision: all restart together, with growing pauses, and it gives up loudly."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from typing import ClassVar, cast

import pytest

from dataflows import cluster
from dataflows.cluster import (
    CALM,
    DEATHS,
    FIRST_PAUSE,
    LONGER,
    LONGEST_PAUSE,
    PATIENCE,
    START_AGAIN,
    ClusterError,
    Restarts,
    supervise,
)


def test_pauses_grow_up_to_a_limit() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(lived=1.0) for _ in range(DEATHS)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert None not in pauses
    assert max(p for p in pauses if p) <= LONGEST_PAUSE


def test_it_gives_up() -> None:
    restarts = Restarts()
    assert [restarts.pause(lived=1.0) for _ in range(DEATHS + 1)][-1] is None


def test_a_long_life_forgives() -> None:
    restarts = Restarts()
    for _ in range(DEATHS):
        restarts.pause(lived=1.0)
    assert restarts.pause(lived=CALM) == FIRST_PAUSE


def test_an_orderly_end_for_added_partitions_is_no_death(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([[START_AGAIN, START_AGAIN], [START_AGAIN, 0], *[[1, -6]] * (DEATHS + 1)])
    clock, began = Clock(), list[float]()

    def live(*_: object) -> list[int]:
        began.append(clock.now)
        return next(codes)

    monkeypatch.setattr(cluster.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cluster.subprocess, "Popen", lambda *_, **__: None)
    monkeypatch.setattr(cluster, "_until_the_end", live)
    monkeypatch.setattr(cluster.time, "monotonic", lambda: clock.now)
    with pytest.raises(ClusterError, match=f"died {DEATHS} times"):
        supervise(2, [], sleep=clock.sleep)
    waited = [round(after - before) for before, after in pairwise(began)]
    assert waited == [0, 0, *(min(LONGEST_PAUSE, FIRST_PAUSE * 2**n) for n in range(DEATHS))]
    assert next(codes, None) is None


class Clock:
    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Member:
    """Ends when it is asked to, and not before."""

    made: ClassVar[list[Member]] = []
    at_birth: ClassVar[Callable[[int], None]]

    def __init__(self, *_: object, **__: object) -> None:
        self.asked = 0
        Member.made.append(self)
        Member.at_birth(len(Member.made))

    def poll(self) -> int | None:
        return 0 if self.asked else None

    def send_signal(self, _: int) -> None:
        self.asked += 1


@pytest.mark.parametrize("when", ["while the second member is made", "in the pause after a death", "before the first start"])
def test_a_signal_is_heard_whenever_it_comes(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Callable[[int, object], None]] = []

    def install(_: int, handler: Callable[[int, object], None]) -> None:
        handlers.append(handler)
        if when == "before the first start" and len(handlers) == 2:
            handler(signal.SIGTERM, None)

    def birth(number: int) -> None:
        if when == "while the second member is made" and number == 2:
            handlers[0](signal.SIGTERM, None)

    def live(members: list[Member], stopping: object) -> list[int]:
        if when == "in the pause after a death":
            return [1, -6]
        assert all(member.asked for member in members)
        return [0, 0]

    monkeypatch.setattr(cluster.signal, "signal", install)
    monkeypatch.setattr(cluster.subprocess, "Popen", Member)
    monkeypatch.setattr(cluster, "_until_the_end", live)
    monkeypatch.setattr(Member, "made", [])
    monkeypatch.setattr(Member, "at_birth", staticmethod(birth), raising=False)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        handlers[0](signal.SIGTERM, None)

    supervise(2, [], sleep=sleep)
    assert len(slept) == (when == "in the pause after a death")
    assert len(Member.made) == (0 if when == "before the first start" else 2)


@pytest.mark.parametrize(("asked", "waits"), [([], PATIENCE), ([60.0], LONGER - 40.0)], ids=["after a death", "when asked to"])
def test_members_have_as_long_as_supervisors_wait(asked: list[float], waits: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since the signal, not since the first of them ended 40 s later."""
    given: list[float] = []

    class Lagging:
        def poll(self) -> int:
            return 0

        def wait(self, patience: float | None = None) -> int:
            given.extend([] if patience is None else [patience])
            return 0

    monkeypatch.setattr(cluster.time, "monotonic", lambda: 100.0)
    assert cluster._until_the_end(cast("list[subprocess.Popen[bytes]]", [Lagging()]), asked) == [0]
    assert given == [waits]
