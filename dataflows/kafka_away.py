"""A broker that is away, as all partitions of a process see it: each has a client of its own, and one word of it is enough."""

from __future__ import annotations

import structlog

from dataflows.health import HEALTH
from dataflows.seldom import Seldom

log = structlog.get_logger(__name__)

LOOK = 1.0  # s between two questions whether it is back, each of which may stop the flow for 0.2 s
NEVER = float("-inf")


class Away:
    """One for each process. Times are seconds on a clock that does not jump."""

    def __init__(self) -> None:
        self._seldom = Seldom()
        self._looked = NEVER
        self._came: dict[object, float] = {}  # by partition: when it was here last,
        self._asked: dict[object, float] = {}  # and when it asked

    def tell(self, error: str, now: float) -> None:
        """A client has lost all brokers, or still has none."""
        if HEALTH.reachable:
            self._seldom = Seldom()
        HEALTH.broker(False, error)
        if self._seldom.due(now):
            log.warning("the Kafka broker is away; trying again until it is back", error=error)

    def asks(self, who: object, now: float) -> bool:
        """Whether it is time for this partition to ask if it is back. They take turns, for one may have no leader yet."""
        self._came[who] = now
        if HEALTH.reachable or now - self._looked < LOOK:
            return False
        others = (other for other, came in self._came.items() if now - came < 2 * LOOK)
        if any(self._asked.get(other, NEVER) < self._asked.get(who, NEVER) for other in others):
            return False
        self._looked = self._asked[who] = now
        return True

    def back(self) -> None:
        HEALTH.broker(True)
        log.info("the Kafka broker is back")


AWAY = Away()
