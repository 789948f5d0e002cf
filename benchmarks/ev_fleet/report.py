"""What a car's telemetry box makes of its pack: rounded as GB/T 32960 rounds, with gaps, sensor faults and alarm bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.ev_fleet.cells import LFP
from benchmarks.ev_fleet.fleet import DRIVING, PARKED, ROUTE, SLOW_CHARGE, Floats
from detectors.model import READING, Rows

if TYPE_CHECKING:
    from benchmarks.ev_fleet.packs import Packs

GAPS = ("soc", "insulation", "cell_voltage_max", "cell_voltage_min", "temperature_max", "temperature_min", "current", "lat")


def readings(packs: Packs, now: int, frozen: dict[int, Rows]) -> Rows:
    """READING rows of the cars that report in the step that ends at `now`; `frozen` keeps what a stuck sensor repeats."""
    cars, rng = packs.cars, packs.rng
    count = len(cars.vins)
    due = (now // 1000 // 10) % (cars.period // 10) == cars.offset // 10 % (cars.period // 10)
    awake = (packs.doing != PARKED) | cars.reports_parked
    missing = rng.random((len(GAPS), count)) < cars.missing
    noise = rng.standard_normal((3, count))
    rows = np.zeros(count, READING)
    rows["time"] = now + cars.offset % 10 * 1000
    rows["reporter"] = cars.reporters
    rows["speed"] = np.round(packs.speed * 3.6, 1) / 3.6
    rows["mileage"] = np.round(packs.mileage, 1)
    rows["soc"] = np.round(packs.gauge, 2)
    rows["current"] = np.round(packs.current + 0.2 * noise[0], 1)
    voltage = np.round(packs.cell_voltage / cars.step_voltage[:, None]) * cars.step_voltage[:, None]
    rows["voltage"] = np.round(packs.cell_voltage.sum(axis=1) + 0.1 * noise[1], 1)
    rows["cell_voltage_max"] = voltage.max(axis=1)
    low = np.min(packs.cell_voltage, axis=1) - packs.balancing
    rows["cell_voltage_min"] = np.round(low / cars.step_voltage) * cars.step_voltage
    rows["cell_voltage_mean"] = np.where(cars.no_mean, np.nan, voltage.mean(axis=1))
    felt = np.round(packs.celsius + cars.sensor_offset)
    rows["temperature_max"], rows["temperature_min"] = felt.max(axis=1), felt.min(axis=1)
    rows["motor_temperature"] = np.round(30.0 + packs.speed * 1.2)
    rows["state"] = np.where(packs.doing == DRIVING, 1, 2)
    rows["charging"] = np.where(packs.doing >= SLOW_CHARGE, 1, 3)
    rows["insulation"] = _insulation(packs, now, noise[2])
    rows["lat"], rows["lon"] = _position(packs.place)
    _sensor_faults(packs, now, rows, frozen)
    for name, gone in zip(GAPS, missing, strict=True):
        rows[name][gone] = np.nan
    rows["lon"][np.isnan(rows["lat"])] = np.nan
    rows["insulation"][cars.no_insulation] = np.nan
    _alarms(rows, cars.chemistry == LFP)
    return np.asarray(rows[due & awake])


def _insulation(packs: Packs, now: int, noise: Floats) -> Floats:
    cars = packs.cars
    log = np.log(cars.insulation) - packs.weather.damp((now - packs.start) / 3.6e6, packs.lag)
    for fault in packs.faults:
        if fault.kind == "insulation_loss":
            log[fault.vehicle] -= fault.severity * fault.share(now)
    ohms = np.exp(log + cars.insulation_noise * noise)
    return np.asarray(np.round(np.clip(ohms, 0.0, 60e6) / 1000.0) * 1000.0)


def _position(place: Floats) -> tuple[Floats, Floats]:
    (lat0, lon0), (lat1, lon1) = ROUTE
    share = np.abs((place / 7800.0) % 2.0 - 1.0)  # to and fro
    return np.round(lat0 + (lat1 - lat0) * share, 6), np.round(lon0 + (lon1 - lon0) * share, 6)


def _sensor_faults(packs: Packs, now: int, rows: Rows, frozen: dict[int, Rows]) -> None:
    for fault in packs.faults:
        share, car = fault.share(now), fault.vehicle
        if share <= 0.0:
            continue
        if fault.kind == "soc_fault":
            jumped = float(rows["soc"][car]) + fault.sign * fault.severity * share
            if not 0.0 <= jumped <= 1.0:
                jumped = float(rows["soc"][car]) - fault.sign * fault.severity * share
            rows["soc"][car] = np.round(jumped, 2)
        elif fault.kind == "current_offset":
            rows["current"][car] += np.round(fault.sign * fault.severity * share, 1)
        elif fault.kind == "stuck_voltage":
            kept = frozen.setdefault(car, rows[car : car + 1].copy())
            for name in ("voltage", "cell_voltage_max", "cell_voltage_min", "cell_voltage_mean"):
                rows[name][car] = kept[name][0]


def _alarms(rows: Rows, lfp: np.ndarray) -> None:
    """Alarm bits and level as a battery management system would set them (limits usual for it, not given by the standard)."""
    spread = rows["cell_voltage_max"] - rows["cell_voltage_min"]
    bits = (
        (0, rows["temperature_max"] - rows["temperature_min"] > 15, 1),
        (1, rows["temperature_max"] > 58, 3),
        (4, rows["soc"] < 0.15, 1),
        (5, rows["cell_voltage_max"] > np.where(lfp, 3.80, 4.30), 3),
        (6, rows["cell_voltage_min"] < np.where(lfp, 2.20, 2.60), 3),
        (10, spread > 0.35, 1),
        (11, rows["insulation"] < 500.0 * rows["voltage"], 2),
    )
    for bit, on, level in bits:
        rows["alarms"] |= np.where(on, np.uint32(1 << bit), np.uint32(0))
        rows["alarm_level"] = np.maximum(rows["alarm_level"], np.where(on, level, 0)).astype(np.uint8)
