"""A vehicle that stands longer than anybody does there: one probe is enough to see a lane that is blocked.

At low penetration there is often a single equipped vehicle near an incident, and in town everybody stops. What nobody does is
to stand for much longer than the longest red. So the length of ordinary stops is learned, from the fleet and from the place,
as a threshold that one stop in ten passes and an exponential tail beyond it (peaks over threshold). How often stops are made
at the very spot is learned too. A stand is judged by how seldom one so long would be made there; who else stands so long
beside it belongs to it. At a stop line, where stops are made all day, lengths tell nothing of obstacles: some wait for a gap.
And where nobody drives nobody is in the way: on a car park, beside a charger or in a yard one stands for hours.
"""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from river import stats

from detectors.across import Across
from detectors.compiled import compiled
from detectors.driven import Driven, drove
from detectors.geometry import M_PER_DEGREE, angle_between, distance, metres_between
from detectors.lattice import FadingSums, Floats, Keys, Known, number_of, row_and_column
from detectors.model import Finding, Frame, Rows
from detectors.table import Names, Slots, Table, claim, find, unheld

STANDS = 0.5  # m/s: below it a receiver's speed is noise
LEFT = 30.0  # m: whoever is seen so far from where it stood has driven on in between
LOST = 30_000  # ms unseen: it may have driven off, or switched off
SHORTEST = 5_000  # ms: a shorter stop says nothing of lights and queues
SURPRISE = 4.0  # -log10 of such stands an hour at one spot: a town has some ten thousand spots
PASSED = 0.1  # share of stops that pass the threshold
FIRST_THRESHOLD = 60_000.0  # ms: half of a long signal cycle of 120 s (HCM), until the fleet has shown its own
FIRST_TAIL = 30_000.0  # ms, weighed as
FIRST_WEIGHT = 10.0  # stops
FLEET_WEIGHT = 5.0  # stops of the fleet's tail in every place's
ENOUGH = 50  # stops before the fleet's own threshold is trusted
TOGETHER = 60.0  # m: a queue of some eight vehicles behind the first
SAME_WAY = 45.0  # degrees
EVERY = 5_000  # ms between two looks at who stands, and at who drives
PASSES = 3.0  # past the place, before it is a road: itself and two more
BESIDE = 3.0  # standard deviations of the driving off its middle: the shoulder of a motorway lies at 1.9
HOUR, DAY = 3_600_000.0, 86_400_000.0  # ms

STEP = 0.0009  # degrees: 100 m, as far as the lengths of a place's stops are read
SPOT = 0.00018  # degrees: 20 m, as far as stops are counted: some three vehicles
DIRECTIONS = 8

SELDOM, AT_FIRST = 0.3, 0.02  # stops and hours that every spot has seen before anything is known: 15 an hour, so quiet
RAREST = 0.1  # stops an hour at least: that nobody of the fleet stopped here for days says little of who has to
USUAL = 5.0  # stops an hour from which on a spot is a stop line or a kerb

STAND = np.dtype(
    [
        ("reporter", "u8"),
        ("since", "i8"),  # ms; 0: it does not stand, or not any more
        ("seen", "i8"),  # ms
        ("lat", "f8"),
        ("lon", "f8"),
        ("heading", "f8"),
        ("lives", "?"),  # its position trembles, as a receiver's does; one that is stuck repeats itself to the last digit
        ("said", "?"),
        ("over", "?"),  # it drove off in this pane
        ("newest", "i8"),  # 1 + where its newest row is in this pane; 0: none
    ]
)


