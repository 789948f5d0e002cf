"""A single vehicle that stands in the traffic where, and longer than, nobody stands.

At lights and kerbs vehicles stand all day; `ground` knows where, for how long, and where across the road they drive. A
vehicle is reported when its stand is a surprise: hardly anybody stops in this place, and no red light lasts so long. Who
waits in a queue is not the reason of it, and who stands beside the driven lanes is parked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from detectors.across import at_the_side
from detectors.geometry import M_PER_DEGREE, angle_between, distance, metres
from detectors.ground import Ground
from detectors.model import Finding, Frame, Rows, Sign
from detectors.queues import Queues
from detectors.tracks import Seen

LEAST = 60_000  # ms of standing before it is looked at: most reds are shorter
WATCH = 30_000  # ms of standing from which on those who drive past are counted
EVERY = 10_000  # ms between two looks
SURPRISE = 5.0  # -log10 of the chance: some 1e4 stands a day in a town
HAZARD = 1.0  # added for hazard lights: of stands with them ten times as many are breakdowns
ALONE = 7.0  # instead of SURPRISE where nobody drives past: then it may be a queue whose reason is out of sight
PASSED = 3  # reporters that drove past freely: if there is a queue, it is not in this lane
FREE = 0.65  # of the usual speed: who drives past so fast is not in a queue
CREEP = 4.0  # m/s: who is slower than this may be
AHEAD = 60.0  # m in front that must be free of others
ACROSS = 8.0  # m to each side: the lanes of one direction
NEAR = 25.0  # m
CUSTOM = 3  # reporters that stood within twice that lately: then standing is what one does here now
LATELY = 600_000  # ms
PASSES = 20.0  # passes before a place is judged at all
BESIDE = 1.5  # standard deviations off the middle of the driving: the outermost lane lies at 1.1, the shoulder at 1.9
SAME_WAY = 45.0  # degrees

_HALT = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8")])


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
        self._halts: Rows = np.empty(0, _HALT)  # of the last minutes
        self._standers: dict[int, _Stander] = {}  # reporter -> stander

    def update(self, seen: Seen, frame: Frame, queues: Queues) -> list[Finding]:
        """Take in a pane; every few seconds, report. Who stands in a known queue is none of its business."""
        now = frame.end
        self._remember(seen, now)
        standing = np.flatnonzero((seen.stood > 0) & (now - seen.stood >= WATCH)).tolist()
        if standing:
            self._watch(seen, standing, now)
        if now % EVERY >= now - frame.start:
            return []
        gone = set(seen.rows["reporter"][seen.stood == 0].tolist())
        self._standers = {r: s for r, s in self._standers.items() if r not in gone and s.seen > now - LEAST}
        held = queues.held(seen, standing)
        long = [i for i, in_queue in zip(standing, held, strict=True) if now - seen.stood[i] >= LEAST and not in_queue]
        return [finding for i in long if (finding := self._judge(seen, i, now))]

    def _remember(self, seen: Seen, now: int) -> None:
        if len(self._halts) and self._halts["time"][0] <= now - LATELY:
            self._halts = self._halts[self._halts["time"] > now - LATELY]
        if seen.halted.any():
            halts = np.empty(int(seen.halted.sum()), _HALT)
            halts["time"], halts["reporter"] = now, seen.rows["reporter"][seen.halted]
            halts["lat"], halts["lon"], halts["heading"] = (x[seen.halted] for x in (seen.lat, seen.lon, seen.heading))
            self._halts = np.concatenate([self._halts, halts])

    def _watch(self, seen: Seen, standing: list[int], now: int) -> None:
        """Note who drives past."""
        driving = np.flatnonzero(seen.speed > CREEP)
        north = (seen.lat[driving] - seen.lat[standing][:, None]) * M_PER_DEGREE
        east = (seen.lon[driving] - seen.lon[standing][:, None]) * (M_PER_DEGREE * math.cos(math.radians(seen.lat[0])))
        past = np.hypot(north, east) <= NEAR
        past &= angle_between(seen.heading[driving], seen.heading[standing][:, None]) <= SAME_WAY
        for i, others in zip(standing, past, strict=True):
            stander = self._standers.setdefault(int(seen.rows["reporter"][i]), _Stander(now))
            stander.seen = now
            for j in driving[others].tolist():
                other = int(seen.rows["reporter"][j])
                stander.passed[other] = max(stander.passed.get(other, 0.0), float(seen.speed[j]))

    def _judge(self, seen: Seen, i: int, now: int) -> Finding | None:
        lat, lon, heading = float(seen.lat[i]), float(seen.lon[i]), float(seen.heading[i])
        reporter, seconds = int(seen.rows["reporter"][i]), (now - int(seen.stood[i])) / 1000.0
        stander = self._standers[reporter]
        if not stander.reported and _waits(seen, i):
            return None
        spot = self._ground.spot(lat, lon, heading, now)
        stander.looks += 1
        stander.beside += spot.beside
        blinking = bool(seen.rows["signs"][i] & int(Sign.HAZARD_LIGHTS))
        score = spot.surprise(seconds) + (HAZARD if blinking else 0.0)
        score -= at_the_side(
            float(self._ground.across.aside(seen.lat[i : i + 1], seen.lon[i : i + 1], seen.heading[i : i + 1], now)[0])
        )
        if not stander.reported:
            passed = sum(speed >= FREE * spot.speed for speed in stander.passed.values())
            if (
                score < (SURPRISE if passed >= PASSED else ALONE)
                or spot.passes < PASSES
                or stander.beside > BESIDE * stander.looks
                or self._customary(lat, lon, heading, int(seen.stood[i]))
            ):
                return None
            stander.reported = True
        return Finding(
            kind="breakdown" if blinking else "stationary_vehicle",
            time=now,
            onset=int(seen.stood[i]),
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
        before = self._halts[self._halts["time"] < since]
        near = distance(before["lat"], before["lon"], lat, lon) <= 2.0 * NEAR
        near &= angle_between(before["heading"], heading) <= SAME_WAY
        return len(np.unique(before["reporter"][near])) >= CUSTOM


def _waits(seen: Seen, i: int) -> bool:
    """Whether somebody creeps or stands in front of it: then that one is the reason, or a reason farther ahead."""
    east, north = metres(seen.lat, seen.lon, float(seen.lat[i]), float(seen.lon[i]))
    turn = math.radians(float(seen.heading[i]))
    ahead = east * math.sin(turn) + north * math.cos(turn)
    across = np.abs(east * math.cos(turn) - north * math.sin(turn))
    same = angle_between(seen.heading, float(seen.heading[i])) <= SAME_WAY
    return bool((same & (ahead > 2.0) & (ahead <= AHEAD) & (across <= ACROSS) & (seen.speed <= CREEP)).any())
