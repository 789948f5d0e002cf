"""The real graph over a recording, as `roadwatch replay` runs it: what it opens, and how long it takes."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from benchmarks import loops
from benchmarks.judge import Alert
from benchmarks.recordings import Day, Penetration, Place


def run(place: Place, day: Day, penetration: Penetration, with_loops: bool = False) -> tuple[list[Alert], float]:
    """What the graph opens on a recording, and how many seconds it took. Vehicles are one partition, loops another."""
    with tempfile.TemporaryDirectory() as scratch:
        vehicles, stations, out = (Path(scratch) / f"{name}.jsonl" for name in ("vehicles", "loops", "alerts"))
        files = [(vehicles, "observation")]
        with vehicles.open("wb") as file:
            file.writelines(place.lines(day, penetration))
        if with_loops:
            files.append((stations, "sensor"))
            stations.write_bytes(b"".join(message + b"\n" for _, message in loops.messages(place, day)))
        out.write_bytes(b"")  # the graph makes no file where it has nothing to say
        began = time.perf_counter()
        replay(files, out)
        seconds = time.perf_counter() - began
        return list(opened(out.read_text("utf-8").splitlines())), seconds


def replay(files: Sequence[tuple[Path, str]], out: Path) -> None:
    """(recording, format name) files -> alert documents; with a key of our own so that every machine gets the same order."""
    from bytewax.run import cli_main

    from dataflows import replay as recorded
    from dataflows.incidents import flow
    from dataflows.settings_reader import load

    settings = load(None, {"privacy": {"key": "benchmarks"}})
    cli_main(flow(settings, recorded.ends(files, settings, out), kept=False))


def opened(lines: Iterable[str]) -> Iterable[Alert]:
    """Alert documents -> the incidents that they open."""
    for line in lines:
        o = json.loads(line)
        if o["status"] != "opened":
            continue
        where, numbers = o["location"], ", ".join(f"{k} {v:g}" for k, v in o["evidence"].items() if v is not None)
        moment = round(datetime.fromisoformat(o["detected_at"]).timestamp() * 1000)
        said = f"score {o['score']:g}, {o['reporters']} reporters, {numbers}"
        yield Alert(o["kind"], where["lat"], where["lon"], moment, where["heading"], said)
