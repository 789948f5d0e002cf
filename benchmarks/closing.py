"""When a pane could be closed: the moment at which every partition had reached it, by the broker's acknowledgements.

A pane of end E closes when the newest event time of every partition is E + lateness or later, but nobody waits for a partition
that has been silent for its `idle_after`. So the last to pass is either a message, or the end of such a silence.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmarks.player import Note


class Closing(NamedTuple):
    at: float  # ms since the epoch
    by: str  # the partition that was last
    silence: bool  # whether it was its silence


@dataclass
class Course:
    """One partition: when each noted message was acknowledged, and how far it was then."""

    idle_after: float  # ms
    acknowledged: list[float] = field(default_factory=list)
    latest: list[int] = field(default_factory=list)

    def passes(self, now: float, time: int) -> tuple[float, bool]:
        """The first moment from `now` on at which nobody waits for it at `time` (ms), and whether that is by its silence."""
        reached = bisect_left(self.latest, time)
        at = self.acknowledged[reached] if reached < len(self.latest) else float("inf")
        if at <= now:
            return now, False
        number = bisect_right(self.acknowledged, now) - 1  # the newest message at `now`
        while 0 <= number < reached:
            silent = self.acknowledged[number] + self.idle_after
            if number + 1 == len(self.acknowledged) or silent < self.acknowledged[number + 1]:
                return (now, False) if silent <= now else (silent, True)
            number += 1
        return (now, False) if number < 0 else (at, False)  # before the first message it has been silent for ever


def courses(notes: Iterable[Note], idle_after: Mapping[str, float]) -> dict[str, Course]:
    """`idle_after` in ms, by topic."""
    made: dict[str, Course] = {}
    for note in sorted(notes, key=lambda note: (note.acknowledged, note.latest)):
        course = made.setdefault(note.partition, Course(idle_after[note.partition.rpartition("/")[0]]))
        course.acknowledged.append(note.acknowledged)
        course.latest.append(max(note.latest, course.latest[-1] if course.latest else 0))
    return made


def closing(made: Mapping[str, Course], time: int) -> Closing:
    """When all have passed `time`, the end of a pane and the lateness, in ms."""
    now, last = min((course.acknowledged[0], name) for name, course in made.items())
    silence = False
    while True:
        before = now
        for name, course in made.items():
            at, quiet = course.passes(now, time)
            if at > now:
                now, last, silence = at, name, quiet
        if now == before:
            return Closing(now, last, silence)
