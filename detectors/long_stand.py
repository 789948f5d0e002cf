"""A vehicle that stands longer than anybody does there: one probe is enough to see a lane that is blocked.

At low penetration there is often a single equipped vehicle near an incident, and in town everybody stops. What nobody does is
to stand for much longer than the longest red. So the length of ordinary stops is learned, from the fleet and from the place,
as a threshold that one stop in ten passes and an exponential tail beyond it (peaks over threshold). A stand is judged by how
improbable its length has become, and by who else stands so long beside it.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from river import stats

from detectors.geometry import M_PER_DEGREE, angle_between, distance
from detectors.lattice import FadingSums, Steps
from detectors.model import Finding, Frame, Rows
from detectors.tracks import newest

STANDS = 0.5  # m/s: below it a receiver's speed is noise
LEFT = 30.0  # m: whoever is seen so far from where it stood has driven on in between
LOST = 30_000  # ms unseen: it may have driven off, or switched off
SHORTEST = 5_000  # ms: a shorter stop says nothing of lights and queues
SURPRISE = 5.0  # -log10 of the chance that an ordinary stop lasts so long: some thousand stops an hour in a district
PASSED = 0.1  # share of stops that pass the threshold
FIRST_THRESHOLD = 60_000.0  # ms: half of a long signal cycle of 120 s (HCM), until the fleet has shown its own
FIRST_TAIL = 30_000.0  # ms, weighed as
FIRST_WEIGHT = 10.0  # stops
FLEET_WEIGHT = 5.0  # stops of the fleet's tail in every place's
ENOUGH = 50  # stops before the fleet's own threshold is trusted
TOGETHER = 60.0  # m: a queue of some eight vehicles behind the first
SAME_WAY = 45.0  # degrees
EVERY = 5_000  # ms between two looks at who stands
DAY = 86_400_000.0  # ms

_LATTICE = Steps(0.0009, 8)  # 100 m, eight directions
_AROUND = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])

STAND = np.dtype(
    [
        ("reporter", "u8"),
        ("since", "i8"),  # ms
        ("seen", "i8"),  # ms
        ("lat", "f8"),
        ("lon", "f8"),
        ("heading", "f8"),
        ("lives", "?"),  # its position trembles, as a receiver's does; one that is stuck repeats itself to the last digit
        ("said", "?"),
    ]
)


class LongStand:
    """Finds vehicles that stand where, and for as long as, nobody usually does (`stationary_vehicle`)."""

    kinds: ClassVar[tuple[str, ...]] = ("stationary_vehicle",)

    def __init__(self) -> None:
        self._standing: NDArray[np.void] = np.empty(0, STAND)  # by reporter
        self._threshold = stats.Quantile(1.0 - PASSED)
        self._tail = FIRST_TAIL * FIRST_WEIGHT, FIRST_WEIGHT  # sum of what stops lasted beyond the threshold, and their number
        self._stops = 0
        self._places = FadingSums((DAY, DAY), 0.05)

    def update(self, frame: Frame) -> list[Finding]:
        self._note(frame.observations, frame.end)
        if frame.end // EVERY == frame.start // EVERY:
            return []
        self._places.sweep(frame.end)
        self._standing = self._standing[self._standing["seen"] > frame.end - LOST]
        lasted = frame.end - self._standing["since"]
        long = np.flatnonzero((lasted > self.threshold) & self._standing["lives"])
        return [finding for i in long.tolist() if (finding := self._judge(i, long, frame.end))]

    @property
    def threshold(self) -> float:
        """Milliseconds that one ordinary stop in ten lasts longer than."""
        return float(self._threshold.get() or 0.0) if self._stops >= ENOUGH else FIRST_THRESHOLD

    def _judge(self, i: int, long: NDArray[np.intp], now: int) -> Finding | None:
        stand = self._standing[i]
        lat, lon, heading = float(stand["lat"]), float(stand["lon"]), float(stand["heading"])
        seconds = (now - int(stand["since"])) / 1000.0
        beyond = (now - int(stand["since"]) - self.threshold) / self._usual(lat, lon, heading, now)
        score = -math.log10(PASSED) + beyond / math.log(10.0)
        if score < SURPRISE:
            return None
        others = self._standing[long]
        beside = distance(others["lat"], others["lon"], lat, lon) <= TOGETHER
        beside &= ~(angle_between(others["heading"], heading) > SAME_WAY)
        company = others[beside]
        self._standing["said"][i] = True
        return Finding(
            kind="stationary_vehicle",
            time=now,
            onset=int(stand["since"]),
            lat=lat,
            lon=lon,
            heading=heading,
            radius=20.0,
            score=score,
            reporters=frozenset(company["reporter"].tolist()),
            evidence=(("standing_seconds", seconds), ("standing_vehicles", float(len(company)))),
        )

    def _usual(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Milliseconds by which stops that pass the threshold usually pass it here: the place's, shrunk to the fleet's."""
        row, column = _LATTICE.index(lat, lon)
        rows, columns = row + _AROUND[:, 0], column + _AROUND[:, 1]
        clat, clon = _LATTICE.centre(rows, columns)
        weights = np.exp(-0.5 * (distance(clat, clon, lat, lon) / 100.0) ** 2)
        keys = _LATTICE.key(rows, columns, _direction(heading))
        beyond, count = self._places.read(self._places.find(keys), now) @ weights
        fleet = self._tail[0] / self._tail[1]
        return float((beyond + FLEET_WEIGHT * fleet) / (count + FLEET_WEIGHT))

    def _note(self, rows: Rows, now: int) -> None:
        """Who began to stand, who still does, and who drives again: the last teach how long stops are."""
        rows = newest(rows)
        rows = rows.compress(~np.isnan(rows["speed"]))
        if not len(rows):
            return
        at = np.searchsorted(self._standing["reporter"], rows["reporter"])
        at[at == len(self._standing)] = 0
        known = np.zeros(len(rows), bool) if not len(self._standing) else self._standing["reporter"][at] == rows["reporter"]
        stood = self._standing.take(at[known])
        seen = rows.compress(known)
        over = (seen["speed"] >= STANDS) | (_apart(seen, stood) > LEFT)
        still = at[known][~over]
        self._standing["seen"][still] = seen["time"][~over]
        self._standing["lives"][still] |= (seen["lat"] != stood["lat"])[~over] | (seen["lon"] != stood["lon"])[~over]
        self._learn(stood[over], now)
        begins = rows.compress(~known & (rows["speed"] < STANDS))
        keep = np.ones(len(self._standing), bool)
        keep[at[known][over]] = False
        if len(begins) or not keep.all():
            fresh = np.zeros(len(begins), STAND)
            for name in ("reporter", "lat", "lon", "heading"):
                fresh[name] = begins[name]
            fresh["since"] = fresh["seen"] = begins["time"]
            standing = np.concatenate([self._standing.compress(keep), fresh])
            self._standing = standing.take(np.argsort(standing["reporter"], kind="stable"))

    def _learn(self, stood: NDArray[np.void], now: int) -> None:
        """Take the lengths of stops that are over. What was reported is no ordinary stop."""
        ordinary = stood[~stood["said"] & (stood["seen"] - stood["since"] >= SHORTEST)]
        for stand in ordinary:
            lasted = float(stand["seen"] - stand["since"])
            beyond = lasted - self.threshold
            self._threshold.update(lasted)
            self._stops += 1
            if beyond > 0.0:
                self._tail = self._tail[0] + beyond, self._tail[1] + 1.0
                row, column = _LATTICE.index(stand["lat"], stand["lon"])
                key = _LATTICE.key(row, column, _direction(float(stand["heading"])))
                self._places.add(np.array([key]), (np.array([beyond]), np.ones(1)), now)


def _apart(some: NDArray[np.void], others: NDArray[np.void]) -> NDArray[np.float64]:
    """Metres between each of some and its counterpart."""
    north = (some["lat"] - others["lat"]) * M_PER_DEGREE
    east = (some["lon"] - others["lon"]) * M_PER_DEGREE * np.cos(np.radians(others["lat"]))
    far: NDArray[np.float64] = np.hypot(north, east)
    return far


def _direction(heading: float) -> int:
    """Which of eight directions; a vehicle without a heading counts as northbound, for it stands."""
    return 0 if math.isnan(heading) else int(heading / 45.0 + 0.5) % 8
