"""The information units of GB/T 32960.3-2016."""

from __future__ import annotations

from dataflows.formats.gbt32960_common import PACKS, PROMISED, SENT, alarms, cells, motors, place, probes, vehicle
from dataflows.formats.gbt32960_octets import (
    NO_CELL,
    NO_TEMPERATURE,
    PAST,
    Numbers,
    Octets,
    count8,
    count16,
    past,
    u8,
    u16,
    value,
)
from detectors.compiled import compiled
from detectors.model import Rows

_ALARM_LEVELS = 3  # 0 none, 1 to 3
_ALARMS = (1 << 19) - 1  # the others are reserved
_CURRENT = -1000.0  # A


@compiled
def makers(unit: int) -> bool:
    """Makers' and platforms' own."""
    return bool(unit < 0x01 or unit > 0x09)


@compiled
def read_unit(octets: Octets, at: int, end: int, unit: int, row: Rows, gathered: Numbers) -> int:
    """Read the unit whose content begins at byte `at`; where the next one begins, or PAST."""
    if unit == 0x01:
        return vehicle(octets, at, end, row, 20, _CURRENT)
    if unit == 0x02:
        return motors(octets, at, end, row, 12, 7)
    if unit == 0x03:  # fuel cell: one byte for each temperature probe
        if end - at < 8:
            return PAST
        return past(at + 8 + count16(octets, at + 6) + 10, end)
    if unit == 0x04:  # engine
        return past(at + 5, end)
    if unit == 0x05:
        return _position(octets, at, end, row)
    if unit == 0x06:
        return _extremes(octets, at, end, row)
    if unit == 0x07:
        return alarms(octets, at, end, row, _ALARM_LEVELS, _ALARMS)
    if unit == 0x08:
        return _cell_voltages(octets, at, end, gathered)
    if unit == 0x09:
        return probes(octets, at, end, gathered)
    if end - at < 2:  # makers' and platforms' own units carry their length
        return PAST
    return past(at + 2 + u16(octets, at), end)


@compiled
def _position(octets: Octets, at: int, end: int, row: Rows) -> int:
    if end - at < 9:
        return PAST
    place(octets, at + 1, octets[at], row)
    return at + 9


@compiled
def _extremes(octets: Octets, at: int, end: int, row: Rows) -> int:
    if end - at < 14:
        return PAST
    row["cell_voltage_max"] = value(u16(octets, at + 2), NO_CELL, 0.001, 0.0)
    row["cell_voltage_min"] = value(u16(octets, at + 6), NO_CELL, 0.001, 0.0)
    row["temperature_max"] = value(octets[at + 10], NO_TEMPERATURE, 1.0, -40.0)
    row["temperature_min"] = value(octets[at + 13], NO_TEMPERATURE, 1.0, -40.0)
    return at + 14


@compiled
def _cell_voltages(octets: Octets, at: int, end: int, gathered: Numbers) -> int:
    """A sub-system of more than 200 cells is sent in several parts with the same number."""
    if at >= end:
        return PAST
    count, at = count8(octets, at), at + 1
    for _ in range(count):
        if end - at < 10:
            return PAST
        pack, sent = u8(octets, at), count8(octets, at + 9)
        gathered[PACKS] = max(gathered[PACKS], pack + 1)
        gathered[PROMISED + pack] = u16(octets, at + 5)
        gathered[SENT + pack] += sent
        at = cells(octets, at + 10, end, sent, gathered)
        if at == PAST:
            return PAST
    return at
