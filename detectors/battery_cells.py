"""How far a car's lowest and highest cell usually lie from the mean of all: a line per car over steepness and current."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.model import Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BLEED = 600.0  # s: bleeding resistors pull a measured cell down for minutes and let go again; a bad cell stays bad
BLEED_FROM = 0.80  # state of charge: cells are balanced near the end of a charge
NMC_LEVEL = 3.42  # V: mean cell voltage; iron phosphate rests below, the nickel and manganese chemistries above
LEVEL_RATE = 0.01

LOADS = np.array([5.0, 15.0, 25.0, 40.0, 60.0, 85.0, 120.0, 180.0, 260.0])  # A: bins of the doubt about a line
CHARGES = np.array([0.05, 0.08, 0.10, 0.12, 0.15, 0.25, 0.4, 0.6, 0.8, 0.88, 0.94, 0.98])  # state of charge: the same
# How much steeper than where it is flattest the open-circuit voltage is at these states of charge: iron phosphate, then nickel
# and manganese, whose graphite has its flat stage under half charge. Cells that differ by a little charge differ by that much
# more voltage there. Near its ends the plateau of iron phosphate breaks off within a percent or two, elsewhere in each car.
STEEP = (
    ((0.03, 0.07, 0.10, 0.15, 0.25, 0.35, 0.88, 0.94, 0.98), (8.0, 6.0, 4.5, 3.0, 1.5, 1.0, 1.0, 3.0, 8.0)),
    ((0.03, 0.07, 0.10, 0.15, 0.25, 0.40, 0.45, 0.60), (8.0, 4.5, 3.0, 2.0, 1.2, 1.0, 1.0, 2.0)),
)
BINS = 2 * (len(LOADS) + 1) * (len(CHARGES) + 1)
CHARGE_DOUBT = 4.0  # of the usual doubt at 100 A of charging: a first fast charge is far outside what driving taught

PRIOR = np.array([0.002, 0.004, 0.010])  # V: constant, per steepness, per 100 A (0.1 milliohm more than the mean cell)
RIDGE = np.array([1.0, 1.0, 0.25])  # readings that the prior is worth; least in the current: cars differ most in resistance
FORGET = 5e-4  # per reading: lines follow the season, and a fault of an hour hardly
LEVER_MOST = 50.0  # variance of a forecast far outside what was seen, over the usual one

UPPER = np.triu_indices(3)  # order in which VEHICLE keeps the symmetric 3 x 3 `moments`
SLOPES = ("slope_steep", "slope_load")


def doubt_bin(current: Floats, soc: Floats, level: Floats) -> Ints:
    """(n,) bin of the fleet's doubt: chemistry, |I|, state of charge (half full where it is missing)."""
    load = np.digitize(np.abs(np.nan_to_num(current)), LOADS)
    charge = np.digitize(np.where(np.isnan(soc), 0.5, soc), CHARGES)
    return np.asarray((_nickel(level).astype(np.int64) * (len(LOADS) + 1) + load) * (len(CHARGES) + 1) + charge)


def _nickel(level: Floats) -> NDArray[np.bool_]:
    return np.asarray(np.nan_to_num(level, nan=4.0) > NMC_LEVEL)


def doubt_prior() -> Floats:
    """(BINS,) variance of a line's error over the usual one, before the fleet has taught better: steep is uncertain."""
    middles = np.convolve(np.concatenate([[0.0], CHARGES, [1.0]]), [0.5, 0.5], "valid")
    steep = np.stack([np.interp(middles, *curve) for curve in STEEP])
    return np.broadcast_to(np.square(steep)[:, None, :], (2, len(LOADS) + 1, len(middles))).ravel().copy()