class LongStand:
    """Finds vehicles that stand where, and for as long as, nobody usually does (`stationary_vehicle`)."""

    kinds: ClassVar[tuple[str, ...]] = ("stationary_vehicle",)

    def __init__(self) -> None:
        self._stands = Table(STAND, "reporter")
        self._threshold = stats.Quantile(1.0 - PASSED)
        self._tail = FIRST_TAIL * FIRST_WEIGHT, FIRST_WEIGHT  # sum of what stops lasted beyond the threshold, and their number
        self._stops = 0
        self._places = FadingSums((DAY, DAY), 0.05)  # ms beyond the threshold, and stops beyond it
        self._spots = FadingSums((DAY,), 0.05)  # stops
        self._driven, self._across = Driven(), Across()
        self._begun = 0  # ms

    def update(self, frame: Frame) -> list[Finding]:
        self._begun = self._begun or frame.start
        self._stands.reserve(len(frame.observations))
        if _note(frame.observations, *self._stands.arrays):
            stands = self._stands.held
            over = stands["over"].nonzero()[0]
            self._learn(stands[over], frame.end)
            stands["since"][over], stands["over"][over] = 0, False
        if not frame.ends_a(EVERY):
            return []
        self._places.sweep(frame.end)
        self._spots.sweep(frame.end)
        count, seconds = len(frame.observations), max(EVERY, frame.end - frame.start) / 1000.0
        self._driven.wrote(_drive(frame.observations, seconds, *unheld(count), self._driven.room(count)), frame.end)
        self._driven.teach(frame.end, self._across)
        if not len(self._stands):
            return []
        stands = self._stands.held
        self._stands.keep((stands["seen"] > frame.end - LOST) & (stands["since"] > 0))
        stands = self._stands.held
        long = stands[(frame.end - stands["since"] > self.threshold) & stands["lives"]]
        return [finding for stand in long if (finding := self._judge(stand, long, frame.end))]

    @property
    def threshold(self) -> float:
        """Milliseconds that one ordinary stop in ten lasts longer than."""
        return float(self._threshold.get() or 0.0) if self._stops >= ENOUGH else FIRST_THRESHOLD

    def _judge(self, stand: np.void, long: Rows, now: int) -> Finding | None:
        lat, lon, heading = float(stand["lat"]), float(stand["lon"]), float(stand["heading"])
        seconds = (now - int(stand["since"])) / 1000.0
        beyond = (now - int(stand["since"]) - self.threshold) / self._usual(lat, lon, heading, now)
        often = self._often(lat, lon, heading, now)
        score = -math.log10(PASSED * max(often, RAREST)) + beyond / math.log(10.0)
        if score < SURPRISE or often > USUAL or not self._on_road(lat, lon, heading, now):
            return None
        beside = distance(long["lat"], long["lon"], lat, lon) <= TOGETHER
        beside &= ~(angle_between(long["heading"], heading) > SAME_WAY)
        company = long[beside]
        self._stands.held["said"][self._stands.held["reporter"] == stand["reporter"]] = True
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

    def _on_road(self, lat: float, lon: float, heading: float, now: int) -> bool:
        """Whether others drive here, this way."""
        driving = self._across.driving(lat, lon, heading, now)
        return driving is not None and driving.passes >= PASSES and driving.beside <= BESIDE

    def _usual(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Milliseconds by which stops that pass the threshold usually pass it here: the place's, shrunk to the fleet's."""
        beyond, count = _around(self._places.arrays(now), STEP, lat, lon, heading)
        fleet = self._tail[0] / self._tail[1]
        return float((beyond + FLEET_WEIGHT * fleet) / (count + FLEET_WEIGHT))

    def _often(self, lat: float, lon: float, heading: float, now: int) -> float:
        """Ordinary stops an hour at this spot."""
        (count,) = _around(self._spots.arrays(now), SPOT, lat, lon, heading)
        hours = -DAY * math.expm1((self._begun - now) / DAY) / HOUR  # faded like what was counted in them
        return float((SELDOM + count) / (AT_FIRST + hours))

    def _learn(self, stood: NDArray[np.void], now: int) -> None:
        """Take the stops that are over: where they were, and how long they were if nobody was told of them. A stand so long
        is no ordinary stop, but where one is made after the other one is made often."""
        stops = stood[stood["seen"] - stood["since"] >= SHORTEST]
        for stand in stops[np.argsort(stops["reporter"])]:  # the threshold depends on the order
            self._spots.add(_key(stand, SPOT), (np.ones(1),), now)
            if stand["said"]:
                continue
            lasted = float(stand["seen"] - stand["since"])
            beyond = lasted - self.threshold
            self._threshold.update(lasted)
            self._stops += 1
            if beyond > 0.0:
                self._tail = self._tail[0] + beyond, self._tail[1] + 1.0
                self._places.add(_key(stand, STEP), (np.array([beyond]), np.ones(1)), now)


def _key(stand: np.void, step: float) -> Keys:
    """The place of a stand on a lattice."""
    place = row_and_column(stand["lat"], stand["lon"], step)
    return np.array([number_of(*place, DIRECTIONS, _direction(stand["heading"]))])


def _around(known: Known, step: float, lat: float, lon: float, heading: float) -> list[float]:
    """What is held around a place in about this direction, per column of sums; the nearest weigh most. `step` in degrees."""
    *_, fades = known
    total = np.zeros(len(fades))
    _sum(known, step, lat, lon, heading, total)
    sums: list[float] = total.tolist()
    return sums


@compiled
def _note(rows: Rows, stands: Rows, names: NDArray[np.uint64], slots: Slots, size: NDArray[np.int64]) -> int:
    """Who began to stand, who still does, and how many stands are over; the newest row of each vehicle says it."""
    for i in range(len(rows)):
        speed, reporter = np.float64(rows[i]["speed"]), rows[i]["reporter"]
        if np.isnan(speed) or np.isnan(rows[i]["heading"]):
            continue
        at = claim(slots, names, size, reporter) if speed < STANDS else find(slots, names, reporter)
        if at >= 0:
            stands[at]["newest"] = i + 1
    over = 0
    for at in range(size[0]):
        stand = stands[at]
        if not stand["newest"]:
            continue
        row = rows[stand["newest"] - 1]
        stand["newest"] = 0
        moved = row["lat"] != stand["lat"] or row["lon"] != stand["lon"]
        drives = np.float64(row["speed"]) >= STANDS
        if not stand["since"]:
            if not drives:
                stand["since"] = stand["seen"] = row["time"]
                stand["lat"], stand["lon"], stand["heading"] = row["lat"], row["lon"], row["heading"]
                stand["lives"] = stand["said"] = False
        elif drives or (moved and metres_between(row["lat"], row["lon"], stand["lat"], stand["lon"]) > LEFT):
            stand["over"] = True
            over += 1
        else:
            stand["seen"] = row["time"]
            stand["lives"] |= moved
    return over


@compiled
def _drive(rows: Rows, seconds: float, names: Names, slots: Slots, size: NDArray[np.int64], driven: Rows) -> int:
    """Write where each that moves was last, as driven for so many seconds, up to the next look; returns how many move."""
    count = 0
    for i in range(len(rows) - 1, -1, -1):
        row = rows[i]
        speed, heading, known = np.float64(row["speed"]), np.float64(row["heading"]), size[0]
        claim(slots, names, size, row["reporter"])
        if size[0] > known and speed >= STANDS and heading >= 0.0:
            drove(driven, count, row["lat"], row["lon"], heading, speed, seconds, 0.0)
            count += 1
    return count


@compiled
def _sum(known: Known, step: float, lat: float, lon: float, heading: float, total: Floats) -> None:
    """Add it to `total`, which has a column for each of sums."""
    keys, slots, sums, fades = known
    row, column = row_and_column(lat, lon, step)
    for up in range(-1, 2):
        for right in range(-1, 2):
            middle = (row + up + 0.5) * step - 90.0, (column + right + 0.5) * step - 180.0
            far = metres_between(middle[0], middle[1], lat, lon) / (step * M_PER_DEGREE)
            weight = math.exp(-0.5 * far * far)
            for turn in range(-1, 2):
                direction = (_direction(heading) + turn) % DIRECTIONS
                at = find(slots, keys, number_of(row + up, column + right, DIRECTIONS, direction))
                if at >= 0:
                    for k in range(len(fades)):
                        total[k] += weight * sums[at, k] * fades[k]


@compiled
def _direction(heading: float) -> int:
    """Which of eight."""
    return int(heading / 45.0 + 0.5) % DIRECTIONS
