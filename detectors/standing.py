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
from detectors.table import Names, Slots, Table, claim, find
from detectors.tracks import CREEP, HEARD, SEEN, Seen

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

_STANDING = np.dtype([*SEEN.descr, ("at", "i8")])  # the newest row of one that stands, and when that was, ms; 0: it drives


@dataclass(slots=True)
class _Stander:
    """A vehicle that has been standing for a while."""

    passed: dict[int, float] = field(default_factory=dict)  # the PASSED fastest who drove past, and how fast at most, m/s
    beside: float = 0.0  # sum over looks, for one position errs
    looks: int = 0
    reported: bool = False


class Standing:
    """Judges the vehicles that stand, and names those that stand in the traffic for as long as they do."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._halts = Sightings(LATELY)
        self._standing = Table(_STANDING, "reporter")
        self._standers: dict[int, _Stander] = {}  # reporter -> stander, if there is more to remember of one that stands

    def update(self, seen: Seen, frame: Frame, queues: Queues) -> list[Finding]:
        """Take in a pane; every few seconds, report. Who stands in a known queue is none of its business, unless he was there
        before it."""
        now, rows = frame.end, seen.rows
        self._halts.note(seen.acting.compress(seen.acting["halted"]), now)
        if len(self._standing):
            _leave(rows, *self._standing.arrays[:3])
        if seen.since and now - seen.since >= WATCH:
            self._watch(rows, now)
        if not frame.ends_a(EVERY):
            return []
        if not len(self._standing):
            return []
        self._forget(now)
        long = self._long(now)
        leads = queues.strays(long) & _lead(long, rows)
        found = [
            self._judge(one, now)
            for one, reporter, first in zip(long, long["reporter"].tolist(), leads.tolist(), strict=True)
            if first or self._was_reported(reporter)
        ]
        return [finding for finding in found if finding]

    def _long(self, now: int) -> Rows:
        """Those that have stood for long, by their newest rows: some report every ten seconds, and not in this pane."""
        held = self._standing.held
        held = held.compress((held["at"] > now - 1000.0 * HEARD) & (now - held["stood"] >= LEAST))
        long = np.empty(len(held), SEEN)
        for name in SEEN.names or ():
            long[name] = held[name]
        return long.take(np.argsort(long["reporter"]))

    def _was_reported(self, reporter: int) -> bool:
        stander = self._standers.get(reporter)
        return stander is not None and stander.reported

    def _watch(self, seen: Rows, now: int) -> None:
        """Note who stands, and who drives past."""
        standing = seen.compress((seen["stood"] > 0) & (now - seen["stood"] >= WATCH))
        if not len(standing):
            return
        self._standing.reserve(len(standing))
        _stand(standing, *self._standing.arrays, now)
        standing = standing.take(np.argsort(standing["lat"]))
        passing = np.empty((PASSING, 2), np.int64)
        passed = _pass(seen, standing, passing)
        if passed > len(passing):
            passing = np.empty((passed, 2), np.int64)
            _pass(seen, standing, passing)
        past, by = passing[:passed, 0], passing[:passed, 1]
        columns = standing["reporter"].take(past), seen["reporter"].take(by), seen["speed"].take(by)
        for reporter, other, speed in zip(*(column.tolist() for column in columns), strict=True):
            others = self._standers.setdefault(reporter, _Stander()).passed
            others[other] = max(others.get(other, 0.0), speed)
            if len(others) > PASSED:
                del others[min(others, key=others.__getitem__)]

    def _forget(self, now: int) -> None:
        """Whoever drives again, or was not seen for long, stands no more."""
        self._standing.keep(self._standing.held["at"] > now - LEAST)
        standing = set(self._standing.held["reporter"].tolist())
        self._standers = {reporter: stander for reporter, stander in self._standers.items() if reporter in standing}

    def _judge(self, one: Any, now: int) -> Finding | None:
        """A finding, if this one has no reason to stand."""
        lat, lon, heading = float(one["lat"]), float(one["lon"]), float(one["heading"])
        reporter, stood = int(one["reporter"]), int(one["stood"])
        seconds = (now - stood) / 1000.0
        stander = self._standers.setdefault(reporter, _Stander())
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
            evidence=(("standing_seconds", seconds),),
        )

    def _customary(self, lat: float, lon: float, heading: float, since: int) -> bool:
        """Whether so many stood here in the minutes before that one more is no news: a jam, a new light."""
        before = self._halts.rows.compress(self._halts.rows["time"] < since)
        near = distance(before["lat"], before["lon"], lat, lon) <= 2.0 * NEAR
        near &= angle_between(before["heading"], heading) <= SAME_WAY
        return len(np.unique(before["reporter"][near])) >= CUSTOM


@compiled
def _stand(standing: Rows, rows: Rows, names: Names, slots: Slots, size: NDArray[np.int64], now: int) -> None:
    """Keep the newest row of each."""
    for i in range(len(standing)):
        one = standing[i]
        row = rows[claim(slots, names, size, one["reporter"])]
        row["lat"], row["lon"], row["heading"], row["speed"] = one["lat"], one["lon"], one["heading"], one["speed"]
        row["stood"], row["signs"], row["at"] = one["stood"], one["signs"], now


@compiled
def _leave(seen: Rows, rows: Rows, names: Names, slots: Slots) -> None:
    """Note of those that stood that they drive again, or have in between: what is known of them is forgotten before they have
    stood anew for long enough to be watched."""
    for i in range(len(seen)):
        at = find(slots, names, seen[i]["reporter"])
        if at >= 0 and seen[i]["stood"] != rows[at]["stood"]:
            rows[at]["at"] = 0


@compiled
def _pass(seen: Rows, standing: Rows, passing: NDArray[np.int64]) -> int:
    """Pairs of one that stands and one that drives past it, as many as there is room for; returns how many there are.

    Those that stand are in order of latitude, so that of all in a city only those on a level with one are compared with it.
    """
    passed, reach = 0, NEAR / M_PER_DEGREE
    for j in range(len(seen)):
        other = seen[j]
        if other["speed"] <= CREEP:
            continue
        for i in range(np.searchsorted(standing["lat"], other["lat"] - reach), len(standing)):
            one = standing[i]
            if one["lat"] > other["lat"] + reach:
                break
            north = (other["lat"] - one["lat"]) * M_PER_DEGREE
            east = (other["lon"] - one["lon"]) * M_PER_DEGREE * math.cos(math.radians(one["lat"]))
            near = north * north + east * east <= NEAR * NEAR
            if near and turn_between(other["heading"], one["heading"]) <= SAME_WAY:
                if passed < len(passing):
                    passing[passed, 0], passing[passed, 1] = i, j
                passed += 1
    return passed


def _lead(standing: Rows, seen: Rows) -> NDArray[np.bool_]:
    """Who stands with nobody in front that creeps or stands: that one would be the reason, or a reason farther ahead."""
    leads, creeping = np.empty(len(standing), np.bool_), np.concatenate([seen.compress(seen["speed"] <= CREEP), standing])
    _find_first(standing, creeping.take(np.argsort(creeping["lat"])), leads)
    return leads


@compiled
def _find_first(standing: Rows, creeping: Rows, leads: NDArray[np.bool_]) -> None:
    """Write who leads. Those that creep are in order of latitude."""
    reach = math.hypot(AHEAD, ACROSS) / M_PER_DEGREE
    for i in range(len(standing)):
        one = standing[i]
        turn, narrow = math.radians(one["heading"]), math.cos(math.radians(one["lat"]))
        leads[i] = True
        for k in range(np.searchsorted(creeping["lat"], one["lat"] - reach), len(creeping)):
            other = creeping[k]
            if other["lat"] > one["lat"] + reach:
                break
            north = (other["lat"] - one["lat"]) * M_PER_DEGREE
            east = (other["lon"] - one["lon"]) * M_PER_DEGREE * narrow
            ahead = east * math.sin(turn) + north * math.cos(turn)
            across = abs(east * math.cos(turn) - north * math.sin(turn))
            if 2.0 < ahead <= AHEAD and across <= ACROSS and turn_between(other["heading"], one["heading"]) <= SAME_WAY:
                leads[i] = False
                break
