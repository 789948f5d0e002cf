"""How far a car's lowest and highest cell usually lie from the mean of all: a line per car over steepness and current."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.model import Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Line = tuple[float, float, float]  # regressors: one, the steepness of the voltage curve, hundreds of amperes
Moments = tuple[float, float, float, float, float, float]  # a symmetric 3 x 3 matrix, its upper triangle row by row

BLEED = 600.0  # s: bleeding resistors pull a measured cell down for minutes and let go again; a bad cell stays bad
BLEED_FROM = 0.80  # state of charge: cells are balanced near the end of a charge
NMC_LEVEL = 3.42  # V: mean cell voltage; iron phosphate rests below, the nickel and manganese chemistries above
LEVEL_RATE = 0.01
SPREAD = 1.0  # V between the extreme cells, from which on one is broken, and half-way between them tells no chemistry
FULL_SOC = 0.90  # beyond it, charging, the car sets its state of charge anew, by up to several percent
KNEE = 3.45  # V: beyond both a cell of iron phosphate is full, and rises by 0.1 V with each percent

LOADS = (5.0, 15.0, 25.0, 40.0, 60.0, 85.0, 120.0, 180.0, 260.0)  # A: bins of the doubt about a line
CHARGES = (0.05, 0.08, 0.10, 0.12, 0.15, 0.25, 0.4, 0.6, 0.8, 0.88, 0.94, 0.98)  # state of charge: the same
# How much steeper than where it is flattest the open-circuit voltage is at these states of charge: iron phosphate, then nickel
# and manganese, whose graphite has its flat stage under half charge. Cells that differ by a little charge differ by that much
# more voltage there. Near its ends the plateau of iron phosphate breaks off within a percent or two, elsewhere in each car.
IRON = (
    (0.03, 0.07, 0.10, 0.15, 0.25, 0.35, 0.88, 0.94, 0.98),
    (8.0, 6.0, 4.5, 3.0, 1.5, 1.0, 1.0, 3.0, 8.0),
)
NICKEL = (
    (0.03, 0.07, 0.10, 0.15, 0.25, 0.40, 0.45, 0.60),
    (8.0, 4.5, 3.0, 2.0, 1.2, 1.0, 1.0, 2.0),
)
BINS = 2 * (len(LOADS) + 1) * (len(CHARGES) + 1)
CHARGE_DOUBT = 4.0  # of the usual doubt at 100 A of charging: a first fast charge is far outside what driving taught

PRIOR = (0.002, 0.004, 0.010)  # V: constant, per steepness, per 100 A (0.1 milliohm more than the mean cell)
RIDGE = (1.0, 1.0, 0.25)  # readings that the prior is worth; least in the current: cars differ most in resistance
FORGET = 5e-4  # per reading: lines follow the season, and a fault of an hour hardly
LEVER_MOST = 50.0  # variance of a forecast far outside what was seen, over the usual one


@compiled
def doubt_bin(current: float, soc: float, level: float) -> int:
    """Bin of the fleet's doubt: chemistry, |I|, state of charge (half full where it is missing)."""
    load = charge = 0
    for edge in LOADS:
        load += abs(current) >= edge  # not where it is missing
    for edge in CHARGES:
        charge += (0.5 if math.isnan(soc) else soc) >= edge
    return int((_nickel(level) * (len(LOADS) + 1) + load) * (len(CHARGES) + 1) + charge)


@compiled
def _nickel(level: float) -> bool:
    return math.isnan(level) or level > NMC_LEVEL


def doubt_prior() -> Floats:
    """(BINS,) variance of a line's error over the usual one, before the fleet has taught better: steep is uncertain."""
    middles = np.convolve(np.concatenate([[0.0], CHARGES, [1.0]]), [0.5, 0.5], "valid")
    steep = np.stack([np.interp(middles, *curve) for curve in (IRON, NICKEL)])
    return np.broadcast_to(np.square(steep)[:, None, :], (2, len(LOADS) + 1, len(middles))).ravel().copy()


@compiled
def extremes(row: Rows, car: Rows, seconds: float, soc: float) -> tuple[float, float]:
    """V by which the lowest cell lies below and the highest above the mean; NaN where unknown. `car` is moved on.

    Where the frames have no single voltages the whole spread stands for the lowest cell, and nothing for the highest.
    """
    highest, lowest = np.float64(row["cell_voltage_max"]), np.float64(row["cell_voltage_min"])
    mean, level = np.float64(row["cell_voltage_mean"]), np.float64(car["level"])
    middle = (highest + lowest) / 2.0
    charging = row["charging"] == 1 or row["charging"] == 4
    if highest - lowest < SPREAD and (math.isnan(level) or not charging):  # for a charge lifts iron phosphate past NMC_LEVEL
        car["level"] = middle if math.isnan(level) else level + LEVEL_RATE * (middle - level)
    low, high = mean - lowest, highest - mean
    if math.isnan(mean) and math.isnan(car["highest"]):  # no single voltages so far; else, without them it says nothing
        low = highest - lowest
    bleeding = row["charging"] == 1 and not soc < BLEED_FROM
    below = _held(low, np.float64(car["lowest"]), bleeding, seconds)
    above = _held(high, np.float64(car["highest"]), bleeding, seconds)
    if not math.isnan(below):
        car["lowest"] = below
    if not math.isnan(above):
        car["highest"] = above
    if highest > KNEE and not soc < FULL_SOC and not _nickel(np.float64(car["level"])):
        above = math.nan  # some cells are, and others not yet, at the end of each full charge of every sound pack
    return below, above


