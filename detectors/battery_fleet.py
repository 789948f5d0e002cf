"""What the fleet teaches: how channels vary within and between sound cars, what spread to expect, how high sound cars peak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from river import stats

from detectors.battery_channels import (
    BINS,
    SPREAD_LOADED,
    SPREAD_REST,
    TWO_SIDED,
    spread_prior,
)
from detectors.battery_vehicles import N
from detectors.model import Rows

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

RATE = 2e-4  # slowest rate of a vehicle's baseline: half a day of readings each 10 s; a faster one absorbs slow faults
WINSOR = 2.5  # standard deviations: what a reading may pull at most
SMOOTH = 0.2  # weight of the newest deviation
CLIP = 12.0  # standard deviations: one broken reading then moves the smoothed value by 2.4
OWN_MEAN = 30.0  # readings after which a car's own mean weighs as much as the fleet's
OWN_VARIANCE = 1000.0  # and its own variance; slow swings need hours to show
BLOCK = 600_000  # ms: block of which the maximum is calibrated on
YOUNG = 20.0  # readings that a variance is taken to rest on from the start
QUANTILE = 0.99
PRIOR_BLOCKS = 300.0  # weight of the prior peak, in blocks
PRIOR_READINGS = 3000.0  # weight of the prior mean and variances, in readings
MEMORY = 1_000_000.0  # readings after which the fleet forgets exponentially
CALM = 2.0  # recent peak up to which a vehicle teaches the fleet
SUSPICIOUS = 0.6  # of the scale: from here on a baseline learns at its slowest

# Per channel:           rest   loaded difference rise insulation drift standstill stuck
PRIOR_MEAN = np.array([0.0, 0.0, 1.5, 0.0, -16.0, 0.0, 5.0, 0.0])
PRIOR_WITHIN = np.array([0.25, 0.25, 1.0, 0.10, 0.25, 0.8, 4.0, 0.3])  # standard deviation within a car
PRIOR_BETWEEN = np.array([0.5, 0.5, 1.5, 0.05, 1.2, 0.3, 6.0, 0.1])  # and between cars
FLOOR = np.array([0.12, 0.12, 0.5, 0.07, 0.15, 0.5, 3.0, 0.25])  # what rounding and weather do to any car
PRIOR_PEAK = np.array([4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0])  # of ten minutes, smoothed standard deviations
PEAK_FLOOR = np.array([2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5])


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
        self.expected, doubt = spread_prior()
        self.doubt: Floats = doubt**2  # variance of a bin over the usual one
        self.expected_weight: Floats = np.full(BINS, 100.0)
        self.peaks = [stats.Quantile(QUANTILE) for _ in range(N)]
        self.blocks: Floats = np.zeros(N)
        self.scale: Floats = PRIOR_PEAK.copy()  # what a smoothed deviation is divided by

    def judge(self, x: Floats, noise: Floats, car: Rows) -> Floats:
        """(n, 8) scores of channels x, which are `noise` times as uncertain as usual; NaN where x is.

        The vehicles' baselines and smoothed deviations are moved on.
        """
        known = ~np.isnan(x)
        count, mean = car["count"].astype(np.float64), car["mean"].astype(np.float64)
        trust = count / (count + OWN_MEAN)
        centre = trust * mean + (1.0 - trust) * self.mean
        own = count / (count + OWN_VARIANCE)
        within = own * car["variance"] + (1.0 - own) * self.within
        sigma = noise * np.sqrt(np.maximum(within, FLOOR**2) + (1.0 - trust) * self.between)
        u = (np.where(known, x, centre) - centre) / sigma
        smooth = car["smooth"] + SMOOTH * (np.clip(u, -CLIP, CLIP) - car["smooth"])
        car["smooth"] = np.where(known, smooth, car["smooth"])
        height = np.where(TWO_SIDED, np.abs(smooth), smooth)
        car["peak"] = np.where(known, np.maximum(car["peak"], height), car["peak"])

        pulled = centre + sigma * np.clip(u, -WINSOR, WINSOR)
        now = count + known
        calm = height < SUSPICIOUS * self.scale
        past = np.where(calm | (count == 0), now, np.inf)  # a suspicious reading counts as one of many: it teaches slowest
        car["mean"] = np.where(known, slow(mean, pulled, past), mean)
        squared = np.square((pulled - centre) / noise)
        variance = np.where(count == 0, self.within, car["variance"])
        car["variance"] = np.where(known, slow(variance, squared, np.maximum(past, YOUNG)), variance)
        car["count"] = now
        return np.where(known, height / self.scale, np.nan)

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
        self._expect(residual, use, bins)

    def _expect(self, residual: Floats, use: Flags, bins: Ints) -> None:
        either = use[:, SPREAD_REST] | use[:, SPREAD_LOADED]
        off = (residual[:, SPREAD_REST] + residual[:, SPREAD_LOADED])[either]  # one of the two is 0
        seen = np.bincount(bins[either], minlength=BINS).astype(np.float64)
        self.expected_weight = np.minimum(self.expected_weight + seen, MEMORY)
        here = bins[either]
        self.expected = self.expected + np.bincount(here, off, minlength=BINS) / self.expected_weight
        usual = (self.within[SPREAD_REST] + self.within[SPREAD_LOADED]) / 2.0
        wide = np.bincount(here, off * off / usual - self.doubt[here], minlength=BINS)
        self.doubt = self.doubt + wide / self.expected_weight

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
