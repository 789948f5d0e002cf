"""Wrong-way drivers: a vehicle that keeps driving where, and against how, everybody else drives.

Per place and heading (24 bins) the passes of the last weeks and where across the road they lay; a sample is suspect when
nearly all that passed just there went the other way. What is undivided, where both ways lie within the error of a position,
never is.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE, angle_between, distance, mean_heading, metres
from detectors.lattice import FadingSums, Floats, Keys, Steps
from detectors.model import OBSERVATION, Finding, Frame, Rows

DRIVING = 15.0 / 3.6  # m/s: slower is manoeuvring, and headings from a receiver that stands still are noise
STEP = 0.00036  # degrees: 40 m, short enough that a road within it is nearly straight
BINS = 24  # of 15 degrees
TAU = 14 * 86_400_000.0  # ms: a fortnight, so that a road works' traffic is learned within days, and nights are bridged
PASS = 25.0  # m driven that count as one pass: about one a vehicle, square and crossing
ERROR = 2.0  # m: a receiver's own error across the road, the same for minutes, so a vehicle's samples share it
SETTLED = 3.0  # passes: where so many drove this way, just here, a sample needs no closer look
ORDINARY = 2.5  # standard deviations across the road that are still 'just here'
OPPOSED = 100.0  # passes the other way before a place has a direction at all: fewer may be a quiet two-way street
PRIOR = 1.0  # passes: the Beta(1/2, 1/2) of Jeffreys, before anything is known of a place
SUSPECT = 0.01  # share of the passes just here that went this way
ORDINARY_SHARE = 0.3  # with so many going this way the suspicion is dropped
CERTAIN = 4.0  # sum of -log10(share) over a vehicle's samples
STRETCH = 30.0  # m driven against the traffic: wider than a junction, so turning across one is not enough
SETTLE = 10_000  # ms of a reporter's past that is looked at for jumps
STRIDE = 4_000  # ms: few rows wait so long for company, for numpy's sake
COMPANY = 48  # rows that need not wait
LESSON = 512  # rows that are learned at once
UNLEARNED = 60_000  # ms that fewer may wait
FORGET = 0.5  # passes
SILENT = 60_000  # ms after which a suspect is gone; of some senders only one row a minute is not too late
MISTRUST = 60_000  # ms: a receiver that jumped once may still be off
RADIUS = 25.0  # m driven in a second
STEER = 30.0  # degrees between where it says it goes and where it went

_LATTICE = Steps(STEP, BINS)
_UP, _RIGHT = (np.array(side).reshape(4, 1, 1, 1) for side in ((0, 0, 1, 1), (0, 1, 0, 1)))  # squares
_TURN = np.array((-1, 0, 1)).reshape(1, 3, 1, 1)  # bins
_BACK = np.array((0, BINS // 2)).reshape(1, 1, 2, 1)
_RAW = np.dtype((np.void, OBSERVATION.itemsize))  # the same bytes, which numpy joins faster
_PREVIOUS = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("speed", "f4")])
_LESSON = np.dtype([("key", "i8"), ("time", "i8"), ("reporter", "u8"), ("across", "f4"), ("speed", "f4")])


@dataclass(slots=True)
class _Suspect:
    """A vehicle's samples against the traffic: time, lat, lon, heading, speed, -log10(share), passes the other way."""

    samples: list[tuple[int, float, float, float, float, float, float]] = field(default_factory=list)


