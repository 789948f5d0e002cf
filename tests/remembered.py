"""Who is remembered, and where: looks through all that the shards hold for the names of reporters, whatever holds them."""

from __future__ import annotations

import pickle
import sqlite3
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataflows.disk import Disk
from dataflows.grid import Grid
from dataflows.seal import Seal
from dataflows.secret_files import pseudonym_key
from dataflows.settings import Settings
from dataflows.shard_shelf import ShardShelf
from dataflows.store_check import parts
from dataflows.window import Panes, ShardWindow
from detectors import CATALOGUE

NEWEST = "SELECT state_key, ser_change FROM snaps WHERE step_id = 'roadwatch.windows' ORDER BY snap_epoch"
Names = NDArray[np.uint64]


def rows(settings: Settings) -> dict[int, bytes]:
    """The shards' newest snapshots in a recovery store."""
    seal, found = Seal(pseudonym_key(settings)), {}
    for path in parts(settings.recovery.directory):
        with closing(sqlite3.connect(path)) as part:
            for key, row in part.execute(NEWEST):
                sealed = pickle.loads(row)  # a store of the test's own
                found[int(key)] = seal.open(f"windows/{key}", sealed)
    return found


def in_store(settings: Settings) -> dict[int, ShardWindow]:
    """The shards as the newest snapshots of a recovery store have them."""
    disk = Disk(settings.recovery.directory)
    panes = Panes(settings.window.pane, (), Grid(settings.window), CATALOGUE)
    return {key: ShardShelf(disk, key).take(row, panes) for key, row in rows(settings).items()}


def remembered(shards: Mapping[int, ShardWindow], reporters: Mapping[int, int], now: int) -> dict[str, tuple[int, float]]:
    """Where reporters are remembered -> how many, and for how many seconds the longest silent one has been silent.

    `reporters`: when each was last heard, in ms.
    """
    names = np.sort(np.fromiter(reporters, np.uint64, len(reporters)))
    found: dict[str, set[int]] = {}
    for shard in shards.values():
        for root in (*shard.state.detectors.values(), shard.plausibility, shard.state.census, shard.state.waiting):
            for where, who in _look(type(root).__name__, root, names, set(), reporters):
                found.setdefault(where, set()).update(who)
    return {
        where: (len(who), max(now - reporters[name] for name in who) / 1000.0) for where, who in sorted(found.items()) if who
    }


def _look(where: str, thing: Any, names: Names, seen: set[int], reporters: Mapping[int, int]) -> Iterator[tuple[str, set[int]]]:
    if isinstance(thing, int):
        if thing in reporters:
            yield where, {thing}
        return
    if thing is None or isinstance(thing, float | str | bytes) or id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        columns = [thing[name] for name in thing.dtype.names] if thing.dtype.names else [thing]
        for column in columns:
            if column.dtype == np.uint64:
                yield where, set(column[np.isin(column, names)].tolist())
    elif isinstance(thing, dict):
        for key, value in thing.items():
            yield from _look(where, key, names, seen, reporters)
            yield from _look(where, value, names, seen, reporters)
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        for each in thing:
            yield from _look(where, each, names, seen, reporters)
    else:
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in (*getattr(thing, "__dict__", ()), *slots):
            yield from _look(f"{where}.{name.lstrip('_')}", getattr(thing, name, None), names, seen, reporters)
