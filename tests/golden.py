"""The golden snapshot: a recovery store that a committed version left half-way, from which the present one must resume.

    python -m tests.golden

makes it anew in tests/golden/store.zip, with the alerts so far and the layout of the state that is in it.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from dataflows.disk import Disk
from dataflows.seal import SIZE
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.shard_shelf import ShardShelf
from dataflows.store import NOTE
from dataflows.store_check import parts
from tests import traffic
from tests.faulty import Order, child
from tests.remembered import in_store, rows

GOLDEN = Path(__file__).parent / "golden" / "store.zip"
LAYOUT = "layout.json"
HALF_WAY = 12  # polls of each partition
ADVICE = (
    "Was the layout of a detector's state (or of the shards', the incidents', the sources') changed on purpose? Then raise "
    "VERSION in dataflows/store.py, make the golden snapshot anew with `python -m tests.golden`, and say in CHANGELOG.md "
    "that an older recovery store is refused. Was only what a detector finds changed? Then make the golden anew, and leave "
    "VERSION as it is. Was nothing of the kind meant? Then it is a bug: a worker would resume to other alerts."
)
Layout = dict[str, list[str]]  # class -> its attributes


def start(folder: Path) -> None:
    """Write the traffic that the golden is a cut of; the same from any folder."""
    traffic.files(folder, seconds=100, seed=5, vehicles=27)


def go(folder: Path, drain_at: int = 0) -> str:
    """Run over the traffic in the folder, from the store there if there is one. What it printed."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix in (".jsonl", ".hex") and path.name != "alerts.jsonl")
    forms = {"e": "gbt32960", "s": "sensor"}
    files = [(name, forms.get(name[0], "observation")) for name in names]
    run = child(Order(files, "alerts.jsonl", batch=50, recovery="recovery", drain_at=drain_at), folder)
    said = run.communicate()[0].decode()
    assert run.returncode == 0, f"{said[-3000:]}\n{ADVICE}"
    return said


def layout(store: Path) -> Layout:
    """Which classes the snapshots of a store are made of, and the attributes of each."""
    found: dict[str, set[str]] = {}
    for shard in in_store(_settings(store)).values():
        _walk((shard.state, shard.plausibility), found)
    for path in parts(store):
        with closing(sqlite3.connect(path)) as part:
            for (row,) in part.execute("SELECT ser_change FROM snaps WHERE step_id = 'roadwatch.incidents'"):
                _walk(pickle.loads(pickle.loads(row)[SIZE:]), found)
    return {name: sorted(attributes) for name, attributes in sorted(found.items())}


def _settings(store: Path) -> Settings:
    return load(None, {"privacy": {"key": "the key of the tests"}, "recovery": {"directory": str(store)}})


def _needed(store: Path) -> list[Path]:
    """All but the files that are to be written over next."""
    disk = Disk(store)
    shelves = [path for key, row in rows(_settings(store)).items() for path in ShardShelf(disk, key).files(row)]
    return sorted([store / NOTE, *parts(store), *shelves])


def _walk(what: object, found: dict[str, set[str]], owner: str = "", attribute: str = "") -> None:
    """`owner` and `attribute` say whose array it is that is found within tuples and dictionaries."""
    kind = type(what)
    if isinstance(what, np.ndarray):
        found.setdefault(owner, set()).add(f"{attribute}: {what.dtype}")
    elif isinstance(what, Mapping):
        for each in (*what.keys(), *what.values()):
            _walk(each, found, owner, attribute)
    elif kind.__module__.split(".")[0] in ("detectors", "dataflows"):
        owner = f"{kind.__module__}.{kind.__qualname__}"
        names = {*getattr(what, "__dict__", ()), *(n for c in kind.__mro__ for n in getattr(c, "__slots__", ()))}
        names = names - {"__dict__", "__weakref__"} or set(getattr(what, "_fields", ()))
        found.setdefault(owner, set()).update(names)
        for name in names:
            _walk(getattr(what, name, None), found, owner, name)
    elif isinstance(what, Iterable) and not isinstance(what, str):
        for each in what:
            _walk(each, found, owner, attribute)


def unpack(folder: Path) -> Layout:
    """Put the golden store and the alerts so far into the folder; the layout that was in it when it was made."""
    with zipfile.ZipFile(GOLDEN) as golden:
        golden.extractall(folder, [name for name in golden.namelist() if name != LAYOUT])
        made: Layout = json.loads(golden.read(LAYOUT))
        return made


def make() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start(folder)
        go(folder, drain_at=HALF_WAY)
        GOLDEN.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(GOLDEN, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as golden:
            for path in _needed(folder / "recovery"):
                golden.write(path, path.relative_to(folder))
            golden.write(folder / "alerts.jsonl", "alerts.jsonl")
            golden.writestr(LAYOUT, json.dumps(layout(folder / "recovery"), indent=1))
    print(f"wrote {GOLDEN.name}: {GOLDEN.stat().st_size} bytes")


if __name__ == "__main__":
    make()
