"""A clock that is set back would put the worker to sleep for as long: the engine waits for moments of the wall clock.

After a step of an hour it polls nothing for an hour, takes no snapshot and hears no signal, and only whoever asks /livez learns
of it. So the worker ends, which loses nothing, and starts again by the clock as it is now.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import structlog

from dataflows.cluster import START_AGAIN

log = structlog.get_logger(__name__)

EVERY = 1.0  # s between looks
SAID = 0.2  # s until a line of the log has gone through the pipe that takes the engine's panics out
LEAP = 5.0  # s: a worker that sleeps for less is late, and no more; what is slewed, at 0.0005 s a second, is never seen


class ClockWatch:
    """Compares the wall clock with one that nobody sets."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()

    def back(self) -> float:
        """Seconds by which the wall clock was set back since the last look; less than nothing if it was set forward."""
        before, self._ahead = self._ahead, self._wall() - self._steady()
        return before - self._ahead


def watch() -> None:
    """Look at the clock for as long as the process lives, on a thread of its own."""
    threading.Thread(
        target=_watch, args=(ClockWatch(), threading.Event().wait, os._exit), name="roadwatch-clock", daemon=True
    ).start()


def _watch(clock: ClockWatch, wait: Callable[[float], object], end: Callable[[int], object]) -> None:
    while True:
        wait(EVERY)
        if (back := clock.back()) > LEAP:
            log.error("the clock was set back, and the worker would sleep for as long: it starts again", seconds=round(back))
            wait(SAID)
            end(START_AGAIN)
            return
