"""Runs -> the tables of the scoreboard, for the terminal and for the results file."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from rich.table import Table as RichTable

from benchmarks.judge import Alert, Label, Verdict, by_luck, gates, judge, metres, quantile
from benchmarks.recordings import PENETRATIONS, SHARE, Day, Penetration, Place

SOON = 120.0  # s
RESAMPLES = 2000
TARGETS = {  # what ../shared/scenarios asks for: rate, over luck, soon, median and p95 s, false alarms per km h
    ("motorway", "20 %"): (">= .95", ">= .65", ">= .90", "30 / 120", "<= .10"),
    ("motorway", "5 %"): (">= .80", ">= .50", ">= .60", "75 / 300", "<= .10"),
    ("urban", "20 %"): (">= .60", ">= .45", ">= .40", "90 / 400", "<= .03"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One recording: what the graph opened, and what the naive rules did."""

    place: Place
    day: Day
    penetration: Penetration
    alerts: list[Alert]
    naive: list[Alert]
    seconds: float


@dataclass(slots=True)
class Table:
    title: str
    head: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    note: str = ""

    def rich(self) -> RichTable:
        table = RichTable(*self.head, title=self.title, title_justify="left", caption=self.note or None)
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = [f"## {self.title}", "", "| " + " | ".join(self.head) + " |", "|---" * len(self.head) + "|"]
        lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else []), ""])


@dataclass(slots=True)
class Tally:
    """Several places' verdicts as one line."""

    verdicts: list[Verdict] = field(default_factory=list)
    luck: list[float] = field(default_factory=list)  # one per verdict
    false: int = 0  # on the normal day
    km_hours: float = 0.0
    broken: list[str] = field(default_factory=list)

    def cells(self) -> list[str]:
        outcomes = [v.found.get(o.name, (math.inf,))[0] for v in self.verdicts for o in v.incidents]
        sizes = [len(v.incidents) for v in self.verdicts]
        luck = sum(rate * n for rate, n in zip(self.luck, sizes, strict=True)) / max(1, sum(sizes))
        found = sorted(s for s in outcomes if s < math.inf)
        extra, wrong = sum(len(v.extra) for v in self.verdicts), sum(len(v.false) for v in self.verdicts)
        return [
            f"{len(found)}/{len(outcomes)}",
            _interval(outcomes, lambda s: s < math.inf),
            f"{len(found) / len(outcomes) - luck:.2f}" if outcomes else "-",
            _interval(outcomes, lambda s: s <= SOON),
            f"{quantile(found, 0.5):.0f} / {quantile(found, 0.95):.0f}" if found else "-",
            f"{self.false / self.km_hours:.2f} ({self.false})" if self.km_hours else "-",
            f"{wrong} + {extra}",
            f"{len(self.broken)} broken" if self.broken else "kept",
        ]


HEAD = (
    "",
    "found",
    "DR",
    "DR - chance",
    "DR <= 120 s",
    "TTD median / p95 s",
    "FA per km h, normal day",
    "false + extra, incident day",
    "hard gates",
)


def board(runs: Sequence[Run]) -> list[Table]:
    """The scoreboard by kind of place, the same by place, what was missed, and every false alarm."""
    kinds, by_place = Table("Scoreboard", HEAD), Table("By place", HEAD)
    kinds.note = "In brackets 95 % intervals by resampling the incidents. `to reach` is the goal; hard gates hold on every set."
    for penetration in PENETRATIONS:
        for kind in ("motorway", "urban"):
            some = [r for r in runs if r.penetration == penetration and r.place.motorway == (kind == "motorway")]
            if not some:
                continue
            label = f"{kind} {penetration}"
            kinds.rows.append((label, *tally(some).cells()))
            kinds.rows.append((f"{label}, naive rules", *tally(some, by_rules=True).cells()))
            if goal := TARGETS.get((kind, penetration)):
                kinds.rows.append((f"{label}, to reach", "", *goal, "", "kept"))
            for name in sorted({r.place.name for r in some}):
                cells = tally(r for r in some if r.place.name == name).cells()
                by_place.rows.append((f"{name} {penetration}", *cells))
    return [kinds, by_place, _gates(runs), _by_kind(runs), _missed(runs), _false(runs), _work(runs)]


@lru_cache(maxsize=1000)
def judged(run: Run, by_rules: bool = False) -> tuple[Verdict, float]:
    """A run's verdict, and what luck would have found on its incident day."""
    labels, alerts = run.place.labels(run.day), run.naive if by_rules else run.alerts
    luck = by_luck(alerts, labels, run.place.start, run.place.length) if run.day == "incident" else math.nan
    return judge(alerts, labels), luck


def tally(runs: Iterable[Run], by_rules: bool = False) -> Tally:
    out = Tally()
    for run in runs:
        verdict, luck = judged(run, by_rules)
        if run.day == "incident":
            out.verdicts.append(verdict)
            out.luck.append(luck)
            out.broken += gates(verdict)
        else:
            out.false += len(verdict.false)
            out.km_hours += run.place.km_hours
            out.broken += [f"{words}, on the normal day" for words in gates(verdict)]
    return out


