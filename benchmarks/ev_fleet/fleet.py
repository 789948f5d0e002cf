"""A fleet as drawn from a seed: what differs from car to car, and the weather that all of them share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.ev_fleet.cells import LFP, NMC, R_REFERENCE

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELLS = 96  # in series, in MODULES modules with one temperature sensor each
MODULES = 8
PARKED, DRIVING, SLOW_CHARGE, FAST_CHARGE = 0, 1, 2, 3
ROUTE = ((22.5403, 114.0611), (22.5620, 114.1330))  # latitude, longitude of its ends; 7.8 km, driven to and fro
VIN_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"  # ISO 3779: no I, O, Q


def vin(seed: int, vehicle: int) -> str:
    """A made-up 17-character VIN; RW is no manufacturer's code."""
    digest = hashlib.blake2b(f"{seed}/{vehicle}".encode(), digest_size=12).digest()
    return "RWX" + "".join(VIN_LETTERS[b % len(VIN_LETTERS)] for b in digest) + f"{vehicle % 100:02d}"


def reporter(identity: str) -> int:
    """Stands for the keyed hash that the decoder would give."""
    return int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class Cars:
    """Constants of every car, arrays of shape (vehicles,) unless said otherwise."""

    vins: tuple[str, ...]
    reporters: NDArray[np.uint64]
    chemistry: NDArray[np.int64]
    capacity: Floats  # Ah
    mass: Floats  # kg
    drag: Floats  # m2, Cd A
    aux: Floats  # W
    base_resistance: Floats  # (vehicles, CELLS) ohm
    cell_capacity: Floats  # (vehicles, CELLS) Ah
    imbalance: Floats  # (vehicles, CELLS) of state of charge
    sensor_offset: Floats  # (vehicles, MODULES) K
    transfer: Floats  # (vehicles, MODULES) factor on the heat transfer
    step_voltage: Floats  # V, resolution of the cell voltages
    period: NDArray[np.int64]  # s between reports
    offset: NDArray[np.int64]  # s, phase of the reports
    insulation: Floats  # ohm, in dry air
    insulation_noise: Floats  # of its natural log
    gauge_gain: Floats  # of the coulomb counter in the battery management system
    missing: Floats  # chance that a field of a report is missing
    no_insulation: Flags
    no_mean: Flags
    reports_parked: Flags
    balances: Flags  # bleeds its highest cells near the end of a charge, which shows in the voltages
    recalibrates: Flags  # sets the state of charge anew when full
    cruise: Floats  # m/s
    hurry: Floats  # chance per stop in traffic
    place: Floats  # m along the route at the start


def draw_cars(rng: np.random.Generator, seed: int, count: int) -> Cars:
    """The cars of one seed; cells differ by some percent in resistance and one in capacity, more with age."""
    vins = tuple(vin(seed, k) for k in range(count))
    chemistry = rng.choice([NMC, LFP], count, p=[0.5, 0.5])
    capacity = np.where(chemistry == NMC, rng.uniform(110, 220, count), rng.uniform(110, 280, count))
    age = rng.uniform(0.0, 1.0, count)
    resistance = R_REFERENCE[chemistry] * 150.0 / capacity * (1.0 + 0.6 * age)
    wobble = rng.standard_normal((3, count, CELLS))
    return Cars(
        vins=vins,
        reporters=np.array([reporter(v) for v in vins], np.uint64),
        chemistry=chemistry,
        capacity=capacity,
        mass=rng.uniform(1500, 2600, count),
        drag=rng.uniform(0.55, 0.85, count),
        aux=rng.uniform(300, 2500, count),
        base_resistance=resistance[:, None] * np.exp((0.02 + 0.05 * age)[:, None] * wobble[0]),
        cell_capacity=capacity[:, None] * (1.0 + (0.003 + 0.009 * age)[:, None] * wobble[1]),
        imbalance=(0.001 + 0.005 * age * rng.uniform(0.3, 1.0, count))[:, None] * wobble[2],
        sensor_offset=rng.normal(0.0, 0.4, (count, MODULES)),
        transfer=np.exp(rng.normal(0.0, 0.15, (count, MODULES))),
        step_voltage=rng.choice([0.001, 0.005, 0.01], count, p=[0.7, 0.1, 0.2]),
        period=rng.choice([10, 30], count, p=[0.7, 0.3]),
        offset=rng.integers(0, 30, count),
        insulation=np.exp(rng.normal(np.log(8e6), 0.9, count)),
        insulation_noise=rng.uniform(0.03, 0.2, count),
        gauge_gain=rng.normal(1.0, 0.02, count),
        missing=np.where(rng.random(count) < 0.3, rng.uniform(0.0, 0.03, count), 0.0),
        no_insulation=rng.random(count) < 0.08,
        no_mean=rng.random(count) < 0.3,
        reports_parked=rng.random(count) < 0.3,
        balances=rng.random(count) < 0.25,
        recalibrates=rng.random(count) < 0.4,
        cruise=rng.uniform(8.0, 28.0, count),
        hurry=rng.uniform(0.01, 0.08, count),
        place=rng.uniform(0.0, 50_000.0, count),
    )


@dataclass(frozen=True, slots=True)
class Weather:
    """Air temperature and humidity over the hours: insulation falls for every car when it rains, and that is no fault."""

    mean: float  # degrees Celsius
    swing: float  # K
    rain_at: float  # h after the start
    rain_hours: float
    dampness: float  # natural log by which the insulation falls at the height of the rain

    def air(self, hours: float) -> float:
        return self.mean + self.swing * float(np.sin(2.0 * np.pi * (hours - 3.0) / 24.0))

    def damp(self, hours: float, lag: Floats) -> Floats:
        """Fall of log insulation per vehicle, each with its own lag in hours."""
        since = hours - self.rain_at - lag
        rising = 1.0 / (1.0 + np.exp(-4.0 * since))
        falling = 1.0 / (1.0 + np.exp(-3.0 * (since - self.rain_hours)))
        return np.asarray(self.dampness * (rising - falling))


def draw_weather(rng: np.random.Generator) -> Weather:
    return Weather(
        rng.uniform(8, 28), rng.uniform(2, 6), rng.uniform(1, 9), rng.uniform(1, 4), rng.choice([0.0, 0.3, 0.6, 0.9])
    )
