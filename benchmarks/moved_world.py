"""The whole world moved: does it matter where the grid lies? Every open scenario, at its place and at two others.

    python -m benchmarks.moved_world

Each incident opened in the moved world must be the twin of one at home: the same kind, within 20 s and 150 m. Prints those
that have none. Results go to benchmarks/results/moved_world.md.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.machine import commit
from benchmarks.recordings import ABSENT, OPEN
from tests.test_moved_world import MOVES, Opened, incidents, pairless

RESULTS = Path(__file__).parent / "results" / "moved_world.md"


def moved(name: str, north: float, east: float) -> list[Opened]:
    with tempfile.TemporaryDirectory() as folder:
        return incidents(Path(folder), north, east, OPEN / name / "events.jsonl.zst")


def main() -> None:
    if not OPEN.is_dir():
        raise SystemExit(ABSENT)
    names = sorted(path.name for path in OPEN.iterdir() if path.is_dir())
    lines = [f"# The moved world\n\n`python -m benchmarks.moved_world` at commit {commit()}.\n"]
    lines += ["| scenario | moved by | incidents at home | there | without a twin |", "|---|---|---|---|---|"]
    with ProcessPoolExecutor(2) as pool:
        runs = {(name, move): pool.submit(moved, name, *move) for name in names for move in ((0, 0), *MOVES)}
        for name in names:
            home = runs[name, (0, 0)].result()
            for move in MOVES:
                there = runs[name, move].result()
                alone = pairless(home, there)
                said = "; ".join(f"{one.kind} {one.lat:.4f},{one.lon:.4f} at {one.time:.0f} s" for one in alone) or "none"
                lines.append(f"| {name} | {move[0]} m north, {move[1]} m east | {len(home)} | {len(there)} | {said} |")
                print(lines[-1], flush=True)
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
