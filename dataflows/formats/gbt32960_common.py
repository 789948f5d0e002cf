"""The information units that both editions of GB/T 32960.3 have, and what all single cells and probes of a report add up to.

A unit is read from byte `at` on, and its loop says where the next one begins, or PAST if it ends past byte `end`, where the
frame's BCC is.
"""

from __future__ import annotations

import numpy as np

from dataflows.formats.gbt32960_octets import (
    ABNORMAL_16,
    ABNORMAL_32,
    NO_CELL,
    NO_CHARGE,
    NO_INSULATION,
    NO_TEMPERATURE,
    NOT_GIVEN,
    PAST,
    Numbers,
    Octets,
    code,
    count8,
    count16,
    past,
    u8,
    u16,
    u32,
    value,
)
from detectors.compiled import compiled
from detectors.model import Rows

# What is gathered of a report's single cells and of its probes: how many are valid, their sum, the highest and the lowest. Then
# the highest number of a pack and one; from PROMISED and SENT on the cells that each is said to have, and those sent.
CELLS, PROBES, PACKS = 0, 4, 8
_COUNT, _SUM, _HIGHEST, _LOWEST = range(4)
PROMISED, SENT = 9, 9 + 256
GATHERED = 9 + 2 * 256


@compiled
def forget(gathered: Numbers) -> None:
    """`gathered` is zeros at first, and then whatever the last report left."""
    for pack in range(gathered[PACKS]):
        gathered[PROMISED + pack], gathered[SENT + pack] = 0, 0
    gathered[:PROMISED] = 0


@compiled
def complete(row: Rows, gathered: Numbers) -> None:
    """With what the single values add; the vehicle's own word on its extremes (unit 06 of 2016) comes first.

    Single voltages count if all the cells of all the packs were sent.
    """
    whole = gathered[CELLS + _COUNT] > 0
    for pack in range(gathered[PACKS]):
        whole = whole and gathered[PROMISED + pack] == gathered[SENT + pack]
    if whole:
        row["cell_voltage_mean"] = gathered[CELLS + _SUM] / gathered[CELLS + _COUNT] / 1000
        if np.isnan(row["cell_voltage_max"]):
            row["cell_voltage_max"] = gathered[CELLS + _HIGHEST] / 1000
        if np.isnan(row["cell_voltage_min"]):
            row["cell_voltage_min"] = gathered[CELLS + _LOWEST] / 1000
    if gathered[PROBES + _COUNT] > 0:
        if np.isnan(row["temperature_max"]):
            row["temperature_max"] = gathered[PROBES + _HIGHEST] - 40.0
        if np.isnan(row["temperature_min"]):
            row["temperature_min"] = gathered[PROBES + _LOWEST] - 40.0


@compiled
def gather(gathered: Numbers, what: int, said: int, beyond: int) -> None:
    if said >= beyond:
        return
    first = gathered[what + _COUNT] == 0
    gathered[what + _COUNT] += 1
    gathered[what + _SUM] += said
    gathered[what + _HIGHEST] = said if first else max(said, gathered[what + _HIGHEST])
    gathered[what + _LOWEST] = said if first else min(said, gathered[what + _LOWEST])


@compiled
def vehicle(octets: Octets, at: int, end: int, row: Rows, size: int, zero: float) -> int:
    """Of `size` bytes; a current is sent as what it is over `zero` amperes."""
    if end - at < size:
        return PAST
    row["state"] = code(octets[at], 3)
    row["charging"] = code(octets[at + 1], 4)
    row["speed"] = value(u16(octets, at + 3), ABNORMAL_16, 1 / 36, 0.0)  # 0.1 km/h
    row["mileage"] = value(u32(octets, at + 5), ABNORMAL_32, 0.1, 0.0)
    row["voltage"] = value(u16(octets, at + 9), ABNORMAL_16, 0.1, 0.0)
    row["current"] = value(u16(octets, at + 11), ABNORMAL_16, 0.1, zero)
    row["soc"] = value(octets[at + 13], NO_CHARGE, 0.01, 0.0)
    row["insulation"] = value(u16(octets, at + 16), NO_INSULATION, 1000.0, 0.0)  # kOhm
    return at + size


@compiled
def motors(octets: Octets, at: int, end: int, row: Rows, size: int, temperature: int) -> int:
    """`size` bytes each, one of which is its temperature. The hottest motor is the one that matters."""
    if at >= end:
        return PAST
    count, at = count8(octets, at), at + 1
    for _ in range(count):
        if end - at < size:
            return PAST
        motor = value(octets[at + temperature], NO_TEMPERATURE, 1.0, -40.0)
        if np.isnan(row["motor_temperature"]) or motor > row["motor_temperature"]:
            row["motor_temperature"] = motor
        at += size
    return at


@compiled
def place(octets: Octets, at: int, status: int, row: Rows) -> bool:
    """Longitude and latitude, if they are known; whether they are.

    Bit 0 of `status`: no fix; 1: south; 2: west. Terminals also send 0, 0 before their first fix.
    """
    lon, lat = u32(octets, at), u32(octets, at + 4)
    if status & 1 == 0 and max(lat, lon) < ABNORMAL_32 and (lat > 0 or lon > 0):
        row["lat"] = lat / (-1e6 if status & 2 else 1e6)
        row["lon"] = lon / (-1e6 if status & 4 else 1e6)
        return True
    return False


@compiled
def alarms(octets: Octets, at: int, end: int, row: Rows, worst: int, known: int) -> int:
    """The highest level, up to `worst`; flags, of which the edition has the `known` ones; then fault lists of battery, motor,
    engine and the rest: makers' own codes."""
    if end - at < 5:
        return PAST
    level, flags = octets[at], u32(octets, at + 1)
    row["alarm_level"] = level if level <= worst else NOT_GIVEN
    row["alarms"] = 0 if flags >= ABNORMAL_32 else flags & known
    at += 5
    for _ in range(4):
        if at >= end:
            return PAST
        at = past(at + 1 + 4 * count8(octets, at), end)
        if at == PAST:
            return PAST
    return at


@compiled
def cells(octets: Octets, at: int, end: int, sent: int, gathered: Numbers) -> int:
    if end - at < 2 * sent:
        return PAST
    for cell in range(sent):
        gather(gathered, CELLS, u16(octets, at + 2 * cell), NO_CELL)
    return at + 2 * sent


@compiled
def probes(octets: Octets, at: int, end: int, gathered: Numbers) -> int:
    if at >= end:
        return PAST
    count, at = count8(octets, at), at + 1
    for _ in range(count):
        if end - at < 3:
            return PAST
        sent = count16(octets, at + 1)
        at += 3
        if end - at < sent:
            return PAST
        for probe in range(sent):
            gather(gathered, PROBES, u8(octets, at + probe), NO_TEMPERATURE)
        at += sent
    return at