def _interval(outcomes: Sequence[float], good: Callable[[float], bool]) -> str:
    """Share of good outcomes, with the 95 % interval of resampling them."""
    if not outcomes:
        return "-"
    hits = [good(s) for s in outcomes]
    dice = random.Random(1)
    drawn = sorted(sum(dice.choices(hits, k=len(hits))) / len(hits) for _ in range(RESAMPLES))
    low, high = quantile(drawn, 0.025), quantile(drawn, 0.975)
    return f"{sum(hits) / len(hits):.2f} [{low:.2f}, {high:.2f}]"


def _incident_days(runs: Iterable[Run]) -> list[tuple[Run, Verdict]]:
    return [(r, judged(r)[0]) for r in runs if r.day == "incident"]


def _gates(runs: Sequence[Run]) -> Table:
    table = Table("Hard gates broken", ("where", "by", "how"))
    for name, penetration in sorted({(r.place.name, r.penetration) for r in runs}):
        some = [r for r in runs if (r.place.name, r.penetration) == (name, penetration)]
        for who, by_rules in (("roadwatch", False), ("naive rules", True)):
            table.rows += [(f"{name} {penetration}", who, how) for how in tally(some, by_rules).broken]
    return table


def _by_kind(runs: Sequence[Run]) -> Table:
    """Which kind of incident was found, and what it was first called."""
    judged = _incident_days(runs)
    table = Table("By kind of incident", ("kind", *PENETRATIONS, "called first"))
    for kind in sorted({o.kind for _, v in judged for o in v.incidents}):
        cells, names = [], dict[str, int]()
        for penetration in PENETRATIONS:
            of = [(o, v) for r, v in judged if r.penetration == penetration for o in v.incidents if o.kind == kind]
            cells.append(f"{sum(o.name in v.found for o, v in of)}/{len(of)}")
            for o, v in of:
                if o.name in v.found:
                    called = v.found[o.name][1].kind
                    names[called] = names.get(called, 0) + 1
        said = ", ".join(f"{name} {n}" for name, n in sorted(names.items(), key=lambda i: (-i[1], i[0])))
        table.rows.append((kind, *cells, said))
    return table


def _missed(runs: Sequence[Run]) -> Table:
    table = Table("Missed", ("where", "what", "when", "place", "why, as far as the labels tell"))
    for run, verdict in _incident_days(runs):
        for o in verdict.missed:
            place = f"{o.lat:.5f}, {o.lon:.5f}"
            when = f"{(o.start - run.place.start) / 1000:.0f} s"
            table.rows.append((f"{run.place.name} {run.penetration}", f"{o.name} {o.kind}", when, place, _why(o, run)))
    return table


def _why(o: Label, run: Run) -> str:
    share = SHARE[run.penetration]
    reporting = sum(u < share for u in o.shares)
    passers = o.probes.get(str(share), 0)
    words = [f"{reporting} of {len(o.shares)} actors report, {passers} others passed within 2 min"]
    near = [a for a in run.alerts if metres(a.lat, a.lon, o.lat, o.lon) <= 1000 and o.same_way(a)]
    if near:
        a = min(near, key=lambda a: abs(a.time - o.start))
        far, late = metres(a.lat, a.lon, o.lat, o.lon), (a.time - o.start) / 1000
        words.append(f"nearest alert: {a.kind} {far:.0f} m away, {late:+.0f} s")
    else:
        words.append("no alert within 1 km that way")
    return "; ".join(words)


def _false(runs: Sequence[Run]) -> Table:
    table = Table("False alarms", ("where", "kind", "when", "place", "on", "it said"))
    for run in runs:
        for a, cause in judged(run)[0].false:
            where = f"{run.place.name} {run.penetration} {run.day} day"
            when = f"{(a.time - run.place.start) / 1000:.0f} s"
            table.rows.append((where, a.kind, when, f"{a.lat:.5f}, {a.lon:.5f}", cause, a.said))
    return table


def _work(runs: Sequence[Run]) -> Table:
    table = Table("Work", ("where", "incidents opened", "graph, s"))
    for run in runs:
        where = f"{run.place.name} {run.penetration} {run.day} day"
        table.rows.append((where, str(len(run.alerts)), f"{run.seconds:.1f}"))
    return table


def batteries(rows: Sequence[dict[str, float | str]]) -> Table:
    """The EV fleets' table, with its own columns."""
    head = tuple(name.replace("_", " ") for name in rows[0]) if rows else ()
    return Table("Batteries", head, [tuple(str(value) for value in row.values()) for row in rows])


def markdown(tables: Sequence[Table], commit: str) -> str:
    first = f"# Scoreboard\n\nTaken at commit {commit} by `make score` on the recordings of ../shared/scenarios/open.\n"
    return "\n".join([first, *(table.markdown() for table in tables)])