class WrongWay:
    """Follows a vehicle against the traffic from its second or third sample on, for as long as it is seen."""

    kinds: ClassVar[tuple[str, ...]] = ("wrong_way",)

    def __init__(self) -> None:
        self._passes = FadingSums((TAU, TAU, TAU), FORGET)  # sum of offset, of its square, and of passes
        self._waiting: list[Rows] = []
        self._count = 0  # rows waiting
        self._waited = 0  # ms: end of the stride judged last
        self._lessons: list[NDArray[np.void]] = []
        self._lately: deque[NDArray[np.void]] = deque()
        self._suspects: dict[int, _Suspect] = {}
        self._jumped: dict[int, int] = {}  # reporter -> when

    def update(self, frame: Frame) -> list[Finding]:
        rows = frame.observations
        if len(rows):
            self._waiting.append(rows)
            self._count += len(rows)
        if frame.end - self._waited < STRIDE and self._count < COMPANY:
            return []
        self._waited = frame.end
        self._expire(frame.end)
        if not self._waiting:
            return []
        rows = np.concatenate([w.view(_RAW) for w in self._waiting]).view(OBSERVATION)
        self._waiting, self._count = [], 0
        rows = rows[(rows["speed"] > DRIVING) & (rows["heading"] >= 0.0)]  # NaN is neither
        return self._judge(rows, frame.end) if len(rows) else []

    def _judge(self, rows: Rows, now: int) -> list[Finding]:
        lat, lon = rows["lat"], rows["lon"]
        angle = np.radians(rows["heading"].astype(np.float64))
        row, column = _LATTICE.index(lat, lon)
        bins = (rows["heading"] * (BINS / 360.0)).astype(np.int64) % BINS
        keys = _LATTICE.key(row, column, bins)
        across = _across(lat, lon, row, column, np.sin(angle), np.cos(angle))
        at = self._passes.find(keys)
        side, square, passes = self._passes.read(at, now)
        mean, variance = _moments(side, square, passes)
        strange = (passes < SETTLED) | ((across - mean) ** 2 > ORDINARY**2 * variance)

        changed: set[int] = set()
        if strange.any():
            which = np.flatnonzero(strange)
            share, against = self._share(rows[which], angle[which], now)
            doubt = (share < SUSPECT) & (against >= OPPOSED)
            for i, p, n in zip(which[doubt].tolist(), share[doubt].tolist(), against[doubt].tolist(), strict=True):
                r = rows[i]
                name = int(r["reporter"])
                sample = (int(r["time"]), float(r["lat"]), float(r["lon"]), float(r["heading"]), float(r["speed"]))
                self._suspects.setdefault(name, _Suspect()).samples.append((*sample, float(-np.log10(p)), n))
                changed.add(name)
            strange[which] = share < ORDINARY_SHARE
        if self._suspects:
            with_traffic = np.isin(rows["reporter"], np.fromiter(self._suspects, np.uint64)) & ~strange
            for name in np.unique(rows["reporter"][with_traffic]).tolist():
                del self._suspects[name]
                changed.discard(name)
        found = [f for name in sorted(changed) if (f := self._claim(name, rows, now)) is not None]
        self._remember(rows, keys, across, now)
        return found

    def _share(self, rows: Rows, angle: Floats, now: int) -> tuple[Floats, Floats]:
        """Share of the passes just here that went this way, and how many went the other way within the width of a road.

        Reads the four squares around each point, bilinear, and three bins each way: where the lattice lies is not to matter.
        """
        lat, lon = rows["lat"], rows["lon"]
        y, x = (lat + 90.0) / STEP - 0.5, (lon + 180.0) / STEP - 0.5
        row, column = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
        up, right = y - row, x - column
        weight = np.where(_UP, up, 1 - up) * np.where(_RIGHT, right, 1 - right)  # (4, 1, 1, rows)
        across = _across(lat, lon, row + _UP, column + _RIGHT, np.sin(angle), np.cos(angle))
        bins = (rows["heading"] * (BINS / 360.0)).astype(np.int64) + _TURN + _BACK
        at = self._passes.find(_LATTICE.key(row + _UP, column + _RIGHT, bins % BINS))  # (4, 3, 2, rows)
        side, square, passes = self._passes.read(at, now)
        mean, variance = _moments(side, square, passes)
        off = (across - np.where(_BACK > 0, -mean, mean)) ** 2 / variance
        near = weight * passes * np.exp(-0.5 * off)
        same, other = near[:, :, 0].sum((0, 1)), near[:, :, 1].sum((0, 1))
        against = (weight * np.where(off <= ORDINARY**2, passes, 0.0))[:, :, 1].sum((0, 1))
        return (same + PRIOR / 2) / (same + other + PRIOR), against

    def _claim(self, name: int, rows: Rows, now: int) -> Finding | None:
        suspect = self._suspects[name]
        if self._implausible(name, rows):
            self._jumped[name] = now
        if name in self._jumped:
            del self._suspects[name]
            return None
        samples = suspect.samples
        first, last = samples[0], samples[-1]
        east, north = metres(last[1], last[2], first[1], first[2])
        driven = float(np.hypot(east, north))
        went = float(np.degrees(np.arctan2(east, north)))
        score = sum(s[5] for s in samples)
        if len(samples) < 2 or driven < STRETCH or score < CERTAIN:
            return None
        if angle_between(went, mean_heading([s[3] for s in samples])) > STEER:
            return None
        # the evidence reaches back to where it was seen before, a long way when most of its rows come too late
        radius = max(RADIUS, float(distance(last[1], last[2], samples[-2][1], samples[-2][2])))
        evidence = (
            ("driven_m", round(driven, 1)),
            ("opposed_passes", round(min(s[6] for s in samples), 1)),
            ("samples", float(len(samples))),
            ("speed_mps", round(last[4], 1)),
        )
        return Finding("wrong_way", now, first[0], last[1], last[2], last[3], radius, score, frozenset((name,)), evidence)

    def _implausible(self, name: int, rows: Rows) -> bool:
        """Did it move otherwise than its speed allows, lately? Then its place is not to be believed."""
        past = [old[old["reporter"] == name] for old in self._lately]
        mine = rows[rows["reporter"] == name]
        track = np.concatenate([*past, _previous(mine)])
        if len(track) < 2:
            return False
        seconds = np.diff(track["time"]) / 1000.0
        east, north = metres(track["lat"], track["lon"], float(track["lat"][0]), float(track["lon"][0]))
        moved = np.hypot(np.diff(east), np.diff(north))
        driven = seconds * (track["speed"][1:] + track["speed"][:-1]) / 2
        # 3 m/s2 either way between two samples, and the error of two positions
        return bool((np.abs(moved - driven) > 1.5 * seconds**2 + 0.1 * driven + 15.0).any())

    def _remember(self, rows: Rows, keys: Keys, across: Floats, now: int) -> None:
        """Keep what is to be learned, but not of suspects: they would vouch for themselves."""
        self._lately.append(_previous(rows))
        if self._suspects:
            fine = ~np.isin(rows["reporter"], np.fromiter(self._suspects, np.uint64))
            rows, keys, across = rows[fine], keys[fine], across[fine]
        lesson = np.empty(len(rows), _LESSON)
        lesson["key"], lesson["across"] = keys, across
        for name in ("time", "reporter", "speed"):
            lesson[name] = rows[name]
        if len(lesson):
            self._lessons.append(lesson)
        if sum(map(len, self._lessons)) >= LESSON:
            self._learn(now)

    def _learn(self, now: int) -> None:
        lesson = np.concatenate(self._lessons)
        self._lessons = []
        lesson = lesson[np.argsort(lesson["reporter"], kind="stable")]  # they came in order of time
        seconds = np.diff(lesson["time"], prepend=0) / 1000.0
        first = np.diff(lesson["reporter"], prepend=lesson["reporter"][:1] + 1) != 0
        seconds[first] = 1.0  # as is usual, where the row before is not known
        weight = np.minimum(lesson["speed"] * seconds / PASS, 1.0)
        across = lesson["across"]
        self._passes.add(lesson["key"], (weight * across, weight * across**2, weight), now)

    def _expire(self, now: int) -> None:
        while self._lately and self._lately[0]["time"][-1] < now - SETTLE:
            self._lately.popleft()
        if self._lessons and self._lessons[0]["time"][0] < now - UNLEARNED:
            self._learn(now)
        self._passes.sweep(now)
        self._jumped = {r: t for r, t in self._jumped.items() if now - t < MISTRUST}
        gone = [r for r, s in self._suspects.items() if now - s.samples[-1][0] > SILENT]
        for name in gone:
            self._acquit(self._suspects.pop(name), now)

    def _acquit(self, suspect: _Suspect, now: int) -> None:
        """Count a suspect that is gone as passes after all: a road whose direction was changed is learned that way."""
        lat, lon, heading = (np.array([s[i] for s in suspect.samples]) for i in (1, 2, 3))
        row, column = _LATTICE.index(lat, lon)
        keys = _LATTICE.key(row, column, (heading * (BINS / 360.0)).astype(np.int64) % BINS)
        angle = np.radians(heading)
        across = _across(lat, lon, row, column, np.sin(angle), np.cos(angle))
        self._passes.add(keys, (across, across**2, np.ones(len(lat))), now)


def _across(lat: Floats, lon: Floats, row: Keys, column: Keys, sin: Floats, cos: Floats) -> Floats:
    """Metres by which the vehicle's line passes to the right of its square's centre; the same all along a straight lane."""
    clat, clon = _LATTICE.centre(row, column)
    north = (lat - clat) * M_PER_DEGREE
    east = (lon - clon) * (M_PER_DEGREE * np.cos(np.radians(clat)))
    return east * cos - north * sin


def _moments(side: Floats, square: Floats, passes: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of the offsets, with a receiver's own error in it; zero and the least where nothing passed."""
    n = np.maximum(passes, 1e-9)
    mean = side / n
    return mean, np.maximum(square / n - mean**2, 0.0) + ERROR**2


def _previous(rows: Rows) -> NDArray[np.void]:
    out = np.empty(len(rows), _PREVIOUS)
    for name in _PREVIOUS.names or ():
        out[name] = rows[name]
    return out
