"""What each detector and each model is worth: the open sets again, loops beside the vehicles, with one of them switched off.

    python -m benchmarks.ablate [--place NAME] [--no-models] [--no-write]
    python -m benchmarks.ablate --sets DIR     other sets of the same form: benchmarks/results/ablation_validation.md

Not the graph but one shard in one process (benchmarks/one_shard.py). All detectors run once; what they found is merged without
one of them, for they do not see one another. A model that is switched off has its own detectors run again. Writes
benchmarks/results/ablation.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.progress import track

from benchmarks import one_shard
from benchmarks.judge import Alert, judge
from benchmarks.machine import commit
from benchmarks.recordings import ABSENT, DAYS, ROOT, Day, Penetration, Place, places
from benchmarks.switches import MODELS
from benchmarks.table import Table
from benchmarks.tally import SOON
from detectors import CATALOGUE
from detectors.model import Finding

RESULTS = ROOT / "benchmarks" / "results"
AT: tuple[Penetration, ...] = ("20 %", "5 %")
NONE_OFF = "nothing"
Variants = dict[str, list[Alert]]  # what was switched off -> what was opened
NOTE = (
    "The loops are played beside the vehicles. "
    "One shard in one process, not the graph: figures may differ a little from the scoreboard's. "
    "`-1 +1` is one incident lost and another gained; false alarms are net. "
    "Told again is what was opened once more for an incident that was found, or for its queue. "
    "A line that changes nothing may also mean that these recordings hold nothing for it: they have no airbags, "
    "no weather and no batteries."
)


@dataclass(frozen=True, slots=True)
class Job:
    place: Place
    day: Day
    penetration: Penetration
    models: bool


@dataclass(slots=True)
class Worth:
    """What was found and what was not there, over several places. By name: what one place loses another may gain."""

    incidents: int = 0
    found: set[str] = field(default_factory=set)
    soon: set[str] = field(default_factory=set)
    false: int = 0  # on the normal day
    wrong: int = 0  # false on the incident day
    again: int = 0  # opened once more for an incident that was found, or for its queue
    km_hours: float = 0.0

    def add(self, job: Job, alerts: Sequence[Alert]) -> None:
        verdict = judge(alerts, job.place.labels(job.day))
        if job.day == "incident":
            self.incidents += len(verdict.incidents)
            self.found |= {f"{job.place.name} {name}" for name in verdict.found}
            self.soon |= {f"{job.place.name} {name}" for name, (seconds, _) in verdict.found.items() if seconds <= SOON}
            self.wrong += len(verdict.false)
            self.again += len(verdict.extra)
        else:
            self.false += len(verdict.false)
            self.km_hours += job.place.km_hours

    def cells(self, full: Worth) -> list[str]:
        """Found, within two minutes, false alarms of both days, told again; as changes where this is not all there is."""
        if self is full:
            rate = f" ({self.false / self.km_hours:.2f})" if self.km_hours else ""
            found, soon = (f"{len(names)}/{self.incidents}" for names in (self.found, self.soon))
            return [found, soon, f"{self.false}{rate}", str(self.wrong), str(self.again)]
        pairs = (self.found, full.found), (self.soon, full.soon)
        changes = [f"{-len(were - now) or ''} {f'+{len(now - were)}' if now - were else ''}".strip() for now, were in pairs]
        counts = self.false - full.false, self.wrong - full.wrong, self.again - full.again
        return [change or "0" for change in changes] + [f"{count:+d}" if count else "0" for count in counts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, action="append", default=[], metavar="DIR", help="a set, or a folder of sets")
    parser.add_argument("--place", default="", help="only places whose name contains this; nothing is written")
    parser.add_argument("--no-models", action="store_true", help="detectors only: a third of the time")
    parser.add_argument("--no-write", action="store_true", help="print only")
    chosen = parser.parse_args()
    say = Console(width=160)
    every = places(chosen.sets)
    found = [place for place in every if chosen.place in place.name]
    if not found:
        absent = f"No complete set is in {', '.join(map(str, chosen.sets))}." if chosen.sets else ABSENT
        say.print(f"No place is called {chosen.place}." if every else absent)
        return
    measured = commit()
    jobs = [Job(p, d, n, not chosen.no_models) for n in AT for p in found if n in p.penetrations for d in DAYS]
    tables = compare(_run_all(jobs, say))
    gone = [model.name for model in MODELS if model.gone and not chosen.no_models]
    if gone:
        say.print(f"No longer where benchmarks/switches.py looks for them, and so left out: {'; '.join(gone)}")
    for table in tables:
        say.print(table.rich())
    if not (chosen.no_write or chosen.place):
        name, command, on = "ablation.md", "python -m benchmarks.ablate", "../shared/scenarios/open"
        if chosen.sets:
            on = ", ".join(place.name for place in found)
            name, command = "ablation_validation.md", f"{command} --sets DIR"
        first = f"# Ablation\n\nTaken at commit {measured} by `{command}` on {on}. {NOTE}\n"
        results = RESULTS / name
        results.write_text("\n".join([first, *(table.markdown() for table in tables)]), "utf-8")
        say.print(f"written to {results.relative_to(ROOT)}")


def _run_all(jobs: Sequence[Job], say: Console) -> list[tuple[Job, Variants]]:
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        futures = [pool.submit(variants, job) for job in jobs]
        for _ in track(as_completed(futures), "recordings", len(jobs), console=say):
            pass
    return [(job, future.result()) for job, future in zip(jobs, futures, strict=True)]


def variants(job: Job) -> Variants:
    """What is opened on one recording with everything on, and with each switch off in turn."""
    seen = one_shard.panes(job.place, job.day, job.penetration, job.place.loops(job.day).exists())
    full = one_shard.detect(CATALOGUE, seen)
    found = {NONE_OFF: _open(full.values())}
    for name in full:
        found[name] = _open(each for other, each in full.items() if other != name)
    for model in MODELS if job.models else ():
        if not model.gone:
            with model.off():
                again = one_shard.detect((kind for kind in CATALOGUE if kind.__name__ in model.detectors), seen)
            found[model.name] = _open({**full, **again}.values())
    return found


def _open(findings: Iterable[Iterable[Finding]]) -> list[Alert]:
    return one_shard.opened(chain.from_iterable(findings))


def compare(runs: Sequence[tuple[Job, Variants]]) -> list[Table]:
    """A table for each penetration: everything on, then what changes without each detector and each model."""
    head = [
        f"{kind}: {what}"
        for kind in ("motorway", "town")
        for what in ("found", "<= 120 s", "false, normal day", "false, incident day", "told again")
    ]
    tables = []
    for penetration in AT:
        some = [(job, found) for job, found in runs if job.penetration == penetration]
        table = Table(f"{penetration} of the vehicles", ("switched off", *head))
        for name in some[0][1] if some else ():
            row = [name]
            for motorway in (True, False):
                full, worth = Worth(), Worth()
                for job, found in some:
                    if job.place.motorway == motorway:
                        full.add(job, found[NONE_OFF])
                        worth.add(job, found[name])
                row += full.cells(full) if name == NONE_OFF else worth.cells(full)
            table.rows.append(row)
        tables.append(table)
    return tables


if __name__ == "__main__":
    main()
