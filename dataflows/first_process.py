"""SIGTERM in the first seconds: who is process 1 of a container is not ended by a signal that he does not listen to."""

from __future__ import annotations

import os
import signal
from types import FrameType


def listen() -> None:
    """End at once on SIGTERM, until somebody else listens: nothing has been begun. Others than process 1 do so anyway."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)  # as a shell says it of one that a signal ended
