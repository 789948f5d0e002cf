"""Ctrl-C and SIGTERM as a note that is looked at between two steps, never as an exception in the middle of one.

An exception out of a signal handler may surface inside a client's C code and come out of it as something else: a Ctrl-C in the
constructor of librdkafka's consumer was seen to end as a TypeError about a property name.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether somebody asked us to end."""

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raises KeyboardInterrupt if so: to be called where it is harmless."""
        if self.asked:
            raise KeyboardInterrupt

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler. Who asks a second time wants it now, whatever comes out of it."""
        self.check()
        self.asked = True


@contextmanager
def noted() -> Iterator[Interrupt]:
    """While the context lasts, signals are noted; what handled them before does so again afterwards."""
    interrupt = Interrupt()
    before = [signal.signal(number, interrupt.note) for number in SIGNALS]
    try:
        yield interrupt
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            signal.signal(number, handler)
