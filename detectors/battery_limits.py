"""Hard limits of a battery: what the car itself reports as an alarm, and what physics forbids whatever the car says."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.model import Rows

Flags = NDArray[np.bool_]

# Alarm bits of GB/T 32960.3 that say by themselves that a battery is dangerous.
OVER_TEMPERATURE = 1 << 1
CELL_OVER_VOLTAGE = 1 << 5
CELL_UNDER_VOLTAGE = 1 << 6
INSULATION = 1 << 11
OVERCHARGE = 1 << 18
THERMAL_EVENT = 1 << 23  # 2025 edition
DANGEROUS = OVER_TEMPERATURE | CELL_OVER_VOLTAGE | CELL_UNDER_VOLTAGE | INSULATION | OVERCHARGE | THERMAL_EVENT
THERMAL = OVER_TEMPERATURE | THERMAL_EVENT
# Bits that explain a high alarm level without the battery being in danger: state of charge low (empty, not broken), DC-DC
# temperature and state, brake, motor controller and motor temperature; of the 2025 edition a motor's speed and current. Its
# other new bits are of what can burn or blow up as well, super capacitors (21, 22) and hydrogen (24 leak, 25 pressure, 26
# temperature, 27 fuel-cell stack): they say nothing by themselves, for a trace of hydrogen is no battery's, and explain nothing
# away, for at the gravest level the road must hear of it.
HARMLESS = 1 << 4 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 17 | 1 << 19 | 1 << 20
HARMLESS_MASK = 0xFFFFFFFF & ~HARMLESS
INVALID = 0xFFFFFFFF  # all ones: the field was not filled in
SLIGHT = 1  # alarm level of both editions that "does not affect driving"
GRAVE = 3  # highest alarm level of the 2016 edition: stop at once, call for help
THERMAL_LEVEL = 4  # 2025 edition: thermal event
NOT_GIVEN = 255

# Physical limits, each a bit of VEHICLE's `limits`.
HOT, RUNAWAY, EMPTY_CELL, FULL_CELL, LEAKING = 1, 2, 4, 8, 16
PHYSICS = {HOT: "cell_temperature", RUNAWAY: "temperature_rate", EMPTY_CELL: "cell_voltage_min", FULL_CELL: "cell_voltage_max"}
HOT_CELL = 60.0  # C: end of the range for which cell makers release their cells, in charge and discharge
RUNAWAY_RATE = 1.0  # K/s: GB 38031 and UN GTR 20 take a rise of 1 K/s as the sign of thermal runaway
WARM = 45.0  # C: below it even a fast rise is a sensor coming to life rather than a fire
END_OF_RANGE = 200.0  # C: GB/T 32960 ends at 210, where a probe with a broken wire or a short circuit stays
PROBE = 600  # s there, with another probe cool, after which it is no fire: GB 38031 gives one five minutes to reach the cabin
LITHIUM = 2.9  # V: mean voltage above which the cells are neither nickel-metal hydride (1.2 V) nor titanate (2.3 V)
EMPTY = 1.8  # V: under 2.0 V the copper collector of a lithium-ion cell dissolves; 0.2 V for the sensor
FULL = 4.55  # V: no series cell is charged above 4.45 V
OHM_PER_VOLT = 100.0  # GB 18384 and UN R100: least isolation resistance of a DC system
SOUND = 500.0  # ohm per volt: what the same standards ask of an AC system; insulation seen above it was measured, not a blank


def alarming(rows: Rows) -> Flags:
    """(n,) READING rows in which the car reports a dangerous battery by alarm bit or by alarm level."""
    alarms, level = rows["alarms"], rows["alarm_level"]
    valid = alarms != INVALID
    dangerous = valid & ((alarms & np.uint32(DANGEROUS)) != 0)
    unexplained = ~valid | (alarms == 0) | (valid & ((alarms & np.uint32(HARMLESS_MASK)) != 0))
    return np.asarray(dangerous | ((level == GRAVE) & unexplained) | (level == THERMAL_LEVEL), np.bool_)


def unsaid(rows: Rows) -> NDArray[np.uint8]:
    """(n,) limits of which a row says nothing, for the value is missing."""
    hot, low, high = (np.isnan(rows[name]) for name in ("temperature_max", "cell_voltage_min", "cell_voltage_max"))
    leaking = np.isnan(rows["insulation"]) | np.isnan(rows["voltage"])
    return np.asarray((HOT | RUNAWAY) * hot + EMPTY_CELL * low + FULL_CELL * high + LEAKING * leaking, np.uint8)


def filled(rows: Rows) -> Flags:
    """Rows that say whether there is an alarm."""
    alarms = rows["alarms"]
    return np.asarray((rows["alarm_level"] != NOT_GIVEN) | ((alarms != 0) & (alarms != INVALID)), np.bool_)


def thermal(rows: Rows) -> Flags:
    """Rows whose alarm is one of heat. A car that says itself that its warmth affects nothing is believed; a thermal event is
    one at any level."""
    alarms, level = rows["alarms"], rows["alarm_level"]
    bits = np.where(level == SLIGHT, np.uint32(THERMAL_EVENT), np.uint32(THERMAL))
    return np.asarray(((alarms & bits) != 0) & (alarms != INVALID) | (level == THERMAL_LEVEL), np.bool_)


@compiled
def passed(row: Rows, car: Rows, seconds: float) -> int:
    """Physical limits that a READING passes; a missing value passes none.

    `car` is the VEHICLE state before the reading, `seconds` the time since the reading before. One reading may be a
    broken byte: it counts once the next one passes the same limit.
    """
    hot, limits = np.float64(row["temperature_max"]), 0
    if hot > HOT_CELL and not (car["off_scale"] > PROBE and _off_scale(row)):
        limits |= HOT
    if 3.0 <= seconds <= 60.0 and hot > WARM and hot - np.float64(car["hottest"]) >= RUNAWAY_RATE * seconds:
        limits |= RUNAWAY
    if car["level"] > LITHIUM and row["cell_voltage_min"] < EMPTY:
        limits |= EMPTY_CELL
    if row["cell_voltage_max"] > FULL:
        limits |= FULL_CELL
    if car["sound"] == 1 and np.float64(row["insulation"]) < OHM_PER_VOLT * np.float64(row["voltage"]):
        limits |= LEAKING
    return limits


@compiled
def off_scale(row: Rows, car: Rows, seconds: float) -> int:
    """s for which one probe has been at the end of its range by now while another is cool; a gap counts as a minute."""
    if math.isnan(row["temperature_max"]):
        return int(car["off_scale"])
    return min(int(car["off_scale"]) + int(min(seconds, 60.0)), 65_535) if _off_scale(row) else 0


@compiled
def _off_scale(row: Rows) -> bool:
    return bool(row["temperature_max"] >= END_OF_RANGE and row["temperature_min"] < WARM)
