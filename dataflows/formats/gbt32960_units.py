"""The information units inside a GB/T 32960.3-2016 report, read into one reading of the vehicle's battery, by compiled loops.

Big-endian throughout. FE / FFFE / FFFFFFFE mean abnormal and FF / FFFF / FFFFFFFF invalid: both become missing. A unit is read
from byte `at` on, and its loop says where the next one begins, or PAST if it ends past byte `end`, the frame's BCC.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.model import Rows

Octets = NDArray[np.uint8]
Numbers = NDArray[np.int64]

PAST = -1
NOT_GIVEN = 255
_ALARM_LEVELS = 3  # 0 none, 1 to 3; the 2016 edition knows no level 4
_ABNORMAL = 0xFE
_ABNORMAL_16 = 0xFFFE
_ABNORMAL_32 = 0xFFFF_FFFE

# What is gathered of a report's single cells and of its probes: how many are valid, their sum, the highest and the lowest. Then
# the highest number of a sub-system and one; from _PROMISED and _SENT on the cells that each is said to have, and those sent.
_CELLS, _PROBES, _PACKS = 0, 4, 8
_COUNT, _SUM, _HIGHEST, _LOWEST = range(4)
_PROMISED, _SENT = 9, 9 + 256
GATHERED = 9 + 2 * 256


@compiled
def read(octets: Octets, at: int, end: int, readings: Rows, reports: int, gathered: Numbers) -> tuple[bool, int]:
    """Put what the units say into row `reports`; whether they could be read, and the last that was begun.

    Some makers leave the length out of their own units, so nothing tells what follows: what was said before the first of them
    stands, kept in the row after the report's. `gathered` is zeros at first, and then whatever the last report left.
    """
    row = readings[reports]
    for pack in range(gathered[_PACKS]):
        gathered[_PROMISED + pack], gathered[_SENT + pack] = 0, 0
    gathered[:_PROMISED] = 0
    makers = False
    while at < end:
        unit = octets[at]
        if not makers and (unit < 0x01 or unit > 0x09):
            makers = True
            readings[reports + 1] = row
            _complete(readings[reports + 1], gathered)
        at = _unit(octets, at + 1, end, unit, row, gathered)
        if at == PAST:
            if not makers:
                return False, unit
            readings[reports] = readings[reports + 1]
            return True, unit
    _complete(row, gathered)
    return True, 0


@compiled
def _complete(row: Rows, gathered: Numbers) -> None:
    """With what the single values of units 08 and 09 add; unit 06 is the vehicle's own word and comes first.

    Single voltages count if all the cells of all the sub-systems were sent.
    """
    whole = gathered[_CELLS + _COUNT] > 0
    for pack in range(gathered[_PACKS]):
        whole = whole and gathered[_PROMISED + pack] == gathered[_SENT + pack]
    if whole:
        row["cell_voltage_mean"] = gathered[_CELLS + _SUM] / gathered[_CELLS + _COUNT] / 1000
        if np.isnan(row["cell_voltage_max"]):
            row["cell_voltage_max"] = gathered[_CELLS + _HIGHEST] / 1000
        if np.isnan(row["cell_voltage_min"]):
            row["cell_voltage_min"] = gathered[_CELLS + _LOWEST] / 1000
    if gathered[_PROBES + _COUNT] > 0:
        if np.isnan(row["temperature_max"]):
            row["temperature_max"] = gathered[_PROBES + _HIGHEST] - 40.0
        if np.isnan(row["temperature_min"]):
            row["temperature_min"] = gathered[_PROBES + _LOWEST] - 40.0


@compiled
def _unit(octets: Octets, at: int, end: int, unit: int, row: Rows, gathered: Numbers) -> int:
    """Read the unit whose content begins at byte `at`."""
    if unit == 0x01:
        return _vehicle(octets, at, end, row)
    if unit == 0x02:
        return _motors(octets, at, end, row)
    if unit == 0x03:  # fuel cell: one byte for each temperature probe
        if end - at < 8:
            return PAST
        return _past(at + 8 + _count16(octets, at + 6) + 10, end)
    if unit == 0x04:  # engine
        return _past(at + 5, end)
    if unit == 0x05:
        return _position(octets, at, end, row)
    if unit == 0x06:
        return _extremes(octets, at, end, row)
    if unit == 0x07:
        return _alarms(octets, at, end, row)
    if unit == 0x08:
        return _cell_voltages(octets, at, end, gathered)
    if unit == 0x09:
        return _probes(octets, at, end, gathered)
    if end - at < 2:  # makers' and platforms' own units carry their length
        return PAST
    return _past(at + 2 + u16(octets, at), end)


@compiled
def _vehicle(octets: Octets, at: int, end: int, row: Rows) -> int:
    if end - at < 20:
        return PAST
    row["state"] = _code(octets[at], 3)
    row["charging"] = _code(octets[at + 1], 4)
    row["speed"] = _value(u16(octets, at + 3), _ABNORMAL_16, 1 / 36, 0.0)  # 0.1 km/h
    row["mileage"] = _value(_u32(octets, at + 5), _ABNORMAL_32, 0.1, 0.0)
    row["voltage"] = _value(u16(octets, at + 9), _ABNORMAL_16, 0.1, 0.0)
    row["current"] = _value(u16(octets, at + 11), _ABNORMAL_16, 0.1, -1000.0)
    row["soc"] = _value(octets[at + 13], _ABNORMAL, 0.01, 0.0)
    row["insulation"] = _value(u16(octets, at + 16), _ABNORMAL_16, 1000.0, 0.0)  # kOhm
    return at + 20


@compiled
def _motors(octets: Octets, at: int, end: int, row: Rows) -> int:
    """The hottest motor is the one that matters."""
    if at >= end:
        return PAST
    count, at = _count8(octets, at), at + 1
    for _ in range(count):
        if end - at < 12:
            return PAST
        motor = _value(octets[at + 7], _ABNORMAL, 1.0, -40.0)
        if np.isnan(row["motor_temperature"]) or motor > row["motor_temperature"]:
            row["motor_temperature"] = motor
        at += 12
    return at


@compiled
def _position(octets: Octets, at: int, end: int, row: Rows) -> int:
    """Bit 0: no fix; 1: south; 2: west. Terminals also send 0, 0 before their first fix."""
    if end - at < 9:
        return PAST
    status, lon, lat = octets[at], _u32(octets, at + 1), _u32(octets, at + 5)
    if status & 1 == 0 and max(lat, lon) < _ABNORMAL_32 and (lat > 0 or lon > 0):
        row["lat"] = lat / (-1e6 if status & 2 else 1e6)
        row["lon"] = lon / (-1e6 if status & 4 else 1e6)
    return at + 9


@compiled
def _extremes(octets: Octets, at: int, end: int, row: Rows) -> int:
    if end - at < 14:
        return PAST
    row["cell_voltage_max"] = _value(u16(octets, at + 2), _ABNORMAL_16, 0.001, 0.0)
    row["cell_voltage_min"] = _value(u16(octets, at + 6), _ABNORMAL_16, 0.001, 0.0)
    row["temperature_max"] = _value(octets[at + 10], _ABNORMAL, 1.0, -40.0)
    row["temperature_min"] = _value(octets[at + 13], _ABNORMAL, 1.0, -40.0)
    return at + 14


@compiled
def _alarms(octets: Octets, at: int, end: int, row: Rows) -> int:
    """Then fault lists of battery, motor, engine and the rest: makers' own codes."""
    if end - at < 5:
        return PAST
    level, flags = octets[at], _u32(octets, at + 1)
    row["alarm_level"] = level if level <= _ALARM_LEVELS else NOT_GIVEN
    row["alarms"] = 0 if flags >= _ABNORMAL_32 else flags
    at += 5
    for _ in range(4):
        if at >= end:
            return PAST
        at = _past(at + 1 + 4 * _count8(octets, at), end)
        if at == PAST:
            return PAST
    return at


