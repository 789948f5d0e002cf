"""Wrong-way drivers: a vehicle that keeps driving where, and against how, everybody else drives.

A sample is suspect when nearly all that passed just there went the other way. What is undivided, where both ways lie within
the error of a position, never is; nor is a place of which too little is known. And it must go on for longer than receivers
show their vehicles on the other side here (`strays`).
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors import directions
from detectors.compiled import compiled
from detectors.directions import SEEN, Directions
from detectors.geometry import angle_between, distance, mean_heading, metres
from detectors.lattice import Known
from detectors.model import OBSERVATION, Finding, Frame, Rows, plain
from detectors.strays import Strays

DRIVING = 15.0 / 3.6  # m/s: slower is manoeuvring, and headings from a receiver that stands still are noise
OPPOSED = 60.0  # vehicles the other way before a place has a direction at all: fewer may be a quiet two-way street
SUSPECT = 0.03  # share of the vehicles just here that went this way
ORDINARY_SHARE = 0.3  # with so many going this way the suspicion is dropped
SAMPLES = 2
CERTAIN = 7.0  # sum of -log10(share) over a vehicle's samples: a town where all report sends a million of them an hour
STREET = 250.0  # m driven against the traffic after which
LIKELY = 4.0  # is enough of it; that positions err alike for a while is asked besides
STRETCH = 30.0  # m driven against the traffic: wider than a junction, so turning across one is not enough
ENOUGH = 5.0  # -log10 of the chance of a stray who stays so long: one in 100,000 stretches of 500 m, or in 50,000 km
STEER = 30.0  # degrees between where it says it goes and where it went
PAST = 10_000  # ms of everybody's way that is looked at for jumps
MISTRUST = 60_000  # ms: a receiver that jumped once may still be off
SLACK = 15.0  # m: error of two positions
SILENT = 90_000  # ms after which a suspect is gone; of some senders only one row a minute is not too late
RADIUS = 25.0  # m driven in a second
STRIDE = 4_000  # ms: few rows wait so long for company: looked at in every pane, each of them costs twice as much
COMPANY = 200  # rows that need not wait

LOOKED = np.dtype([("row", "i8"), ("share", "f8"), ("opposed", "f8")])
"""What `directions.share` says of one of those seen."""


class Sample(NamedTuple):
    """A vehicle seen against the traffic."""

    time: int
    lat: float
    lon: float
    heading: float
    speed: float
    surprise: float  # -log10 of the share
    opposed: float  # vehicles


class WrongWay:
    """Follows a vehicle against the traffic from its second or third sample on, for as long as it is seen."""

    kinds: ClassVar[tuple[str, ...]] = ("wrong_way",)

    def __init__(self) -> None:
        self._directions = Directions()
        self._waiting: list[Rows] = []
        self._count = 0  # rows waiting
        self._looked = 0  # ms
        self._lately: deque[Rows] = deque()  # of SEEN
        self._suspects: dict[int, list[Sample]] = {}
        self._strays = Strays()
        self._jumped: dict[int, int] = {}  # reporter -> when

    def update(self, frame: Frame) -> list[Finding]:
        if len(frame.observations):
            self._waiting.append(frame.observations)
            self._count += len(frame.observations)
        if frame.end - self._looked < STRIDE and self._count < COMPANY:
            return []
        self._looked = frame.end
        self._expire(frame.end)
        if not self._waiting:
            return []
        rows = np.concatenate([plain(rows) for rows in self._waiting]).view(OBSERVATION)
        self._waiting, self._count = [], 0
        return self._look(rows, frame.end)

    def _look(self, rows: Rows, now: int) -> list[Finding]:
        suspects = np.fromiter(self._suspects, np.uint64, len(self._suspects))
        seen = np.empty(len(rows), SEEN)
        seen = seen[: _see(rows, seen)]
        if not len(seen):
            return []
        looked = np.empty(len(seen), LOOKED)
        looked = looked[: _look(seen, suspects, self._directions.ignorant(), self._directions.known(now), looked)]
        self._lately.append(seen)
        changed = self._suspect(seen, looked) if len(looked) else set()
        if not self._suspects:
            self._directions.learn(seen, now)
            return []
        suspected = np.isin(seen["reporter"], np.fromiter(self._suspects, np.uint64))
        for row in seen[suspected & seen["usual"]]:
            self._acquit(int(row["reporter"]), float(row["heading"]), now)
        found = [f for name in sorted(changed & set(self._suspects)) if (f := self._claim(name, now)) is not None]
        self._directions.learn(plain(seen).compress(~suspected).view(SEEN), now)  # theirs would vouch for themselves
        return found

    def _suspect(self, seen: Rows, looked: Rows) -> set[int]:
        """Take in who drives against the traffic; returns whom."""
        changed = set()
        for i, share, opposed in looked[(looked["share"] < SUSPECT) & (looked["opposed"] >= OPPOSED)].tolist():
            time, name, lat, lon, speed, heading, *_ = seen[i].item()
            sample = Sample(time, lat, lon, heading, speed, float(-np.log10(share)), opposed)
            self._suspects.setdefault(name, []).append(sample)
            changed.add(name)
        return changed

    def _acquit(self, name: int, heading: float, now: int) -> None:
        """He is among those who go his way: if he has not turned, he was among them all the time."""
        samples = self._suspects.pop(name, [])
        if _drives(samples) and angle_between(heading, mean_heading([s.heading for s in samples])) <= STEER:
            self._strays.take((samples[-1].time - samples[0].time) / 1000.0, now)

    def _claim(self, name: int, now: int) -> Finding | None:
        if self._implausible(name):
            self._jumped[name] = now
        if name in self._jumped:
            del self._suspects[name]
            return None
        samples = self._suspects[name]
        if not _drives(samples):
            return None
        first, last = samples[0], samples[-1]
        driven, score = _driven(samples), sum(s.surprise for s in samples)
        if score < (CERTAIN if driven < STREET else LIKELY):
            return None
        stray = self._strays.surprise((last.time - first.time) / 1000.0, self._directions.driven(now), now)
        if stray < ENOUGH:
            return None
        # the evidence reaches back to where it was seen before, a long way when most of its rows come too late
        radius = max(RADIUS, float(distance(last.lat, last.lon, samples[-2].lat, samples[-2].lon)))
        evidence = (
            ("driven_m", round(driven, 1)),
            ("opposed_vehicles", round(min(s.opposed for s in samples), 1)),
            ("samples", float(len(samples))),
            ("speed_mps", round(last.speed, 1)),
        )
        place = (last.lat, last.lon, last.heading % 360.0, radius)
        return Finding("wrong_way", now, first.time, *place, min(score, stray), frozenset((name,)), evidence)

    def _implausible(self, name: int) -> bool:
        """Did it move otherwise than its speed allows, lately? Then its place is not to be believed."""
        track = np.concatenate([plain(seen).compress(seen["reporter"] == name) for seen in self._lately]).view(SEEN)
        if len(track) < 2:
            return False
        time, lat, lon, speed = track["time"], track["lat"], track["lon"], track["speed"].astype(np.float64)
        seconds = np.diff(time) / 1000.0
        east, north = metres(lat, lon, float(lat[0]), float(lon[0]))
        moved = np.hypot(np.diff(east), np.diff(north))
        drove = seconds * (speed[1:] + speed[:-1]) / 2
        # 3 m/s2 either way between two samples
        return bool((np.abs(moved - drove) > 1.5 * seconds**2 + 0.1 * drove + SLACK).any())

    def _expire(self, now: int) -> None:
        while self._lately and int(self._lately[0]["time"][-1]) < now - PAST:
            self._lately.popleft()
        self._directions.sweep(now)
        self._jumped = {r: t for r, t in self._jumped.items() if now - t < MISTRUST}
        for name in [r for r, samples in self._suspects.items() if now - samples[-1].time > SILENT]:
            # its way counts after all: a road whose direction was changed is learned so
            samples = self._suspects.pop(name)
            seconds = [1.0, *((after.time - before.time) / 1000.0 for before, after in pairwise(samples))]  # 1: as is usual
            metres = [sample.speed * since for sample, since in zip(samples, seconds, strict=True)]
            self._directions.learn_late([(s.lat, s.lon, s.heading) for s in samples], metres, now)


def _driven(samples: list[Sample]) -> float:
    """m from the first to the last."""
    return float(distance(samples[0].lat, samples[0].lon, samples[-1].lat, samples[-1].lon))


def _drives(samples: list[Sample]) -> bool:
    """Whether somebody went on against the traffic, the way that he says he goes, not across it or to and fro."""
    if len(samples) < SAMPLES or _driven(samples) < STRETCH:
        return False
    east, north = metres(samples[-1].lat, samples[-1].lon, samples[0].lat, samples[0].lon)
    went = float(np.degrees(np.arctan2(east, north)))
    return bool(angle_between(went, mean_heading([s.heading for s in samples])) <= STEER)


@compiled
def _see(rows: Rows, seen: Rows) -> int:
    """Write which of an array of OBSERVATION drive, and where: all of SEEN but `counts` and `usual`; returns how many."""
    n = 0
    for i in range(len(rows)):
        row = rows[i]
        speed, heading = np.float64(row["speed"]), np.float64(row["heading"])
        if not (speed > DRIVING and heading >= 0.0):  # NaN is neither fast enough nor a heading
            continue
        one = seen[n]
        one["time"], one["reporter"], one["lat"], one["lon"] = row["time"], row["reporter"], row["lat"], row["lon"]
        one["speed"], one["heading"] = speed, heading
        one["key"], one["across"] = directions.place(row["lat"], row["lon"], heading)
        n += 1
    return n


@compiled
def _look(seen: Rows, suspects: NDArray[np.uint64], ignorant: bool, known: Known, looked: Rows) -> int:
    """Write `counts` and `usual` of those seen, and to `looked` with whom everybody's way was compared; returns how many.

    A loop of its own: while one waits for what is held of its place the next ones look theirs up:
    docs/decisions.md#a-compiled-loop-holds-nobodys-arrays.
    """
    m = 0
    for n in range(len(seen)):
        one = seen[n]
        mean, variance, passes = directions.moments(known, one["key"])
        off = np.float64(one["across"]) - mean
        one["counts"] = directions.learned(passes, one["reporter"])
        one["usual"] = passes >= directions.SETTLED and off * off <= directions.ORDINARY**2 * variance
        if one["usual"] or ignorant:
            continue
        lat, lon, heading = one["lat"], one["lon"], np.float64(one["heading"])
        if one["reporter"] in suspects or directions.contested(known, lat, lon, heading, OPPOSED):
            share, opposed = directions.share(known, lat, lon, heading)
            one["usual"] = share >= ORDINARY_SHARE
            looked[m]["row"], looked[m]["share"], looked[m]["opposed"] = n, share, opposed
            m += 1
    return m
