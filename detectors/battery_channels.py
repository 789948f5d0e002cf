"""Eight numbers that a battery reading is judged by, made so that a sound pack gives much the same whatever it does."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors import battery_cells as lines
from detectors.battery_vehicles import CHANNELS, N
from detectors.compiled import compiled
from detectors.model import Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GAP = 300.0  # s: after a longer silence nothing is compared with the reading before
BLUR, BLUR_STEP = 0.0005, 0.2  # V, and of the sensor's step: what rounding does to an extreme cell and to the mean of all
FAST, SLOW = 60.0, 180.0  # s: a temperature comes in whole degrees; the two means make a slope of the steps
HEAT_TAU = 120.0  # s: between the two, so that heat and slope lag alike
HEAT_PRIOR, HEAT_WEIGHT = 0.28, 5.0  # C/min per (100 A)2: 1.1 milliohm and 2.4 kJ/K a cell, as strong as 5 readings at 100 A
WORK_TAU = 1200.0  # s: how long the warmth of a charge lingers
UNEVEN = 0.25  # share of a warming that shows as a difference between modules
COLDEST, UNLIKE = -40.0, 30.0  # C: where the range of a probe begins, and K by which no module is colder than another
STEP_RATE = 0.2  # C/min: slope that a single step of one degree looks like
HEAT_DOUBT = 0.5  # the explained rise may be wrong by half: pumps come on, cells age
KEEP = 0.999  # forgetting of the sums per reading: about three hours of readings each 10 s
CHARGE_TAU = 1200.0  # s: how long a step in the state of charge is remembered against the coulomb count
CAPACITY, CAPACITY_WEIGHT = 150.0, 30.0  # Ah as first guess, as strong as 30 readings at 1 Ah
SOC_STEP = 0.01  # the state of charge comes in whole percent
MOVED = 6.0  # A: a change of current that must show in the voltages
MOVED_SHARE = 0.01  # of the pack voltage: a change that must come with one of current
LONG = 100  # readings for which something stands still: more say no more

DIFFERENCE, RISE, INSULATION, DRIFT, STANDSTILL, STUCK, LOWEST, HIGHEST = range(N)
TWO_SIDED = tuple(name in ("charge_drift", "standstill_current") for name in CHANNELS)


class Measured(NamedTuple):
    """What is to be judged of n readings."""

    x: Floats  # (n, 8) channels, NaN where one does not apply
    noise: Floats  # (n, 8) by how much each is less certain than usual
    blur: Floats  # (n, 8) what the sensor's step adds to that, in the channel's unit
    bins: Ints  # (n,) of the fleet's doubt about the lines of the extreme cells
    line: Floats  # (n, 3) their regressors
    weight: Floats  # (n,) of the reading in learning them


def measure(rows: Rows, cars: Rows, seconds: Floats, doubt: Floats) -> Measured:
    """The channels of READING rows.

    `cars` is the rows' VEHICLE state, one row a vehicle, and is moved on to this reading; `seconds` since the reading before
    (more than GAP for a first one); `doubt` the fleet's (BINS,) variances of the lines' errors.
    """
    n = len(rows)
    x, noise, blur = np.full((n, N), np.nan), np.ones((n, N)), np.zeros((n, N))
    made = Measured(x, noise, blur, np.empty(n, np.int64), np.empty((n, 3)), np.empty(n))
    _measure(rows, cars, seconds, doubt, made)
    return made


@compiled
def _measure(rows: Rows, cars: Rows, seconds: Floats, doubt: Floats, made: Measured) -> None:
    for i in range(len(rows)):
        row, car, broken = rows[i], cars[i], seconds[i] > GAP
        x, noise = made.x[i], made.noise[i]
        line, made.bins[i], variance = _cells(x, noise, made.blur[i], row, car, seconds[i], doubt)
        made.line[i, 0], made.line[i, 1], made.line[i, 2] = line
        made.weight[i] = 1.0 / variance
        _heat(x, noise, row, car, seconds[i], broken)
        if row["insulation"] > 0.0:
            x[INSULATION] = -math.log(np.float64(row["insulation"]))
        _drift(x, noise, row, car, seconds[i], broken)
        if row["speed"] == 0 and car["halted"] == 1 and row["state"] == 1 and row["charging"] != 1 and not broken:
            x[STANDSTILL] = row["current"]
        _stuck(x, row, car, broken)
        if not math.isnan(row["soc"]):
            car["soc"] = row["soc"]
        if not math.isnan(row["current"]):
            car["current"] = row["current"]
        car["halted"], car["voltage"], car["hottest"] = row["speed"] == 0, row["voltage"], row["temperature_max"]
        car["cell_max"], car["cell_min"] = row["cell_voltage_max"], row["cell_voltage_min"]


@compiled
def _last(now: float, before: float) -> float:
    """The last known value, where there is none now."""
    return before if math.isnan(now) else now


@compiled
def _cells(
    x: Floats, noise: Floats, blur: Floats, row: Rows, car: Rows, seconds: float, doubt: Floats
) -> tuple[lines.Line, int, float]:
    """Regressors of the lines, the bin of the doubt about them, and the variance of a reading."""
    current, soc = np.float64(row["current"]), _last(np.float64(row["soc"]), np.float64(car["soc"]))
    low, high = lines.extremes(row, car, seconds, soc)
    _grain(np.float64(row["cell_voltage_max"]), car)
    _grain(np.float64(row["cell_voltage_min"]), car)
    level = np.float64(car["level"])
    where, line = lines.doubt_bin(current, soc, level), lines.regressors(current, soc, level)
    steep, load = car["slope_steep"], car["slope_load"]
    x[LOWEST] = low - np.float64(steep[0]) * line[1] - np.float64(load[0]) * line[2]
    x[HIGHEST] = high - np.float64(steep[1]) * line[1] - np.float64(load[1]) * line[2]
    variance, far = doubt[where], 0.0
    if not math.isnan(current):
        far = lines.lever(car, line)
        if row["charging"] == 1:
            variance *= 1.0 + (lines.CHARGE_DOUBT * line[2]) ** 2
    noise[LOWEST] = noise[HIGHEST] = math.sqrt(variance * (1.0 + far))
    blur[LOWEST] = blur[HIGHEST] = BLUR + BLUR_STEP * 0.001 * np.float64(car["grain"])
    return line, where, variance


@compiled
def _grain(voltage: float, car: Rows) -> None:
    if math.isnan(voltage):
        return
    step = round(1000.0 * voltage) % 10
    if step != 0:
        car["grain"] = min(np.int64(car["grain"]), 5 if step == 5 else 1)


@compiled
def _heat(x: Floats, noise: Floats, row: Rows, car: Rows, seconds: float, broken: bool) -> None:
    hot = np.float64(row["temperature_max"])
    known = not math.isnan(hot)
    restart = known and (broken or math.isnan(car["warm_fast"]))
    if known:
        car["warm_fast"] = hot if restart else _towards(np.float64(car["warm_fast"]), hot, seconds, FAST)
        car["warm_slow"] = hot if restart else _towards(np.float64(car["warm_slow"]), hot, seconds, SLOW)
    square = (np.float64(row["current"]) / 100.0) ** 2
    if not math.isnan(square):
        car["square"] = square if broken else _towards(np.float64(car["square"]), square, seconds, HEAT_TAU)
        car["work"] = 0.0 if broken else _towards(np.float64(car["work"]), square, seconds, WORK_TAU)
    rise = 60.0 * (np.float64(car["warm_fast"]) - np.float64(car["warm_slow"])) / (SLOW - FAST)
    q, xy, xx = np.float64(car["square"]), np.float64(car["heat_xy"]), np.float64(car["heat_xx"])
    own = min(max((xy + HEAT_WEIGHT * HEAT_PRIOR) / (xx + HEAT_WEIGHT), 0.02), 2.0)
    noise[RISE] = 1.0 + HEAT_DOUBT * own * q / STEP_RATE
    cold = np.float64(row["temperature_min"])
    if not (cold <= COLDEST and hot - cold > UNLIKE) and not car["off_scale"]:  # a probe whose wire is broken
        x[DIFFERENCE] = hot - cold
    noise[DIFFERENCE] = 1.0 + UNEVEN * own * np.float64(car["work"]) * WORK_TAU / 60.0
    if known and not restart:
        x[RISE] = rise - own * q
        if abs(x[RISE]) < 0.5 * noise[RISE]:
            car["heat_xy"], car["heat_xx"] = KEEP * xy + rise * q, KEEP * xx + q * q


@compiled
def _towards(before: float, now: float, seconds: float, tau: float) -> float:
    """An exponentially weighted mean over time."""
    return before + (1.0 - math.exp(-seconds / tau)) * (now - before)


@compiled
def _drift(x: Floats, noise: Floats, row: Rows, car: Rows, seconds: float, broken: bool) -> None:
    soc, current = (
        _last(np.float64(row["soc"]), np.float64(car["soc"])),
        _last(np.float64(row["current"]), np.float64(car["current"])),
    )
    topping = row["charging"] == 1 and soc > lines.FULL_SOC
    known = not math.isnan(soc + current + np.float64(car["soc"]) + np.float64(car["current"]))
    if not known or broken or topping:
        car["count_in"], car["soc_in"] = 0.0, 0.0
        return
    keep = math.exp(-seconds / CHARGE_TAU)
    counted = -(current + np.float64(car["current"])) / 2.0 * seconds / 3600.0  # Ah, trapezium
    count = keep * np.float64(car["count_in"]) + counted
    risen = keep * np.float64(car["soc_in"]) + soc - np.float64(car["soc"])
    xy, xx = np.float64(car["charge_xy"]), np.float64(car["charge_xx"])
    slope = min(max((xy + CAPACITY_WEIGHT / CAPACITY) / (xx + CAPACITY_WEIGHT), 1 / 800.0), 1 / 20.0)
    doubt = 0.05 + 0.6 * math.sqrt(CAPACITY_WEIGHT / (CAPACITY_WEIGHT + xx))
    off = (risen - slope * count) / SOC_STEP
    if not math.isnan(row["soc"]):
        x[DRIFT] = off
    noise[DRIFT] = 1.0 + doubt * abs(slope * count) / SOC_STEP
    if abs(off) < 3.0 * noise[DRIFT]:
        car["charge_xy"], car["charge_xx"] = KEEP * xy + risen * count, KEEP * xx + count * count
    car["count_in"], car["soc_in"] = count, risen


@compiled
def _stuck(x: Floats, row: Rows, car: Rows, broken: bool) -> None:
    voltage, current, soc = np.float64(row["voltage"]), np.float64(row["current"]), np.float64(row["soc"])
    same = (
        voltage == car["voltage"] and row["cell_voltage_max"] == car["cell_max"] and row["cell_voltage_min"] == car["cell_min"]
    )
    pushed = abs(current - np.float64(car["current"])) >= MOVED or abs(soc - np.float64(car["soc"])) >= 0.9 * SOC_STEP
    swung = abs(voltage - np.float64(car["voltage"])) >= MOVED_SHARE * voltage
    if not same or broken:
        car["same_voltage"] = 0
    elif pushed:
        car["same_voltage"] = min(np.int64(car["same_voltage"]) + 1, LONG)
    if current != car["current"] or broken:
        car["same_current"] = 0
    elif swung:
        car["same_current"] = min(np.int64(car["same_current"]) + 1, LONG)
    x[STUCK] = math.log1p(max(np.int64(car["same_voltage"]), np.int64(car["same_current"])))
