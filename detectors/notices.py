"""Hazard notifications: what a station says has happened at a place (DENM), for as long as it says that it holds.

A crash, a breakdown, a wrong-way driver or something on the road speaks for itself: one station is enough, and its incident
stays Possible. What a driver meets every day (a hard braking, a queue's end, hazard lights at the side of the road) or what one
sensor takes for weather is told when two stations say so; one alone joins an incident that is open, and opens none.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import angle_between, distance
from detectors.model import CAUSES, NO_NOTICES, NOTICE, Finding, Frame, Rows, plain
from detectors.stations import is_due
from detectors.table import MIX

ALONE = {  # cause code of ETSI EN 302 637-3 -> kind
    CAUSES["accident"]: "accident",
    92: "accident",  # post crash: an automatic emergency call
    CAUSES["obstacle"]: "obstacle",
    11: "obstacle",  # an animal on the road
    12: "obstacle",  # people on the road
    CAUSES["wrong_way"]: "wrong_way",
    CAUSES["breakdown"]: "breakdown",
}
TOGETHER = {
    CAUSES[kind]: kind
    for kind in (
        "traffic_condition",
        "adhesion",
        "extreme_weather",
        "visibility",
        "slow_vehicle",
        "dangerous_end_of_queue",
        "stationary_vehicle",
        "dangerous_situation",
    )
}
SCORE = 6.0  # -log10, by decree as in SelfReports: one station stays Possible whatever it is
COMPANY = 2  # stations
NEAR = 300.0  # m between two that mean the same: as far as findings of the road reach to be one incident
SAME_WAY = 60.0  # degrees: the other carriageway is 180 away, and a bend turns less
EXTENT = 25.0  # m: the error of a position and a vehicle's length
HELD = 600_000  # ms since it was heard last: what the standard takes where no validity is said, and a shard falls asleep
MOST = 10  # of one station: an OBU detects some kinds at a place or two
ALL = 1_000  # of a shard, whose 250 km2 see some dozens at a time: each is held against all others

_KINDS = ALONE | TOGETHER
_KNOWN = np.isin(np.arange(256), list(_KINDS))


class Notices:
    """Repeats what stations warn of: when they say so, and every ten seconds until it is over or not valid any more."""

    kinds: ClassVar[tuple[str, ...]] = tuple(sorted(set(_KINDS.values())))

    def __init__(self) -> None:
        self.held: Rows = NO_NOTICES  # the newest of each warning, in order of time; also of those that are over

    def update(self, frame: Frame) -> list[Finding]:
        if not len(frame.notices) and not len(self.held):
            return []
        heard = frame.notices.compress(_KNOWN[frame.notices["cause"]] | (frame.notices["ended"] != 0))
        if len(heard):
            self.held = _newest(np.concatenate([plain(self.held), plain(heard)]).view(NOTICE))
        self.held = self.held.compress(self.held["time"] > frame.end - HELD)
        valid = self.held.compress((self.held["ended"] == 0) & (self.held["until"] > frame.end))
        due = is_due(frame.start, frame.end)
        return [_found(one, valid, frame.end) for one in valid if due or one["time"] >= frame.start]


def _found(one: Any, valid: Rows, now: int) -> Finding:
    cause = int(one["cause"])
    kind, stations = _KINDS[cause], _agreeing(one, valid)
    return Finding(
        kind=kind,
        time=now,
        onset=min(int(one["onset"]), now),
        lat=float(one["lat"]),
        lon=float(one["lon"]),
        heading=float(one["heading"]) % 360.0,
        radius=EXTENT,
        score=SCORE,
        reporters=stations,
        evidence=(("warned_cause", float(cause)), ("warning_stations", float(len(stations)))),
        subcause=int(one["subcause"]) if CAUSES[kind] == cause else 0,
        opens=cause in ALONE or len(stations) >= COMPANY,
    )


def _agreeing(one: Any, valid: Rows) -> frozenset[int]:
    """The stations that warn of the same there, its own among them."""
    kind = _KINDS[int(one["cause"])]
    same = np.isin(valid["cause"], [cause for cause, name in _KINDS.items() if name == kind])
    same &= distance(valid["lat"], valid["lon"], float(one["lat"]), float(one["lon"])) <= NEAR
    same &= ~(angle_between(valid["heading"], float(one["heading"])) > SAME_WAY)  # a missing heading fits any
    return frozenset(valid["reporter"][same].tolist())


def _newest(rows: Rows) -> Rows:
    """Each station's last word about each of its warnings, in order of time, of rows in that order.

    What it has called over stays over, though the air may carry an older copy of it for a while: numbers are not used again.
    """
    names = rows["reporter"] * MIX + rows["number"]
    order = np.lexsort((np.arange(len(rows)), rows["ended"]))
    _, last = np.unique(names[order][::-1], return_index=True)
    rows = rows.take(np.sort(order[::-1][last]))
    return rows.compress(_later(rows["reporter"]) < MOST)[-ALL:]


def _later(names: NDArray[np.uint64]) -> NDArray[np.int64]:
    """How many of the same name come after each.

    >>> _later(np.array([7, 8, 7, 7], np.uint64)).tolist()
    [2, 0, 1, 0]
    """
    order = np.argsort(names[::-1], kind="stable")
    ordered = names[::-1][order]
    later = np.empty(len(names), np.int64)
    later[order] = np.arange(len(names)) - np.searchsorted(ordered, ordered)
    return later[::-1]
