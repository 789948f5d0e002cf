"""Strips of distance against time, one above the other: speeds behind, labels and opened incidents in front."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge import Alert, Label
from benchmarks.recordings import Place
from benchmarks.roads import Road
from detectors.model import Rows

SECONDS, METRES = 30.0, 50.0  # a cell of the background
INK, GREY, MISSED, FALSE, OPENED = "#1b1b1b", "#7c7c7c", "#c2189b", "#d81e1e", "#1043c4"
SPEEDS = ("#e0604c", "#f3a768", "#f8e3a0", "#d6ebc0", "#b4dccb")  # slow to fast, pale: they are the background
SHADES = 20  # of the background: few pack well, and the picture is committed
SAYS = {  # kinds in a word or two
    "accident": "accident",
    "adhesion": "slippery",
    "breakdown": "breakdown",
    "dangerous_end_of_queue": "queue end",
    "dangerous_situation": "hard braking",
    "stationary_vehicle": "stopped",
    "traffic_condition": "slow",
    "wrong_way": "wrong way",
}


class Opened(NamedTuple):
    """An opened incident, and what it was worth."""

    alert: Alert
    worth: Literal["found", "extra", "false"]


Things = Mapping[Road, tuple[Sequence[Label], Sequence[Opened]]]


def figure_of(place: Place, rows: Rows, things: Things, missed: Collection[str], titles: tuple[str, str], out: Path) -> None:
    """Draws one strip for each road with its labels and opened incidents, and writes the PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.colors import LinearSegmentedColormap

    colours = LinearSegmentedColormap.from_list("speeds", SPEEDS, SHADES)  # and nothing where nobody was seen
    top = float(np.nanquantile(rows["speed"], 0.95)) * 3.6
    count = max(1, len(things))
    high = 5.2 if place.motorway else 1.15
    size = (16.0, high * count + 1.5)
    figure, axes = plt.subplots(count, 1, figsize=size, sharex=True, squeeze=False)
    figure.subplots_adjust(left=0.055, right=0.945, bottom=0.55 / size[1], top=1 - 0.95 / size[1], hspace=0.06)
    image = None
    for (road, (labels, opened)), axis in zip(things.items(), axes[:, 0], strict=False):
        extent = (0.0, place.length / 60_000, 0.0, float(road.known[-1]))
        image = axis.imshow(
            background(place, rows, road) * 3.6, cmap=colours, vmin=0, vmax=top, extent=extent,
            origin="lower", aspect="auto", interpolation="nearest",
        )  # fmt: skip
        axis.set(xlim=extent[:2], ylim=extent[2:])
        for label in sorted(labels, key=lambda o: o.incident):
            _label(axis, place, road, label, label.name in missed)
        for one in opened:
            _opened(axis, place, road, one)
        axis.set_ylabel(
            road.title.replace(", ", "\n") if not place.motorway else f"km along {road.title}, as the traffic goes", fontsize=9
        )
        axis.tick_params(labelsize=8)
        if not place.motorway:
            axis.set_yticks([1.0, 2.0])
    upwards = "" if place.motorway else "; upwards: km along each street, as the traffic goes"
    axes[-1, 0].set_xlabel(f"minutes since the start{upwards}; white: nobody was seen", fontsize=9)
    axes[-1, 0].set_xticks(range(0, round(place.length / 60_000) + 1, 5))
    figure.text(0.055, 1 - 0.28 / size[1], titles[0], fontsize=13, weight="bold")
    figure.text(0.055, 1 - 0.50 / size[1], titles[1], fontsize=10, color="#444444")
    _legend(figure, 1 - 0.90 / size[1])
    if image is not None:
        beside = figure.add_axes((0.955, 0.55 / size[1], 0.01, min(0.5, 3.5 / size[1])))
        figure.colorbar(image, cax=beside)
        beside.set_title("km/h", fontsize=8)
        beside.tick_params(labelsize=8)
    _write(figure, out)
    plt.close(figure)


