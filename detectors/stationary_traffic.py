"""Traffic that comes to a stand where it usually flows: the queue behind an obstruction, and where its tail is.

A vehicle that falls to less than half of its lately highest speed, or stands for a while, is rare on a road that flows and
common at merges and lights. So every place learns how often vehicles ease off, stand and brake hard there; several that do
so within a minute or two, where that is a surprise, open an incident. From then on weaker evidence is enough: whoever falls
or crawls near a known queue belongs to it, and its two ends are reported for as long as it lasts.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from detectors.geometry import M_PER_DEGREE, angle_between, distance
from detectors.ground import Ground
from detectors.lattice import Floats
from detectors.model import Finding, Frame, Rows
from detectors.queues import Queues
from detectors.rarity import PlaceRates, surprise
from detectors.standing import Standing
from detectors.tracks import Seen, Tracks

SURPRISE = 6.0  # -log10 of the chance: there are some 1e4 places and minutes to be wrong in on a day
SCOPES = ((30.0, 100.0), (120.0, 150.0))  # s and m: a tail grows upstream at some 15 km/h = 4 m/s at most
OLD = 120.0  # s: what is older is not part of the cluster but what is going on here anyway,
LATELY = 600.0  # s: if it is younger than this
FEW = 5  # occurrences, too few to surprise where as many were in the eight minutes before
SAME_WAY = 45.0  # degrees
UNCHOSEN = 3.0  # m/s2: drivers who see it coming stay below
HARDEST = 6.0  # m/s2: what is harder says no more; a full braking is 8
SHARP = 1.0  # surprise per m/s2 beyond UNCHOSEN, taken off below it: who joins slow traffic that is in sight brakes softly
CLUMP = 2  # of a kind, of which more say no more: they fell because the others did
COMPANY = 2  # reporters at least: one vehicle that stops may have its own reasons
KINDS = 3  # falls, halts, hard brakings
SIDE = 1.0  # surprise per metre
ASIDE = 4.0  # m
KERB = 1.0  # m towards the slower side: half a lane off the middle of the driving. Queues of ramps stand there

_OCCURRENCE = np.dtype(
    [
        ("time", "i8"),
        ("kind", "i8"),
        ("reporter", "u8"),
        ("lat", "f8"),
        ("lon", "f8"),
        ("heading", "f8"),
        ("decel", "f8"),
        ("aside", "f8"),
    ]
)


class StationaryTraffic:
    """Finds where traffic falls to a stand, and follows the queue for as long as it lasts."""

    kinds: ClassVar[tuple[str, ...]] = ("dangerous_end_of_queue", "stationary_vehicle", "breakdown")

    def __init__(self) -> None:
        self._tracks = Tracks()
        self._places = PlaceRates(KINDS)  # in the lanes, then at the kerb
        self._lately: Rows = np.empty(0, _OCCURRENCE)
        self._queues = Queues(self._places)
        self._ground = Ground()
        self._standing = Standing(self._ground)

    def update(self, frame: Frame) -> list[Finding]:
        now = frame.end
        seen = self._tracks.update(frame.observations, now)
        self._queues.forget(now)
        which = np.flatnonzero(seen.eased | seen.fell | seen.halted | seen.braked)
        aside = np.zeros(len(seen))
        aside[which] = self._ground.aside(seen.lat[which], seen.lon[which], seen.heading[which], now)
        fresh = self._occurrences(seen, aside, now)
        findings = []
        for i in which.tolist():
            lat, lon, heading = float(seen.lat[i]), float(seen.lon[i]), float(seen.heading[i])
            if self._queues.holds(lat, lon, heading):  # a queue must not teach that queues are usual
                if seen.fell[i]:
                    self._queues.note(now, lat, lon, heading)
                continue
            for kind, who in enumerate((seen.eased, seen.halted, seen.braked)):
                if who[i]:
                    self._places.occur(now, lat, lon, heading, kind)
            if int(seen.rows["reporter"][i]) in fresh and (finding := self._judge(lat, lon, heading, now)):
                findings.append(finding)
                self._queues.say(now, lat, lon, heading)
        self._places.drive(now, seen.lat, seen.lon, seen.heading, seen.metres, seen.seconds, seen.braking)
        findings += self._queues.ends(seen, frame)
        return findings + self._standing.update(seen, frame, self._queues)

    def _occurrences(self, seen: Seen, aside: Floats, now: int) -> set[int]:
        """Take note of this pane's falls, halts and hard brakings; forget the old ones. Returns whose they were."""
        if len(self._lately) and self._lately["time"][0] <= now - LATELY * 1000.0:
            self._lately = self._lately[self._lately["time"] > now - LATELY * 1000.0]
        where = list(zip(seen.lat, seen.lon, seen.heading, strict=True))
        new = [
            (now, kind, int(seen.rows["reporter"][i]), *where[i], seen.decel[i], aside[i])
            for kind, who in enumerate((seen.fell, seen.halted, seen.braked))
            for i in np.flatnonzero(who).tolist()
        ]
        if new:
            self._lately = np.concatenate([self._lately, np.array(new, _OCCURRENCE)])
        return {reporter for _, _, reporter, *_ in new}

    def _judge(self, lat: float, lon: float, heading: float, now: int) -> Finding | None:
        """A finding, if too many vehicles lately fell, halted or braked hard around this place."""
        band = np.abs(self._lately["lat"] - lat) <= SCOPES[-1][1] / M_PER_DEGREE  # cheap, for there may be thousands
        near = self._lately[band]
        near = near[angle_between(near["heading"], heading) <= SAME_WAY]
        far = distance(near["lat"], near["lon"], lat, lon)
        age = (now - near["time"]) / 1000.0
        fresh = int(((age < SCOPES[-1][0]) & (far <= SCOPES[-1][1])).sum())
        if fresh < COMPANY or fresh <= min(FEW, int(((age >= OLD) & (far <= SCOPES[0][1])).sum())):
            return None
        best, behind = 0.0, near
        for window, radius in SCOPES:
            cluster = near[(age < window) & (far <= radius)]
            whose = [set(cluster["reporter"][cluster["kind"] == kind].tolist()) for kind in range(KINDS)]
            if len(set().union(*whose)) < COMPANY:
                continue
            counts = [min(len(reporters), CLUMP) for reporters in whose]
            before = np.bincount(near["kind"][(age >= OLD) & (far <= radius)], minlength=KINDS).tolist()
            excused = [  # by what went on here in the minutes before
                surprise(count, window, known, LATELY - OLD, 1.0 / LATELY) if known else math.inf
                for count, known in zip(counts, before, strict=True)
            ]
            if sum(e for e, count in zip(excused, counts, strict=True) if count) < SURPRISE:
                continue
            usual = self._places.surprises(lat, lon, heading, now, counts, window, radius)
            score = sum(min(pair) for pair in zip(usual, excused, strict=True))
            score -= SIDE * min(ASIDE, max(0.0, float(cluster["aside"].mean()) - KERB))
            score += SHARP * (min(HARDEST, float(cluster["decel"].max())) - UNCHOSEN)
            if score > best:
                best, behind = score, cluster
        if best < SURPRISE:
            return None
        reporters = frozenset(behind["reporter"].tolist())
        return Finding(
            kind="dangerous_end_of_queue",
            time=now,
            onset=int(behind["time"].min()),
            lat=lat,
            lon=lon,
            heading=heading,
            radius=50.0,
            score=best,
            reporters=reporters,
            evidence=(("stopping_vehicles", float(len(reporters))),),
        )
