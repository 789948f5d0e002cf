"""Distance against time: a picture per recording of speeds along the roads, what is labelled, and what roadwatch opened.

    python -m benchmarks.plot [--place NAME] [--penetration "20 %"] [--day incident] [--sets DIR]

Traffic always goes up, so a queue grows downwards from its reason. A motorway is its two carriageways. A town has no one road:
its streets are stacked, each way by itself, and those on which nothing is labelled as an incident and nothing was opened are
left out. Pictures go to var/plots/; `python -m benchmarks.score` puts those of the open sets beside its results.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import graph, naive
from benchmarks.judge import Alert, Label, judge
from benchmarks.machine import commit
from benchmarks.recordings import ABSENT, PENETRATIONS, ROOT, SHARE, Day, Penetration, Place, places
from benchmarks.roads import Road, roads
from benchmarks.strip import Opened, figure_of


def picture(place: Place, day: Day, penetration: Penetration, alerts: Sequence[Alert], measured: str, out: Path) -> None:
    """Draws what these alerts are worth on this recording; `measured` is the commit that they come from."""
    labels, rows = place.labels(day), naive.rows(place, day, penetration)
    verdict = judge(alerts, labels)
    opened = [Opened(alert, "found") for _, alert in verdict.found.values()]
    opened += [Opened(alert, "extra") for alert, _ in verdict.extra]
    opened += [Opened(alert, "false") for alert, _ in verdict.false]
    every = roads(place, rows)
    where = [(one, road_of(one.alert, every)) for one in opened]
    there = {r: ([label for label in labels if on(label, r)], [one for one, its in where if its is r]) for r in every}
    shown = {
        r: here
        for r, here in there.items()
        if place.motorway or here[1] or any(label.incident or day == "normal" for label in here[0])
    }
    title = f"{place.name}, {day} day, {penetration} of the vehicles send: roadwatch at commit {measured}"
    counts = f"{len(verdict.found)} of {len(verdict.incidents)} incidents found, {len(verdict.extra)} extra, "
    counts += f"{len(verdict.false)} false"
    if left := len(every) - len(shown):
        counts += f"; {left} street directions without an incident or an alert are not drawn"
    if beside := sum(its is None for _, its in where):
        counts += f"; {beside} opened beside every road {'is' if beside == 1 else 'are'} not drawn"
    out.parent.mkdir(parents=True, exist_ok=True)
    figure_of(place, rows, shown, {o.name for o in verdict.missed}, (title, counts), out)


def on(label: Label, road: Road) -> bool:
    if label.road:
        return label.road == road.name
    return bool(road.holds(label.lat, label.lon, float("nan")))  # a faulty sender may be on either side


def road_of(alert: Alert, every: Sequence[Road]) -> Road | None:
    """The road whose direction fits best; who drives the wrong way is drawn on the road that he is on."""
    heading = float("nan") if alert.heading is None else alert.heading + (180 if alert.kind == "wrong_way" else 0)
    here = [road for road in every if road.holds(alert.lat, alert.lon, heading)]
    return min(here, key=lambda road: abs((heading - road.bearing + 180) % 360 - 180), default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=Path, action="append", default=[], metavar="DIR", help="a set, or a folder of sets")
    parser.add_argument("--place", default="", help="only places whose name contains this")
    parser.add_argument("--penetration", choices=PENETRATIONS, default="20 %")
    parser.add_argument("--day", choices=("incident", "normal"), default="incident")
    chosen = parser.parse_args()
    found = [place for place in places(chosen.sets) if chosen.place in place.name]
    if not found:
        print(ABSENT)
    for place in found:
        if chosen.penetration in place.penetrations:
            alerts, _ = graph.run(place, chosen.day, chosen.penetration)
            out = ROOT / "var" / "plots" / f"{place.name}-{chosen.day}-{SHARE[chosen.penetration] * 100:.0f}.png"
            picture(place, chosen.day, chosen.penetration, alerts, commit(), out)
            print(f"drawn {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
