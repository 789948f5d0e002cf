"""What the fleet teaches: how channels vary within and between sound cars, where lines err, how high sound cars peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from river import stats

from detectors.battery_cells import BINS, doubt_prior
from detectors.battery_channels import TWO_SIDED
from detectors.battery_vehicles import CELLS, MANY, N
from detectors.model import Rows

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

RATE = 2e-4  # slowest rate of a vehicle's baseline: half a day of readings each 10 s; a faster one absorbs slow faults
WINSOR = 2.5  # standard deviations: what a reading may pull at most
SMOOTH = 0.2  # weight of the newest deviation
CLIP = 12.0  # standard deviations: one broken reading then moves the smoothed value by 2.4
OWN_MEAN = 30.0  # readings after which a car's own mean weighs as much as the fleet's
BLOCK = 600_000  # ms: block of which the maximum is calibrated on
YOUNG = 20.0  # readings that a variance is taken to rest on from the start
QUANTILE = 0.99
PRIOR_BLOCKS = 300.0  # weight of the prior peak, in blocks
PRIOR_READINGS = 3000.0  # weight of the prior mean and variances, in readings
PRIOR_DOUBT = 100.0  # weight of the prior doubt of a bin, in readings
MEMORY = 1_000_000.0  # readings after which the fleet forgets exponentially
CALM = 2.0  # recent peak up to which a vehicle teaches the fleet
SUSPICIOUS = 0.6  # of the scale: from here on a baseline learns at its slowest

# Per channel:  difference rise insulation drift standstill stuck, lowest and highest cell
PRIOR_MEAN = np.array([1.5, 0.0, -16.0, 0.0, 5.0, 0.0, 0.0, 0.0])
PRIOR_WITHIN = np.array([1.0, 0.10, 0.25, 0.8, 4.0, 0.3, 0.005, 0.005])  # standard deviation within a car
PRIOR_BETWEEN = np.array([1.5, 0.05, 1.2, 0.3, 6.0, 0.1, 0.0, 0.0])  # and between cars; that of the lines is in their prior
FLOOR = np.array([0.5, 0.07, 0.15, 0.5, 3.0, 0.25, 0.0005, 0.0005])  # what rounding and weather do to any car
# Readings after which a car's own variance weighs as much as the fleet's: slow swings need hours to show, but lines have taken
# them off the cells, whose prior stays as wide as it is, since it stands for what a car has not done before.
OWN_VARIANCE = np.array([1000.0] * 6 + [300.0] * 2)
PRIOR_PEAK = np.array([4.0] * N)  # of ten minutes, smoothed standard deviations
PEAK_FLOOR = np.array([2.5] * N)
LINED = np.zeros(N, np.bool_)
LINED[CELLS] = True


def slow(mean: Floats, x: Floats, count: Floats, floor: float = RATE) -> Floats:
    """Exponentially weighted mean that begins as the plain mean: rate 1 / n, and `floor` once that is smaller.

    `count` includes x. Equal to river's stats.Mean up to 1 / floor readings, and to stats.EWMean(floor) from then on.
    """
    return mean + np.maximum(floor, 1.0 / np.maximum(count, 1.0)) * (x - mean)


class Fleet:
    """Everything that vehicles share in one shard; it learns from calm vehicles only."""

    def __init__(self) -> None:
        self.mean: Floats = PRIOR_MEAN.copy()
        self.within: Floats = PRIOR_WITHIN**2
        self.between: Floats = PRIOR_BETWEEN**2
        self.weight: Floats = np.full(N, PRIOR_READINGS)
        self.doubt: Floats = doubt_prior()  # variance of a line's error in a bin over the usual one
        self.doubt_weight: Floats = np.full(BINS, PRIOR_DOUBT)
        self.peaks = [stats.Quantile(QUANTILE) for _ in range(N)]
        self.blocks: Floats = np.zeros(N)
        self.scale: Floats = PRIOR_PEAK.copy()  # what a smoothed deviation is divided by

    def judge(self, x: Floats, noise: Floats, car: Rows, blur: Floats | float = 0.0) -> tuple[Floats, Floats]:
        """(n, 8) scores of channels x, NaN where x is, and (n, 8) by how much each lay off its baseline, winsorised.

        Channels are `noise` times as uncertain as usual, and by `blur` more. The vehicles' baselines and smoothed deviations
        are moved on; those of the extreme cells, which have lines, are left to `battery_cells.follow`.
        """
        known = ~np.isnan(x)
        count, mean = car["count"].astype(np.float64), car["mean"].astype(np.float64)
        trust = np.where(LINED, 1.0, count / (count + OWN_MEAN))
        centre = trust * mean + (1.0 - trust) * self.mean
        within = self._within(count, car)
        sigma = np.sqrt(np.square(noise) * (np.maximum(within, FLOOR**2) + (1.0 - trust) * self.between) + np.square(blur))
        u = (np.where(known, x, centre) - centre) / sigma
        smooth = car["smooth"] + SMOOTH * (np.clip(u, -CLIP, CLIP) - car["smooth"])
        car["smooth"] = np.where(known, smooth, car["smooth"])
        height = np.where(TWO_SIDED, np.abs(smooth), smooth)
        new = LINED & (count < OWN_MEAN)  # a line is not believed before a while, and begins wherever the car is
        told = known & ~new
        car["peak"] = np.where(told, np.maximum(car["peak"], height), car["peak"])

        pull = sigma * np.clip(u, -WINSOR, WINSOR)
        now = np.minimum(count + known, MANY)
        calm = LINED | (height < SUSPICIOUS * self.scale)
        past = np.where(calm | (count == 0), now, np.inf)  # a suspicious reading counts as one of many: it teaches slowest
        car["mean"] = np.where(known & ~LINED, slow(mean, centre + pull, past), mean)
        squared = np.square(pull / noise)
        variance = np.where(count == 0, self.within, car["variance"])
        car["variance"] = np.where(known, slow(variance, squared, np.maximum(past, YOUNG)), variance)
        car["count"] = now
        off = np.where(new, sigma * u, pull)
        return np.where(told, height / self.scale, np.nan), np.where(known, off, np.nan)

    def _within(self, count: Floats, car: Rows) -> Floats:
        own = count / (count + OWN_VARIANCE)
        return np.asarray(own * car["variance"] + (1.0 - own) * np.where(LINED, PRIOR_WITHIN**2, self.within))

    def learn(self, x: Floats, noise: Floats, bins: Ints, car: Rows) -> None:
        """Take the readings x (n, 8) of calm vehicles into what is expected of everybody."""
        ripe = car["count"] > OWN_MEAN
        use = ~np.isnan(x) & ripe
        m = use.sum(axis=0).astype(np.float64)
        if not m.any():
            return
        mean = car["mean"].astype(np.float64)
        sigma = noise * np.sqrt(np.maximum(self.within, FLOOR**2))
        residual = np.clip(np.where(use, x - mean, 0.0), -WINSOR * sigma, WINSOR * sigma)
        apart = np.where(use, mean - self.mean, 0.0)
        wide = WINSOR * np.sqrt(self.within + self.between)
        apart = np.clip(apart, -wide, wide)
        total = np.minimum(self.weight + m, MEMORY)
        share = m / total
        per = np.maximum(m, 1.0)
        self.within += share * (((residual / noise) ** 2).sum(axis=0) / per - self.within)
        self.between += share * ((apart**2).sum(axis=0) / per - self.between)
        self.mean += share * (apart.sum(axis=0) / per)
        self.weight = total
        self._doubt(residual, use, bins, car)

    def _doubt(self, residual: Floats, use: Flags, bins: Ints, car: Rows) -> None:
        usual = np.maximum(self._within(car["count"].astype(np.float64), car), FLOOR**2)
        over = (np.square(residual) / usual)[:, CELLS]
        judged = use[:, CELLS]
        where = np.broadcast_to(bins[:, None], judged.shape)[judged]
        self.doubt_weight = np.minimum(self.doubt_weight + np.bincount(where, minlength=BINS), MEMORY)
        off = np.bincount(where, over[judged] - self.doubt[where], minlength=BINS)
        self.doubt = self.doubt + off / self.doubt_weight

    def calibrate(self, peaks: Floats) -> None:
        """Feed the (m, 8) peaks of finished blocks of calm vehicles; -inf where a channel had nothing to judge."""
        for channel, quantile in enumerate(self.peaks):
            column = peaks[:, channel]
            column = column[np.isfinite(column)]
            for peak in column.tolist():
                quantile.update(peak)
            self.blocks[channel] += len(column)
            if self.blocks[channel]:
                trust = self.blocks[channel] / (self.blocks[channel] + PRIOR_BLOCKS)
                learned = trust * float(quantile.get() or 0.0) + (1.0 - trust) * PRIOR_PEAK[channel]
                self.scale[channel] = max(learned, PEAK_FLOOR[channel])
