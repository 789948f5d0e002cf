"""Whether a partition can be read: what the broker refuses is told once, or never, and looks like silence afterwards.

The client tells of a fetch without rights once, of a topic that is gone after half a minute and only to its error callback, and
of a leader that sends it away not at all. So what was said last is remembered until a message or an end comes, and a
partition that says nothing is asked for its end: an answer to that must come.
"""

from __future__ import annotations

import structlog

from dataflows.health import HEALTH
from dataflows.metrics import METRICS
from dataflows.seldom import Seldom

log = structlog.get_logger(__name__)

ASK = 30.0  # s of silence after which a partition is asked
AGAIN = 5.0  # s between questions while it cannot be read: as often as the client itself tries what it may not read
ANSWER = 25.0  # s that an answer may take: a new leader is found in less, and of a broker that answers nobody, which is another
# fault, the client tells after twice kafka_admin.SILENT, once for what it had asked and once on a new connection
SILENT = "the broker does not say where it ends"


class Readable:
    """One for each partition. Times are seconds on a clock that does not jump."""

    def __init__(self, topic: str, partition: int, now: float) -> None:
        self._topic, self._partition = topic, partition
        self._why: str | None = None
        self._said = self._asked = now
        self._waits: float | None = None  # since when an answer is due
        self._seldom = Seldom()
        METRICS.unreadable(topic, partition, False)

    def said(self, now: float) -> None:
        """A message came, or word that this is the end."""
        self._said, self._waits = now, None
        if self._why is not None:
            self._set(None)
            log.info("the partition can be read again", topic=self._topic, partition=self._partition)

    def pauses(self, now: float) -> None:
        """Nobody is asked now, so silence says nothing: while the broker is away that alone is told."""
        self._said, self._waits = now, None
        if self._why == SILENT:
            self._set(None)

    def asked(self, now: float) -> None:
        """The broker was asked where the partition ends."""
        self._asked, self._waits = now, now if self._waits is None else self._waits

    def refused(self, why: str, now: float) -> None:
        """The broker, or the client in its name, says why the partition cannot be read."""
        self._set(why)
        if self._seldom.due(now):
            log.warning("a partition cannot be read, trying again", topic=self._topic, partition=self._partition, why=why)

    def asks(self, now: float) -> bool:
        """To be called when nothing came: whether to ask the broker where the partition ends."""
        if self._why is None and self._waits is not None and now - self._waits > ANSWER:
            self.refused(SILENT, now)
        return now - max(self._said, self._asked) > (ASK if self._why is None else AGAIN)

    def _set(self, why: str | None) -> None:
        self._why = why
        HEALTH.unreadable(self._topic, self._partition, why)
        METRICS.unreadable(self._topic, self._partition, why is not None)
