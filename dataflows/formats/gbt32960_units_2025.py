"""The information units of GB/T 32960.3-2025, of which the battery's are 01, 06, 07 and 08.

| Unit | Layout |
|---|---|
| 01 (18 B) | as in 2016 with the current over -3000 A, without the pedals |
| 02 (1 + 10 n) | number, state, controller temp -40, rpm -32000, torque 4 B 0.1-20000, motor temp -40 |
| 03 (12 B), 04 (2 B) | hydrogen system, engine |
| 05 (10 B) | status as in 2016, coordinate system, longitude, latitude 4 B 1e-6 |
| 06 | as unit 07 of 2016 with levels up to 4 and 28 flags; then n, and n times a flag's number and its level |
| 07 | per pack: number, V 0.1, A 0.1-3000, n 2 B, n cells (the smallest units in parallel) 2 B 0.001 V |
| 08 | per pack: number, n 2 B, n temps -40 |
| 30 | per fuel-cell stack: 12 B, the last two of which count the temps that follow |
| 31, 32 (18 B) | super capacitor: 5 B, n 2 B, n voltages 2 B, m 2 B, m temps; its extremes |
| 80 to FE | makers' own: 2-byte length |
| FF | signature: kind, and twice a 2-byte length with what it is of |

There are no extremes of the battery any more: they come from 07 and 08. A pack's cells are all in one frame. What no table
knows (00, 09 to 2F, 33 to 7F) has no length that is known, and ends the report's reading:
docs/decisions.md#what-is-not-known-of-a-2025-frame-is-refused-not-guessed.
"""

from __future__ import annotations

import numpy as np

from dataflows.formats.gbt32960_common import PACKS, PROMISED, SENT, alarms, cells, motors, place, probes, vehicle
from dataflows.formats.gbt32960_octets import (
    NOT_GIVEN,
    PAST,
    UNKNOWN,
    Numbers,
    Octets,
    count8,
    count16,
    past,
    u8,
    u16,
)
from dataflows.formats.gcj02 import to_wgs84
from detectors.compiled import compiled
from detectors.model import Rows

_ALARM_LEVELS = 4  # 0 none, 1 to 3, 4 thermal event
_ALARMS = (1 << 28) - 1  # the others are reserved
_CURRENT = -3000.0  # A
_WGS84, _GCJ02, _OTHER = 1, 2, 3


@compiled
def makers(unit: int) -> bool:
    return bool(0x80 <= unit <= 0xFE)


@compiled
def read_unit(octets: Octets, at: int, end: int, unit: int, row: Rows, gathered: Numbers) -> int:
    """Read the unit whose content begins at byte `at`; where the next one begins, PAST, or UNKNOWN."""
    if unit == 0x01:
        return vehicle(octets, at, end, row, 18, _CURRENT)
    if unit == 0x02:
        return motors(octets, at, end, row, 10, 9)
    if unit == 0x03:
        return past(at + 12, end)
    if unit == 0x04:
        return past(at + 2, end)
    if unit == 0x05:
        return _position(octets, at, end, row)
    if unit == 0x06:
        return _levels(octets, alarms(octets, at, end, row, _ALARM_LEVELS, _ALARMS), end, row)
    if unit == 0x07:
        return _cell_voltages(octets, at, end, gathered)
    if unit == 0x08:
        return probes(octets, at, end, gathered)
    if unit == 0x30:
        return _stacks(octets, at, end)
    if unit == 0x31:
        return _counted(octets, _counted(octets, at + 5, end, 2), end, 1)
    if unit == 0x32:
        return past(at + 18, end)
    if unit == 0xFF:
        return _counted(octets, _counted(octets, at + 1, end, 1), end, 1)
    if makers(unit):
        return past(at + 2 + u16(octets, at), end) if end - at >= 2 else PAST
    return UNKNOWN


@compiled
def _position(octets: Octets, at: int, end: int, row: Rows) -> int:
    """In WGS-84, whatever it comes in.

    "Other" is what a receiver of BeiDou has to say of its own CGCS2000, which lies within a metre of WGS-84: both follow the
    ITRF, and differ by what plates drift since 2000. A place whose system is not told is not known.
    """
    if end - at < 10:
        return PAST
    system = octets[at + 1]
    if _WGS84 <= system <= _OTHER and place(octets, at + 2, octets[at], row) and system == _GCJ02:
        row["lat"], row["lon"] = to_wgs84(np.float64(row["lat"]), np.float64(row["lon"]))
    return at + 10


@compiled
def _levels(octets: Octets, at: int, end: int, row: Rows) -> int:
    """Each alarm's own level, of which the highest should have been said before: who says less there is still heard.

    Which alarms they are the flags say: an entry raises none, for a number that is off by one would be another alarm.
    """
    if at == PAST or at >= end:
        return PAST
    count, at = count8(octets, at), at + 1
    if end - at < 2 * count:
        return PAST
    for entry in range(count):
        level = octets[at + 2 * entry + 1]
        if level <= _ALARM_LEVELS and (row["alarm_level"] == NOT_GIVEN or level > row["alarm_level"]):
            row["alarm_level"] = level
    return at + 2 * count


@compiled
def _cell_voltages(octets: Octets, at: int, end: int, gathered: Numbers) -> int:
    """A pack that does not know how many cells it has was not sent whole."""
    if at >= end:
        return PAST
    count, at = count8(octets, at), at + 1
    for _ in range(count):
        if end - at < 7:
            return PAST
        pack, sent = u8(octets, at), count16(octets, at + 5)
        gathered[PACKS] = max(gathered[PACKS], pack + 1)
        gathered[PROMISED + pack] += u16(octets, at + 5)
        gathered[SENT + pack] += sent
        at = cells(octets, at + 7, end, sent, gathered)
        if at == PAST:
            return PAST
    return at


@compiled
def _stacks(octets: Octets, at: int, end: int) -> int:
    if at >= end:
        return PAST
    count, at = count8(octets, at), at + 1
    for _ in range(count):
        at = _counted(octets, at + 10, end, 1)
        if at == PAST:
            return PAST
    return at


@compiled
def _counted(octets: Octets, at: int, end: int, size: int) -> int:
    """Pass over entries of `size` bytes, whose number the two bytes at `at` tell."""
    if at == PAST or end - at < 2:
        return PAST
    return past(at + 2 + size * count16(octets, at), end)
