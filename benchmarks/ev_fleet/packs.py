"""Driving, parking and charging of every car, and the packs behind them: one step of ten seconds moves the whole fleet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.ev_fleet.cells import CELL_MASS, LFP, SPECIFIC_HEAT, open_circuit, resistance
from benchmarks.ev_fleet.faults import Fault
from benchmarks.ev_fleet.fleet import CELLS, DRIVING, FAST_CHARGE, MODULES, PARKED, SLOW_CHARGE, Cars, Weather

STEP = 10  # s
ELECTRIC = ("loose_connection", "soc_fault", "current_offset", "stuck_voltage")  # faults that begin while driving
PER_MODULE = CELLS // MODULES


class Packs:
    """State of every pack, and what one step of STEP seconds does to it."""

    def __init__(self, cars: Cars, weather: Weather, faults: Sequence[Fault], start: int, rng: np.random.Generator) -> None:
        count = len(cars.vins)
        self.cars, self.weather, self.faults, self.start, self.rng = cars, weather, list(faults), start, rng
        empty = 1.0 - rng.uniform(0.35, 0.95, count)[:, None]  # packs are balanced when full: what differs shows further down
        self.soc = 1.0 - empty * cars.capacity[:, None] / cars.cell_capacity + cars.imbalance
        self.celsius = np.full((count, MODULES), weather.air(0.0)) + rng.uniform(0, 8, (count, 1))
        self.polarisation = np.zeros(count)  # A that the slow part of the resistance feels
        self.gauge = self.soc.mean(axis=1) + rng.normal(0.0, 0.01, count)
        self.lag = rng.uniform(0.0, 1.0, count)
        self.doing = rng.choice([PARKED, DRIVING, SLOW_CHARGE, FAST_CHARGE], count, p=[0.15, 0.6, 0.15, 0.1])
        self.left = rng.integers(10, 200, count)  # steps until something else is done
        self.stopped = np.zeros(count, np.int64)  # steps of a stop in traffic that are left
        self.speed = np.zeros(count)
        self.acceleration = np.zeros(count)
        self.place = cars.place.copy()
        self.mileage = rng.uniform(2e3, 2e5, count)
        self.rate = rng.uniform(0.7, 1.3, count)  # C-rate of fast charging
        self.until = rng.uniform(0.8, 1.0, count)  # state of charge at which a charge ends
        self.throttle = np.ones(count)
        self.comfort = rng.uniform(0.0, 1500.0, count)  # W of heating or air conditioning
        self.current = np.zeros(count)
        self.cell_voltage = open_circuit(self.soc, cars.chemistry)
        self.balancing = np.zeros(count)  # V by which bleeding lowers the lowest measured cell

    def step(self, now: int) -> None:
        """Move the world on by STEP seconds to `now`, ms."""
        self._decide()
        self._drive()
        self._begin(now)
        self._electric(now)

    def _begin(self, now: int) -> None:
        """Faults whose time has come wait for a car that reports, those of the electric path for one that drives."""
        for k, fault in enumerate(self.faults):
            if fault.onset == now:
                doing = self.doing[fault.vehicle]
                silent = doing == PARKED and not self.cars.reports_parked[fault.vehicle]
                if silent or (fault.kind in ELECTRIC and doing != DRIVING):
                    self.faults[k] = replace(fault, onset=now + STEP * 1000)

    def _decide(self) -> None:
        rng, charge = self.rng, self.soc.mean(axis=1)
        self.left -= 1
        charging = self.doing >= SLOW_CHARGE
        over = (self.left <= 0) | (charging & (charge >= self.until)) | ((self.doing == DRIVING) & (charge < 0.08))
        pick = np.flatnonzero(over)
        if not pick.size:
            return
        low = charge[pick] < rng.uniform(0.15, 0.45, pick.size)
        was_driving = self.doing[pick] == DRIVING
        fast = rng.random(pick.size) < 0.55
        rest = np.where(was_driving & (rng.random(pick.size) < 0.6), PARKED, DRIVING)
        nxt = np.where(low, np.where(fast, FAST_CHARGE, SLOW_CHARGE), rest)
        self.doing[pick] = nxt
        self.left[pick] = np.select(
            [nxt == DRIVING, nxt == PARKED], [rng.integers(60, 420, pick.size), rng.integers(30, 240, pick.size)], 2000
        )
        self.rate[pick] = rng.uniform(0.7, 1.3, pick.size)
        self.until[pick] = rng.uniform(0.8, 1.0, pick.size)

    def _drive(self) -> None:
        rng, cars = self.rng, self.cars
        driving = self.doing == DRIVING
        begin = driving & (self.stopped == 0) & (rng.random(driving.size) < cars.hurry)
        self.stopped = np.where(begin, rng.integers(2, 10, driving.size), np.maximum(self.stopped - 1, 0))
        wish = np.where(driving & (self.stopped == 0), cars.cruise * np.exp(rng.normal(0, 0.12, driving.size)), 0.0)
        change = np.clip(wish - self.speed, -18.0, 12.0) * np.where(wish > 0, 0.6, 1.0)
        change = np.where(driving, change, -self.speed)
        self.acceleration = change / STEP
        self.speed = np.where(self.speed + change < 0.5, 0.0, self.speed + change)
        self.place += self.speed * STEP
        self.mileage += self.speed * STEP / 1000.0

    def _electric(self, now: int) -> None:
        rng, cars = self.rng, self.cars
        hours = (now - self.start) / 3.6e6
        pack = np.maximum(self.cell_voltage.sum(axis=1), 100.0)
        charge = self.soc.mean(axis=1)
        v = self.speed
        force = cars.mass * (self.acceleration * 0.5 + 0.11) + 0.6 * cars.drag * v * v  # 0.11 = 9.81 x 0.011 rolling
        power = np.where(force > 0, force * v / 0.88, np.maximum(force * v * 0.6, -50e3))
        driving = self.doing == DRIVING
        self.comfort = np.abs(self.comfort + rng.normal(0.0, 250.0, v.size)) * 0.99
        current = np.where(driving, (power + cars.aux + self.comfort) / pack, np.where(self.doing == PARKED, 0.3, 0.0))
        taper = np.clip((1.01 - charge) / 0.22, 0.06, 1.0)
        current = np.where(self.doing == FAST_CHARGE, -cars.capacity * self.rate * taper, current)
        current = np.where(self.doing == SLOW_CHARGE, -cars.capacity * 0.11 * np.clip(taper * 3, 0.2, 1.0), current)
        jitter = np.where(driving & (v > 0), rng.normal(0.0, 1.0, v.size) * (4.0 + 0.15 * np.abs(current)), 0.0)
        ceiling = np.where(cars.chemistry == LFP, 3.62, 4.20)  # V: chargers hold the highest cell here and let the current fall
        room = np.clip((ceiling - self.cell_voltage.max(axis=1)) / 0.04, 0.0, 1.0)
        self.throttle = np.where(self.doing >= SLOW_CHARGE, np.clip(self.throttle + 0.3 * (room - 0.5), 0.05, 1.0), 1.0)
        current = np.where(current < 0, current * np.where(driving, 1.0, self.throttle), current)
        self.current = current + jitter

        factor = resistance(self.soc, np.repeat(self.celsius, PER_MODULE, axis=1))
        ohms = cars.base_resistance * factor
        leak = np.zeros_like(self.soc)
        heat_extra = np.zeros_like(self.celsius)
        for f in self.faults:
            share = f.share(now)
            if share <= 0.0:
                continue
            if f.kind == "internal_short":
                leak[f.vehicle, f.place] = f.severity * share
                heat_extra[f.vehicle, f.place // PER_MODULE] += 3.6 * f.severity * share  # W
            elif f.kind == "loose_connection":
                ohms[f.vehicle, f.place] += f.severity * share * float(rng.uniform(0.7, 1.0))
            elif f.kind == "thermal_precursor":
                module = PER_MODULE * CELL_MASS[cars.chemistry[f.vehicle]] * SPECIFIC_HEAT * cars.capacity[f.vehicle] / 150.0
                heat_extra[f.vehicle, f.place // PER_MODULE] += f.severity * share * module / 60.0
            elif f.kind == "weak_cell":
                before = f.share(now - STEP * 1000)
                self.soc[f.vehicle, f.place] -= f.severity * (share - before)

        drawn = current[:, None] + leak
        self.soc -= drawn * (STEP / 3600.0) / cars.cell_capacity
        self.gauge -= current * cars.gauge_gain * (STEP / 3600.0) / cars.capacity
        full = cars.recalibrates & (charge > 0.96) & (self.doing >= SLOW_CHARGE)
        self.gauge = np.clip(np.where(full, np.maximum(self.gauge, 1.0), self.gauge), 0.0, 1.0)
        self.polarisation += (current - self.polarisation) * (1.0 - np.exp(-STEP / 60.0))
        self.cell_voltage = (
            open_circuit(self.soc, cars.chemistry)
            - (self.current[:, None] + leak) * ohms * 0.7
            - self.polarisation[:, None] * cars.base_resistance * factor * 0.3
        )
        bleeding = cars.balances & (self.doing >= SLOW_CHARGE) & (charge > 0.85) & (int(hours * 3600) // 120 % 2 == 0)
        self.balancing = np.where(bleeding, np.where(cars.chemistry == LFP, 0.03, 0.05), 0.0)

        losses = (drawn * drawn + np.square(jitter)[:, None]) * ohms
        heat = losses.reshape(len(v), MODULES, PER_MODULE).sum(axis=2) + heat_extra
        air = self.weather.air(hours)
        hottest = self.celsius.max(axis=1)
        cooled = (hottest > 32.0) | (self.doing == FAST_CHARGE)
        through = np.where(cooled, 14.0, 1.0)  # W/K a module
        coolant = np.where(cooled, max(min(air, 24.0), 18.0), air)
        mass = (PER_MODULE * CELL_MASS[cars.chemistry] * SPECIFIC_HEAT * cars.capacity / 150.0)[:, None]
        outflow = through[:, None] * cars.transfer * (self.celsius - coolant[:, None])
        neighbours = np.zeros_like(self.celsius)
        flow = 2.0 * np.diff(self.celsius, axis=1)  # W/K between modules
        neighbours[:, :-1] += flow
        neighbours[:, 1:] -= flow
        self.celsius += (heat - outflow + neighbours) * STEP / mass
