"""Several vehicles that brake hard within a minute at one place: something is in their way.

Single hard brakings are everyday, and some places see many. So every place learns its own rate, and a cluster is reported
when, at that rate, its size is a surprise; decelerations that nobody chooses make it a greater one, and one at the side of the
road, where a ramp's queue stands every day, a smaller one. Who only answers another is no witness (`answers`). Where traffic
ahead had been slow for some time they brake for a jam that stands there already, so they have to be many, or brake very hard,
to be news.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.across import Across, at_the_side
from detectors.answers import only_answers
from detectors.compiled import compiled
from detectors.driven import Driven, drove
from detectors.geometry import angle_between, apart, distance, mean_heading
from detectors.model import HARD_BRAKING, Finding, Frame, Rows, Sign
from detectors.place_rates import GENTLE, PlaceRates
from detectors.slowing import Slowing
from detectors.table import Names, Slots, claim, find, unheld

UNCHOSEN = 3.0  # m/s2: drivers who see it coming stay below
WEIGHT = 0.3  # surprise per m/s2 beyond that, measured on labelled clusters
WINDOW = 60.0  # s: after it, what was in the way is a queue
PAUSE = 15_000  # ms without hard braking after which the same vehicle's next one, elsewhere, is another; some report every ten
RADIUS = 60.0  # m: the way to a stand from 80 km/h at that deceleration, and a vehicle or two
SAME_WAY = 45.0  # degrees
FLOWED = 0.7  # of the usual speed, ahead in the minutes before: with it false alarms went from 30 to 24, found from 112 to 111
STANDS = 6.0  # surprise that is taken off then: a million to one, but a pile-up at the tail of a jam is one
SURPRISE = 5.0  # -log10 of the chance: some 1e4 places and minutes to be wrong in on a day

_BRAKES_HARD = int(Sign.HARD_BRAKE)


@dataclass(slots=True)
class _Braking:
    """One vehicle's hard braking, where it began."""

    time: int  # ms: end of the pane in which it began
    last: int  # ms: end of the last pane in which it went on
    reporter: int
    lat: float
    lon: float
    heading: float
    decel: float  # m/s2; NaN until it says how hard

    @property
    def hardest(self) -> float:
        """m/s2; at least what makes it a hard braking."""
        return float(np.fmax(self.decel, HARD_BRAKING))


class HardBraking:
    """Finds clusters of hard brakings. A finding is repeated while new brakings join the cluster."""

    kinds: ClassVar[tuple[str, ...]] = ("dangerous_situation",)

    def __init__(self) -> None:
        self._driven = Driven()
        self._places = PlaceRates()
        self._across = Across()
        self._slowing = Slowing()
        self._brakings: list[_Braking] = []

    def update(self, frame: Frame) -> list[Finding]:
        now, rows = frame.end, frame.observations
        self._brakings = [b for b in self._brakings if b.last > now - WINDOW * 1000.0]
        seconds, spoke = (frame.end - frame.start) / 1000.0, np.zeros(len(rows), np.int64)
        driving, braking = _drive(rows, seconds, spoke, *unheld(len(rows)), self._driven.room(len(rows)))
        fresh = self._fresh(rows, now) if braking else []
        for one in fresh:
            self._places.occur(now, one.lat, one.lon, one.heading)
        self._driven.wrote(driving, now)
        self._driven.teach(now, self._places, self._across, self._slowing)
        return [finding for one in fresh if (finding := self._cluster(one, now))]

    def _fresh(self, rows: Rows, now: int) -> list[_Braking]:
        """Brakings that were not yet going on; those that were may have become harder."""
        decel = -rows["accel"].astype(np.float64)
        hard = np.flatnonzero(((rows["signs"] & _BRAKES_HARD) != 0) | (decel > HARD_BRAKING))
        known = {b.reporter: b for b in self._brakings}  # the newest of each
        fresh = list[_Braking]()
        for i in hard.tolist():
            reporter, heading = int(rows["reporter"][i]), float(rows["heading"][i])
            where, old = (float(rows["lat"][i]), float(rows["lon"][i])), known.get(reporter)
            if old is not None and (now - old.last <= PAUSE or apart(*where, old.lat, old.lon) <= RADIUS):
                old.last, old.decel = now, float(np.fmax(old.decel, decel[i]))
            elif not math.isnan(heading):
                known[reporter] = _Braking(now, now, reporter, *where, heading, float(decel[i]))
                fresh.append(known[reporter])
        self._brakings += fresh
        return fresh

    def _cluster(self, braking: _Braking, now: int) -> Finding | None:
        """The brakings around this one, if they are too many for the place."""
        lats, lons, headings = (np.array([getattr(b, name) for b in self._brakings]) for name in ("lat", "lon", "heading"))
        near = distance(lats, lons, braking.lat, braking.lon) <= RADIUS
        near &= angle_between(headings, braking.heading) <= SAME_WAY
        near &= np.array([b.time for b in self._brakings]) > now - WINDOW * 1000.0  # one may go on for longer
        near = np.array(list({self._brakings[i].reporter: i for i in np.flatnonzero(near).tolist()}.values()))  # one of each
        cluster = [self._brakings[i] for i in near.tolist()]
        times = np.array([b.time for b in cluster])
        if only_answers(int(times.min()), int(times.max())):  # so is one alone
            return None
        lats, lons, headings = lats[near], lons[near], headings[near]
        lat, lon, heading = float(lats.mean()), float(lons.mean()), mean_heading(headings)
        score = sum(self._places.at(lat, lon, heading, now).surprises((len(cluster),), WINDOW, RADIUS))
        score += WEIGHT * sum(max(0.0, b.hardest - UNCHOSEN) for b in cluster)
        if score >= SURPRISE:  # only then look, for it costs
            score -= at_the_side(float(self._across.aside(lats, lons, headings, now).mean()))
        if score >= SURPRISE and self._slowing.share_ahead(lat, lon, heading, now) < FLOWED:
            score -= STANDS
        if score < SURPRISE:
            return None
        return Finding(
            kind="dangerous_situation",
            time=now,
            onset=int(times.min()),
            lat=lat,
            lon=lon,
            heading=heading,
            radius=RADIUS,
            score=score,
            reporters=frozenset(b.reporter for b in cluster),
            evidence=(
                ("hard_braking_vehicles", float(len(cluster))),
                ("hardest_deceleration", max(b.hardest for b in cluster)),
            ),
        )


@compiled
def _drive(
    rows: Rows, seconds: float, spoke: NDArray[np.int64], names: Names, slots: Slots, size: NDArray[np.int64], driven: Rows
) -> tuple[int, int]:
    """Write what was driven in a pane of so many seconds. Returns how many rows say how they drive, and how many brake hard.

    Who spoke ten times drove no longer than who spoke once, so a reporter's rows share the pane; `spoke` counts them.
    """
    driving = braking = 0
    for i in range(len(rows)):
        if _drives(rows[i]):
            spoke[claim(slots, names, size, rows[i]["reporter"])] += 1
        braking += int((rows[i]["signs"] & _BRAKES_HARD) != 0 or -np.float64(rows[i]["accel"]) > HARD_BRAKING)
    for i in range(len(rows)):
        row = rows[i]
        if _drives(row):
            each = seconds / spoke[find(slots, names, row["reporter"])]
            gently = each if row["accel"] < -GENTLE else 0.0
            drove(driven, driving, row["lat"], row["lon"], np.float64(row["heading"]), np.float64(row["speed"]), each, gently)
            driving += 1
    return driving, braking


@compiled
def _drives(row: Any) -> bool:
    return not (math.isnan(row["speed"]) or math.isnan(row["heading"]))
