"""What is in a recorded file, row by row, for people at a new feed: no engine, no broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dataflows.formats import Format, moment
from dataflows.formats.base import Context, Decoded, Reason
from dataflows.recorded import UNKNOWN, RecordingError, arrived, messages, recorded
from detectors.model import Rows, Sign, Surface

__all__ = [
    "DecodedRow",
    "Recognised",
    "RecordingError",
    "RefusedRecord",
    "Undated",
    "Unknown",
    "Unsaid",
    "decode_file",
    "messages",
]

BATCH = 500
NOT_GIVEN = 255  # of the small integers of a reading


class DecodedRow(NamedTuple):
    line: int  # of the file, from 1, or Byte
    values: dict[str, object]  # ready for JSON; only what is known


class RefusedRecord(NamedTuple):
    line: int  # of the file, from 1, or Byte
    reason: Reason
    detail: str


class Recognised(NamedTuple):
    """At the end of a file that has any: messages that are fine and carry no row, by name."""

    counts: Counter[str]


class Unknown(NamedTuple):
    """At the end of a file that has any: keys that its format does not know, and how many messages have each."""

    counts: Counter[str]


class Unsaid(NamedTuple):
    """At the end of a file that has any: what some of its traffic sensors do not say, and detectors need."""

    rows: int  # of traffic sensors
    counts: Counter[str]


class Undated(NamedTuple):
    """At the end of a file that has any: messages of which neither they nor their lines say when they arrived."""

    messages: int


Found = DecodedRow | RefusedRecord | Recognised | Unknown | Unsaid | Undated
NEEDED = ("heading", "interval", "volume", "speed", "lane_volume", "lane_speed")  # of a traffic sensor
WEATHER = {"surface_temperature", "air_temperature", "friction", "visibility", "precipitation", "wind", "surface"}


def decode_file(form: Format, path: Path, context: Context) -> Iterator[Found]:
    """Every row and every refusal of a file, in its order. RecordingError where it cannot be read at all.

    Of messages that do not say when they were sent nothing is known but the file: its modification time stands for the arrival.
    """
    recognised, unknown, unsaid, sensors, undated = Counter[str](), Counter[str](), Counter[str](), 0, 0
    there, known = recorded(path, form), arrived(path, form)
    while batch := list(islice(there, BATCH)):
        lines, sent, arrivals = zip(*batch, strict=True)
        heard = np.array([known if arrival == UNKNOWN else arrival for arrival in arrivals], np.int64)
        decoded = form.decode(sent, heard, context)
        recognised += decoded.recognised
        undated += 0 if form.dated else arrivals.count(UNKNOWN)
        if form.unknown is not None:
            unknown += form.unknown(sent)
        rows = [DecodedRow(lines[at], row) for at, row in _rows(decoded)]
        for row in rows:
            if row.values["kind"] == "sensor" and not WEATHER & row.values.keys():
                sensors += 1
                unsaid.update(name for name in NEEDED if name not in row.values)
        found: list[DecodedRow | RefusedRecord] = [*rows]
        found += [RefusedRecord(lines[each.message], each.reason, each.detail) for each in decoded.refusals]
        yield from sorted(found, key=lambda one: one.line)
    if recognised:
        yield Recognised(recognised)
    if unknown:
        yield Unknown(unknown)
    if undated:
        yield Undated(undated)
    if unsaid:
        yield Unsaid(sensors, unsaid)


def _rows(decoded: Decoded) -> Iterator[tuple[int, dict[str, object]]]:
    for kind, rows, of in (
        ("observation", decoded.observations, decoded.observation_of),
        ("sensor", decoded.sensors, decoded.sensor_of),
        ("reading", decoded.readings, decoded.reading_of),
        ("notice", decoded.notices, decoded.notice_of),
    ):
        for row, message in zip(rows, of.tolist(), strict=True):
            yield message, {"kind": kind} | _known(row)


def _known(row: Rows) -> dict[str, object]:
    """The row for people: names for codes, nothing that is missing, and 32-bit floats in the digits that they hold."""
    time = int(row["time"])
    known: dict[str, object] = {"time": moment.write(time), "time_ms": time, "reporter": f"{int(row['reporter']):016x}"}
    for name in row.dtype.names or ():
        value = row[name]
        if name in ("time", "reporter", "cell"):
            continue
        if value.ndim:  # of lanes, up to the last one that says something
            if lanes := value[: np.flatnonzero(~np.isnan(value)).max(initial=-1) + 1].tolist():
                known[name] = [None if np.isnan(lane) else round(lane, 4) for lane in lanes]
        elif value.dtype.kind == "f":
            if not np.isnan(value):
                known[name] = float(str(value))
        elif name == "signs":
            known[name] = [str(sign.name).lower() for sign in Sign(int(value))]
        elif name == "surface":
            if value != Surface.UNKNOWN:
                known[name] = Surface(int(value)).name.lower()
        elif name in ("reissued", "ended"):
            known[name] = bool(value)
        elif name in ("onset", "version", "until"):
            known[name] = moment.write(int(value))
        elif name == "alarms":
            if value or row["alarm_level"] != NOT_GIVEN:
                known[name] = int(value)
        elif value != NOT_GIVEN:
            known[name] = int(value)
    return known
