"""Eight numbers that a battery reading is judged by, made so that a sound pack gives much the same whatever it does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors import battery_cells as lines
from detectors.battery_vehicles import CELLS, CHANNELS, N
from detectors.model import Rows

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

GAP = 300.0  # s: after a longer silence nothing is compared with the reading before
BLUR, BLUR_STEP = 0.0005, 0.2  # V, and of the sensor's step: what rounding does to an extreme cell and to the mean of all
FAST, SLOW = 60.0, 180.0  # s: a temperature comes in whole degrees; the two means make a slope of the steps
HEAT_TAU = 120.0  # s: between the two, so that heat and slope lag alike
HEAT_PRIOR, HEAT_WEIGHT = 0.28, 5.0  # C/min per (100 A)2: 1.1 milliohm and 2.4 kJ/K a cell, as strong as 5 readings at 100 A
WORK_TAU = 1200.0  # s: how long the warmth of a charge lingers
UNEVEN = 0.25  # share of a warming that shows as a difference between modules
STEP_RATE = 0.2  # C/min: slope that a single step of one degree looks like
HEAT_DOUBT = 0.5  # the explained rise may be wrong by half: pumps come on, cells age
KEEP = 0.999  # forgetting of the sums per reading: about three hours of readings each 10 s
CHARGE_TAU = 1200.0  # s: how long a step in the state of charge is remembered against the coulomb count
CAPACITY, CAPACITY_WEIGHT = 150.0, 30.0  # Ah as first guess, as strong as 30 readings at 1 Ah
SOC_STEP = 0.01  # the state of charge comes in whole percent
FULL_SOC = 0.90  # above it, charging, the car sets its state of charge anew, by up to several percent
MOVED = 6.0  # A: a change of current that must show in the voltages
MOVED_SHARE = 0.01  # of the pack voltage: a change that must come with one of current

DIFFERENCE, RISE, INSULATION, DRIFT, STANDSTILL, STUCK = range(N - 2)
TWO_SIDED = np.array([name in ("charge_drift", "standstill_current") for name in CHANNELS])


class Measured(NamedTuple):
    """What is to be judged of n readings."""

    x: Floats  # (n, 8) channels, NaN where one does not apply
    noise: Floats  # (n, 8) by how much each is less certain than usual
    blur: Floats  # (n, 8) what the sensor's step adds to that, in the channel's unit
    bins: Ints  # (n,) of the fleet's doubt about the lines of the extreme cells
    line: Floats  # (n, 3) their regressors
    weight: Floats  # (n,) of the reading in learning them


def measure(rows: Rows, car: Rows, seconds: Floats, doubt: Floats) -> Measured:
    """The channels of READING rows.

    `car` is the rows' VEHICLE state, one row a vehicle, and is moved on to this reading; `seconds` since the reading before
    (more than GAP for a first one); `doubt` the fleet's (BINS,) variances of the lines' errors.
    """
    x = np.full((len(rows), N), np.nan)
    noise, blur = np.ones((len(rows), N)), np.zeros((len(rows), N))
    broken = seconds > GAP
    with np.errstate(invalid="ignore", divide="ignore"):
        bins, line, weight = _cells(x, noise, blur, rows, car, seconds, doubt)
        _heat(x, noise, rows, car, seconds, broken)
        x[:, INSULATION] = -np.log(np.where(rows["insulation"] > 0.0, rows["insulation"], np.nan))
        _drift(x, noise, rows, car, seconds, broken)
        halted = (rows["speed"] == 0) & (car["halted"] == 1) & (rows["state"] == 1) & (rows["charging"] != 1) & ~broken
        x[halted, STANDSTILL] = rows["current"][halted]
        _stuck(x, rows, car, broken)
    for name in ("soc", "current"):
        car[name] = _last(rows, car, name)
    car["halted"], car["voltage"] = rows["speed"] == 0, rows["voltage"]
    car["cell_max"], car["cell_min"] = rows["cell_voltage_max"], rows["cell_voltage_min"]
    car["hottest"] = rows["temperature_max"]
    return Measured(x, noise, blur, bins, line, weight)


def _last(rows: Rows, car: Rows, name: str) -> Floats:
    """(n,) values of a field, the last known one where it is missing."""
    return np.where(np.isnan(rows[name]), car[name], rows[name]).astype(np.float64)


def _cells(
    x: Floats, noise: Floats, blur: Floats, rows: Rows, car: Rows, seconds: Floats, doubt: Floats
) -> tuple[Ints, Floats, Floats]:
    current, soc = rows["current"].astype(np.float64), _last(rows, car, "soc")
    apart = lines.extremes(rows, car, seconds, soc)
    _grain(rows, car)
    level = car["level"].astype(np.float64)
    bins, line = lines.doubt_bin(current, soc, level), lines.regressors(current, soc, level)
    x[:, CELLS] = apart - car["slope_steep"] * line[:, 1:2] - car["slope_load"] * line[:, 2:]
    current = np.nan_to_num(line[:, 2])
    variance = doubt[bins] * np.where(rows["charging"] == 1, 1.0 + np.square(lines.CHARGE_DOUBT * current), 1.0)
    noise[:, CELLS] = np.sqrt(variance * (1.0 + np.nan_to_num(lines.lever(car, line))))[:, None]
    blur[:, CELLS] = (BLUR + BLUR_STEP * 0.001 * car["grain"])[:, None]
    return bins, line, 1.0 / variance


def _grain(rows: Rows, car: Rows) -> None:
    for name in ("cell_voltage_max", "cell_voltage_min"):
        step = np.where(np.isnan(rows[name]), 0, np.round(1000.0 * rows[name])) % 10.0
        car["grain"] = np.where(step == 0, car["grain"], np.minimum(car["grain"], np.where(step == 5, 5, 1)))


def _heat(x: Floats, noise: Floats, rows: Rows, car: Rows, seconds: Floats, broken: Flags) -> None:
    hot = rows["temperature_max"].astype(np.float64)
    known = ~np.isnan(hot)
    restart = (broken | np.isnan(car["warm_fast"])) & known
    for name, tau in (("warm_fast", FAST), ("warm_slow", SLOW)):
        moved = car[name] + (1.0 - np.exp(-seconds / tau)) * (hot - car[name])
        car[name] = np.where(restart, hot, np.where(known, moved, car[name]))
    square = np.square(rows["current"].astype(np.float64) / 100.0)
    for name, tau, anew in (("square", HEAT_TAU, square), ("work", WORK_TAU, 0.0 * square)):
        moved = car[name] + (1.0 - np.exp(-seconds / tau)) * (square - car[name])
        car[name] = np.where(np.isnan(square), car[name], np.where(broken, anew, moved))
    rise = 60.0 * (car["warm_fast"] - car["warm_slow"]).astype(np.float64) / (SLOW - FAST)
    q = car["square"].astype(np.float64)
    own = np.clip((car["heat_xy"] + HEAT_WEIGHT * HEAT_PRIOR) / (car["heat_xx"] + HEAT_WEIGHT), 0.02, 2.0)
    x[:, RISE] = np.where(known & ~restart, rise - own * q, np.nan)
    noise[:, RISE] = 1.0 + HEAT_DOUBT * own * q / STEP_RATE
    x[:, DIFFERENCE] = hot - rows["temperature_min"]
    noise[:, DIFFERENCE] = 1.0 + UNEVEN * own * car["work"] * WORK_TAU / 60.0
    learn = known & ~restart & (np.abs(x[:, RISE]) < 0.5 * noise[:, RISE])
    car["heat_xy"] = np.where(learn, KEEP * car["heat_xy"] + rise * q, car["heat_xy"])
    car["heat_xx"] = np.where(learn, KEEP * car["heat_xx"] + q * q, car["heat_xx"])


def _drift(x: Floats, noise: Floats, rows: Rows, car: Rows, seconds: Floats, broken: Flags) -> None:
    soc, current = _last(rows, car, "soc"), _last(rows, car, "current")
    topping = (rows["charging"] == 1) & (soc > FULL_SOC)
    known = ~np.isnan(soc) & ~np.isnan(current) & ~np.isnan(car["soc"]) & ~np.isnan(car["current"])
    usable = known & ~broken & ~topping
    keep = np.exp(-seconds / CHARGE_TAU)
    counted = -(current + car["current"]) / 2.0 * seconds / 3600.0  # Ah, trapezium
    count = np.where(usable, keep * car["count_in"] + counted, 0.0)
    risen = np.where(usable, keep * car["soc_in"] + soc - car["soc"], 0.0)
    prior = CAPACITY_WEIGHT
    slope = np.clip((car["charge_xy"] + prior / CAPACITY) / (car["charge_xx"] + prior), 1 / 800.0, 1 / 20.0)
    doubt = 0.05 + 0.6 * np.sqrt(prior / (prior + car["charge_xx"]))
    off = (risen - slope * count) / SOC_STEP
    x[:, DRIFT] = np.where(usable & ~np.isnan(rows["soc"]), off, np.nan)
    noise[:, DRIFT] = 1.0 + doubt * np.abs(slope * count) / SOC_STEP
    learn = usable & (np.abs(off) < 3.0 * noise[:, DRIFT])
    car["charge_xy"] = np.where(learn, KEEP * car["charge_xy"] + risen * count, car["charge_xy"])
    car["charge_xx"] = np.where(learn, KEEP * car["charge_xx"] + count * count, car["charge_xx"])
    car["count_in"], car["soc_in"] = count, risen


def _stuck(x: Floats, rows: Rows, car: Rows, broken: Flags) -> None:
    voltages = (
        (rows["voltage"] == car["voltage"])
        & (rows["cell_voltage_max"] == car["cell_max"])
        & (rows["cell_voltage_min"] == car["cell_min"])
    )
    current = rows["current"] == car["current"]
    pushed = (np.abs(rows["current"] - car["current"]) >= MOVED) | (np.abs(rows["soc"] - car["soc"]) >= 0.9 * SOC_STEP)
    swung = np.abs(rows["voltage"] - car["voltage"]) >= MOVED_SHARE * rows["voltage"]
    for name, same, moved in (("same_voltage", voltages, pushed), ("same_current", current, swung)):
        longer = np.minimum(car[name], 99) + moved
        car[name] = np.where(same & ~broken, longer, 0)
    x[:, STUCK] = np.log1p(np.maximum(car["same_voltage"], car["same_current"]).astype(np.float64))
