"""GB/T 32960.3 frame by frame, in one compiled loop: where each begins and ends, and the reading that it makes.

A frame is `2323 | command | response | VIN 17 | encryption | length 2 | units | BCC`, in the edition of 2025 `2424 | ...`; the
BCC is the exclusive or of everything from the command on. In Python one took 24 us, as long as judging seven of them
(docs/decisions.md#gbt-frames-are-read-by-a-compiled-loop).

Loops tell what is wrong by a number; `gbt32960` has the sentences.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from dataflows.formats.gbt32960_octets import NOT_GIVEN, PAST, UNKNOWN, Numbers, Octets, u16
from dataflows.formats.gbt32960_units import read
from detectors.compiled import compiled
from detectors.model import Rows

HEADER = 24  # bytes up to the units
SHORTEST = HEADER + 1  # bytes of a frame without units
LARGEST = HEADER + 0xFFFF + 1  # bytes of one message: a frame of the largest size, or some hundred of usual ones


class Outcome(IntEnum):
    """What became of a frame."""

    REPORT = 0  # it made a reading
    REPLY = 1  # a platform's
    COMMAND = 2  # anything that is no report
    TOO_LARGE = 3  # of the whole message, as are the next four
    NO_FRAME = 4
    NO_START = 5
    SHORT_HEADER = 6
    SHORT_FRAME = 7
    WRONG_BCC = 8
    ENCRYPTED = 9
    NO_TIME = 10
    IMPOSSIBLE_TIME = 11
    NO_UNIT = 12
    SHORT_UNIT = 13
    UNKNOWN_UNIT = 14


FOUND = np.dtype(
    [
        ("message", "i4"),
        ("start", "i8"),  # byte of all messages, one after the other
        ("end", "i8"),
        ("outcome", "u1"),
        ("unit", "u1"),  # the last that was begun
    ]
)
"""A frame, or the place in a message after which none can be found."""

EDITION_2016, EDITION_2025 = 0x23, 0x24  # twice, at the start of a frame
_COMMAND = 0xFE  # the response byte of what a vehicle sends of itself; anything else is a platform's reply
_REAL_TIME, _REISSUED = 0x02, 0x03
_PLAIN = 0x01  # not encrypted
_DAY = 86_400_000  # ms
_BEIJING = 8 * 3_600_000  # ms east of Greenwich: every time in a frame


@compiled
def walk(octets: Octets, starts: Numbers, found: Rows, readings: Rows, gathered: Numbers) -> tuple[int, int]:
    """All frames of messages that lie one after the other in `octets`, each from its place in `starts` to the next one's.

    `found` (FOUND) gets every frame in its order, `readings` (READING, with one row to spare) what the reports among them say,
    but for the reporter's name. Returns the number of both.
    """
    count = reports = 0
    for message in range(len(starts) - 1):
        first, last = starts[message], starts[message + 1]
        at = first
        while at < last or at == first:
            one = found[count]
            count += 1
            one["message"], one["start"], one["unit"] = message, at, 0
            outcome, end = _bounds(octets, first, at, last)
            one["end"] = end
            if outcome != Outcome.REPORT.value:  # nothing tells where the next frame would start
                one["outcome"] = outcome
                break
            outcome, unit = _frame(octets, at, end, readings, reports, gathered)
            one["outcome"], one["unit"] = outcome, unit
            if outcome == Outcome.REPORT.value:
                reports += 1
            at = end
    return count, reports


@compiled
def _bounds(octets: Octets, first: int, at: int, last: int) -> tuple[int, int]:
    """Why no whole frame starts at byte `at` of a message, REPORT if one does, for it may be one; where it ends or should."""
    if last - first > LARGEST:
        return Outcome.TOO_LARGE.value, at
    if last - at < 2:
        return Outcome.NO_FRAME.value, at
    if octets[at] != octets[at + 1] or (octets[at] != EDITION_2016 and octets[at] != EDITION_2025):
        return Outcome.NO_START.value, at
    if last - at < HEADER:
        return Outcome.SHORT_HEADER.value, at
    end = at + HEADER + u16(octets, at + 22) + 1
    return (Outcome.SHORT_FRAME.value, end) if last < end else (Outcome.REPORT.value, end)


@compiled
def _frame(octets: Octets, start: int, end: int, readings: Rows, reports: int, gathered: Numbers) -> tuple[int, int]:
    """What becomes of one frame, and the last unit that was begun. A reading goes to row `reports`."""
    bcc = octets[start + 2]
    for at in range(start + 3, end):  # the BCC itself included, it comes to zero
        bcc ^= octets[at]
    if bcc != 0:
        return Outcome.WRONG_BCC.value, 0
    if octets[start + 3] != _COMMAND:
        return Outcome.REPLY.value, 0
    command = octets[start + 2]
    if command != _REAL_TIME and command != _REISSUED:
        return Outcome.COMMAND.value, 0
    if octets[start + 21] != _PLAIN:
        return Outcome.ENCRYPTED.value, 0
    at = start + HEADER
    if end - 1 - at < 6:
        return Outcome.NO_TIME.value, 0
    time = _time(octets, at)
    if time < 0:
        return Outcome.IMPOSSIBLE_TIME.value, 0
    if end - 1 == at + 6:
        return Outcome.NO_UNIT.value, 0
    row = readings[reports]
    _begin(row, time, command == _REISSUED)
    newer = octets[start] == EDITION_2025
    at, unit = read(octets, at + 6, end - 1, newer, readings, reports, gathered)
    if at == PAST:
        return Outcome.SHORT_UNIT.value, unit
    return (Outcome.UNKNOWN_UNIT.value if at == UNKNOWN else Outcome.REPORT.value), unit


@compiled
def _time(octets: Octets, at: int) -> int:
    """ms of the six bytes of a date and a time in Beijing, from the year 2000 on; -1 if there is no such day or second."""
    year, month, day = 2000 + np.int64(octets[at]), np.int64(octets[at + 1]), np.int64(octets[at + 2])
    hour, minute, second = np.int64(octets[at + 3]), np.int64(octets[at + 4]), np.int64(octets[at + 5])
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not (1 <= month <= 12 and day >= 1 and hour < 24 and minute < 60 and second < 60):
        return -1
    longest = 31
    if month == 2:
        longest = 29 if leap else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        longest = 30
    if day > longest:
        return -1
    past = year - 1 if month < 3 else year  # years begin in March, so that a leap day is their last
    days = 365 * past + past // 4 - past // 100 + past // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 1 - 719_468
    return int(days * _DAY + hour * 3_600_000 + minute * 60_000 + second * 1000 - _BEIJING)


@compiled
def _begin(row: Rows, time: int, reissued: bool) -> None:
    """Nothing is known yet."""
    row["time"], row["reporter"], row["cell"], row["reissued"] = time, 0, 0, reissued
    row["lat"], row["lon"] = np.nan, np.nan
    row["speed"], row["mileage"], row["soc"] = np.nan, np.nan, np.nan
    row["voltage"], row["current"], row["insulation"] = np.nan, np.nan, np.nan
    row["cell_voltage_max"], row["cell_voltage_min"], row["cell_voltage_mean"] = np.nan, np.nan, np.nan
    row["temperature_max"], row["temperature_min"], row["motor_temperature"] = np.nan, np.nan, np.nan
    row["alarms"], row["alarm_level"], row["state"], row["charging"] = 0, NOT_GIVEN, NOT_GIVEN, NOT_GIVEN
