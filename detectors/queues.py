"""Known queues of slow traffic: where they are, who belongs to them, and where their two ends lie."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, turn_between
from detectors.lattice import Floats
from detectors.model import Finding, Frame, Rows
from detectors.place_rates import PlaceRates

SAME_WAY = 45.0  # degrees
REACH = 150.0  # m: what is slow this near to a queue belongs to it
LASTS = 120_000  # ms for which a place of a queue is remembered
SAID = 120_000  # ms for which a reported place is followed: an incident lasts that long without news
FOLLOW = 150.0  # m: an end of a queue this near to a reported place is the same queue's
APART = 40.0  # m between two remembered places
CRAWL = 0.5  # of the speed that was usual before the queue
EVERY = 5_000  # ms between two looks at who crawls
LINKED = 250.0  # m: two places no farther apart are one queue
EXTENT = 50.0  # m around an end that a finding speaks of


class Queues:
    """Places of queues: time of the last evidence (ms), lat, lon, heading, and the speed (m/s) that was usual there."""

    def __init__(self, usual: PlaceRates) -> None:
        self._usual = usual
        self._places: Floats = np.empty((0, 5))
        self._said: Floats = np.empty((0, 4))  # time, lat, lon, heading of what was lately reported

    def forget(self, now: int) -> None:
        if len(self._places) and (_older(self._places, now - LASTS) or _older(self._said, now - SAID)):
            self._places = self._places[self._places[:, 0] > now - LASTS]
            self._said = self._said[self._said[:, 0] > now - SAID]

    def holds(self, lat: float, lon: float, heading: float) -> bool:
        """Whether this place is in a known queue."""
        return bool(_nearest(self._places, lat, lon, heading)[0] <= REACH)

    def note(self, now: int, lat: float, lon: float, heading: float) -> None:
        """There is a queue at this place."""
        if not _refresh(self._places, lat, lon, heading, now):
            place = (now, lat, lon, heading, self._usual.usual_speed(lat, lon, heading, now))
            self._places = np.vstack([self._places, place])

    def say(self, now: int, lat: float, lon: float, heading: float) -> None:
        """A queue was reported here; its ends will be followed."""
        self.note(now, lat, lon, heading)
        self._said = np.vstack([self._said, (now, lat, lon, heading)])

    def ends(self, seen: Rows, frame: Frame) -> list[Finding]:
        """Take note of who crawls in a queue, and report the ends of queues where somebody does; every few seconds."""
        now = frame.end
        if not len(self._places) or now % EVERY >= now - frame.start:
            return []
        apart = np.full(len(seen), -1.0)
        _crawl(seen, self._places, now, apart)
        crawling = seen.compress(apart >= 0.0)
        beyond = seen.compress(apart > APART)
        for one in beyond[np.argsort(beyond["reporter"])]:
            self.note(now, float(one["lat"]), float(one["lon"]), float(one["heading"]))
        return self._report(crawling, now) if len(crawling) else []

    def _report(self, crawling: Rows, now: int) -> list[Finding]:
        ends = np.zeros((len(self._places), 2), bool)
        _ends(self._places, ends)
        found = []
        for i in np.flatnonzero(ends.any(axis=1) & (self._places[:, 0] > now - EVERY)).tolist():
            lat, lon, heading = self._places[i, 1:4].tolist()
            who = frozenset(crawling["reporter"][_near(crawling, lat, lon)].tolist())
            if who and _nearest(self._said, lat, lon, heading)[0] <= FOLLOW:  # it belongs to what was lately reported
                self._said = np.vstack([self._said, (now, lat, lon, heading)])
                kind = "stationary_vehicle" if ends[i, 0] else "dangerous_end_of_queue"
                found.append(Finding(kind, now, now, lat, lon, heading, EXTENT, 0.0, who, opens=False))
        return found


@compiled
def _older(places: Floats, time: int) -> bool:
    """Whether the last evidence of one of them is as old as that."""
    for k in range(len(places)):  # noqa: SIM110
        if places[k, 0] <= time:
            return True
    return False


@compiled
def _apart(place: Floats, lat: float, lon: float, narrow: float) -> float:
    """Metres between a place of a queue and a point; degrees of longitude are so much narrower than those of latitude."""
    north = (lat - place[1]) * M_PER_DEGREE
    east = (lon - place[2]) * M_PER_DEGREE * narrow
    return math.sqrt(north * north + east * east)


@compiled
def _nearest(places: Floats, lat: float, lon: float, heading: float) -> tuple[float, int]:
    """Metres from a point to the nearest place that goes the same way, infinite if none does; and which it is."""
    least, nearest, narrow = math.inf, 0, math.cos(math.radians(lat))
    for k in range(len(places)):
        far = _apart(places[k], lat, lon, narrow)
        if far < least and turn_between(heading, places[k, 3]) <= SAME_WAY:
            least, nearest = far, k
    return least, nearest


@compiled
def _refresh(places: Floats, lat: float, lon: float, heading: float, now: int) -> bool:
    """Note that there is still a queue at the places so near; returns whether there are any."""
    some, narrow = False, math.cos(math.radians(lat))
    for k in range(len(places)):
        if _apart(places[k], lat, lon, narrow) <= APART and turn_between(heading, places[k, 3]) <= SAME_WAY:
            places[k, 0] = now
            some = True
    return some


@compiled
def _crawl(seen: Rows, places: Floats, now: int, apart: Floats) -> None:
    """For each that crawls in a queue, the metres to the nearest place of it; the places that are near it are refreshed."""
    slow = CRAWL * places[:, 4].max()
    for i in range(len(seen)):
        one = seen[i]
        if one["speed"] >= slow:
            continue
        far, nearest = _nearest(places, one["lat"], one["lon"], one["heading"])
        if far <= REACH and one["speed"] < CRAWL * places[nearest, 4]:
            apart[i] = far
            _refresh(places, one["lat"], one["lon"], one["heading"], now)


@compiled
def _ends(places: Floats, ends: NDArray[np.bool_]) -> None:
    """Which places are the head of a queue, for nothing of it lies ahead of them, and which the tail."""
    for i in range(len(places)):
        turn = math.radians(places[i, 3])
        ends[i] = True
        for j in range(len(places)):
            north = (places[j, 1] - places[i, 1]) * M_PER_DEGREE
            east = (places[j, 2] - places[i, 2]) * M_PER_DEGREE * math.cos(math.radians(places[0, 1]))
            ahead = east * math.sin(turn) + north * math.cos(turn)
            linked = north * north + east * east <= LINKED * LINKED
            if linked and turn_between(places[i, 3], places[j, 3]) <= SAME_WAY:
                ends[i, 0] &= ahead <= APART / 2
                ends[i, 1] &= ahead >= -APART / 2


@compiled
def _near(seen: Rows, lat: float, lon: float) -> NDArray[np.bool_]:
    """Who is so near to a point."""
    near = np.zeros(len(seen), np.bool_)
    narrow = math.cos(math.radians(lat))
    for i in range(len(seen)):
        north = (seen[i]["lat"] - lat) * M_PER_DEGREE
        east = (seen[i]["lon"] - lon) * M_PER_DEGREE * narrow
        near[i] = north * north + east * east <= APART * APART
    return near
