"""The scoreboard: the real graph over labelled recordings, beside the naive rules, and batteries over seeded fleets.

    python -m benchmarks.score                 the open sets: benchmarks/results/score.md, and a picture of each
    python -m benchmarks.score --loops         the same, and once more with the loops played beside the vehicles
    python -m benchmarks.score --sets DIR      other sets of the same form: benchmarks/results/validation.md

A set that was made with `--pen 1.0` is scored at 100 %.
Detectors are tuned on the open sets; what was made elsewhere says how they do at a place that nobody looked at. Read the
detection rate together with what luck would have found, and with the false alarms of the normal day.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import graph, naive, plot
from benchmarks.machine import commit
from benchmarks.origin import again
from benchmarks.recordings import ABSENT, DAYS, PENETRATIONS, ROOT, Day, Penetration, Place, places
from benchmarks.scoreboard import batteries, board, markdown
from benchmarks.table import Table
from benchmarks.tally import Run

RESULTS = ROOT / "benchmarks" / "results"
DRAWN: Penetration = "20 %"  # what the pictures show


@dataclass(frozen=True, slots=True)
class Job:
    place: Place
    day: Day
    penetration: Penetration
    loops: bool


def main() -> None:
    chosen = _arguments()
    say = Console(width=160)
    every = places(chosen.sets)
    found = [place for place in every if chosen.place is None or chosen.place in place.name]
    if not found:
        absent = f"No complete set is in {', '.join(map(str, chosen.sets))}." if chosen.sets else ABSENT
        say.print(f"No place is called {chosen.place}: {', '.join(p.name for p in every)}" if every else absent)
        return
    measured = commit()  # before it starts: the tree may change meanwhile
    runs = _run_all(jobs(found, chosen.loops), say)
    cells = _batteries(say) if any(p.tuned_on for p in found) and not chosen.no_batteries else []
    for table in [*board(runs), *cells]:
        say.print(table.rich())
    if chosen.no_write or chosen.place is not None:
        return
    command = "python -m benchmarks.score" + " --loops" * chosen.loops + " --sets DIR" * bool(chosen.sets)
    RESULTS.mkdir(exist_ok=True)
    if tables := board([r for r in runs if r.place.tuned_on]):
        text = "On the recordings of ../shared/scenarios/open, which detectors are tuned on: expect less elsewhere."
        drawn = [p.name for p in found if p.tuned_on and DRAWN in p.penetrations]
        text += f" To look instead of read: {', '.join(f'[{name}]({name}.png)' for name in drawn)}."
        _write("score.md", markdown([*tables, *cells], measured, command, "Scoreboard", text), say)
        _pictures(runs, measured, say)
    if tables := board([r for r in runs if not r.place.tuned_on]):
        text = f"On sets that nothing was tuned on.\n\n{again([p for p in found if not p.tuned_on])}"
        _write("validation.md", markdown(tables, measured, command, "Validation", text), say)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, action="append", default=[], metavar="DIR", help="a set, or a folder of sets")
    parser.add_argument("--loops", action="store_true", help="score once more with the loops beside the vehicles")
    parser.add_argument("--place", help="only places whose name contains this; nothing is written")
    parser.add_argument("--no-batteries", action="store_true", help="leave the EV fleets out")
    parser.add_argument("--no-write", action="store_true", help="print only")
    return parser.parse_args()


def jobs(found: Sequence[Place], loops: bool) -> list[Job]:
    """Both days of every place at every penetration that it has, the dearest first."""
    kinds = (False, True) if loops else (False,)
    return [Job(p, d, n, k) for n in PENETRATIONS for k in kinds for p in found if n in p.penetrations for d in DAYS]


def _run_all(jobs: Sequence[Job], say: Console) -> list[Run]:
    """The runs of these jobs, in their order."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, console=say) as bar, ProcessPoolExecutor(2, get_context("spawn")) as pool:
        task = bar.add_task("recordings", total=len(jobs))
        futures = [pool.submit(run, job) for job in jobs]
        for _ in as_completed(futures):
            bar.advance(task)
    return [future.result() for future in futures]


def run(job: Job) -> Run:
    """One recording through the graph and, for they know no loops, once through the naive rules."""
    alerts, seconds = graph.run(job.place, job.day, job.penetration, job.loops)
    rules = [] if job.loops else naive.run(job.place, job.day, job.penetration)
    return Run(job.place, job.day, job.penetration, alerts, rules, seconds, job.loops)


def _batteries(say: Console) -> list[Table]:
    if not importlib.util.find_spec("benchmarks.score_battery"):
        return []
    say.print("Batteries: simulating fleets and scoring them.")
    return [batteries(importlib.import_module("benchmarks.score_battery").run())]


def _pictures(runs: Sequence[Run], measured: str, say: Console) -> None:
    """Draws the open sets' incident days beside the results."""
    for r in runs:
        if (r.place.tuned_on, r.day, r.feed) == (True, "incident", DRAWN):
            plot.picture(r.place, r.day, r.penetration, r.alerts, measured, RESULTS / f"{r.place.name}.png")
            say.print(f"drawn {r.place.name}.png")


def _write(name: str, text: str, say: Console) -> None:
    (RESULTS / name).write_text(text, "utf-8")
    say.print(f"written to {(RESULTS / name).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
