"""A single vehicle that stands in the traffic where, and longer than, nobody stands.

At lights and kerbs vehicles stand all day; `ground` knows where, for how long, and where across the road they drive. A
vehicle is reported when its stand is a surprise: hardly anybody stops in this place, and no red light lasts so long. Who
waits in a queue is not the reason of it, and who stands beside the driven lanes is parked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.across import at_the_side
from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, angle_between, distance, turn_between
from detectors.ground import Ground
from detectors.model import Finding, Frame, Rows, Sign
from detectors.queues import Queues
from detectors.sightings import Sightings
from detectors.tracks import CREEP, Seen

LEAST = 60_000  # ms of standing before it is looked at: most reds are shorter
WATCH = 30_000  # ms of standing from which on those who drive past are counted
EVERY = 10_000  # ms between two looks
SURPRISE = 5.0  # -log10 of the chance: some 1e4 stands a day in a town
HAZARD = 1.0  # added for hazard lights: of stands with them ten times as many are breakdowns
ALONE = 7.0  # instead of SURPRISE where nobody drives past: then it may be a queue whose reason is out of sight
PASSED = 3  # reporters that drove past freely: if there is a queue, it is not in this lane
FREE = 0.65  # of the usual speed: who drives past so fast is not in a queue
AHEAD = 60.0  # m in front that must be free of others
ACROSS = 8.0  # m to each side: the lanes of one direction
NEAR = 25.0  # m
CUSTOM = 3  # reporters that stood within twice that lately: then standing is what one does here now
LATELY = 600_000  # ms
PASSES = 20.0  # passes before a place is judged at all
BESIDE = 1.5  # standard deviations off the middle of the driving: the outermost lane lies at 1.1, the shoulder at 1.9
SAME_WAY = 45.0  # degrees
PASSING = 256  # of those that stand and those that drive past them: room for as many pairs as an ordinary pane has


@dataclass(slots=True)
class _Stander:
    """A vehicle that has been standing for a while."""

    seen: int  # ms, last
    passed: dict[int, float] = field(default_factory=dict)  # who drove past, and how fast at most, m/s
    beside: float = 0.0  # sum over looks, for one position errs
    looks: int = 0
    reported: bool = False


class Standing:
    """Judges the vehicles that stand, and names those that stand in the traffic for as long as they do."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._halts = Sightings(LATELY)
        self._standers: dict[int, _Stander] = {}  # reporter -> stander

    def update(self, seen: Seen, frame: Frame, queues: Queues) -> list[Finding]:
        """Take in a pane; every few seconds, report. Who stands in a known queue is none of its business, unless he was there
        before it."""
        now, rows = frame.end, seen.rows
        self._halts.note(seen.acting.compress(seen.acting["halted"]), now)
        if seen.since and now - seen.since >= WATCH:
            self._watch(rows, now)
        if now % EVERY >= now - frame.start:
            return []
        if self._standers:
            gone = set(rows["reporter"].compress(rows["stood"] == 0).tolist())
            self._standers = {r: s for r, s in self._standers.items() if r not in gone and s.seen > now - LEAST}
        if not seen.since or now - seen.since < LEAST:
            return []
        long = rows.compress((rows["stood"] > 0) & (now - rows["stood"] >= LEAST))
        places = long[["lat", "lon", "heading"]].tolist()
        found = [
            self._judge(one, rows, now)
            for one, place in zip(long, places, strict=True)
            if self._was_reported(int(one["reporter"])) or not queues.holds(*place)
        ]
        return [finding for finding in found if finding]

    def _was_reported(self, reporter: int) -> bool:
        stander = self._standers.get(reporter)
        return stander is not None and stander.reported

    def _watch(self, seen: Rows, now: int) -> None:
        """Note who stands, and who drives past."""
        standing, passing = np.empty(len(seen), np.int64), np.empty((PASSING, 2), np.int64)
        stand, passed = _pass(seen, now, standing, passing)
        if passed > len(passing):
            passing = np.empty((passed, 2), np.int64)
            _pass(seen, now, standing, passing)
        reporters, speeds = seen["reporter"], seen["speed"]
        for reporter in reporters.take(standing[:stand]).tolist():
            if reporter in self._standers:
                self._standers[reporter].seen = now
            else:
                self._standers[reporter] = _Stander(now)
        for i, j in passing[:passed].tolist():
            others, other = self._standers[int(reporters[i])].passed, int(reporters[j])
            others[other] = max(others.get(other, 0.0), float(speeds[j]))

    def _judge(self, one: Any, seen: Rows, now: int) -> Finding | None:
        """A finding, if this one of the seen has no reason to stand."""
        lat, lon, heading = float(one["lat"]), float(one["lon"]), float(one["heading"])
        reporter, stood = int(one["reporter"]), int(one["stood"])
        seconds = (now - stood) / 1000.0
        stander = self._standers[reporter]
        if not stander.reported and _waits(seen, lat, lon, heading):
            return None
        spot = self._ground.spot(lat, lon, heading, now)
        stander.looks += 1
        stander.beside += spot.beside
        blinking = bool(one["signs"] & int(Sign.HAZARD_LIGHTS))
        score = spot.surprise(seconds) + (HAZARD if blinking else 0.0)
        score -= at_the_side(float(self._ground.across.aside(np.array([lat]), np.array([lon]), np.array([heading]), now)[0]))
        if not stander.reported:
            passed = sum(speed >= FREE * spot.speed for speed in stander.passed.values())
            if (
                score < (SURPRISE if passed >= PASSED else ALONE)
                or spot.passes < PASSES
                or stander.beside > BESIDE * stander.looks
                or self._customary(lat, lon, heading, stood)
            ):
                return None
            stander.reported = True
        return Finding(
            kind="breakdown" if blinking else "stationary_vehicle",
            time=now,
            onset=stood,
            lat=lat,
            lon=lon,
            heading=heading,
            radius=NEAR,
            score=score,
            reporters=frozenset({reporter}),
            evidence=(("standing_s", seconds),),
        )

    def _customary(self, lat: float, lon: float, heading: float, since: int) -> bool:
        """Whether so many stood here in the minutes before that one more is no news: a jam, a new light."""
        before = self._halts.rows.compress(self._halts.rows["time"] < since)
        near = distance(before["lat"], before["lon"], lat, lon) <= 2.0 * NEAR
        near &= angle_between(before["heading"], heading) <= SAME_WAY
        return len(np.unique(before["reporter"][near])) >= CUSTOM


