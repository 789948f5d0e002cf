"""Traffic by the row, made where it is read: any number of road cells, of vehicles or of electric cars, at one rate of rows.

Messages are one real message each with its figures written over, column by column in numpy, which costs 1 us a message.
Every second has the same number of rows, in the order of the event time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import h3.api.basic_int as h3
import numpy as np
from numpy.typing import NDArray

from dataflows.formats import encode
from detectors.geometry import M_PER_DEGREE

START = 1_741_073_400_000  # ms: 2025-03-04 07:30 UTC
TOWNS = 256  # parents, scattered so that every shard has some whatever the number of cells
SPEED = 15.0  # m/s
RING = 60.0  # m: radius on which it drives round
VIN = b"RWX00000000000000"
OBSERVATION = (
    b'{"id":"00000000","ts":0000000000000,"rx":0000000000000,"lat":00.000000,"lon":000.000000,'
    b'"v":00.00,"hdg":0.000e2,"ax":-0.00}'
)

Numbers = NDArray[np.int64]
Octets = NDArray[np.uint8]


def towns(cells: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Latitude and longitude of the middles of so many road cells, round the centres of TOWNS towns 0.35 degrees apart."""
    side, each = int(TOWNS**0.5), -(-cells // TOWNS)
    lat, lon = [], []
    for number in range(TOWNS):
        centre = h3.latlng_to_cell(24.0 + 0.35 * (number // side), 105.0 + 0.35 * (number % side), 5)
        middle = h3.cell_to_center_child(centre, 9)
        near = sorted(h3.grid_disk(middle, 12))[:: max(1, 469 // each)][:each]
        for cell in near:
            at = h3.cell_to_latlng(cell)
            lat.append(at[0])
            lon.append(at[1])
    return np.array(lat)[:cells], np.array(lon)[:cells]


@dataclass(frozen=True)
class Vehicles:
    """`rate` vehicles at a time on the towns' roads, each for `stay` seconds, once a second, in one of `cells` road cells.

    Each crosses its cell on a straight road, or drives `round` in it, so that one that stays longer needs no more road.
    """

    rate: int
    cells: int
    stay: int = 5
    round: bool = False

    def seconds(self, count: int) -> Iterator[list[bytes]]:
        lat, lon = towns(self.cells)
        dice = np.random.default_rng(1)
        slot = np.arange(self.rate)
        pace = SPEED + dice.normal(0.0, 1.5, self.rate)
        lane = 3.5 * dice.integers(0, 2, self.rate) - 1.75  # m
        for second in range(count):
            phase = second + slot % self.stay  # they do not all change at once
            name = phase // self.stay * self.rate + slot
            cell = (name * 7919) % self.cells
            if self.round:
                turned = pace / RING * second + slot
                heading = np.degrees(turned) + 90.0
                north, east = (RING + lane) * np.cos(turned), (RING + lane) * np.sin(turned)
            else:
                driven = pace * (phase % self.stay - self.stay / 2.0)
                heading = cell * 37 % 360.0
                angle = np.radians(heading)
                north, east = driven * np.cos(angle) - lane * np.sin(angle), driven * np.sin(angle) + lane * np.cos(angle)
            speed = np.clip(pace + dice.normal(0.0, 0.2, self.rate), 10.0, 40.0)
            time = START + second * 1000 + slot * 1000 // self.rate
            rows = np.tile(np.frombuffer(OBSERVATION, np.uint8), (self.rate, 1))
            _write(rows, 7, 8, name)
            _write(rows, 22, 13, time)
            _write(rows, 41, 13, time + 40)
            _decimal(rows, 61, 2, 6, lat[cell] + north / M_PER_DEGREE)
            _decimal(rows, 77, 3, 6, lon[cell] + east / M_PER_DEGREE / np.cos(np.radians(lat[cell])))
            _decimal(rows, 92, 2, 2, speed)
            _decimal(rows, 104, 1, 3, heading % 360.0 / 100.0)
            _decimal(rows, 118, 1, 2, np.abs(dice.normal(0.0, 0.3, self.rate)).clip(0.0, 3.0))
            yield _cut(rows)


@dataclass(frozen=True)
class Cars:
    """`cars` electric cars in GB/T 32960, `rate` of which report each second, one after the other."""

    rate: int
    cars: int

    def seconds(self, count: int) -> Iterator[list[bytes]]:
        dice = np.random.default_rng(1)
        for second in range(count):
            name = (second * self.rate + np.arange(self.rate)) % self.cars
            volts = np.array([3.90, 3.91, 3.90, 3.92])
            one = encode.gbt32960_realtime(
                time=START + second * 1000, vin=VIN.decode(), lat=24.0, lon=105.0, speed=SPEED, mileage=30_000.0 + second / 60,
                soc=0.6, voltage=375.0, current=20.0, insulation=5e6, cells=volts.tolist(), temperatures=[25, 26],
                motor_temperature=55.0,
            )  # fmt: skip
            rows = np.tile(np.frombuffer(one, np.uint8), (self.rate, 1))
            _write(rows, one.index(VIN) + 9, 8, name)
            cells = one.index(bytes((0x0F, 0x3C, 0x0F, 0x46)))  # 3.900 V and 3.910 V in mV: each car's own differ a little
            rows[:, cells + 1] += dice.integers(0, 4, self.rate).astype(np.uint8)
            rows[:, -1] = np.bitwise_xor.reduce(rows[:, 2:-1], axis=1)
            yield _cut(rows)


def _write(rows: Octets, at: int, digits: int, numbers: Numbers) -> None:
    """Decimal digits, with zeros in front, from column `at` on."""
    for place in range(digits):
        rows[:, at + digits - 1 - place] = 48 + numbers // 10**place % 10


def _decimal(rows: Octets, at: int, whole: int, digits: int, values: NDArray[np.float64]) -> None:
    numbers = np.rint(values * 10**digits).astype(np.int64)
    _write(rows, at, whole, numbers // 10**digits)
    _write(rows, at + whole + 1, digits, numbers % 10**digits)


def _cut(rows: Octets) -> list[bytes]:
    whole, length = rows.tobytes(), rows.shape[1]
    return [whole[start : start + length] for start in range(0, len(whole), length)]
