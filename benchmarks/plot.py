"""Space and time: a picture per recording of speeds along the road, with what is labelled and what was opened drawn in.

    python -m benchmarks.plot [--place NAME] [--penetration "20 %"] [--day incident]

A motorway is drawn by carriageway against the distance along it. A town has no one road to draw along, so it is drawn by
street direction against the distance along its own grid. Pictures go to var/plots/.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import graph, naive
from benchmarks.judge import Alert, Label
from benchmarks.recordings import ABSENT, PENETRATIONS, ROOT, SHARE, Day, Penetration, Place, places
from detectors.geometry import metres
from detectors.model import Rows

MOST = 150_000  # rows drawn a panel
SLACK = 60.0  # degrees off the direction of the panel
COLOURS = {"dangerous_situation": "red", "stationary_vehicle": "magenta", "dangerous_end_of_queue": "darkorange"}
COLOURS |= {
    "accident": "black",
    "breakdown": "saddlebrown",
    "adhesion": "blue",
    "wrong_way": "lime",
    "traffic_condition": "grey",
}


class Axis:
    """Distance along one direction of travel from the middle of a place, in km."""

    def __init__(self, place: Place, lat: float, lon: float, bearing: float, name: str) -> None:
        self.place, self.lat, self.lon, self.bearing, self.name = place, lat, lon, bearing, name

    def along(self, lat: object, lon: object) -> NDArray[np.float64]:
        east, north = metres(np.asarray(lat), np.asarray(lon), self.lat, self.lon)
        angle = np.radians(self.bearing)
        km: NDArray[np.float64] = (east * np.sin(angle) + north * np.cos(angle)) / 1000
        return km

    def takes(self, heading: float | None) -> bool:
        return heading is None or bool(np.isnan(heading)) or abs((heading - self.bearing + 180) % 360 - 180) <= SLACK

    def takes_rows(self, rows: Rows) -> NDArray[np.bool_]:
        out: NDArray[np.bool_] = np.abs((rows["heading"] - self.bearing + 180) % 360 - 180) <= SLACK
        return out

    def minutes(self, ms: object) -> NDArray[np.float64]:
        return (np.asarray(ms, np.float64) - self.place.start) / 60_000


def axes(place: Place, rows: Rows) -> list[Axis]:
    """Two carriageways of a motorway, four directions of a town's grid; the bearing is where most headings point."""
    doubled = np.radians(rows["heading"].astype(np.float64) * (2 if place.motorway else 4))
    fold = 2 if place.motorway else 4
    first = float(np.degrees(np.arctan2(np.sin(doubled).mean(), np.cos(doubled).mean())) / fold) % (360 / fold)
    lat, lon = float(np.median(rows["lat"])), float(np.median(rows["lon"]))
    bearings = [first + 360 / fold * k for k in range(fold)]
    return [Axis(place, lat, lon, bearing, f"towards {bearing:.0f} degrees") for bearing in bearings]


def draw(place: Place, rows: Rows, labels: Sequence[Label], alerts: Sequence[Alert], title: str, out: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    panels = axes(place, rows)
    figure, plots = plt.subplots(len(panels), 1, figsize=(18, 6 * len(panels)), sharex=True, squeeze=False)
    top = float(np.nanquantile(rows["speed"], 0.98))
    for axis, plot in zip(panels, plots[:, 0], strict=True):
        mine = rows[axis.takes_rows(rows)]
        mine = mine[:: max(1, len(mine) // MOST)]
        where = axis.along(mine["lat"], mine["lon"])
        points = plot.scatter(axis.minutes(mine["time"]), where, c=mine["speed"], s=0.6, cmap="RdYlGn", vmin=0, vmax=top)
        for label in labels:
            if axis.takes(label.heading) or label.kind == "wrong_way":
                _draw_label(axis, plot, label)
        for alert in alerts:
            if axis.takes(alert.heading):
                at, y = float(axis.minutes(alert.time)), float(axis.along(alert.lat, alert.lon))
                plot.plot(at, y, "v", ms=9, mec="white", mew=0.8, color=COLOURS.get(alert.kind, "purple"))
                plot.annotate(alert.kind, (at, y), xytext=(5, 5), textcoords="offset points", fontsize=6)
        plot.set_ylabel(f"km along, {axis.name}")
        figure.colorbar(points, ax=plot, label="m/s", pad=0.01)
    plots[-1, 0].set_xlabel("minutes")
    plots[0, 0].set_title(f"{title}: boxes are labels (black incidents, grey distractors), triangles opened incidents")
    figure.tight_layout()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=80)
    plt.close(figure)


def _draw_label(axis: Axis, plot: object, label: Label) -> None:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    assert isinstance(plot, Axes)
    colour = "black" if label.incident else "grey"
    start, end = float(axis.minutes(label.start)), float(axis.minutes(label.end))
    if label.track:
        t, lat, lon = zip(*label.track, strict=True)
        plot.plot(axis.minutes(t), axis.along(lat, lon), "-", color=colour, lw=2)
        place = float(axis.along(lat[0], lon[0]))
    else:
        ends = [float(axis.along(lat, lon)) for lat, lon in (*label.affected, (label.lat, label.lon))]
        low, place = min(ends) - 0.1, max(ends) + 0.1
        plot.add_patch(Rectangle((start, low), max(end - start, 0.3), place - low, fill=False, ec=colour, lw=1.2))
    if label.incident:
        plot.annotate(f"{label.name} {label.kind}", (start, place), fontsize=7, weight="bold")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--place", default="", help="only places whose name contains this")
    parser.add_argument("--penetration", choices=PENETRATIONS, default="20 %")
    parser.add_argument("--day", choices=("incident", "normal"), default="incident")
    chosen = parser.parse_args()
    day: Day = chosen.day
    penetration: Penetration = chosen.penetration
    if not places():
        print(ABSENT)
    for place in places():
        if chosen.place in place.name:
            rows = naive.rows(place, day, penetration)
            alerts = graph.run(place, day, penetration)[0]
            out = ROOT / "var" / "plots" / f"{place.name}-{day}-{SHARE[penetration] * 100:.0f}.png"
            draw(place, rows, place.labels(day), alerts, f"{place.name}, {day} day, {penetration}", out)
            print(f"drawn {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
