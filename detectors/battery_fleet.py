"""What the fleet teaches: how channels vary within and between sound cars, where lines err, how high sound cars peak."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import stats

from detectors.battery_cells import BINS, doubt_prior
from detectors.battery_channels import LOWEST, TWO_SIDED
from detectors.battery_vehicles import MANY, PEAK_STEP, N
from detectors.compiled import compiled
from detectors.model import Rows

Floats = NDArray[np.float64]
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


@compiled
def slow(mean: float, x: float, count: float, floor: float = RATE) -> float:
    """Exponentially weighted mean that begins as the plain mean: rate 1 / n, and `floor` once that is smaller.

    `count` includes x. Equal to river's stats.Mean up to 1 / floor readings, and to stats.EWMean(floor) from then on.
    """
    return mean + max(floor, 1.0 / max(count, 1.0)) * (x - mean)


class Expected(NamedTuple):
    """What is expected of everybody, by channel."""

    mean: Floats
    within: Floats  # variance within a car
    between: Floats  # and between cars
    scale: Floats  # what a smoothed deviation is divided by


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
        self.scale: Floats = PRIOR_PEAK.copy()

    def _expected(self) -> Expected:
        return Expected(self.mean, self.within, self.between, self.scale)

    def judge(self, x: Floats, noise: Floats, cars: Rows, blur: Floats) -> tuple[Floats, Floats]:
        """(n, 8) scores of channels x, NaN where x is, and (n, 8) by how much each lay off its baseline, winsorised.

        Channels are `noise` times as uncertain as usual, and by `blur` more. The vehicles' baselines and smoothed deviations
        are moved on; those of the extreme cells, which have lines, are left to `battery_cells.follow`.
        """
        scores, pull = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        _judge(x, noise, cars, blur, self._expected(), scores, pull)
        return scores, pull

    def learn(self, x: Floats, noise: Floats, bins: Ints, cars: Rows) -> None:
        """Take the readings x (n, 8) of the calm ones among the vehicles into what is expected of everybody."""
        sums = Sums(np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(N), np.zeros(BINS), np.zeros(BINS))
        _sum_up(x, noise, bins, cars, self._expected(), self.doubt, sums)
        if not sums.readings.any():
            return
        self.weight = np.minimum(self.weight + sums.readings, MEMORY)
        share = sums.readings / self.weight
        per = np.maximum(sums.readings, 1.0)
        self.within += share * (sums.within / per - self.within)
        self.between += share * (sums.between / per - self.between)
        self.mean += share * (sums.apart / per)
        self.doubt_weight = np.minimum(self.doubt_weight + sums.judged, MEMORY)
        self.doubt = self.doubt + sums.doubt / self.doubt_weight

    def calibrate(self, peaks: Floats) -> None:
        """Feed the (m, 8) peaks of finished blocks of calm vehicles; -inf where a channel had nothing to judge."""
        judged = np.isfinite(peaks)
        for channel, quantile in enumerate(self.peaks):
            for peak in peaks[judged[:, channel], channel].tolist():
                quantile.update(peak)
        self.blocks += judged.sum(axis=0)
        for channel in np.flatnonzero(judged.any(axis=0)).tolist():
            trust = self.blocks[channel] / (self.blocks[channel] + PRIOR_BLOCKS)
            learned = trust * float(self.peaks[channel].get() or 0.0) + (1.0 - trust) * PRIOR_PEAK[channel]
            self.scale[channel] = max(learned, PEAK_FLOOR[channel])


class Sums(NamedTuple):
    """What the calm vehicles of some readings add up to, by channel, and by bin of the doubt about lines."""

    readings: Floats
    within: Floats  # squares of what lies off a car's own mean
    between: Floats  # squares of what that lies off the fleet's
    apart: Floats
    judged: Floats  # readings of extreme cells
    doubt: Floats  # by how much their variance over the usual one differs from what was expected


@compiled
def _calm(car: Rows, scale: Floats) -> bool:
    """Whether nothing has looked wrong with a vehicle lately."""
    quiet = car["recent"] < CALM
    for c in range(N):
        quiet = quiet and np.int64(car["peak"][c]) * PEAK_STEP < CALM * scale[c]
    return bool(quiet)


@compiled
def _judge(x: Floats, noise: Floats, cars: Rows, blur: Floats, fleet: Expected, scores: Floats, pull: Floats) -> None:
    for i in range(len(cars)):
        car = cars[i]
        for c in range(N):
            known, count, lined = not math.isnan(x[i, c]), np.float64(car["count"][c]), c >= LOWEST
            if not known:
                continue
            mean = np.float64(car["mean"][c])
            trust = 1.0 if lined else count / (count + OWN_MEAN)
            centre = trust * mean + (1.0 - trust) * fleet.mean[c]
            within = max(_within(car, c, fleet), FLOOR[c] ** 2) + (1.0 - trust) * fleet.between[c]
            sigma = math.sqrt(noise[i, c] ** 2 * within + blur[i, c] ** 2)
            u = (x[i, c] - centre) / sigma
            smooth = np.float64(car["smooth"][c])
            smooth += SMOOTH * (_clipped(u, CLIP) - smooth)
            car["smooth"][c] = smooth
            height = abs(smooth) if TWO_SIDED[c] else smooth
            new = lined and count < OWN_MEAN  # a line is not believed before a while, and begins wherever the car is
            off = sigma * _clipped(u, WINSOR)
            pull[i, c] = sigma * u if new else off
            if not new:
                car["peak"][c] = max(np.int64(car["peak"][c]), round(height / PEAK_STEP))
                scores[i, c] = height / fleet.scale[c]
            now = min(count + 1.0, MANY)
            # a suspicious reading counts as one of many: it teaches slowest
            past = now if lined or count == 0 or height < SUSPICIOUS * fleet.scale[c] else math.inf
            if not lined:
                car["mean"][c] = slow(mean, centre + off, past)
            variance = fleet.within[c] if count == 0 else np.float64(car["variance"][c])
            car["variance"][c] = slow(variance, (off / noise[i, c]) ** 2, max(past, YOUNG))
            car["count"][c] = now


@compiled
def _clipped(value: float, most: float) -> float:
    return min(max(value, -most), most)


@compiled
def _within(car: Rows, c: int, fleet: Expected) -> float:
    """Variance of a channel within a car, shrunk to the fleet's."""
    count = np.float64(car["count"][c])
    own = count / (count + OWN_VARIANCE[c])
    usual = PRIOR_WITHIN[c] ** 2 if c >= LOWEST else fleet.within[c]
    return float(own * np.float64(car["variance"][c]) + (1.0 - own) * usual)


@compiled
def _sum_up(x: Floats, noise: Floats, bins: Ints, cars: Rows, fleet: Expected, doubt: Floats, sums: Sums) -> None:
    for i in range(len(cars)):
        car = cars[i]
        if not _calm(car, fleet.scale):
            continue
        for c in range(N):
            if math.isnan(x[i, c]) or car["count"][c] <= OWN_MEAN:
                continue
            mean = np.float64(car["mean"][c])
            residual = _clipped(x[i, c] - mean, WINSOR * noise[i, c] * math.sqrt(max(fleet.within[c], FLOOR[c] ** 2)))
            apart = _clipped(mean - fleet.mean[c], WINSOR * math.sqrt(fleet.within[c] + fleet.between[c]))
            sums.readings[c] += 1.0
            sums.within[c] += (residual / noise[i, c]) ** 2
            sums.between[c] += apart**2
            sums.apart[c] += apart
            if c >= LOWEST:
                sums.judged[bins[i]] += 1.0
                sums.doubt[bins[i]] += residual**2 / max(_within(car, c, fleet), FLOOR[c] ** 2) - doubt[bins[i]]
