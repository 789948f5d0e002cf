"""What the scripts of this folder share: the command line, the clock from first to last message, and the line they end with."""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import NamedTuple

RESOLUTION = 9  # of the H3 cells
WINDOW = 1_000  # ms
LATENESS = 15_000  # ms: the latest observation of the bundled recording is 13,980 behind, so that nobody drops one


class Job(NamedTuple):
    """What the driver asks for: read `count` messages from the topic's one partition; `folder` is for whatever needs one."""

    broker: str
    topic: str
    count: int
    folder: str
    group: str

    @classmethod
    def asked(cls) -> Job:
        gc.set_threshold(200_000, 50, 50)  # a fifth of the CPU of stock Bytewax; everybody gets it
        broker, topic, count, folder, group = sys.argv[1:6]
        return cls(broker, topic, int(count), folder, group)


class Span:
    """From the first message to the last; `begin` is called with the first, or at every one."""

    def __init__(self) -> None:
        self.begun = 0.0
        self.spent = 0.0

    def begin(self) -> None:
        if not self.begun:
            self.begun, self.spent = time.perf_counter(), time.process_time()

    def end(self) -> dict[str, float]:
        return {"seconds": time.perf_counter() - self.begun, "cpu": time.process_time() - self.spent}


def say(span: dict[str, float], windows: int, observations: float, brakes: float) -> None:
    """The last line of standard output is what the driver reads."""
    found = {"windows": windows, "observations": int(observations), "brakes": int(brakes)}
    print(json.dumps(span | found), flush=True)
