"""Batteries that go wrong: every electric car against its own past and its fleet, with hard safety limits beside the models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors import battery_limits as limits
from detectors import table
from detectors.battery_cells import follow
from detectors.battery_channels import GAP, LOWEST, Floats, measure
from detectors.battery_fleet import BLOCK, CALM, Fleet
from detectors.battery_vehicles import CHANNELS, PEAK_STEP, UNJUDGED, N, Vehicles, at, join
from detectors.compiled import compiled
from detectors.model import BITS, Finding, Frame, Rows
from detectors.table import Names, Slots

JUDGE_EVERY = 10_000  # ms: readings are judged together, for a vehicle sends one each 10 to 30 s and arrays like company
ENOUGH = 500  # readings that are judged at once
# Times the peak that 99 % of sound ten minutes stay under: more where what is no fault comes in bursts, as after a charge, with
# pumps, rain, a gauge set anew or air conditioning.
LIMIT = np.array([2.6, 1.5, 2.0, 1.9, 1.9, 1.5, 1.75, 1.75])
THREE_OF_FIVE = np.array([b.bit_count() >= 3 for b in range(32)])
REPEAT = 10_000  # ms between repetitions while a claim lasts
HOLD = 120_000  # ms after the last evidence for which a claim is repeated: a burning car goes silent
HARD_SCORE = 10.0
RADIUS = 50.0  # m: what a battery fire endangers
HOUR = 3_600_000  # ms between looks for vehicles to forget
ALARMS = (*BITS, "thermal")  # evidence that is not to be lost before it is told
NEVER = -(2**62)  # ms
OBSERVED = ("cell_voltage_max", "cell_voltage_min", "temperature_max", "temperature_min", "insulation", "soc", "current")


@dataclass(slots=True)
class Claim:
    """What is being said of one vehicle for the time being."""

    onset: int
    seen: int  # ms: newest reading that supports it
    told: int  # ms: end of the pane in which it was last said
    lat: float
    lon: float
    score: float
    hard: bool
    evidence: tuple[tuple[str, float], ...]


class BatteryHealth:
    """Finds batteries that behave unlike themselves and unlike their fleet (`battery_anomaly`).

    Eight channels a reading (`battery_channels`) against a slow baseline per vehicle, shrunk to the fleet, or for the lowest
    and highest cell against a line per vehicle (`battery_cells`); smoothed, divided by what sound vehicles reach in ten minutes
    (`battery_fleet`); a claim takes 3 of 5 readings of one channel over LIMIT. The alarm bits of GB/T 32960 and physical limits
    (`battery_limits`) speak for themselves at once, whatever the models think.
    """

    kinds: ClassVar[tuple[str, ...]] = ("battery_anomaly",)

    def __init__(self) -> None:
        self.vehicles = Vehicles()
        self.fleet = Fleet()
        self.claims: dict[int, Claim] = {}
        self.waiting: list[Rows] = []
        self.judged = 0  # ms: end of the pane in which readings were last judged
        self.swept = 0  # ms: when old vehicles were last looked for

    def update(self, frame: Frame) -> list[Finding]:
        rows = frame.readings
        if frame.end - self.swept >= HOUR:
            self.vehicles.forget(frame.end)
            self.swept = frame.end
        if len(rows):
            self._alarms(rows)
            self.waiting.append(rows)
        elif not self.waiting and not self.claims:
            return []
        if self.waiting and (len(rows) >= ENOUGH or frame.end - self.judged >= JUDGE_EVERY):
            self._judge(join(self.waiting))
            self.waiting, self.judged = [], frame.end
        return self._tell(frame.end) if self.claims else []

    def _tell(self, now: int) -> list[Finding]:
        """Findings for claims that are new, have new evidence or were not repeated for a while; old ones are dropped."""
        found = []
        for reporter, claim in sorted(self.claims.items()):
            if now - claim.seen > HOLD:
                del self.claims[reporter]
            elif now - claim.told >= REPEAT:
                claim.told = now
                found.append(
                    Finding(
                        kind="battery_anomaly",
                        time=now,
                        onset=min(claim.onset, now),
                        lat=claim.lat,
                        lon=claim.lon,
                        heading=float("nan"),
                        radius=RADIUS,
                        score=claim.score,
                        reporters=frozenset((reporter,)),
                        evidence=claim.evidence,
                    )
                )
        return found

    def _alarms(self, rows: Rows) -> None:
        """The pane's alarm bits: no baseline, no waiting."""
        alarming = limits.alarming(rows)
        if alarming.any():
            rows = rows[alarming]
            slots = self.vehicles.find(rows["reporter"])
            for row, slot in zip(rows, slots, strict=True):
                lat, lon = float(row["lat"]), float(row["lon"])
                if np.isnan(lat + lon) and slot >= 0:
                    lat, lon = float(self.vehicles.table["lat"][slot]), float(self.vehicles.table["lon"][slot])
                numbers = {"alarm_bits": float(row["alarms"])} if row["alarms"] != limits.INVALID else {}
                if row["alarm_level"] != limits.NOT_GIVEN:
                    numbers["alarm_level"] = float(row["alarm_level"])
                heat = bool(limits.thermal(row.reshape(1))[0])
                self._claim(row, lat, lon, int(row["time"]), HARD_SCORE, True, heat, numbers)

    def _claim(
        self, row: Rows, lat: float, lon: float, onset: int, score: float, hard: bool, heat: bool, numbers: dict[str, float]
    ) -> None:
        for name in OBSERVED:
            if not np.isnan(row[name]):
                numbers[name] = round(float(row[name]), 3)
        if hard:
            numbers["hard_limit"] = 1.0
        if heat:
            numbers["thermal"] = 1.0
        reporter, time = int(row["reporter"]), int(row["time"])
        before = self.claims.get(reporter)
        told = before.told if before else NEVER
        if before:
            onset = min(onset, before.onset)
            if before.hard and not hard and time - before.seen < HOLD:
                score, hard = before.score, True  # a hard limit outranks the models while it lasts
                numbers = {**numbers, **dict(before.evidence)}
            if before.seen >= before.told:  # what was not told yet is not forgotten either
                numbers |= {name: _both(numbers.get(name, 0.0), value) for name, value in before.evidence if name in ALARMS}
            if hard != before.hard or _rings(numbers, dict(before.evidence)):
                told = NEVER
        evidence = tuple(sorted(numbers.items()))
        seen = max(time, before.seen) if before else time
        self.claims[reporter] = Claim(onset, seen, told, lat, lon, score, hard, evidence)

    def _judge(self, rows: Rows) -> None:
        """Judge readings, in order of time; each vehicle's first together, then each one's second, and so on."""
        turn, seen = np.empty(len(rows), np.int64), np.zeros(len(rows), np.int64)
        turns = _take_turns(rows["reporter"].copy(), table.unheld(len(rows)), seen, turn)
        slots = self.vehicles.admit(rows["reporter"])
        for k in range(turns):
            mine = turn == k
            self._round(*((rows, slots) if mine.all() else (at(rows, mine), slots[mine])))

    def _round(self, rows: Rows, slots: NDArray[np.int32]) -> None:
        cars = at(self.vehicles.table, slots)
        newer = rows["time"] > cars["time"]
        if not newer.all():
            rows, slots, cars = at(rows, newer), slots[newer], at(cars, newer)
            if not len(rows):
                return
        seconds = np.where(cars["time"] == 0, 2 * GAP, (rows["time"] - cars["time"]) / 1000.0)
        passed, ended = np.zeros(len(rows), np.uint8), np.zeros(len(rows), np.bool_)
        _begin(rows, cars, seconds, passed, ended)
        if ended.any():
            self._end_blocks(cars, ended)
        seen = measure(rows, cars, seconds, self.fleet.doubt)
        scores, pull = self.fleet.judge(seen.x, seen.noise, cars, seen.blur)
        certain = passed & cars["limits"]
        cars["limits"], cars["time"] = passed | (cars["limits"] & limits.unsaid(rows)), rows["time"]
        accused = certain != 0
        _count_hits(cars, scores, accused)
        self.fleet.learn(seen.x, seen.noise, seen.bins, cars)
        _follow(cars, seen.line, seen.weight, pull)
        self.vehicles.put(slots, cars)
        self._resolve(rows, passed)
        for k in np.flatnonzero(accused):
            self._accuse(rows[k], cars[k], seen.x[k], scores[k], int(certain[k]), float(seconds[k]))

    def _resolve(self, rows: Rows, passed: NDArray[np.uint8]) -> None:
        """A newer reading that takes back what was said ends a hard claim that was told; the models, or the next alarm, may
        begin another. What it is silent of it does not take back."""
        if not self.claims:
            return
        accused = np.isin(rows["reporter"], np.fromiter(self.claims, np.uint64, len(self.claims)))
        for row in rows[accused & ~limits.alarming(rows) & (passed == 0)]:
            claim, alone = self.claims[int(row["reporter"])], row.reshape(1)
            said = dict(claim.evidence)
            if int(said.get("limits_passed", 0.0)) & int(limits.unsaid(alone)[0]):
                continue
            if ("alarm_bits" in said or "alarm_level" in said) and not limits.filled(alone)[0]:
                continue
            if claim.hard and row["time"] > claim.seen and claim.told != NEVER:
                del self.claims[int(row["reporter"])]

    def _end_blocks(self, cars: Rows, ended: NDArray[np.bool_]) -> None:
        """Close blocks of ten minutes, and calibrate on those of calm vehicles."""
        peaks = np.where(cars["peak"][ended] == UNJUDGED, -np.inf, cars["peak"][ended] * PEAK_STEP)
        seen = cars["time"][ended] != 0
        recent = np.where(seen, np.max(peaks / self.fleet.scale, axis=1, initial=0.0), 0.0)
        self.fleet.calibrate(peaks[seen & (recent < CALM) & (cars["recent"][ended] < CALM)])
        cars["recent"][ended] = recent
        cars["peak"][ended] = UNJUDGED

    def _accuse(self, row: Rows, car: Rows, x: Rows, scores: Rows, certain: int, seconds: float) -> None:
        """Turn one reading's scores or passed limits into a claim with its numbers."""
        numbers: dict[str, float] = {}
        for name, value, score, hits, limit in zip(CHANNELS, x, scores, car["hits"], LIMIT, strict=True):
            if THREE_OF_FIVE[hits] and score > limit:
                numbers[name] = round(float(score), 2)
                numbers[f"{name}_value"] = round(float(value), 3)
        heat = bool(certain & (limits.HOT | limits.RUNAWAY))
        if certain:
            numbers["limits_passed"] = float(certain)
        score = HARD_SCORE if certain else round(max((numbers[n] for n in CHANNELS if n in numbers), default=0.0), 2)
        oldest = max((int(h).bit_length() for h in car["hits"][THREE_OF_FIVE[car["hits"]]]), default=1) - 1
        onset = int(row["time"] - oldest * min(seconds, GAP) * 1000.0)
        self._claim(row, float(car["lat"]), float(car["lon"]), onset, score, certain != 0, heat, numbers)


