"""Traffic without an end, made second by second: towns far apart come to life and fall silent, and nobody keeps a name.

Only the amount is stationary: every vehicle changes its temporary id within five minutes, or leaves and another comes; every
EV leaves after half an hour; a place that comes to life again has a fleet of its own. Seeded, in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, radians
from typing import NamedTuple

import h3.api.basic_int as h3
import numpy as np

from dataflows.formats import encode
from tests.traffic import METRE, T0

VEHICLES = 45  # in a town, at 1 Hz, on a ring road
RADIUS = 1500.0  # m
MEDIAN = 12.0  # m between the two ways
ROTATION = 300  # s that a temporary id lives at most (SAE J2945/1)
CARS = 60  # EVs in a town, each heard every 10 s
STAY = 1800  # s that an EV stays
STATIONS = 4  # sensors at a ring, each heard every 30 s
CRASH_EVERY = 600  # s, and the first after half of that
WRECK = 60  # s that a wreck is heard
HOT = 600  # s between two EVs that grow hot for a minute
DELAY = 100  # ms from speaking to arriving
SECOND = 1000  # ms
LINE = '"lat":%.6f,"lon":%.6f,"v":%.2f,"hdg":%.1f,"ax":%.2f'


class Message(NamedTuple):
    topic: str
    arrival: int  # ms
    value: bytes


class Town:
    """One place for one time of life, in s since T0."""

    def __init__(self, number: int, place: int, begin: int, end: int, seed: int) -> None:
        self.number, self.place, self.begin, self.end = number, place, begin, end
        self.dice = np.random.default_rng((seed, number))
        self.lat, self.lon = centre(place)
        self.phase = np.sort(self.dice.integers(0, SECOND, VEHICLES))  # ms
        self.angle = self.dice.uniform(0, 2 * np.pi, VEHICLES)  # clockwise from north
        self.way = self.dice.choice((-1, 1), VEHICLES)
        self.speed = self.dice.uniform(18.0, 25.0, VEHICLES)
        self.until = begin + self.dice.integers(1, ROTATION, VEHICLES)
        self.names = [self._name() for _ in range(VEHICLES)]
        self.cars = [(begin + int(until), self._vin()) for until in self.dice.integers(10, STAY, CARS)]
        self.wreck = -1  # which vehicle
        self.crashed = begin

    def speak(self, at: int, heard: dict[str, int]) -> Iterator[Message]:
        """What is said within second `at`; `heard` learns when each identity was last heard, in ms since the epoch."""
        self._crash(at)
        for changed in np.flatnonzero(self.until == at).tolist():
            self._change(changed)
        yield from self._drive(at, heard)
        time = T0 + at * SECOND
        for number in range(at % 10, CARS, 10):
            until, vin = self.cars[number]
            if until <= at:
                until, vin = self.cars[number] = at + STAY, self._vin()
            heard[vin] = time
            hot = number == at // HOT % CARS and at % HOT < 60
            yield Message("ev", time + DELAY, self._charge(time, vin, hot))
        if at % 30 == 0:
            for station in range(STATIONS):
                name = f"loop-{self.place}-{station}"
                heard[name] = time
                yield Message("sensors", time + DELAY, self._measure(time, name, station))

    def _drive(self, at: int, heard: dict[str, int]) -> Iterator[Message]:
        speed, accel = self.speed.copy(), self.dice.normal(0.0, 0.4, VEHICLES)
        slips = self.dice.random(VEHICLES) < 0.0004
        if self.wreck >= 0:
            speed[self.wreck], accel[self.wreck] = 0.0, -8.0 if at - self.crashed < 2 else 0.0
        radius = RADIUS + MEDIAN * (self.way > 0)
        self.angle = self.angle + self.way * speed / radius
        lat = self.lat + METRE * radius * np.cos(self.angle)
        lon = self.lon + METRE * radius * np.sin(self.angle) / cos(radians(self.lat))
        heading = np.degrees(self.angle + self.way * np.pi / 2) % 360.0
        times = T0 + at * SECOND + self.phase
        columns = (times.tolist(), lat.tolist(), lon.tolist(), speed.tolist(), heading.tolist(), accel.tolist(), slips.tolist())
        for number, (time, *numbers, slip) in enumerate(zip(*columns, strict=True)):
            name = self.names[number]
            heard[name] = time
            more = ',"abs":1' if slip else ""
            if number == self.wreck:
                more = (',"ev":1' if at - self.crashed < 2 else "") + (',"ab":1' if at - self.crashed < 30 else "")
            values = LINE % tuple(numbers)
            yield Message("v2x", time + DELAY, f'{{"id":"{name}","ts":{time},{values}{more}}}'.encode())

    def _crash(self, at: int) -> None:
        if self.wreck >= 0 and at - self.crashed == WRECK:
            self.until[self.wreck], self.wreck = at, -1  # towed away; another comes
        if (at - self.begin) % CRASH_EVERY == CRASH_EVERY // 2:
            self.wreck, self.crashed = int(self.dice.integers(VEHICLES)), at
            self.until[self.wreck] = at + ROTATION

    def _change(self, number: int) -> None:
        """The same vehicle under another name, or another one."""
        self.names[number] = self._name()
        self.until[number] += ROTATION
        if self.dice.random() < 0.5:
            self.angle[number], self.way[number] = self.dice.uniform(0, 2 * np.pi), self.dice.choice((-1, 1))

    def _charge(self, time: int, vin: str, hot: bool) -> bytes:
        cells = (3.3 + self.dice.uniform(0, 0.01, 24)).tolist()
        return encode.gbt32960_realtime(
            time=time, vin=vin, lat=self.lat, lon=self.lon, speed=0.0, mileage=1000.0, soc=0.6, voltage=80.0, current=0.0,
            insulation=5e6, cells=cells, temperatures=[66.0 if hot else 28.0, 27.0], alarms=2 * hot, alarm_level=3 * hot,
        )  # fmt: skip

    def _measure(self, time: int, name: str, station: int) -> bytes:
        lat, lon = self.lat + METRE * RADIUS * (1 - station / 4), self.lon
        if station == 3:
            fog = time % 3_600_000 < 300_000
            return encode.road_weather(time=time, id=name, lat=lat, lon=lon, visibility=80.0 if fog else 9000.0)
        speed = 22.0 + float(self.dice.normal(0, 1))
        return encode.traffic_sensor(time=time, id=name, lat=lat, lon=lon, heading=90.0, speed=speed, volume=1200.0)

    def _name(self) -> str:
        return f"{self.dice.integers(1 << 32):08x}"

    def _vin(self) -> str:
        return f"LSOAK{self.dice.integers(10**12):012d}"


def centre(place: int) -> tuple[float, float]:
    """Middle of an H3 cell as large as those that a shard owns whole, 55 km from the next place."""
    lat, lon = h3.cell_to_latlng(h3.latlng_to_cell(20.0 + 0.5 * (place % 6), 105.0 + 0.5 * (place // 6), 5))
    return float(lat), float(lon)


def towns(places: int, life: int, alive: int, until: int, seed: int) -> list[Town]:
    """From the start `alive` towns live at any time, each for `life` s; one after the other takes the next of the places."""
    step = life // alive
    return [
        Town(number, number % places, max(begin, 0), min(begin + life, until), seed)
        for number, begin in enumerate(range(step - life, until, step))
    ]


def play(towns: list[Town], seconds: range, heard: dict[str, int]) -> Iterator[list[Message]]:
    """What all say, second by second, in the order of arrival."""
    for at in seconds:
        said = [m for town in towns if town.begin <= at < town.end for m in town.speak(at, heard)]
        said.sort(key=lambda message: message.arrival)
        yield said
