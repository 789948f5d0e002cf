"""Runs -> the tables of the scoreboard, beside what is to be reached."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import details
from benchmarks.recordings import PENETRATIONS
from benchmarks.table import Table
from benchmarks.tally import FEEDS, HEAD, Run, tally

TARGETS = {  # what ../shared/scenarios asks for: rate, over luck, soon, median and p95 s, false alarms per km h
    ("motorway", "20 %"): (">= .95", ">= .65", ">= .90", "30 / 120", "<= .10"),
    ("motorway", "5 %"): (">= .80", ">= .50", ">= .60", "75 / 300", "<= .10"),
    ("urban", "100 %"): (">= .85", ">= .65", ">= .75", "25 / 150", "<= .03"),
    ("urban", "20 %"): (">= .60", ">= .45", ">= .40", "90 / 400", "<= .03"),
}
NOTE = "In brackets 95 % intervals by resampling the incidents. `to reach` is the goal; hard gates hold on every set."


def board(runs: Sequence[Run]) -> list[Table]:
    """The scoreboard by kind of place, the same by place, what was missed, and every false alarm.

    Places that were tuned on and places that were not come in tables of their own.
    """
    tables: list[Table] = []
    for tuned_on, title in ((True, "tuned on these places"), (False, "not tuned on these places")):
        if some := [r for r in runs if r.place.tuned_on == tuned_on]:
            tables += [_by_kind_of_place(some, title), _by_place(some, title)]
            tables += [make(some) for make in details.ALL]
    return tables


def _by_kind_of_place(runs: Sequence[Run], title: str) -> Table:
    table = Table(f"Scoreboard, {title}", HEAD, note=NOTE)
    for penetration in PENETRATIONS:
        for kind in ("motorway", "urban"):
            some = [r for r in runs if r.penetration == penetration and r.place.motorway == (kind == "motorway")]
            if not some:
                continue
            label, plain = f"{kind} {penetration}", [r for r in some if not r.loops]
            table.rows.append((label, *tally(plain).cells()))
            table.rows.append((f"{label}, naive rules", *tally(plain, by_rules=True).cells()))
            if with_loops := [r for r in some if r.loops]:
                table.rows.append((f"{label}, with loops", *tally(with_loops).cells()))
            if goal := TARGETS.get((kind, penetration)):
                table.rows.append((f"{label}, to reach", "", *goal, "", "kept"))
    return table


def _by_place(runs: Sequence[Run], title: str) -> Table:
    table = Table(f"By place, {title}", HEAD)
    for feed in FEEDS:
        some = [r for r in runs if r.feed == feed]
        for name in sorted({r.place.name for r in some}):
            table.rows.append((f"{name} {feed}", *tally(r for r in some if r.place.name == name).cells()))
    return table


def batteries(rows: Sequence[dict[str, float | str]]) -> Table:
    """The EV fleets' table, with its own columns."""
    head = tuple(name.replace("_", " ") for name in rows[0]) if rows else ()
    return Table("Batteries", head, [tuple(str(value) for value in row.values()) for row in rows])


def markdown(
    tables: Sequence[Table], commit: str, command: str = "make score", title: str = "Scoreboard", text: str = ""
) -> str:
    first = f"# {title}\n\nTaken at commit {commit} by `{command}`.{text and ' '}{text}\n"
    return "\n".join([first, *(table.markdown() for table in tables)])
