"""What every shard finds and remembers of the bundled recording's first minutes, every detector of the road that the contract
is tested on, what is said of batteries, and what is read of observations and of electric cars' frames, whole and broken, as one
digest: compiled, or as plain Python.

    NUMBA_DISABLE_JIT=1 python -m tests.plain [MINUTES]

prints the digest of the plain twin, in which each loop runs as the Python that it is written in.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import warnings
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.ev_fleet.export import demo_cut
from benchmarks.score_battery import frames as by_pane
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import Intake
from dataflows.recorded import messages
from dataflows.settings_reader import load
from dataflows.window import Panes, ShardWindow
from detectors import CATALOGUE
from detectors.battery import BatteryHealth
from tests.hostile import mended, seeds
from tests.test_contract import feed, stream
from tests.wire import VALID

RECORDING = Path(__file__).parents[1] / "dataflows" / "demo" / "recording" / "observations.jsonl.zst"
POLL = 1000  # messages


def digest(minutes: float) -> str:
    settings = load(None, {"privacy": {"key": "twin"}})
    grid = Grid(settings.window)
    intake = Intake("twin", 0, FORMATS["observation"], Context(Pseudonym(b"twin"), 10_000), grid, settings.window)
    panes = Panes(settings.window.pane, ("twin/0",), grid, CATALOGUE)
    shards: dict[int, ShardWindow] = {}
    said = hashlib.blake2b()
    recorded = messages(RECORDING, FORMATS["observation"])
    until = None
    while until is None or intake.latest < until:
        poll = list(islice(recorded, POLL))
        taken = intake.take(poll, np.full(len(poll), -1), range(len(poll)))
        until = until or intake.latest + round(minutes * 60_000)
        for number, chunk in taken.chunks.items():
            shard = shards.setdefault(number, ShardWindow(number, panes))
            shard.add(chunk)
            said.update(repr(shard.close()).encode())
    for _, shard in sorted(shards.items()):
        said.update(shard.snapshot())
    for detector in (make() for make in CATALOGUE):  # there is a queue there, and one that stands
        said.update(repr(feed(detector, stream())).encode())
        said.update(pickle.dumps(detector, protocol=5))
    battery = BatteryHealth()
    for pane in by_pane(demo_cut().readings[:2000]):
        said.update(repr(battery.update(pane)).encode())
    said.update(pickle.dumps(battery, protocol=5))
    context = Context(Pseudonym(b"twin"))
    frames = seeds("gbt32960")
    frames += [mended(frame[:length]) for frame in frames for length in range(0, len(frame), 13)]
    read = FORMATS["gbt32960"].decode(frames, np.full(len(frames), -1), context)
    said.update(read.readings.tobytes())
    said.update(repr((read.reading_of.tolist(), read.refusals, read.recognised)).encode())
    for observation in VALID["observation"]:
        for length in range(len(observation) + 1):  # one by one: uncompiled, who reads past the last byte fails
            read = FORMATS["observation"].decode([observation[:length]], np.full(1, -1), context)
            said.update(read.observations.tobytes() + repr(read.refusals).encode())
    return said.hexdigest()


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # whole numbers that wrap round are meant to
    print(digest(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0))
