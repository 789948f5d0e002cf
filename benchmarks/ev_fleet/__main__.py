"""Simulate a fleet of electric cars with faults in it and write down what it sends: `python -m benchmarks.ev_fleet --help`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.ev_fleet.export import demo_cut, write
from benchmarks.ev_fleet.simulate import simulate


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ev_fleet", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--vehicles", type=int, default=200)
    parser.add_argument("--hours", type=float, default=8.0)
    parser.add_argument("--faults", type=int, default=4, metavar="N", help="faults of each kind (default 4)")
    parser.add_argument(
        "--out", type=Path, help="FILE.jsonl, FILE.hex, or either with .zst; the truth goes to FILE.labels.jsonl"
    )
    parser.add_argument("--demo-cut", type=Path, metavar="FILE", help="write the cut that the demonstration plays, and stop")
    asked = parser.parse_args()
    recording = demo_cut() if asked.demo_cut else simulate(asked.seed, asked.vehicles, asked.hours, asked.faults)
    out = asked.demo_cut or asked.out
    print(
        f"{len(recording.vins)} vehicles, {recording.vehicle_hours():.0f} vehicle-hours, "
        f"{len(recording.readings)} readings, {len(recording.faults)} faults"
    )
    if out:
        write(recording, out)
        print(f"written to {out}")


if __name__ == "__main__":
    main()