@compiled
def _pass(seen: Rows, now: int, standing: NDArray[np.int64], passing: NDArray[np.int64]) -> tuple[int, int]:
    """Those that have stood for a while, and pairs of one of them and one that drives past it, as many as there is room for.

    Returns how many stand, and how many pairs there are.
    """
    stand = passed = 0
    for i in range(len(seen)):
        one = seen[i]
        if one["stood"] == 0 or now - one["stood"] < WATCH:
            continue
        standing[stand] = i
        stand += 1
        narrow = math.cos(math.radians(one["lat"]))
        for j in range(len(seen)):
            other = seen[j]
            north = (other["lat"] - one["lat"]) * M_PER_DEGREE
            east = (other["lon"] - one["lon"]) * M_PER_DEGREE * narrow
            near = north * north + east * east <= NEAR * NEAR and other["speed"] > CREEP
            if near and turn_between(other["heading"], one["heading"]) <= SAME_WAY:
                if passed < len(passing):
                    passing[passed, 0], passing[passed, 1] = i, j
                passed += 1
    return stand, passed


@compiled
def _waits(seen: Rows, lat: float, lon: float, heading: float) -> bool:
    """Whether somebody creeps or stands in front of this place: then that one is the reason, or a reason farther ahead."""
    turn = math.radians(heading)
    narrow = math.cos(math.radians(lat))
    for i in range(len(seen)):
        one = seen[i]
        north = (one["lat"] - lat) * M_PER_DEGREE
        east = (one["lon"] - lon) * M_PER_DEGREE * narrow
        ahead = east * math.sin(turn) + north * math.cos(turn)
        across = abs(east * math.cos(turn) - north * math.sin(turn))
        in_front = 2.0 < ahead <= AHEAD and across <= ACROSS
        if in_front and one["speed"] <= CREEP and turn_between(one["heading"], heading) <= SAME_WAY:
            return True
    return False