@compiled
def _held(now: float, before: float, bleeding: bool, seconds: float) -> float:
    """`now` in V, and nearer to what it was `before` if it grew while bleeding; NaN where it is unknown."""
    if now < 0.0:
        now = 0.0
    if math.isnan(before) or not (bleeding and now > before):
        return now
    return before + (1.0 - math.exp(-seconds / BLEED)) * (now - before)


@compiled
def regressors(current: float, soc: float, level: float) -> Line:
    """One, the steepness of the voltage curve, and hundreds of amperes."""
    charge = 0.5 if math.isnan(soc) else soc
    steep = _between(charge, NICKEL[0], NICKEL[1]) if _nickel(level) else _between(charge, IRON[0], IRON[1])
    return 1.0, steep, abs(current) / 100.0


@compiled
def _between(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """The value of a curve through points, and of its ends beyond them."""
    if x <= xs[0]:
        return ys[0]
    for k in range(1, len(xs)):
        if x < xs[k]:
            return ys[k - 1] + (ys[k] - ys[k - 1]) / (xs[k] - xs[k - 1]) * (x - xs[k - 1])
    return ys[len(ys) - 1]


@compiled
def lever(car: Rows, line: Line) -> float:
    """Variance of the line's forecast at the regressors `line` over the variance of a reading."""
    answer = _solve(_moments(car), line)
    variance = line[0] * answer[0] + line[1] * answer[1] + line[2] * answer[2]
    return LEVER_MOST if variance > LEVER_MOST else variance


@compiled
def follow(car: Rows, line: Line, weight: float, pull: Floats, cells: int) -> None:
    """Move the lines of `car` on by one reading: recursive least squares with forgetting towards PRIOR.

    `pull` V by which the two extremes lay off their lines, winsorised, NaN where unknown; `weight` of the reading; `cells` is
    the first of their channels in `mean`.
    """
    if (math.isnan(pull[0]) and math.isnan(pull[1])) or math.isnan(line[2]):
        return
    a, b, c, d, e, f = _moments(car)
    moments = (
        a + FORGET * (RIDGE[0] - a) + weight * (line[0] * line[0]),
        b + FORGET * (0.0 - b) + weight * (line[0] * line[1]),
        c + FORGET * (0.0 - c) + weight * (line[0] * line[2]),
        d + FORGET * (RIDGE[1] - d) + weight * (line[1] * line[1]),
        e + FORGET * (0.0 - e) + weight * (line[1] * line[2]),
        f + FORGET * (RIDGE[2] - f) + weight * (line[2] * line[2]),
    )
    for k in range(6):
        car["moments"][k] = moments[k]
    for side in range(2):
        if math.isnan(pull[side]):
            continue
        mean, steep, load = (
            np.float64(car["mean"][cells + side]),
            np.float64(car["slope_steep"][side]),
            np.float64(car["slope_load"][side]),
        )
        error = weight * pull[side]
        moved = _solve(
            moments,
            (
                line[0] * error + FORGET * RIDGE[0] * (PRIOR[0] - mean),
                line[1] * error + FORGET * RIDGE[1] * (PRIOR[1] - steep),
                line[2] * error + FORGET * RIDGE[2] * (PRIOR[2] - load),
            ),
        )
        car["mean"][cells + side] = mean + moved[0]
        car["slope_steep"][side] = steep + moved[1]
        car["slope_load"][side] = load + moved[2]


@compiled
def _moments(car: Rows) -> Moments:
    m = car["moments"]
    return np.float64(m[0]), np.float64(m[1]), np.float64(m[2]), np.float64(m[3]), np.float64(m[4]), np.float64(m[5])


@compiled
def _solve(moments: Moments, right: Line) -> Line:
    """Solution of the symmetric system, by Cholesky's method without roots."""
    a, b, c, d, e, f = moments
    u, v = b / a, c / a
    p = d - b * u
    w = (e - c * u) / p
    q = f - c * v - w * (e - c * u)
    y0, y1 = right[0], right[1] - u * right[0]
    y2 = right[2] - v * y0 - w * y1
    x2 = y2 / q
    x1 = y1 / p - w * x2
    return y0 / a - u * x1 - v * x2, x1, x2
