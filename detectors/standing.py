"""A single vehicle that stands in the traffic where, and longer than, nobody stands.

At lights and kerbs vehicles stand all day, so every few metres of road learn how often those who pass come to a stand there,
for how long they stand, and where across the road they drive. A vehicle is reported when its stand is a surprise: no
red light lasts so long, and hardly anybody stops in this place. Whoever stands beside the driven lanes is parked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectors.geometry import M_PER_DEGREE, angle_between, distance, metres
from detectors.lattice import FadingSums, Floats, Steps
from detectors.model import Finding, Frame, Rows, Sign
from detectors.queues import Queues
from detectors.tracks import HALT, Seen

LEAST = 60_000  # ms of standing before it is looked at: most reds are shorter
EVERY = 10_000  # ms between two looks
SURPRISE = 5.0  # -log10 of the chance: some 1e4 stands a day in a town
HAZARD = 1.0  # added for hazard lights: one stand in ten with them is a breakdown, one in a hundred without
ALONE = 7.0  # the same where nobody drives past: then it may be a queue
PASSED = 3  # reporters that drove past: the queue, if there is one, is not the reason
LATELY = 600_000  # ms: the minutes before
CUSTOM = 3  # reporters that stood here lately: then standing is what one does here now
AHEAD = 60.0  # m in front that must be free: else it waits in a queue
CREEP = 4.0  # m/s
FREE = 0.65  # of the usual speed: who drives past so fast is not in a queue
SAME_WAY = 45.0  # degrees
PRIOR = 0.3  # stands that are assumed before anything is known of a place
USUAL = 20.0  # s: mean stand before anything is known, as at lights
TAU = 4 * 3_600_000.0  # ms: kerbs and lights keep their habits for hours
STEP = 0.00003  # degrees: 3.3 m, a lane, so that driven lanes and the kerb differ
ALONG = 25.0  # m before and behind: what happens so near happens here
ACROSS = 8.0  # m to each side: the lanes of one direction
LANE = 1.75  # m to each side: half a lane
IN_TRAFFIC = 0.1  # of what is driven across the road must be driven where it stands: one lane of five, badly measured
PASSES = 20.0  # passes before a place is judged at all
BATCH = 60_000  # ms of driving learned at once, for numpy's sake
FORGET = 20.0  # m driven

_HALT = np.dtype([("time", "i8"), ("reporter", "u8"), ("lat", "f8"), ("lon", "f8"), ("heading", "f8")])
_LATTICE = Steps(STEP, 4)  # quadrants of heading


@dataclass(slots=True)
class _Place:
    """What is usual where a vehicle stands."""

    passes: float
    stands: float
    stood: float  # s, all stands together
    beside: float  # share of the driving that runs where it stands
    speed: float  # m/s, of those who pass, weighed by the metre so that queues do not outweigh their vehicles

    def surprise(self, seconds: float) -> float:
        """-log10 of the chance that one who passes comes to a stand here and stands so long."""
        share = (PRIOR + self.stands) / (PRIOR + self.passes)
        mean = (USUAL + self.stood) / (1.0 + self.stands)
        return -math.log10(min(1.0, share)) + seconds / mean / math.log(10.0)


class Standing:
    """Judges the vehicles that stand, and names those that stand in the traffic for as long as they do."""

    def __init__(self) -> None:
        self._ground = FadingSums((TAU,) * 4, FORGET)  # stands, seconds stood, metres times speed, metres driven
        self._halts: Rows = np.empty(0, _HALT)
        self._reported: dict[int, int] = {}  # stander -> last time it was reported
        self._passed: dict[int, tuple[int, dict[int, float]]] = {}  # stander -> last time, who drove past, how fast
        self._waiting: list[tuple[int, *tuple[Floats, ...]]] = []

    def update(self, seen: Seen, frame: Frame, queues: Queues) -> list[Finding]:
        """Take in a pane; every few seconds, report. Who stands in a known queue is none of its business."""
        now = frame.end
        self._learn(seen, now)
        self._watch(seen, now)
        if now % EVERY >= now - frame.start:
            return []
        gone = set(seen.rows["reporter"][seen.stood == 0].tolist())
        self._passed = {n: p for n, p in self._passed.items() if n not in gone and p[0] > now - LATELY}
        self._reported = {name: last for name, last in self._reported.items() if last > now - LEAST}
        standing = np.flatnonzero((seen.stood > 0) & (now - seen.stood >= LEAST)).tolist()
        return [finding for i in standing if (finding := self._judge(seen, i, now, queues))]

    def _watch(self, seen: Seen, now: int) -> None:
        """Who drives past those that have been standing for a while."""
        standing = np.flatnonzero((seen.stood > 0) & (now - seen.stood >= LEAST // 2))
        driving = np.flatnonzero(seen.speed > CREEP)
        if not len(standing) or not len(driving):
            return
        north = (seen.lat[driving] - seen.lat[standing][:, None]) * M_PER_DEGREE
        east = (seen.lon[driving] - seen.lon[standing][:, None]) * (M_PER_DEGREE * math.cos(math.radians(seen.lat[0])))
        past = (np.hypot(north, east) <= ALONG) & (
            angle_between(seen.heading[driving], seen.heading[standing][:, None]) <= SAME_WAY
        )
        for i, others in zip(standing.tolist(), past, strict=True):
            if others.any():
                name = int(seen.rows["reporter"][i])
                passers = self._passed.get(name, (0, {}))[1]
                self._passed[name] = (now, passers)
                for j in driving[others].tolist():
                    other = int(seen.rows["reporter"][j])
                    passers[other] = max(passers.get(other, 0.0), float(seen.speed[j]))

    def _judge(self, seen: Seen, i: int, now: int, queues: Queues) -> Finding | None:
        lat, lon, heading = float(seen.lat[i]), float(seen.lon[i]), float(seen.heading[i])
        seconds = (now - int(seen.stood[i])) / 1000.0
        name = int(seen.rows["reporter"][i])
        known = name in self._reported
        if not known and (
            queues.holds(lat, lon, heading) or _in_queue(seen, i) or self._others_stood(lat, lon, heading, int(seen.stood[i]))
        ):
            return None
        place = self._place(lat, lon, heading, now)
        if not known and (place.passes < PASSES or place.beside < IN_TRAFFIC):
            return None
        blinking = bool(seen.rows["signs"][i] & int(Sign.HAZARD_LIGHTS))
        score = place.surprise(seconds) + (HAZARD if blinking else 0.0)
        passed = sum(speed >= FREE * place.speed for speed in self._passed.get(name, (0, {}))[1].values())
        if not known and score < (SURPRISE if passed >= PASSED else ALONE):
            return None
        self._reported[name] = now
        return Finding(
            kind="breakdown" if blinking else "stationary_vehicle",
            time=now,
            onset=int(seen.stood[i]),
            lat=lat,
            lon=lon,
            heading=heading,
            radius=ALONG,
            score=score,
            reporters=frozenset({name}),
            evidence=(("standing_s", seconds),),
        )

    def _others_stood(self, lat: float, lon: float, heading: float, since: int) -> bool:
        """Whether so many stood here in the minutes before that one more is no news: a jam, a new light."""
        before = self._halts[self._halts["time"] < since]
        near = distance(before["lat"], before["lon"], lat, lon) <= 2.0 * ALONG
        near &= angle_between(before["heading"], heading) <= SAME_WAY
        return len(np.unique(before["reporter"][near])) >= CUSTOM

    def _place(self, lat: float, lon: float, heading: float, now: int) -> _Place:
        row, column = _LATTICE.index([lat], [lon])
        narrow = math.cos(math.radians(lat))
        reach = math.hypot(ALONG, ACROSS) / (STEP * M_PER_DEGREE)
        high, wide = math.ceil(reach), math.ceil(reach / narrow)
        rows, columns = np.meshgrid(row[0] + np.arange(-high, high + 1), column[0] + np.arange(-wide, wide + 1), indexing="ij")
        east, north = metres(*_LATTICE.centre(rows, columns), lat, lon)
        turn = math.radians(heading)
        along = east * math.sin(turn) + north * math.cos(turn)
        across = np.abs(east * math.cos(turn) - north * math.sin(turn))
        inside = (np.abs(along) <= ALONG) & (across <= ACROSS)
        rows, columns, across = rows[inside], columns[inside], across[inside]
        quadrant = heading / 90.0
        sums = np.zeros((4, len(rows)))
        for kind in {int(quadrant - 0.25) % 4, int(quadrant + 0.25) % 4}:
            sums += self._ground.read(self._ground.find(_LATTICE.key(rows, columns, kind)), now)
        stands, stood, hurry, driven = sums
        total = float(driven.sum())
        if not total:
            return _Place(0.0, 0.0, 0.0, 0.0, 0.0)
        lane, speed = float(driven[across <= LANE].sum()) / total, float(hurry.sum()) / total
        return _Place(total / (2.0 * ALONG), float(stands.sum()), float(stood.sum()), lane, speed)

    def _learn(self, seen: Seen, now: int) -> None:
        """A stand counts when it is over, so that it does not excuse itself."""
        over = seen.rested >= HALT / 1000.0
        stands, stood = over.astype(np.float64), np.where(over, seen.rested, 0.0)
        self._waiting.append((now, seen.lat, seen.lon, seen.heading, stands, stood, seen.metres * seen.speed, seen.metres))
        if now - self._waiting[0][0] >= BATCH:
            then = self._waiting[-1][0]
            lat, lon, heading, *values = (np.concatenate(c) for c in list(zip(*self._waiting, strict=True))[1:])
            self._waiting = []
            keys = _LATTICE.key(*_LATTICE.index(lat, lon), (heading // 90.0).astype(np.int64) % 4)
            self._ground.add(keys, tuple(values), then)
        self._ground.sweep(now)
        if len(self._halts) and self._halts["time"][0] <= now - LATELY:
            self._halts = self._halts[self._halts["time"] > now - LATELY]
        if seen.halted.any():
            halts = np.empty(int(seen.halted.sum()), _HALT)
            halts["time"], halts["reporter"] = now, seen.rows["reporter"][seen.halted]
            halts["lat"], halts["lon"], halts["heading"] = (x[seen.halted] for x in (seen.lat, seen.lon, seen.heading))
            self._halts = np.concatenate([self._halts, halts])


def _in_queue(seen: Seen, i: int) -> bool:
    """Whether somebody creeps or stands in front of it: then that one is the reason, or a reason farther ahead."""
    east, north = metres(seen.lat, seen.lon, float(seen.lat[i]), float(seen.lon[i]))
    turn = math.radians(float(seen.heading[i]))
    ahead = east * math.sin(turn) + north * math.cos(turn)
    across = np.abs(east * math.cos(turn) - north * math.sin(turn))
    same = angle_between(seen.heading, float(seen.heading[i])) <= SAME_WAY
    return bool((same & (ahead > 2.0) & (ahead <= AHEAD) & (across <= ACROSS) & (seen.speed <= CREEP)).any())
