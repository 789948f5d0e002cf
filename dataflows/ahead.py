"""Why many messages of a recording come too late: a few are ahead of all others, or the file is in no order of time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflows.formats import Format
from dataflows.formats.base import Context
from dataflows.formats.guard import decode_safely
from dataflows.intake import NEVER
from dataflows.recorded import recorded

BATCH = 5000  # messages
FEW = 0.5  # of as many as they make late: in a file that is in no order there are as many of the ones as of the others
Times = NDArray[np.int64]


class Ahead(NamedTuple):
    """A message that moved time on, and the first of those that came too late by it."""

    line: int  # of the file, from 1, or Byte
    behind: int  # the line of the other
    by: int  # ms between the two in event time
    late: int  # messages that came too late by it


class Disorder(NamedTuple):
    """Times go back all over the file."""

    by: int  # ms at most


def why_late(path: Path, form: Format, context: Context, lateness: int) -> Ahead | Disorder | None:
    """Of messages that are more than `lateness` ms behind one before them; None if there is none.

    Ahead is the one by which most others came too late. As in `intake`, an arrival that is known bounds how far a message moves
    time, and warnings make nobody late. Keeps 16 bytes a message, for what is in order shows at the end only.
    """
    parts = list(_times(path, form, context))
    if not parts:
        return None
    newest, credible = (np.concatenate(column) for column in zip(*parts, strict=True))
    before = np.concatenate(([NEVER], np.maximum.accumulate(credible)[:-1]))
    late = (newest != NEVER) & (newest < before - lateness)
    if not late.any():
        return None
    spoken = np.where(newest == NEVER, -NEVER, newest)
    behind = np.concatenate((np.minimum.accumulate(spoken[:0:-1])[::-1], [-NEVER]))
    if (credible > behind + lateness).sum() >= FEW * late.sum():
        return Disorder(int((before - newest)[late].max()))
    leaders = np.maximum.accumulate(np.where(credible > before, np.arange(len(credible)), 0))
    worst = int(np.bincount(leaders[late]).argmax())
    victims = np.flatnonzero(late & (leaders == worst))
    line, other = (_line(path, form, int(number)) for number in (worst, victims[0]))
    return Ahead(line, other, int(credible[worst] - newest[victims[0]]), len(victims))


def _times(path: Path, form: Format, context: Context) -> Iterator[tuple[Times, Times]]:
    """By batch: newest event time, and the same as far as it is believed, in ms, of each message; NEVER where it has no row."""
    there = recorded(path, form)
    while batch := list(islice(there, BATCH)):
        _, messages, said = zip(*batch, strict=True)
        decoded = decode_safely(form.decode, messages, np.array(said, np.int64), context)
        arrivals = np.array(said, np.int64) if decoded.arrivals is None else decoded.arrivals
        newest = np.full(len(batch), NEVER, np.int64)
        np.maximum.at(newest, decoded.observation_of, decoded.observations["time"])
        np.maximum.at(newest, decoded.sensor_of, decoded.sensors["time"])
        np.maximum.at(newest, decoded.reading_of, decoded.readings["time"])
        yield newest, np.where(arrivals >= 0, np.minimum(newest, arrivals), newest)


def _line(path: Path, form: Format, number: int) -> int:
    """At which message `number` of the file starts, from 0: messages are lines, but for empty ones and for files in binary."""
    return next(islice(recorded(path, form), number, None))[0]