def background(place: Place, rows: Rows, road: Road) -> NDArray[np.float64]:
    """Mean speed (m/s) by distance and time; NaN where nobody was seen."""
    mine = rows[road.holds(rows["lat"], rows["lon"], rows["heading"]) & np.isfinite(rows["speed"])]
    shape = int(np.ceil(road.known[-1] * 1000 / METRES)), int(np.ceil(place.length / 1000 / SECONDS))
    up = (road.km(mine["lat"], mine["lon"]) * 1000 / METRES).astype(np.int64)
    right = ((mine["time"] - place.start) // int(1000 * SECONDS)).astype(np.int64)
    inside = (up < shape[0]) & (right >= 0) & (right < shape[1])
    cell = (up * shape[1] + right)[inside]
    count = np.bincount(cell, minlength=shape[0] * shape[1])
    total = np.bincount(cell, mine["speed"][inside].astype(np.float64), minlength=shape[0] * shape[1])
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(shape)


def _label(axis: Any, place: Place, road: Road, label: Label, missed: bool) -> None:
    """An incident is a bar at its place and a dashed box around its queue; a distractor is thin and grey."""
    from matplotlib.patches import Rectangle

    colour = GREY if not label.incident else MISSED if missed else INK
    start, end, clear = (_minute(place, t) for t in (label.start, label.end, label.clear))
    at = float(road.km(label.lat, label.lon))
    if label.affected and not label.track:
        reach = road.km(*zip(*label.affected, strict=True))
        low, high = min(float(reach.min()), at), max(float(reach.max()), at)
        if high - low > 0.02:
            box = Rectangle((start, low), max(clear, end) - start, high - low, fill=False, ec=colour, lw=1.1, ls=(0, (4, 2)))
            axis.add_patch(box)
    if label.track:
        t, lat, lon = (np.array(column) for column in zip(*label.track, strict=True))
        axis.plot((t - place.start) / 60_000, road.km(lat, lon), color=colour, lw=3 if label.incident else 1.2)
        at = float(road.km(lat[0], lon[0]))
    elif label.incident:
        axis.plot([start, max(end, start + 0.4)], [at, at], color=colour, lw=4, solid_capstyle="butt")
    else:
        axis.plot([start, max(end, start + 0.25)], [at, at], color=colour, lw=1.6, solid_capstyle="butt")
    words = f"{label.name} {label.kind}{', missed' if missed else ''}" if label.incident else label.kind.replace("_", " ")
    _words(axis, words, start, at, (1, 5) if label.incident else (1, 2), colour, 8 if label.incident else 6, label.incident)


def _opened(axis: Any, place: Place, road: Road, one: Opened) -> None:
    """A dot that found something, a ring that said it again, a cross that was wrong."""
    at = _minute(place, one.alert.time), float(road.km(one.alert.lat, one.alert.lon))
    if one.worth == "false":
        axis.plot(*at, "X", ms=10, color=FALSE, mec="white", mew=0.8, zorder=6)
    elif one.worth == "found":
        axis.plot(*at, "o", ms=8, color=OPENED, mec="white", mew=0.8, zorder=6)
    else:
        axis.plot(*at, "o", ms=7, color="none", mec=OPENED, mew=1.8, zorder=5)
    colour = FALSE if one.worth == "false" else OPENED
    _words(axis, SAYS.get(one.alert.kind, one.alert.kind), *at, (6, -10), colour, 7, one.worth != "extra")


def _words(axis: Any, words: str, x: float, y: float, by: tuple[int, int], colour: str, size: float, bold: bool) -> None:
    from matplotlib.patheffects import withStroke

    if y > 0.85 * axis.get_ylim()[1]:
        by = by[0], -abs(by[1]) - 8  # below, or it would run into what is above the strip
    side = "left" if x < 0.93 * axis.get_xlim()[1] else "right"
    text = axis.annotate(words, (x, y), xytext=by, textcoords="offset points", ha=side, fontsize=size, color=colour, zorder=7)
    text.set_weight("bold" if bold else "normal")
    text.set_path_effects([withStroke(linewidth=2, foreground="white")])


def _legend(figure: Any, y: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=INK, lw=4, label="incident, found"),
        Line2D([], [], color=MISSED, lw=4, label="incident, missed"),
        Line2D([], [], color=INK, lw=1.1, ls=(0, (4, 2)), label="its queue, until it is gone"),
        Line2D([], [], color=GREY, lw=1.6, label="distractor: must not be reported"),
        Line2D([], [], color=OPENED, marker="o", ls="", mec="white", ms=8, label="opened: found it"),
        Line2D([], [], color="none", marker="o", ls="", mec=OPENED, mew=1.8, ms=7, label="opened: the same again"),
        Line2D([], [], color=FALSE, marker="X", ls="", mec="white", ms=10, label="opened: false"),
    ]
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.05, y), ncols=7, fontsize=9, frameon=False)


def _minute(place: Place, time: int) -> float:
    return (time - place.start) / 60_000


def _write(figure: Any, out: Path) -> None:
    """As a PNG of few colours, a third of the size: it is committed. An octree keeps the rare ones, such as the crosses'."""
    from PIL import Image

    packed = io.BytesIO()
    figure.savefig(packed, format="png", dpi=100)
    with Image.open(packed) as image:
        image.convert("RGB").quantize(255, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(out, optimize=True)
