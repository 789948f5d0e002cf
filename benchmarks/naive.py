"""The rules that anybody would write first, on the same recordings: what the detectors have to beat.

    python -m benchmarks.naive

A cell is a square of 200 m and an octant of heading. Each rule looks at the last minute, every ten seconds: three vehicles
that braked hard; a mean speed under half of what is usual there (or under 5.6 m/s, 20 km/h, before anything is usual); one
vehicle that has stood for a minute. A rule that fires opens an incident in its cell, until it has been quiet for ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge import Alert
from benchmarks.recordings import ABSENT, Day, Penetration, Place, places
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from detectors.model import OBSERVATION, Rows, Sign

CELL = 200.0  # m
EVERY, LOOK, QUIET = 10_000, 60_000, 600_000  # ms
LATENESS = 2_000  # ms
BRAKES, CROWD, SLOW, STANDING, HALF, USUAL = 3, 3, 5.6, 0.5, 0.5, 300
RULES = ("dangerous_situation", "traffic_condition", "stationary_vehicle")


def rows(place: Place, day: Day, penetration: Penetration) -> Rows:
    """The recording as rows, without what comes too late, in order of time."""
    context, kept, latest = Context(Pseudonym(b"benchmarks")), [], 0
    batch: list[bytes] = []

    def take() -> None:
        nonlocal latest
        out = FORMATS["observation"].decode(batch, np.full(len(batch), -1, np.int64), context).observations
        if len(out):
            newest = np.maximum.accumulate(np.maximum(out["time"], latest))
            latest = int(newest[-1])
            kept.append(out[out["time"] >= newest - LATENESS])
        batch.clear()

    for line in place.lines(day, penetration):
        batch.append(line)
        if len(batch) == 20_000:
            take()
    take()
    every: Rows = np.concatenate([np.empty(0, OBSERVATION), *kept])
    return every[np.lexsort((every["reporter"], every["time"]))]


def cells(table: Rows) -> NDArray[np.int64]:
    north = np.floor(table["lat"] * 110_574.0 / CELL).astype(np.int64)
    wide = 111_320.0 * float(np.cos(np.radians(np.median(table["lat"])))) if len(table) else 1.0
    east = np.floor(table["lon"] * wide / CELL).astype(np.int64)
    octant = (np.nan_to_num(table["heading"]) / 45.0 + 0.5).astype(np.int64) % 8
    name: NDArray[np.int64] = ((north << 24) + (east & 0xFFFFFF)) * 8 + octant
    return name


def alerts(table: Rows) -> list[Alert]:
    """What the rules open on rows in order of time."""
    cell = cells(table)
    opened: dict[tuple[str, int], int] = {}
    usual: dict[int, tuple[float, int]] = {}
    found: list[Alert] = []
    if not len(table):
        return found
    for end in range(int(table["time"][0]) // EVERY * EVERY + EVERY, int(table["time"][-1]) + EVERY, EVERY):
        first, fresh, last = np.searchsorted(table["time"], (end - LOOK, end - EVERY, end))
        for kind, name, spot in _fired(table[first:last], cell[first:last], usual):
            if end - opened.get((kind, name), -QUIET) >= QUIET:
                lat, lon = float(spot["lat"].mean()), float(spot["lon"].mean())
                found.append(Alert(kind, lat, lon, end + LATENESS, float(spot["heading"][0]), "naive rule"))
            opened[kind, name] = end
        names, which = np.unique(cell[fresh:last], return_inverse=True)
        sums, counts = np.bincount(which, table["speed"][fresh:last]), np.bincount(which)
        for name, total, n in zip(names.tolist(), sums.tolist(), counts.tolist(), strict=True):
            old = usual.get(name, (0.0, 0))
            usual[name] = old[0] + total, old[1] + n
    return found


def _fired(look: Rows, cell: NDArray[np.int64], usual: dict[int, tuple[float, int]]) -> Iterator[tuple[str, int, Rows]]:
    order = np.argsort(cell, kind="stable")
    look, cell = look[order], cell[order]
    names, starts = np.unique(cell, return_index=True)
    bounds = [*starts.tolist(), len(look)]
    for k, name in enumerate(names.tolist()):
        here = look[bounds[k] : bounds[k + 1]]
        brakes = here[(here["signs"] & Sign.HARD_BRAKE) != 0]
        if len(np.unique(brakes["reporter"])) >= BRAKES:
            yield RULES[0], name, brakes
        total, n = usual.get(name, (0.0, 0))
        limit = HALF * total / n if n >= USUAL else SLOW
        if float(here["speed"].mean()) < limit and len(np.unique(here["reporter"])) >= CROWD:
            yield RULES[1], name, here
        still = here[here["speed"] < STANDING]
        if len(still):
            who, counts = np.unique(still["reporter"], return_counts=True)
            for reporter in who[counts > 0.9 * LOOK / 1000 - 5]:
                mine = still[still["reporter"] == reporter]
                if mine["time"][-1] - mine["time"][0] >= 0.9 * LOOK and len(mine) == int((here["reporter"] == reporter).sum()):
                    yield RULES[2], name, mine
                    break


def run(place: Place, day: Day, penetration: Penetration) -> list[Alert]:
    return alerts(rows(place, day, penetration))


def main() -> None:
    from benchmarks.judge import judge

    if not places():
        print(ABSENT)
    for place in places():
        for penetration in ("20 %", "5 %"):
            verdict = judge(run(place, "incident", penetration), place.labels("incident"))
            false = len(run(place, "normal", penetration))
            print(
                f"{place.name} {penetration}: found {len(verdict.found)} of {len(verdict.incidents)}, "
                f"{false / place.km_hours:.2f} false alarms per km h on the normal day"
            )


if __name__ == "__main__":
    main()
