"""What the compiled loops need is made before the first message comes: the bundled recording is played to nobody.

numba compiles a loop when it is first called, which takes up to seconds, once on each machine; afterwards it is read from disk.
A worker that did so in the middle of a pane would be seconds behind, and a first alert late.
"""

from __future__ import annotations

import time
from itertools import islice

import numpy as np
import structlog

from dataflows.demo.recording import BUNDLE, electric_cars
from dataflows.formats import FORMATS, encode
from dataflows.formats.base import Context, Decoded, Pseudonym
from dataflows.grid import Grid
from dataflows.panes import TABLES, dealt, frames, in_order
from dataflows.recorded import messages
from dataflows.settings import Window
from detectors import CATALOGUE
from detectors.census import Census
from detectors.plausibility import Plausibility

log = structlog.get_logger(__name__)

VEHICLES = 130_000, 140_000  # messages of the recording, in which every loop has something to do
CARS = 200  # messages


def rehearse(window: Window, vehicles: tuple[int, int] = VEHICLES, cars: int = CARS) -> None:
    """Run every compiled loop once, for nobody. Takes a second; the first time on a machine up to a minute."""
    started, grid = time.monotonic(), Grid(window)
    recorded = islice(messages(BUNDLE / "observations.jsonl.zst", FORMATS["observation"]), *vehicles)
    observed = _decoded("observation", list(recorded))
    read = _decoded("gbt32960", [encode.gbt32960_realtime(**said) for said in electric_cars()[:cars]])
    tables = {"observations": in_order(observed.observations), "readings": in_order(read.readings)}
    for rows in tables.values():
        rows["cell"] = grid.cells(rows["lat"], rows["lon"])
    tables |= {name: np.empty(0, TABLES[name]) for name in ("sensors", "notices")}
    first = min(int(rows["time"][0]) for rows in tables.values() if len(rows)) // window.pane * window.pane
    last = max(int(rows["time"][-1]) for rows in tables.values() if len(rows)) + 1
    plausibility, detectors = Plausibility(), [kind() for kind in CATALOGUE]
    for frame in frames(tables, first, last, window.pane, awake_until=first):
        plausibility.believe(frame)
        for detector in detectors:
            try:
                detector.update(frame)
            except Exception as error:  # noqa: BLE001  # the worker goes on, as it does when that happens in a pane
                log.error("a detector failed in its rehearsal", detector=type(detector).__name__, error=str(error))
    # what the flow itself runs over rows, and what it asks of findings
    dealt(tables["observations"], *grid.views(tables["observations"]["cell"]))
    Census().update(tables["observations"], last)
    plausibility.strangers(frozenset({1}))
    log.info("the loops are compiled", seconds=round(time.monotonic() - started, 1))


def _decoded(form: str, given: list[bytes]) -> Decoded:
    return FORMATS[form].decode(given, np.full(len(given), -1, np.int64), Context(Pseudonym(b"rehearsal")))
