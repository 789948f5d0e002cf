"""Known queues of slow traffic: where they are, who belongs to them, and where their two ends lie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE, turn_between
from detectors.judgement import FAMILIES
from detectors.lattice import Floats
from detectors.model import Finding, Frame, Rows
from detectors.place_rates import PlaceRates

SAME_WAY = 45.0  # degrees
REACH = 150.0  # m: what is slow this near to a queue belongs to it
LASTS = 240_000  # ms for which a place of a queue is remembered: at 5 % some ten vehicles pass in it
APART = 40.0  # m between two remembered places
FREE = 0.7  # of the usual speed: who drives so fast is not in a queue
FREED = 10.0  # who pass so fast with nobody slow in between: then the queue is gone from this place
CRAWL = 0.5  # of the speed that was usual before the queue
EVERY = 5_000  # ms between two looks at who crawls
LINKED = 250.0  # m: two places no farther apart are one queue
EXTENT = 50.0  # m around an end that a finding speaks of
OVER = FAMILIES["dangerous_end_of_queue"].lasts  # ms without a word, after which its incident is cleared
WAITS = 60_000  # ms of standing that open it anew: in what is left of a jam one moves on sooner

TIME, LAT, LON, HEADING, USUAL, PASSED, TOLD, ASKED = range(8)  # columns of a place


class Queues:
    """Places of queues: time of the last evidence (ms), lat, lon, heading, the speed (m/s) that was usual there, how many have
    passed freely since that evidence, when the queue was last told of (ms), 0 if never, and how much surprise it takes to tell
    of what is known here, infinite if none is enough.

    They are in order of latitude, so that of all jams of a city only what is on a level is compared (`_first`).
    """

    def __init__(self, usual: PlaceRates) -> None:
        self._usual = usual
        self._places: Floats = np.empty((0, 8))

    def forget(self, now: int) -> None:
        if len(self._places) and _gone(self._places, now):
            self._places = self._places[(self._places[:, TIME] > now - LASTS) & (self._places[:, PASSED] < FREED)]

    def holds(self, lat: float, lon: float, heading: float) -> bool:
        """Whether this place is in a known queue."""
        return not math.isinf(_nearest(self._places, lat, lon, heading)[0])

    def asks(self, lat: float, lon: float, heading: float) -> float:
        """How much surprise it takes to tell of what is here: none if no queue is known, infinitely much if one was told of."""
        return float(_asks(self._places, lat, lon, heading))

    def strays(self, seen: Rows) -> NDArray[np.bool_]:
        """Which of the seen are in no known queue."""
        out = np.empty(len(seen), np.bool_)
        _find_strays(seen, self._places, out)
        return out

    def carry_on(self, acting: Rows, first: int, now: int) -> int:
        """Who falls in a queue that was told of belongs to it. From the `first` of the acting on, the next one of whom there is
        more to say; their number if there is none."""
        return int(_carry_on(acting, self._places, first, now))

    def note(self, now: int, lat: float, lon: float, heading: float, reported: bool = False, asked: float = math.inf) -> None:
        """There is a queue at this place. If it was reported, its ends will be followed; if not, so much surprise is asked."""
        if not _refresh(self._places, lat, lon, heading, now, reported):
            usual = self._usual.at(lat, lon, heading, now).speed
            told = now if reported else 0.0
            at = np.searchsorted(self._places[:, LAT], lat)
            self._places = np.insert(self._places, at, (now, lat, lon, heading, usual, 0.0, told, asked), axis=0)

    def ends(self, seen: Rows, frame: Frame) -> list[Finding]:
        """Take note of who crawls in a queue, and report the ends of those where somebody does; every few seconds."""
        now = frame.end
        if not (len(self._places) and frame.ends_a(EVERY)):
            return []
        apart = np.full(len(seen), -1.0)
        _crawl(seen, self._places, now, apart)
        crawling = seen.compress(apart >= 0.0)
        beyond = seen.compress(apart > APART)
        for one in beyond[np.argsort(beyond["reporter"])]:
            self.note(now, float(one["lat"]), float(one["lon"]), float(one["heading"]))
        return self._report(crawling, now) if len(crawling) else []

    def _report(self, crawling: Rows, now: int) -> list[Finding]:
        """The ends of the queues that were reported and in which somebody crawls, wherever in them that is.

        Where nobody did for so long that the incident is over, whoever waits there opens it anew.
        """
        queue, ends = np.arange(len(self._places)), np.zeros((len(self._places), 2), bool)
        _link(self._places, queue, ends)
        whose = np.zeros(len(crawling), np.int64)
        _belong(crawling, self._places, queue, whose)
        found, order = [], np.argsort(whose, kind="stable")
        numbers, firsts = np.unique(whose.take(order), return_index=True)
        crowds = dict(zip(numbers.tolist(), np.split(crawling.take(order), firsts[1:]), strict=True))
        for one in np.intersect1d(queue[self._places[:, TOLD] > 0], numbers).tolist():
            mine, here = np.flatnonzero(queue == one), crowds[one]
            told = float(self._places[mine, TOLD].max())
            over = told <= now - OVER
            stands = _longest_stand(here, told, now) if over else 0.0
            if over and not stands:  # what is left of a jam carries nothing on
                self._places[mine, TOLD] = told
                continue
            self._places[mine, TOLD] = now
            who = frozenset(here["reporter"].tolist())
            for i in mine[ends[mine].any(axis=1)].tolist():
                lat, lon, heading = self._places[i, LAT : HEADING + 1].tolist()
                kind = "stationary_vehicle" if ends[i, 0] else "dangerous_end_of_queue"
                anew = over and bool(ends[i, 1])  # once, at the tail
                evidence = (("standing_seconds", stands),) if anew else ()
                found.append(Finding(kind, now, now, lat, lon, heading, EXTENT, 0.0, who, evidence, opens=anew))
        return found


def _longest_stand(crawling: Rows, told: float, now: int) -> float:
    """Seconds for which one of them has stood for long that came while the queue was remembered; 0 if there is none."""
    stood = crawling["stood"]
    since = stood[(stood > 0) & (stood <= min(now - WAITS, told + LASTS))]
    return (now - int(since.min())) / 1000.0 if len(since) else 0.0


@compiled
def _gone(places: Floats, now: int) -> bool:
    """Whether one of them is a queue no more."""
    for k in range(len(places)):  # noqa: SIM110
        if places[k, TIME] <= now - LASTS or places[k, PASSED] >= FREED:
            return True
    return False


@compiled
def _apart(place: Floats, lat: float, lon: float, narrow: float) -> float:
    """Metres between a place of a queue and a point; degrees of longitude are so much narrower than those of latitude."""
    north = (lat - place[LAT]) * M_PER_DEGREE
    east = (lon - place[LON]) * M_PER_DEGREE * narrow
    return math.sqrt(north * north + east * east)


@compiled
def _first(places: Floats, lat: float, reach: float) -> int:
    """The first place that is not farther south of a latitude than so many metres."""
    return int(np.searchsorted(places[:, LAT], lat - reach / M_PER_DEGREE))


@compiled
def _nearest(places: Floats, lat: float, lon: float, heading: float) -> tuple[float, int]:
    """Metres from a point to the nearest place within REACH that goes the same way, infinite if none does; and which it is."""
    least, nearest, narrow = math.inf, 0, math.cos(math.radians(lat))
    for k in range(_first(places, lat, REACH), _first(places, lat, -REACH)):
        far = _apart(places[k], lat, lon, narrow)
        if far <= REACH and far < least and turn_between(heading, places[k, HEADING]) <= SAME_WAY:
            least, nearest = far, k
    return least, nearest


@compiled
def _find_strays(seen: Rows, places: Floats, out: NDArray[np.bool_]) -> None:
    for i in range(len(seen)):
        out[i] = math.isinf(_nearest(places, seen[i]["lat"], seen[i]["lon"], seen[i]["heading"])[0])


@compiled
def _asks(places: Floats, lat: float, lon: float, heading: float) -> float:
    """The least that is asked at the places of queues within REACH; 0 if there are none, infinite if one has been told of."""
    least, some, narrow = math.inf, False, math.cos(math.radians(lat))
    for k in range(_first(places, lat, REACH), _first(places, lat, -REACH)):
        if _apart(places[k], lat, lon, narrow) <= REACH and turn_between(heading, places[k, HEADING]) <= SAME_WAY:
            if places[k, TOLD] > 0.0:
                return math.inf
            least, some = min(least, places[k, ASKED]), True
    return least if some else 0.0


@compiled
def _carry_on(acting: Rows, places: Floats, first: int, now: int) -> int:
    """Note the falls of those in queues that were told of, up to one who is in none, or at a place that is not yet noted."""
    for i in range(first, len(acting)):
        one = acting[i]
        if not math.isinf(_asks(places, one["lat"], one["lon"], one["heading"])):
            return i
        if one["fell"] and not _refresh(places, one["lat"], one["lon"], one["heading"], now, False):
            return i
    return len(acting)


@compiled
def _refresh(places: Floats, lat: float, lon: float, heading: float, now: int, reported: bool) -> bool:
    """Note that there is still a queue at the places so near; returns whether there are any."""
    some, narrow = False, math.cos(math.radians(lat))
    for k in range(_first(places, lat, APART), _first(places, lat, -APART)):
        if _apart(places[k], lat, lon, narrow) <= APART and turn_between(heading, places[k, HEADING]) <= SAME_WAY:
            places[k, TIME], places[k, PASSED] = now, 0.0
            if reported:
                places[k, TOLD] = now
            some = True
    return some


@compiled
def _crawl(seen: Rows, places: Floats, now: int, apart: Floats) -> None:
    """For each that crawls in a queue, the metres to the nearest place of it; the places that are near it are refreshed.
    Those that pass freely are counted."""
    slow = 0.0
    for k in range(len(places)):
        slow = max(slow, CRAWL * places[k, USUAL])
    for i in range(len(seen)):
        one = seen[i]
        if one["speed"] >= slow:
            _pass(one, places)
            continue
        far, nearest = _nearest(places, one["lat"], one["lon"], one["heading"])
        if not math.isinf(far) and one["speed"] < CRAWL * places[nearest, USUAL]:
            apart[i] = far
            # a place of which nothing is told any more must not stay silent for as long as somebody crawls there
            if not 0.0 < places[nearest, TOLD] <= now - OVER:
                _refresh(places, one["lat"], one["lon"], one["heading"], now, False)


@compiled
def _pass(one: Any, places: Floats) -> None:
    """Count one that drives freely at the places that it is near; it is looked at so seldom that it may be so only once."""
    narrow = math.cos(math.radians(one["lat"]))
    for k in range(_first(places, one["lat"], APART), _first(places, one["lat"], -APART)):
        near = _apart(places[k], one["lat"], one["lon"], narrow) <= APART
        if near and one["speed"] >= FREE * places[k, USUAL] and turn_between(one["heading"], places[k, HEADING]) <= SAME_WAY:
            places[k, PASSED] += one["speed"] * (EVERY / 1000.0) / (2.0 * APART)


@compiled
def _link(places: Floats, queue: NDArray[np.int64], ends: NDArray[np.bool_]) -> None:
    """Number the queues that the places make, and tell which are the head of one, for nothing of it lies ahead, or its tail."""
    ends[:] = True
    narrow = math.cos(math.radians(places[0, LAT]))
    for i in range(len(places)):
        for j in range(i + 1, _first(places, places[i, LAT], -LINKED)):
            north = (places[j, LAT] - places[i, LAT]) * M_PER_DEGREE
            east = (places[j, LON] - places[i, LON]) * M_PER_DEGREE * narrow
            if north * north + east * east > LINKED * LINKED or turn_between(places[i, HEADING], places[j, HEADING]) > SAME_WAY:
                continue
            _end(ends[i], places[i, HEADING], east, north)
            _end(ends[j], places[j, HEADING], -east, -north)
            one, other = min(queue[i], queue[j]), max(queue[i], queue[j])
            if one == other:
                continue
            for k in range(len(queue)):
                if queue[k] == other:
                    queue[k] = one


@compiled
def _end(ends: NDArray[np.bool_], heading: float, east: float, north: float) -> None:
    """So many metres away the same queue has a place: if that lies ahead, this one is not its head; if behind, not its tail."""
    turn = math.radians(heading)
    ahead = east * math.sin(turn) + north * math.cos(turn)
    ends[0] &= ahead <= APART / 2
    ends[1] &= ahead >= -APART / 2


@compiled
def _belong(crawling: Rows, places: Floats, queue: NDArray[np.int64], whose: NDArray[np.int64]) -> None:
    """In which queue each of those crawls."""
    for i in range(len(crawling)):
        one = crawling[i]
        whose[i] = queue[_nearest(places, one["lat"], one["lon"], one["heading"])[1]]
