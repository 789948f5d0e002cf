"""Hazard notifications: what a station says has happened at a place (DENM), for as long as it says that it holds.

A crash, a breakdown, a wrong-way driver or something on the road speaks for itself: one station is enough, and its incident
stays Possible. What a driver meets every day (a hard braking, a queue's end, hazard lights at the side of the road) or what one
sensor takes for weather is told when two stations say so at the same time; one alone is nothing.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import angle_between, distance
from detectors.model import CAUSES, NOTICE, WARNED, Finding, Frame, Rows, plain
from detectors.stations import REPEAT
from detectors.table import MIX

ANY = -1  # sub-cause
ALONE: dict[tuple[int, int], str] = {  # cause and sub-cause of ETSI EN 302 637-3 -> kind; one station is enough
    (CAUSES["accident"], ANY): "accident",
    (92, ANY): "accident",  # post crash: an automatic emergency call
    (94, 3): "accident",  # stands, post crash
    (94, 6): "accident",  # stands, on fire
    (CAUSES["obstacle"], ANY): "obstacle",
    (11, ANY): "obstacle",  # an animal on the road
    (12, ANY): "obstacle",  # people on the road
    (CAUSES["wrong_way"], ANY): "wrong_way",
    (CAUSES["breakdown"], ANY): "breakdown",
    (94, 2): "breakdown",  # stands, broken down
    (93, ANY): "stationary_vehicle",  # the driver is unwell
    (94, 1): "stationary_vehicle",  # and stands
}
TOGETHER: dict[tuple[int, int], str] = {  # two stations have to say so
    (CAUSES[kind], ANY): kind
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
NOTHING = ((94, 4),)  # a bus at its stop
NAMED = {(2, 5), (94, 5), (94, 6)}  # hazardous materials, dangerous goods, on fire: evidence of its own, for other help is sent
SCORE = 6.0  # -log10, by decree as in SelfReports: one station stays Possible whatever it is
COMPANY = 2  # stations
NEAR = 300.0  # m between two that mean the same: as far as findings of the road reach to be one incident
SAME_WAY = 60.0  # degrees: the other carriageway is 180 away, and a bend turns less
EXTENT = 25.0  # m: the error of a position and a vehicle's length
HELD = 600_000  # ms since it was heard last: what the standard takes where no validity is said
MOST = 40  # of one station: an OBU detects some kinds at a place or two, an operator's tells of all his roads
FOREVER = 2**62  # ms: after any time
ALL = 200  # of a shard, whose 250 km2 see some dozens at a time: each is held against all others

NAMES = sorted({*ALONE.values(), *TOGETHER.values()})
_KINDS = np.full((256, 256), -1, np.int8)  # place in NAMES by cause and sub-cause; -1: no incident for an emergency service
_ALONE = np.zeros((256, 256), np.bool_)
for _meanings, _alone in ((TOGETHER, False), (ALONE, True)):
    for (_cause, _subcause), _kind in sorted(_meanings.items()):  # ANY comes first
        _where = _cause, slice(None) if _subcause == ANY else _subcause
        _KINDS[_where], _ALONE[_where] = NAMES.index(_kind), _alone
for _nothing in NOTHING:
    _KINDS[_nothing] = -1
_DRIVES = NAMES.index("wrong_way")  # told when it is heard only: ten seconds later he is elsewhere


HEARD = np.dtype([*NOTICE.descr, ("since", "i8")])
"""A notice, and when its station was first heard of it."""


class Notices:
    """Repeats what stations warn of: when they say so, and every ten seconds until it is over or not valid any more."""

    kinds: ClassVar[tuple[str, ...]] = tuple(NAMES)

    def __init__(self) -> None:
        self.held: Rows = np.empty(0, HEARD)  # the newest of each warning, in order of time; also of those that are over

    def update(self, frame: Frame) -> list[Finding]:
        if not len(frame.notices) and not len(self.held):
            return []
        if len(frame.notices):
            self.held = _newest(self.held, frame.notices)
        over, lasts = _over(self.held), self.held["until"] > frame.end
        heard = self.held["time"] > frame.end - HELD
        valid, self.held = self.held.compress(~over & lasts & heard), self.held.compress(heard | (over & lasts))
        told = (valid["time"] >= frame.start) | (frame.ends_a(REPEAT) & (_kinds(valid) != _DRIVES))
        found = (_found(one, valid, frame.end) for one in valid.compress(told))
        return [finding for finding in found if len(finding.reporters) >= finding.company]


def _over(rows: Rows) -> NDArray[np.bool_]:
    """Which say that it is over, or that it is something else by now, which is no incident here."""
    over: NDArray[np.bool_] = (rows["ended"] != 0) | (_kinds(rows) < 0)
    return over


def _kinds(rows: Rows) -> NDArray[np.int8]:
    """What each warns of, as a place in NAMES; -1 of what is no incident, and what is over."""
    kinds: NDArray[np.int8] = _KINDS[rows["cause"], rows["subcause"]]
    return kinds


def _found(one: Any, valid: Rows, now: int) -> Finding:
    cause, subcause = int(one["cause"]), int(one["subcause"])
    kind, agreeing = NAMES[_KINDS[cause, subcause]], valid.compress(_agrees(one, valid))
    stations = frozenset(agreeing["reporter"].tolist())
    same = agreeing.compress(agreeing["cause"] == cause)
    evidence = [(f"{WARNED}{cause}", _stations(same))]
    if (cause, subcause) in NAMED:
        evidence.append((f"{WARNED}{cause}_{subcause}", _stations(same.compress(same["subcause"] == subcause))))
    return Finding(
        kind=kind,
        time=now,
        onset=min(int(agreeing["onset"].min()), now),
        lat=float(one["lat"]),
        lon=float(one["lon"]),
        heading=float(one["heading"]) % 360.0,
        radius=EXTENT,
        score=SCORE,
        reporters=stations,
        evidence=tuple(evidence),
        company=1 if _ALONE[cause, subcause] else COMPANY,
    )


def _stations(rows: Rows) -> float:
    return float(len(set(rows["reporter"].tolist())))


def _agrees(one: Any, valid: Rows) -> NDArray[np.bool_]:
    """Which of them warn of the same there and then, itself among them: who changed its name is silent under the old one."""
    same: NDArray[np.bool_] = _kinds(valid) == _KINDS[one["cause"], one["subcause"]]
    same &= (valid["time"] >= one["since"]) & (valid["since"] <= one["time"])
    same &= distance(valid["lat"], valid["lon"], float(one["lat"]), float(one["lon"])) <= NEAR
    same &= ~(angle_between(valid["heading"], float(one["heading"])) > SAME_WAY)  # a missing heading fits any
    return same


def _newest(held: Rows, notices: Rows) -> Rows:
    """Each station's last word about each of its warnings, in order of time, of rows in that order.

    The newest version counts, for the air may carry older ones for a while, and of equals that it is over. That something is
    over of which nobody has heard is nothing: who says so of thousands would push out what is true.
    """
    heard = np.zeros(len(notices), HEARD)
    for field in NOTICE.names or ():
        heard[field] = notices[field]
    heard["since"] = notices["time"]
    rows: Rows = np.concatenate([plain(held), plain(heard)]).view(HEARD)
    names, over = rows["reporter"] * MIX + rows["number"], _over(rows)
    order = np.lexsort((np.arange(len(rows)), over, rows["version"]))[::-1]
    _, last, which = np.unique(names[order], return_index=True, return_inverse=True)
    since = np.full(len(last), FOREVER)
    np.minimum.at(since, which, rows["since"][order])
    rows["since"][order] = since[which]
    kept = np.sort(order[last])
    known = np.concatenate([names[: len(held)], names[~over]])
    rows = rows.take(kept[np.isin(names[kept], known)])
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
