"""A broker that is away, as all partitions of a process see it: each has a client of its own, and one word of it is enough."""

from __future__ import annotations

import structlog

from dataflows.health import HEALTH
from dataflows.seldom import Seldom

log = structlog.get_logger(__name__)

LOOK = 1.0  # s between two questions whether it is back, each of which may stop the flow for 0.2 s


class Away:
    """One for each process. Times are seconds on a clock that does not jump."""

    def __init__(self) -> None:
        self._seldom = Seldom()
        self._looked = float("-inf")

    def tell(self, error: str, now: float) -> None:
        """A client has lost all brokers, or still has none."""
        if HEALTH.reachable:
            self._seldom = Seldom()
        HEALTH.broker(False, error)
        if self._seldom.due(now):
            log.warning("the Kafka broker is away; trying again until it is back", error=error)

    def asks(self, now: float) -> bool:
        """Whether it is time to ask if it is back: whichever partition comes first."""
        if HEALTH.reachable or now - self._looked < LOOK:
            return False
        self._looked = now
        return True

    def back(self) -> None:
        HEALTH.broker(True)
        log.info("the Kafka broker is back")


AWAY = Away()
