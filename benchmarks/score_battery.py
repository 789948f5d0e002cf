"""How well batteries that go wrong are found: seeded fleets with injected faults, against fixed thresholds."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.ev_fleet import KINDS, Recording, simulate
from detectors.battery import BatteryHealth
from detectors.battery_limits import alarming
from detectors.model import OBSERVATION, SENSOR, Frame, Rows

TUNED_ON = (1, 2, 3, 11, 12)  # seeds looked at while thresholds were chosen
FRESH = (301, 302, 303)  # never looked at before the thresholds stood
PANE = 1000  # ms
PATIENCE = 2 * 3_600_000  # ms after onset in which a fault may be found
SEPARATE = 600_000  # ms: claims on one vehicle further apart than this are two alarms


def frames(readings: Rows, pane: int = PANE, end: int | None = None) -> Iterator[Frame]:
    """The closed panes of READING rows sorted by time, empty ones too."""
    if not len(readings):
        return
    start = int(readings["time"][0]) // pane * pane
    stop = int(readings["time"][-1]) + 1 if end is None else end
    edges = np.arange(start, stop + pane, pane)
    cuts = np.searchsorted(readings["time"], edges)
    none, quiet = np.empty(0, OBSERVATION), np.empty(0, SENSOR)
    for k in range(len(edges) - 1):
        yield Frame(int(edges[k]), int(edges[k + 1]), none, quiet, readings[cuts[k] : cuts[k + 1]])


def detect(recording: Recording) -> list[tuple[int, int]]:
    """(reporter, time) of every finding of the detector."""
    detector = BatteryHealth()
    return [(next(iter(f.reporters)), f.time) for frame in frames(recording.readings) for f in detector.update(frame)]


def rules(recording: Recording) -> list[tuple[int, int]]:
    """(reporter, time) of what fixed thresholds say: alarm bits, 150 mV of spread, 10 K of difference, 500 ohm per volt."""
    rows = recording.readings
    with np.errstate(invalid="ignore"):
        over = (
            alarming(rows)
            | (rows["cell_voltage_max"] - rows["cell_voltage_min"] > 0.150)
            | (rows["temperature_max"] - rows["temperature_min"] > 10.0)
            | (rows["insulation"] < 500.0 * rows["voltage"])
        )
    return [(int(r), int(t)) for r, t in zip(rows["reporter"][over], rows["time"][over], strict=True)]


@dataclass(slots=True)
class Row:
    """One line of the table: a kind of fault, or `all`."""

    kind: str
    injected: int = 0
    found: int = 0
    minutes: float = float("nan")  # median time to detect of those found
    rules_found: int = 0
    rules_minutes: float = float("nan")


@dataclass(slots=True)
class Score:
    """The table and what it cost in false alarms."""

    rows: list[Row]
    false_alarms: int
    rules_false_alarms: int
    vehicle_hours: float
    readings: int
    microseconds: float  # of the detector a reading


def judge(recording: Recording, claims: Iterable[tuple[int, int]]) -> tuple[dict[int, float], int]:
    """Minutes to detect per fault index for those found, and the number of false alarms."""
    fault_of = {int(recording.reporters[f.vehicle]): k for k, f in enumerate(recording.faults)}
    found: dict[int, float] = {}
    false, last = 0, dict[int, int]()
    for reporter, when in sorted(claims, key=lambda c: (c[1], c[0])):
        k = fault_of.get(reporter)
        if k is not None and when >= recording.faults[k].onset:
            minutes = (when - recording.faults[k].onset) / 60_000.0
            if minutes * 60_000.0 <= PATIENCE:
                found.setdefault(k, minutes)
            continue
        if when - last.get(reporter, -SEPARATE) >= SEPARATE:
            false += 1
        last[reporter] = when
    return found, false


def score(seeds: Sequence[int], vehicles: int = 200, hours: float = 8.0) -> Score:
    """Score over fleets of these seeds."""
    minutes: dict[str, list[float]] = {kind: [] for kind in KINDS}
    by_rule: dict[str, list[float]] = {kind: [] for kind in KINDS}
    injected = dict.fromkeys(KINDS, 0)
    total = Score([], 0, 0, 0.0, 0, 0.0)
    spent = 0.0
    for seed in seeds:
        recording = simulate(seed, vehicles, hours)
        began = time.process_time()
        claims = detect(recording)
        spent += time.process_time() - began
        found, false = judge(recording, claims)
        ruled, rules_false = judge(recording, rules(recording))
        for k, fault in enumerate(recording.faults):
            injected[fault.kind] += 1
            if k in found:
                minutes[fault.kind].append(found[k])
            if k in ruled:
                by_rule[fault.kind].append(ruled[k])
        total.false_alarms += false
        total.rules_false_alarms += rules_false
        total.vehicle_hours += recording.vehicle_hours()
        total.readings += len(recording.readings)
    total.microseconds = 1e6 * spent / max(total.readings, 1)
    for kind in KINDS:
        total.rows.append(_row(kind, injected[kind], minutes[kind], by_rule[kind]))
    everything = [m for k in KINDS for m in minutes[k]], [m for k in KINDS for m in by_rule[k]]
    total.rows.append(_row("all", sum(injected.values()), *everything))
    return total


def _row(kind: str, injected: int, found: list[float], ruled: list[float]) -> Row:
    def middle(of: list[float]) -> float:
        return float(np.median(of)) if of else float("nan")

    return Row(kind, injected, len(found), middle(found), len(ruled), middle(ruled))


def run(seeds: Sequence[int] = FRESH, vehicles: int = 200, hours: float = 8.0) -> list[dict[str, Any]]:
    """The table as plain rows, one a kind of fault and one for all, for `make score`."""
    s = score(seeds, vehicles, hours)
    return [
        {
            "kind": r.kind,
            "injected": r.injected,
            "found": r.found,
            "median_minutes": round(r.minutes, 1),
            "rules_found": r.rules_found,
            "rules_median_minutes": round(r.rules_minutes, 1),
            "false_alarms_per_1000_vehicle_hours": round(1000 * s.false_alarms / s.vehicle_hours, 2),
            "rules_false_alarms_per_1000_vehicle_hours": round(1000 * s.rules_false_alarms / s.vehicle_hours, 2),
        }
        for r in s.rows
    ]


def text(s: Score, seeds: Sequence[int]) -> str:
    """The table for people."""
    lines = [
        f"EV fleets of seeds {', '.join(map(str, seeds))} (tuned on {', '.join(map(str, TUNED_ON))}): {s.readings} readings, "
        f"{s.vehicle_hours:.0f} vehicle-hours, detector {s.microseconds:.1f} us a reading",
        f"{'fault':<20}{'injected':>9}{'found':>7}{'median min':>12}{'rules found':>13}{'rules min':>11}",
    ]
    lines += [
        f"{r.kind:<20}{r.injected:>9}{r.found:>7}{r.minutes:>12.1f}{r.rules_found:>13}{r.rules_minutes:>11.1f}" for r in s.rows
    ]
    per = 1000.0 / max(s.vehicle_hours, 1e-9)
    lines.append(
        f"false alarms per 1000 vehicle-hours: {s.false_alarms * per:.2f} ({s.false_alarms} in all); "
        f"rules {s.rules_false_alarms * per:.2f} ({s.rules_false_alarms})"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(FRESH))
    seeds = parser.parse_args().seeds
    print(text(score(seeds), seeds))


if __name__ == "__main__":
    main()
