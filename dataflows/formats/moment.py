"""Times as people and JSON write them, to and from ms since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dataflows.formats.base import Reason, RefusedError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
LEAP = re.compile(r"(.*\d\d:\d\d:)60(.*)")  # a second that some minutes have


def read(said: str) -> int:
    """ms since the epoch of an ISO 8601 time, UTC where it names no zone; RefusedError where it is none.

    >>> read("2018-05-01T15:55:55.494Z")
    1525190155494
    """
    text = said.partition("[")[0]  # Java appends the zone's name: ...Z[UTC]
    leap = LEAP.fullmatch(text)
    try:
        moment = datetime.fromisoformat(f"{leap[1]}59{leap[2]}" if leap else text) + timedelta(seconds=bool(leap))
    except (ValueError, OverflowError):
        raise RefusedError(Reason.WRONG_SHAPE, "the time is not in ISO 8601") from None
    if len(text) <= len("2025-03-04"):
        raise RefusedError(Reason.WRONG_SHAPE, "the time is a day without a time")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - EPOCH) // MILLISECOND


def write(time: int) -> str:
    """RFC 3339 in UTC with milliseconds.

    >>> write(1525190155494)
    '2018-05-01T15:55:55.494Z'
    """
    return (EPOCH + time * MILLISECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