def _both(one: float, other: float) -> float:
    """All bits that are set in one of two numbers."""
    return float(int(one) | int(other))


def _rings(numbers: dict[str, float], before: dict[str, float]) -> bool:
    """Whether an alarm is among the numbers that was not before."""
    return any(int(numbers.get(name, 0.0)) & ~int(before.get(name, 0.0)) for name in ALARMS)


@compiled
def _take_turns(
    reporters: NDArray[np.uint64],
    unheld: tuple[Names, Slots, NDArray[np.int64]],
    seen: NDArray[np.int64],
    turn: NDArray[np.int64],
) -> int:
    """Number the readings of each vehicle from 0 on; how many the one with the most of them has."""
    names, slots, size = unheld
    most = 0
    for i in range(len(reporters)):
        vehicle = table.claim(slots, names, size, reporters[i])
        turn[i] = seen[vehicle]
        seen[vehicle] += 1
        most = max(most, seen[vehicle])
    return int(most)


@compiled
def _begin(rows: Rows, cars: Rows, seconds: Floats, passed: NDArray[np.uint8], ended: NDArray[np.bool_]) -> None:
    """Where each car is, the physical limits that its reading passes, and whether its insulation was ever seen to be sound.

    And whether it is the first of a block of ten minutes, which begin at each vehicle's own offset.
    """
    for i in range(len(rows)):
        row, car = rows[i], cars[i]
        offset = np.int64(row["reporter"] % np.uint64(BLOCK))
        ended[i] = (row["time"] + offset) // BLOCK != (car["time"] + offset) // BLOCK
        if not math.isnan(row["lat"] + row["lon"]):
            car["lat"], car["lon"] = row["lat"], row["lon"]
        passed[i] = limits.passed(row, car, seconds[i])
        if np.float64(row["insulation"]) > limits.SOUND * np.float64(row["voltage"]):
            car["sound"] = 1
        car["off_scale"] = limits.off_scale(row, car, seconds[i])


@compiled
def _count_hits(cars: Rows, scores: Floats, accused: NDArray[np.bool_]) -> None:
    """Note which channels are over LIMIT, and accuse whoever is so for the third of five times."""
    for i in range(len(cars)):
        car = cars[i]
        for c in range(N):
            if math.isnan(scores[i, c]):
                continue
            over = scores[i, c] > LIMIT[c]
            hits = ((np.int64(car["hits"][c]) << 1) & 31) | over
            car["hits"][c] = hits
            if over and THREE_OF_FIVE[hits]:
                accused[i] = True


@compiled
def _follow(cars: Rows, line: Floats, weight: Floats, pull: Floats) -> None:
    for i in range(len(cars)):
        follow(cars[i], (line[i, 0], line[i, 1], line[i, 2]), weight[i], pull[i, LOWEST:], LOWEST)
