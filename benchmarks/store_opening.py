"""How long a recovery store takes to be sealed and to be looked through at a start, by its size.

    python -m benchmarks.store_opening [DIRECTORY]

DIRECTORY is where to make it. The states are made up, random and of one size. Seconds are of CPU, since the files, having just
been written, are in the cache: what a disk adds it says itself.
"""

from __future__ import annotations

import pickle
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from dataflows.seal import Seal
from dataflows.settings_reader import load
from dataflows.store import open_store
from dataflows.store_check import parts

SIZES = ((64, 16_000), (64, 500_000), (64, 4_000_000))  # shards, bytes of each: asleep, a town, far beyond what was seen
KEY = "the key of the benchmarks"
ROUNDS = 5


def main() -> None:
    seal = Seal(KEY.encode())
    print("| shards | MB | sealing, s of CPU | opening, s of CPU |\n|---|---|---|---|")
    for shards, size in SIZES:
        with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
            settings = load(None, {"recovery": {"directory": f"{folder}/recovery"}, "privacy": {"key": KEY}})
            open_store(settings)
            states = {str(number): secrets.token_bytes(size) for number in range(shards)}
            _fill(settings.recovery.directory, {key: seal.close(f"windows/{key}", state) for key, state in states.items()})
            sealing = _median(lambda states=states: [seal.close(f"windows/{key}", state) for key, state in states.items()])  # type: ignore[misc]
            opening = _median(lambda settings=settings: open_store(settings))  # type: ignore[misc]
            print(f"| {shards} | {shards * size / 1e6:.0f} | {sealing:.3f} | {opening:.3f} |")


def _fill(directory: Path, sealed: dict[str, bytes]) -> None:
    files = parts(directory)
    for number, path in enumerate(files):
        with closing(sqlite3.connect(path)) as part, part:
            for key, state in sealed.items():
                if int(key) % len(files) == number:
                    part.execute("INSERT INTO snaps VALUES ('', 'roadwatch.windows', ?, 1, ?)", (key, pickle.dumps(state)))


def _median(what: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        started = time.process_time()
        what()
        took.append(time.process_time() - started)
    return statistics.median(took)


if __name__ == "__main__":
    main()
