"""The scoreboard: the real graph over the labelled recordings, beside the naive rules, and batteries over seeded fleets.

    python -m benchmarks.score      prints it and writes benchmarks/results/score.md

Read the detection rate together with what luck would have found, and with the false alarms of the normal day.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import naive
from benchmarks.judge import Alert
from benchmarks.recordings import ABSENT, PENETRATIONS, ROOT, Day, Penetration, Place, places
from benchmarks.scoreboard import Run, batteries, board, markdown

RESULTS = ROOT / "benchmarks" / "results" / "score.md"


@dataclass(frozen=True, slots=True)
class Job:
    place: Place
    day: Day
    penetration: Penetration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", help="only places whose name contains this")
    parser.add_argument("--no-batteries", action="store_true", help="leave the EV fleets out")
    parser.add_argument("--no-write", action="store_true", help="print only")
    chosen = parser.parse_args()
    say = Console(width=160)
    found = [place for place in places() if chosen.place is None or chosen.place in place.name]
    if not found:
        say.print(ABSENT if not places() else f"No place is called {chosen.place}: {', '.join(p.name for p in places())}")
        return
    measured = commit()  # before it starts: the tree may change meanwhile
    runs = _run_all([Job(p, d, n) for n in PENETRATIONS for p in found for d in ("incident", "normal")], say)
    tables = board(runs)
    if not chosen.no_batteries and importlib.util.find_spec("benchmarks.score_battery"):
        say.print("Batteries: simulating fleets and scoring them.")
        tables.append(batteries(importlib.import_module("benchmarks.score_battery").run()))
    for table in tables:
        say.print(table.rich())
    if not chosen.no_write and chosen.place is None:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(markdown(tables, measured), "utf-8")
        say.print(f"written to {RESULTS.relative_to(ROOT)}")


def _run_all(jobs: Sequence[Job], say: Console) -> list[Run]:
    done: list[Run] = []
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, console=say) as bar, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        task = bar.add_task("recordings", total=len(jobs))
        for future in as_completed([pool.submit(run, job) for job in jobs]):
            done.append(future.result())
            bar.advance(task)
    order = {(j.place.name, j.day, j.penetration): i for i, j in enumerate(jobs)}
    return sorted(done, key=lambda r: order[r.place.name, r.day, r.penetration])


def run(job: Job) -> Run:
    """One recording through the graph and through the naive rules."""
    with tempfile.TemporaryDirectory() as scratch:
        alerts, seconds = graph(job.place, job.day, job.penetration, Path(scratch))
    return Run(job.place, job.day, job.penetration, alerts, naive.run(job.place, job.day, job.penetration), seconds)


def graph(place: Place, day: Day, penetration: Penetration, scratch: Path) -> tuple[list[Alert], float]:
    """What the real graph opens on a recording, and how many seconds it took."""
    recording, out = scratch / "recording.jsonl", scratch / "alerts.jsonl"
    with recording.open("wb") as file:
        file.writelines(place.lines(day, penetration))
    out.write_bytes(b"")  # the graph makes no file where it has nothing to say
    began = time.perf_counter()
    replay(recording, out)
    seconds = time.perf_counter() - began
    return list(opened(out.read_text("utf-8").splitlines())), seconds


def replay(recording: Path, out: Path) -> None:
    """The graph as `roadwatch replay` runs it, with a key of our own so that every machine gets the same order."""
    from bytewax.run import cli_main

    from dataflows import replay as files
    from dataflows.incidents import flow
    from dataflows.settings import load

    settings = load(None, {"privacy": {"key": "benchmarks"}})
    cli_main(flow(settings, files.ends([(recording, "observation")], settings, out)))


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


def commit() -> str:
    """The commit that was measured; marked where the tree held more than that."""

    def git(*words: str) -> str:
        out = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
        return out.stdout.strip()

    name = git("rev-parse", "--short", "HEAD") or "unknown"
    return name + (" with changes" if git("status", "--porcelain", "detectors", "dataflows") else "")


if __name__ == "__main__":
    main()
