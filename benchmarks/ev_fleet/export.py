"""Readings written down for others to send: JSON lines with the arguments of the GB/T 32960 encoder, or frames in hex."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import zstandard

from benchmarks.ev_fleet.faults import Fault, draw
from benchmarks.ev_fleet.fleet import CELLS, DRIVING, SLOW_CHARGE
from benchmarks.ev_fleet.simulate import Recording, simulate
from dataflows.formats.encode import gbt32960_realtime

PLAIN = {  # field of READING -> digits that GB/T 32960 carries
    "lat": 6,
    "lon": 6,
    "speed": 3,
    "mileage": 1,
    "soc": 2,
    "voltage": 1,
    "current": 1,
    "insulation": 0,
    "motor_temperature": 0,
}
DEMO_START = 1_741_073_400_000  # ms: when the bundled traffic recording begins
DEMO_MINUTES = 20
DEMO_WARM_UP = 60  # minutes simulated and thrown away, so that the cars are in the middle of their day
DEMO_SEED = 7
DEMO_FAULTS = (
    ("insulation_loss", 4.0, 6.0, 7.5),
    ("thermal_precursor", 5.0, 2.0, 3.5),
    ("weak_cell", 6.0, 6.0, 0.35),
    ("soc_fault", 9.0, 0.2, 0.25),
)
"""Kind, onset and ramp in minutes, severity. The first ends in the car's own alarm, the others are for the models to find."""


def arguments(recording: Recording) -> Iterator[dict[str, object]]:
    """Keyword arguments of `gbt32960_realtime` for every reading, missing values left out."""
    vin_of = dict(zip(recording.reporters.tolist(), recording.vins, strict=True))
    for row in recording.readings:
        said: dict[str, object] = {"time": int(row["time"]), "vin": vin_of[int(row["reporter"])]}
        for name, digits in PLAIN.items():
            value = round(float(row[name]), digits)
            if not math.isnan(value):
                said[name] = value
        highest, lowest, mean = (float(row[f"cell_voltage_{which}"]) for which in ("max", "min", "mean"))
        if not math.isnan(highest + lowest):
            middle = (highest + lowest) / 2.0 if math.isnan(mean) else 2.0 * mean - (highest + lowest) / 2.0
            middle = min(max(middle, lowest), highest)
            said["cells"] = [round(v, 3) for v in (highest, lowest, middle, middle)]
        hot, cold = float(row["temperature_max"]), float(row["temperature_min"])
        if not math.isnan(hot + cold):
            said["temperatures"] = [round(hot), round(cold)]
        for name in ("alarms", "alarm_level", "state", "charging"):
            said[name] = int(row[name])
        yield said


def write(recording: Recording, out: Path) -> None:
    """Write readings to `out` (.jsonl or .hex, with .zst packed) and the truth beside it, as NAME.labels.jsonl."""
    kind = out.suffixes[-2] if out.suffix == ".zst" and len(out.suffixes) > 1 else out.suffix
    if kind not in (".jsonl", ".hex"):
        raise SystemExit(f"{out}: the name must end in .jsonl, .hex, .jsonl.zst or .hex.zst")
    if kind == ".hex":
        lines = [gbt32960_realtime(**said).hex() for said in arguments(recording)]  # type: ignore[arg-type]  # read from names
    else:
        lines = [json.dumps(said, separators=(",", ":")) for said in arguments(recording)]
    content = ("\n".join(lines) + "\n").encode()
    out.write_bytes(zstandard.compress(content, 19) if out.suffix == ".zst" else content)
    labels = [json.dumps(f.label(recording.vins[f.vehicle]), separators=(",", ":")) for f in recording.faults]
    beside = out.with_name(out.name.split(".")[0] + ".labels.jsonl")
    beside.write_text("".join(line + "\n" for line in labels))


def demo_cut(vehicles: int = 60) -> Recording:
    """Twenty minutes of a small fleet on the road of the bundled traffic, with four faults; every car reports each 10 s."""
    hours = (DEMO_WARM_UP + DEMO_MINUTES) / 60.0
    start = DEMO_START - DEMO_WARM_UP * 60_000
    sound = _cut(simulate(DEMO_SEED, vehicles, hours, start=start, faults=(), period=10))
    rng = np.random.default_rng(DEMO_SEED)
    steady = iter(_steady(sound))
    faults = []
    for kind, minute, ramp, severity in DEMO_FAULTS:
        drawn = draw(rng, kind, next(steady), DEMO_START + int(minute * 60_000), CELLS)
        faults.append(Fault(kind, drawn.vehicle, drawn.onset, 60.0 * ramp, severity, drawn.place, drawn.sign))
    return _cut(simulate(DEMO_SEED, vehicles, hours, start=start, faults=faults, period=10))


def _cut(recording: Recording) -> Recording:
    rows = recording.readings
    rows = rows[(rows["time"] >= DEMO_START) & (rows["time"] < DEMO_START + DEMO_MINUTES * 60_000)]
    return Recording(rows, recording.faults, recording.vins, recording.reporters)


def _steady(recording: Recording) -> list[int]:
    """Cars that drive and report all the time, insulation too."""
    rows = recording.readings
    found = []
    for k, reporter in enumerate(recording.reporters):
        own = rows[rows["reporter"] == reporter]
        whole = len(own) == DEMO_MINUTES * 6 and not np.isnan(own["insulation"]).any()
        if whole and (own["state"] == DRIVING).all() and (own["charging"] != SLOW_CHARGE).all():
            found.append(k)
    return found
