"""How far partitions may run ahead of one another in event time: the rest of a backlog waits in the broker, not in memory.

Shards close a pane when the slowest partition has passed it, so what the others bring meanwhile has to be kept. After a pause
of hours a sparse partition would be read to its end before the busy ones had done their first minutes. So whoever is more than
`lead` ahead of the slowest takes a rest. The slowest never does, and one that is idle or at its end holds nobody back.

A partition that brings little is polled as seldom as it can be without an alert's being late: `nap`.

How far the others are is heard where the shards hear it, from the ticks that every poll sends to all of them: so it is known
of partitions in other processes of a cluster too.
"""

from __future__ import annotations

from collections.abc import Sequence

from dataflows.intake import NEVER, Chunk
from dataflows.settings import Window

FREE = 2**62  # ms: holds nobody back
NAP = 0.02  # s between polls that bring little: each is heard by all shards, which costs 0.1 ms
REST = 0.1  # s between them while no pane can close by what they bring: a quarter less CPU at 2,000 to 10,000 messages a second


def nap(until_close: float) -> float:
    """Seconds to the next poll of a partition whose live messages can close a pane in so many seconds.

    >>> nap(0.8), nap(0.05), nap(-3.0)
    (0.1, 0.05, 0.02)
    """
    return min(max(until_close, NAP), REST)


class Pace:
    """One for each process. Whoever was not heard of yet may be slower than all others."""

    def __init__(self, partitions: Sequence[str], window: Window) -> None:
        self._at = dict.fromkeys(partitions, NEVER)  # ms: the watermark as the shards last heard of it
        self._lead = window.lead + window.pane  # a watermark is told once a pane: what was heard is so old at most

    def hear(self, chunk: Chunk) -> None:
        self._at[chunk.partition] = chunk.watermark if chunk.holds else FREE

    def ahead(self, partition: str, watermark: int) -> bool:
        """Whether a partition that has come to `watermark` (ms) should let the others catch up."""
        if self._at[partition] == NEVER:
            return False  # after a start or a restart everybody has to speak once, or all would wait for all
        others = [at for name, at in self._at.items() if name != partition]
        return bool(others) and watermark > min(others) + self._lead