def extremes(rows: Rows, car: Rows, seconds: Floats, soc: Floats) -> Floats:
    """(n, 2) V by which the lowest cell lies below and the highest above the mean; NaN where unknown. `car` is moved on.

    Where the frames have no single voltages the whole spread stands for the lowest cell, and nothing for the highest.
    """
    highest, lowest = rows["cell_voltage_max"].astype(np.float64), rows["cell_voltage_min"].astype(np.float64)
    mean = rows["cell_voltage_mean"].astype(np.float64)
    middle = (highest + lowest) / 2.0
    known = ~np.isnan(middle)
    level = np.where(np.isnan(car["level"]), middle, car["level"] + LEVEL_RATE * (middle - car["level"]))
    car["level"] = np.where(known, level, car["level"])
    never = np.isnan(car["highest"])  # no single voltages so far: a frame without them, of a car that sends them, says nothing
    low = np.where(np.isnan(mean), np.where(never, highest - lowest, np.nan), mean - lowest)
    bleeding = (rows["charging"] == 1) & ~(soc < BLEED_FROM)
    apart = np.empty((len(rows), 2))
    for side, (name, now) in enumerate((("lowest", low), ("highest", highest - mean))):
        now = np.maximum(now, 0.0)
        share = np.where(bleeding & (now > car[name]), 1.0 - np.exp(-seconds / BLEED), 1.0)
        held = np.where(np.isnan(car[name]), now, car[name] + share * (now - car[name]))
        car[name] = np.where(np.isnan(now), car[name], held)
        apart[:, side] = np.where(np.isnan(now), np.nan, held)
    return apart


def regressors(current: Floats, soc: Floats, level: Floats) -> Floats:
    """(n, 3): one, the steepness of the voltage curve, and hundreds of amperes."""
    charge = np.where(np.isnan(soc), 0.5, soc)
    steep = np.where(_nickel(level), np.interp(charge, *STEEP[1]), np.interp(charge, *STEEP[0]))
    return np.stack([np.ones(len(soc)), steep, np.abs(current) / 100.0], axis=1)


def lever(car: Rows, line: Floats) -> Floats:
    """(n,) variance of the line's forecast at the regressors `line` over the variance of a reading."""
    return np.asarray(np.minimum((line * _solve(car["moments"].astype(np.float64), line)).sum(axis=1), LEVER_MOST))


def follow(car: Rows, line: Floats, weight: Floats, pull: Floats, cells: slice) -> None:
    """Move the lines of `car` on by one reading: recursive least squares with forgetting towards PRIOR.

    `pull` (n, 2) V by which the two extremes lay off their lines, winsorised, NaN where unknown; `weight` (n,) of the reading.
    """
    known: NDArray[np.bool_] = np.asarray(~np.isnan(pull).all(axis=1) & ~np.isnan(line).any(axis=1))
    if not known.any():
        return
    line = np.where(known[:, None], line, 0.0)
    moments = car["moments"].astype(np.float64)
    square = (line[:, UPPER[0]] * line[:, UPPER[1]]) * np.where(known, weight, 0.0)[:, None]
    prior = np.diag(RIDGE)[UPPER]
    moments = np.where(known[:, None], moments + FORGET * (prior - moments) + square, moments)
    car["moments"] = moments
    for side in range(2):
        now = known & ~np.isnan(pull[:, side])
        mean = car["mean"][:, cells]
        own = np.stack([mean[:, side], *(car[name][:, side] for name in SLOPES)], axis=1).astype(np.float64)
        error = np.where(now, weight * pull[:, side], 0.0)
        moved = own + _solve(moments, line * error[:, None] + FORGET * RIDGE * (PRIOR - own))
        moved = np.where(now[:, None], moved, own)
        mean[:, side] = moved[:, 0]
        for k, name in enumerate(SLOPES):
            car[name][:, side] = moved[:, 1 + k]


def _solve(moments: Floats, right: Floats) -> Floats:
    """(n, 3) solutions of the symmetric systems `moments` (n, 6), UPPER, by Cholesky's method without roots.

    Written out, so that every row's answer is the same whatever rows stand beside it and whichever library is installed.
    """
    a, b, c, d, e, f = moments.T
    u, v = b / a, c / a
    p = d - b * u
    w = (e - c * u) / p
    q = f - c * v - w * (e - c * u)
    y0, y1 = right[:, 0], right[:, 1] - u * right[:, 0]
    y2 = right[:, 2] - v * y0 - w * y1
    x2 = y2 / q
    x1 = y1 / p - w * x2
    return np.stack([y0 / a - u * x1 - v * x2, x1, x2], axis=1)
