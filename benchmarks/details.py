"""The scoreboard, thing by thing: each broken gate, each kind, each miss, each false alarm, and what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from benchmarks.judge import Label, Verdict, metres
from benchmarks.recordings import SHARE
from benchmarks.table import Table
from benchmarks.tally import FEEDS, Run, judged, tally


def _incident_days(runs: Iterable[Run]) -> list[tuple[Run, Verdict]]:
    return [(r, judged(r)[0]) for r in runs if r.day == "incident"]


def broken_gates(runs: Sequence[Run]) -> Table:
    table = Table("Hard gates broken", ("where", "by", "how"))
    for name in sorted({r.name for r in runs}):
        some = [r for r in runs if r.name == name]
        for who, by_rules in (("roadwatch", False), ("naive rules", True)):
            table.rows += [(name, who, how) for how in tally(some, by_rules).broken]
    return table


def by_kind(runs: Sequence[Run]) -> Table:
    """Which kind of incident was found, and what it was first called."""
    days = _incident_days(runs)
    feeds = [feed for feed in FEEDS if any(r.feed == feed for r in runs)]
    table = Table("By kind of incident", ("kind", *feeds, "called first"))
    for kind in sorted({o.kind for _, v in days for o in v.incidents}):
        cells, names = [], Counter[str]()
        for feed in feeds:
            of = [(o, v) for r, v in days if r.feed == feed for o in v.incidents if o.kind == kind]
            found = [v.found[o.name][1].kind for o, v in of if o.name in v.found]
            cells.append(f"{len(found)}/{len(of)}")
            names.update(found)
        said = ", ".join(f"{name} {n}" for name, n in sorted(names.items(), key=lambda i: (-i[1], i[0])))
        table.rows.append((kind, *cells, said))
    return table


def missed(runs: Sequence[Run]) -> Table:
    table = Table("Missed", ("where", "what", "when", "place", "why, as far as the labels tell"))
    for run, verdict in _incident_days(runs):
        for o in verdict.missed:
            place = f"{o.lat:.5f}, {o.lon:.5f}"
            when = f"{(o.start - run.place.start) / 1000:.0f} s"
            table.rows.append((run.name, f"{o.name} {o.kind}", when, place, _why(o, run)))
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


def false_alarms(runs: Sequence[Run]) -> Table:
    table = Table("False alarms", ("where", "kind", "when", "place", "on", "it said"))
    for run in runs:
        for a, cause in judged(run)[0].false:
            where = f"{run.name}, {run.day} day"
            when = f"{(a.time - run.place.start) / 1000:.0f} s"
            table.rows.append((where, a.kind, when, f"{a.lat:.5f}, {a.lon:.5f}", cause, a.said))
    return table


def work(runs: Sequence[Run]) -> Table:
    table = Table("Work", ("where", "incidents opened", "graph, s"))
    for run in runs:
        where = f"{run.name}, {run.day} day"
        table.rows.append((where, str(len(run.alerts)), f"{run.seconds:.1f}"))
    return table


ALL: tuple[Callable[[Sequence[Run]], Table], ...] = (broken_gates, by_kind, missed, false_alarms, work)
