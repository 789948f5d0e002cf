"""How a worker is asked to end, by a signal or because it has to begin anew: Kafka partitions look here before every poll."""

from __future__ import annotations


class Stop:
    """Every Kafka partition ends at its next poll, the last snapshot is written, nothing is flushed or forgotten."""

    def __init__(self) -> None:
        self.asked = False
        self.why: Exception | None = None  # what the worker ends with, such as added partitions; a signal needs no reason

    def ask(self, why: Exception | None = None) -> None:
        """Whoever was asked by a signal ends for that, whatever is noticed meanwhile."""
        if why is None or not self.asked:
            self.why = why
        self.asked = True


STOP = Stop()
