"""Which message of a recording is ahead of those behind it, for whoever wonders why they come too late."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataflows.formats import Format
from dataflows.formats.base import Context
from dataflows.formats.guard import decode_safely
from dataflows.intake import NEVER
from dataflows.recorded import recorded

BATCH = 5000  # messages


class Ahead(NamedTuple):
    """A message that moved time on, and the first of those that came too late by it."""

    line: int  # of the file, from 1
    behind: int  # the line of the other
    by: int  # ms between the two in event time
    late: int  # messages that came too late by it


def most_ahead(path: Path, form: Format, context: Context, lateness: int) -> Ahead | None:
    """The one by which most others came too late, more than `lateness` ms behind it; None if none did.

    As in `intake`, an arrival that is known bounds how far a message moves time, and warnings make nobody late.
    """
    latest, line = NEVER, 0
    worst: Ahead | None = None
    now: Ahead | None = None
    for number, time, credible in _times(path, form, context):
        if time < latest - lateness:
            now = now._replace(late=now.late + 1) if now else Ahead(line, number, latest - time, 1)
            worst = now if worst is None or now.late > worst.late else worst
        elif credible > latest:
            latest, line, now = credible, number, None
    return worst


def _times(path: Path, form: Format, context: Context) -> Iterator[tuple[int, int, int]]:
    """Line, newest event time, and the same as far as it is believed, in ms, of each message that has rows."""
    there = recorded(path, form)
    while batch := list(islice(there, BATCH)):
        lines, messages, said = zip(*batch, strict=True)
        decoded = decode_safely(form.decode, messages, np.array(said, np.int64), context)
        arrivals = np.array(said, np.int64) if decoded.arrivals is None else decoded.arrivals
        newest = np.full(len(batch), NEVER, np.int64)
        np.maximum.at(newest, decoded.observation_of, decoded.observations["time"])
        np.maximum.at(newest, decoded.sensor_of, decoded.sensors["time"])
        np.maximum.at(newest, decoded.reading_of, decoded.readings["time"])
        credible = np.where(arrivals >= 0, np.minimum(newest, arrivals), newest)
        for line, time, believed in zip(lines, newest.tolist(), credible.tolist(), strict=True):
            if time != NEVER:
                yield line, time, believed