@compiled
def _cell_voltages(octets: Octets, at: int, end: int, gathered: Numbers) -> int:
    """A sub-system of more than 200 cells is sent in several parts with the same number."""
    if at >= end:
        return PAST
    count, at = _count8(octets, at), at + 1
    for _ in range(count):
        if end - at < 10:
            return PAST
        pack, sent = _u8(octets, at), _count8(octets, at + 9)
        gathered[_PACKS] = max(gathered[_PACKS], pack + 1)
        gathered[_PROMISED + pack] = u16(octets, at + 5)
        gathered[_SENT + pack] += sent
        at += 10
        if end - at < 2 * sent:
            return PAST
        for cell in range(sent):
            _gather(gathered, _CELLS, u16(octets, at + 2 * cell), _ABNORMAL_16)
        at += 2 * sent
    return at


@compiled
def _probes(octets: Octets, at: int, end: int, gathered: Numbers) -> int:
    if at >= end:
        return PAST
    count, at = _count8(octets, at), at + 1
    for _ in range(count):
        if end - at < 3:
            return PAST
        probes = _count16(octets, at + 1)
        at += 3
        if end - at < probes:
            return PAST
        for probe in range(probes):
            _gather(gathered, _PROBES, _u8(octets, at + probe), _ABNORMAL)
        at += probes
    return at


@compiled
def _gather(gathered: Numbers, what: int, value: int, abnormal: int) -> None:
    if value >= abnormal:
        return
    first = gathered[what + _COUNT] == 0
    gathered[what + _COUNT] += 1
    gathered[what + _SUM] += value
    gathered[what + _HIGHEST] = value if first else max(value, gathered[what + _HIGHEST])
    gathered[what + _LOWEST] = value if first else min(value, gathered[what + _LOWEST])


@compiled
def _past(at: int, end: int) -> int:
    return at if at <= end else PAST


@compiled
def _u8(octets: Octets, at: int) -> int:
    return int(np.int64(octets[at]))


@compiled
def u16(octets: Octets, at: int) -> int:
    return (_u8(octets, at) << 8) | _u8(octets, at + 1)


@compiled
def _u32(octets: Octets, at: int) -> int:
    return (u16(octets, at) << 16) | u16(octets, at + 2)


@compiled
def _count8(octets: Octets, at: int) -> int:
    """How many entries follow; none where the count itself is abnormal or invalid."""
    count = _u8(octets, at)
    return 0 if count >= _ABNORMAL else count


@compiled
def _count16(octets: Octets, at: int) -> int:
    count = u16(octets, at)
    return 0 if count >= _ABNORMAL_16 else count


@compiled
def _value(raw: int, abnormal: int, scale: float, offset: float) -> float:
    return np.nan if raw >= abnormal else np.int64(raw) * scale + offset


@compiled
def _code(raw: int, highest: int) -> int:
    """A code from 1 to `highest`; anything else is not given."""
    return int(np.int64(raw)) if 1 <= raw <= highest else NOT_GIVEN
