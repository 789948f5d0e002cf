"""Says in the log when most of what a partition brings is of no use, so that nobody needs a metrics page to see it."""

from __future__ import annotations

import structlog

from dataflows.seldom import Seldom

log = structlog.get_logger(__name__)

LOOK = 10.0  # s between two looks, or more, until enough has come
AGAIN = 600.0  # s after which the same is said again, if it is still so
LEAST = 20  # records between two looks: one bad message is no feed of them
MOST = 0.5  # of the records: a feed that is as usual has some 5 % late ones and hardly any refused
WHY = {
    "late": "most records come too late and are only counted; were they sent before, or are their times behind the others'?",
    "refused": "most records are refused; is the topic's format the right one? the dead letters say why",
}


class Complaint:
    """Of one partition. Tell it the running totals, as often as you like."""

    def __init__(self, topic: str, partition: int) -> None:
        self._where = {"topic": topic, "partition": partition}
        self._looked: float | None = None
        self._before = (0, 0, 0)
        self._seldom = {why: Seldom(AGAIN) for why in WHY}

    def look(self, now: float, received: int, late: int, refused: int) -> None:
        """`now` in s, of a clock that does not jump; the others are records since the worker began."""
        if self._looked is not None and (now - self._looked < LOOK or received - self._before[0] < LEAST):
            return
        totals = (received, late, refused)
        came, *useless = (total - before for total, before in zip(totals, self._before, strict=True))
        first, self._looked, self._before = self._looked is None, now, totals
        for why, count in zip(WHY, useless, strict=True):
            if not first and count > MOST * came and self._seldom[why].due(now):
                log.warning(WHY[why], **self._where, **{why: count}, received=came)
