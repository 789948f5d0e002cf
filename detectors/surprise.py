"""How surprising it is that so many of those who passed said the same: beta-binomial, place by place."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river import base

from detectors.geometry import angle_between, distance, mean_heading, metres
from detectors.lattice import FadingSums
from detectors.model import Rows
from detectors.passers import DAY, REACH, SAME_WAY, TICK, WINDOW, Passers, around, squares

SEEN = 400  # the newest witnesses that are compared with one another: their pairs are what costs
MOST = 30  # groups judged at once: in area-wide rain the rest would say the same
FORGET = 0.05  # of a witness: three days after the only one of a place

WITNESS = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f4")])
Witnesses = NDArray[np.void]


def witnesses(rows: Rows) -> Witnesses:
    """What is kept of the rows of those who spoke."""
    out = np.empty(len(rows), WITNESS)
    for name in WITNESS.names or ():
        out[name] = rows[name]
    return out


class ReporterShare(base.AnomalyDetector):
    """Share of reporters that say a thing, as a Beta distribution; scores how surprising `said` out of `passed` is.

    Parameters: `alpha`, `beta`, pseudo-counts of reporters that said it and that did not. Learning is river.proba.Beta's,
    many at a time.

    >>> usual = ReporterShare(0.5, 499.5)
    >>> round(usual.score_one({"said": 2, "passed": 10}), 1)
    3.9
    >>> usual.score_one({"said": 0, "passed": 10})
    0.0
    """

    def __init__(self, alpha: float = 0.5, beta: float = 499.5) -> None:
        self.alpha = alpha
        self.beta = beta

    def learn_one(self, x: dict[Hashable, Any]) -> None:
        self.alpha += x["said"]
        self.beta += x["passed"] - x["said"]

    def score_one(self, x: dict[Hashable, Any]) -> float:
        """-log10 of the chance that at least `said` of `passed` reporters say it."""
        said, passed = float(x["said"]), math.ceil(x["passed"])
        if said <= 0:
            return 0.0
        a, b = self.alpha, self.beta
        term = _log_choose(passed, said) + _log_beta(said + a, passed - said + b) - _log_beta(a, b)
        total, ratio, k = 1.0, 1.0, said
        while k < passed and ratio > 1e-9 * total:  # the terms above the first, each as a multiple of it
            ratio *= (passed - k) / (k + 1) * (k + a) / (passed - k - 1 + b)
            total += ratio
            k += 1
        return max(0.0, -(term + math.log(total)) / math.log(10.0))


def _log_choose(n: float, k: float) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


class Cluster(NamedTuple):
    """Witnesses to the same thing at one place, going the same way."""

    score: float  # -log10 of the chance
    onset: int  # ms
    lat: float
    lon: float
    heading: float
    radius: float  # m
    reporters: frozenset[int]
    said: int  # reporters that spoke since the onset
    passed: float  # reporters that passed there since then


class Surprise:
    """Remembers who said a thing, and finds the places where too many of those who passed did.

    `rate`: chance that one who passes says it, before anything is known.
    """

    def __init__(self, rate: float, passers: Passers) -> None:
        self.rate = rate
        self.passers = passers
        self.lately: Witnesses = np.empty(0, WITNESS)  # of the last WINDOW, in order of time
        self._usual = FadingSums((DAY,), FORGET)  # witnesses before that; who says no heading does not count, as with Passers

    def hear(self, witnesses: Witnesses, quiet: int) -> bool:
        """Take in who spoke; one that spoke less than `quiet` ms ago is still saying the same. True if any was new."""
        new = []
        last = dict(zip(self.lately["reporter"].tolist(), self.lately["time"].tolist(), strict=True))
        for i, (name, time) in enumerate(zip(witnesses["reporter"].tolist(), witnesses["time"].tolist(), strict=True)):
            if name not in last or time - last[name] >= quiet:
                new.append(i)
                last[name] = time
        if new:
            self.lately = np.concatenate([self.lately, witnesses[new]])
        return bool(new)

    def withdraw(self, names: NDArray[np.uint64], since: int) -> None:
        """What these reporters said since then was about something else."""
        if len(self.lately):
            self.lately = self.lately[~(np.isin(self.lately["reporter"], names) & (self.lately["time"] >= since))]

    def clusters(self, least: int, now: int) -> list[Cluster]:
        """The groups of at least `least` reporters, the largest first, at most MOST; no witness is in two."""
        some = self.lately[-SEEN:]
        if len(some) < least:
            return []
        east, north = metres(some["lat"], some["lon"], float(some["lat"][0]), float(some["lon"][0]))
        near = np.hypot(east - east[:, None], north - north[:, None]) <= REACH
        near &= ~(angle_between(some["heading"], some["heading"][:, None]) > SAME_WAY)
        count, found = near.sum(1), list[Cluster]()
        while len(found) < MOST and count.max() >= least:
            chosen = near[int(np.argmax(count))]
            group = some[chosen]
            near = near & ~chosen & ~chosen[:, None]
            count = near.sum(1)
            if len(np.unique(group["reporter"])) >= least:
                found.append(self._judge(group, least, now))
        return found

    def _judge(self, group: Witnesses, least: int, now: int) -> Cluster:
        lat, lon = float(group["lat"].mean()), float(group["lon"].mean())
        heading, names = mean_heading(group["heading"]), frozenset(group["reporter"].tolist())
        radius = max(REACH, float(distance(group["lat"], group["lon"], lat, lon).max()))  # who passed within REACH was asked
        flow, usual = self.passers.near(lat, lon, heading, now)
        share = self._share(lat, lon, heading, usual, now)
        best = Cluster(0.0, int(group["time"][0]), lat, lon, heading, radius, names, 0, 0.0)
        starts = np.unique(group["time"])
        for since in starts.tolist():  # the evidence may have begun with any of them
            said = len(np.unique(group["reporter"][group["time"] >= since]))
            if said < least:
                break
            n = max(float(said), flow * (now - since + TICK))
            score = share.score_one({"said": said, "passed": n}) - math.log10(len(starts))
            if score > best.score:
                best = best._replace(score=score, onset=since, said=said, passed=n)
        return best

    def _share(self, lat: float, lon: float, heading: float, passed: float, now: int) -> ReporterShare:
        """What is usual here: half a witness among as many as is usual anywhere, and who was heard here in the last days."""
        share = ReporterShare(0.5, 0.5 / self._rate_anywhere(now) - 0.5)
        (said,) = around(self._usual, lat, lon, heading, now)
        share.learn_one({"said": said, "passed": max(passed, said)})
        return share

    def _rate_anywhere(self, now: int) -> float:
        """The fleet's own rate where it is above the assumed one: in snow, or with a touchy make of car."""
        (heard,) = self._usual.total(now)
        passed = self.passers.total(now)
        return min(0.5, max(self.rate, (0.5 + heard) / (0.5 / self.rate + passed)))

    def age(self, now: int) -> None:
        """What was said before the window becomes what is usual; what is days old is forgotten."""
        if len(self.lately) and (old := self.lately["time"] < now - WINDOW).any():
            gone = self.lately[old & (self.lately["heading"] >= 0.0)]
            faded = np.exp((gone["time"] - now) / DAY)
            self._usual.add(squares(gone["lat"], gone["lon"], gone["heading"]), (faded,), now)
            self.lately = self.lately[~old]
        self._usual.sweep(now)
