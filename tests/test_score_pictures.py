"""The pictures: which road a thing lies on, how far along, and that a picture is drawn and small enough to be committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import naive, plot, roads, strip
from benchmarks.judge import Alert, Label
from benchmarks.recordings import Place
from detectors.model import OBSERVATION

T0 = 1_741_000_000_000
LAT, LON = 22.54, 114.06
NORTH = 1 / 110_574  # degrees of latitude a metre
EAST = 1 / (111_320 * np.cos(np.radians(LAT)))
HEAD = "t_start,t_end,station,dir,index,km,lane,lat,lon,count,flow_vph,occupancy_pct,speed_ms\n"
META: dict[str, Any] = {
    "start_ms": T0,
    "dur_s": 600,
    "monitored_carriageway_km": 4,
    "config": {"kind": "motorway"},
    "normal_day": {"sender_faults": []},
}


def motorway(folder: Path) -> Place:
    """Two carriageways of 2 km to the north and back, a station every 500 m from 250 m on."""
    lines = []
    for road, sign in (("F", 1), ("B", -1)):
        for k in range(4):
            m = 250 + 500 * k
            lat = LAT + NORTH * (m if sign > 0 else 2000 - m)
            lines.append(f"0,30,{road}-{k:02d},{road},{k},{m / 1000},0,{lat:.6f},{LON},1,120,1.0,20.0\n")
    (folder / "loops.csv").write_text(HEAD + "".join(lines))
    crash = {"id": "I1", "label": "incident", "kind": "crash", "chain": "F", "start": T0 + 60_000, "end": T0 + 300_000}
    crash |= {"lat": LAT + 1500 * NORTH, "lon": LON, "heading": 0.0, "t_clear": T0 + 400_000}
    crash |= {"affected": [[LAT + m * NORTH, LON] for m in (1500, 1400, 1300)]}
    (folder / "truth.jsonl").write_text(json.dumps(crash))
    return Place(folder, META)


def row(north: float, east: float, heading: float, seconds: float = 0.0, speed: float = 10.0) -> np.ndarray:
    one = np.zeros(1, OBSERVATION)
    one["time"], one["heading"], one["speed"] = T0 + int(1000 * seconds), heading, speed
    one["lat"], one["lon"] = LAT + north * NORTH, LON + east * EAST
    return one


def grid() -> np.ndarray:
    """A town of three streets to the east-north-east and two across, turned by 12 degrees."""
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    rows = []
    for street in (0, 220, 500):
        rows += [row(street * c + m * s, m * c - street * s, 78 + way) for m in range(0, 1001, 50) for way in (0, 180)]
    for street in (200, 700):
        rows += [row(m * c + street * s, street * c - m * s, (348 + way) % 360) for m in range(0, 701, 50) for way in (0, 180)]
    return np.concatenate(rows)


def test_kilometres_grow_in_the_direction_of_travel(tmp_path: Path) -> None:
    ways = {road.name: road for road in roads.carriageways(motorway(tmp_path))}
    assert float(ways["F"].km(LAT + 600 * NORTH, LON)) == pytest.approx(0.6, abs=0.01)
    assert float(ways["B"].km(LAT + 600 * NORTH, LON)) == pytest.approx(1.4, abs=0.01)
    assert ways["F"].title == "F, towards N"
    assert ways["B"].holds(LAT, LON, 175.0)
    assert not ways["B"].holds(LAT, LON, 5.0)
    assert ways["B"].holds(LAT, LON, float("nan"))


def test_the_streets_of_a_town_are_found_and_counted_from_the_south_west() -> None:
    found = {road.name: road for road in roads.streets(grid())}
    assert set(found) == {f"{line}{way}" for line in ("row0", "row1", "row2", "col0", "col1") for way in "+-"}
    c, s = np.cos(np.radians(12)), np.sin(np.radians(12))
    begins = {f"row{k}+": row(m * c, -m * s, 78.0)[0] for k, m in enumerate((0, 220, 500))}
    begins |= {f"col{k}+": row(m * s, m * c, 348.0)[0] for k, m in enumerate((200, 700))}
    for name, spot in begins.items():
        assert [n for n, road in found.items() if road.holds(spot["lat"], spot["lon"], spot["heading"])] == [name]
    middle = begins["row1+"]
    assert found["row1+"].title == "row1+, towards E"
    there = float(found["row1+"].km(middle["lat"], middle["lon"])), float(found["row1-"].km(middle["lat"], middle["lon"]))
    assert there[0] + there[1] == pytest.approx(float(found["row1+"].known[-1]))
    assert there[0] < there[1]


@pytest.mark.parametrize(
    ("alert", "name"),
    [
        (Alert("accident", LAT, LON, T0, 3.0), "F"),
        (Alert("accident", LAT, LON, T0, 178.0), "B"),
        (Alert("wrong_way", LAT, LON, T0, 178.0), "F"),
        (Alert("accident", LAT, LON, T0, 90.0), None),
    ],
)
def test_an_alert_lies_on_the_road_of_its_heading(tmp_path: Path, alert: Alert, name: str | None) -> None:
    road = plot.road_of(alert, roads.carriageways(motorway(tmp_path)))
    assert (road and road.name) == name


def test_a_label_lies_on_the_road_that_it_names_and_a_faulty_sender_on_both(tmp_path: Path) -> None:
    place = motorway(tmp_path)
    ways = roads.carriageways(place)
    assert [road.name for road in ways if plot.on(place.labels("incident")[0], road)] == ["F"]
    fault = Label.parse({"kind": "stuck_obu", "start": T0, "end": T0, "lat": LAT, "lon": LON})
    assert [road.name for road in ways if plot.on(fault, road)] == ["F", "B"]


def test_the_background_is_the_mean_speed_of_a_cell(tmp_path: Path) -> None:
    place = motorway(tmp_path)
    forth = roads.carriageways(place)[0]
    rows = np.concatenate([row(610, 0, 0, 35, 10), row(620, 0, 0, 59, 20), row(610, 0, 180, 35, 90), row(620, 0, 0, -1, 50)])
    cells = strip.background(place, rows, forth)
    assert cells.shape == (40, 20)
    assert cells[12, 1] == 15.0
    assert np.isfinite(cells).sum() == 1


def test_a_picture_is_drawn_and_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = motorway(tmp_path)
    monkeypatch.setattr(naive, "rows", lambda *_: np.concatenate([row(m, 0, 0, m / 10) for m in range(0, 2000, 10)]))
    drawn: list[tuple[set[str], tuple[str, str]]] = []

    def watch(
        place: Place, rows: np.ndarray, things: strip.Things, missed: set[str], titles: tuple[str, str], out: Path
    ) -> None:
        drawn.append((missed, titles))
        strip.figure_of(place, rows, things, missed, titles, out)

    monkeypatch.setattr(plot, "figure_of", watch)
    found, wrong = Alert("accident", LAT + 1500 * NORTH, LON, T0 + 90_000, 0.0), Alert("adhesion", LAT, LON, T0, 180.0)
    plot.picture(place, "incident", "20 %", [found, wrong], "abc1234", tmp_path / "seen.png")
    plot.picture(place, "incident", "20 %", [], "abc1234", tmp_path / "missed.png")
    assert drawn[0][0] == set()
    assert "abc1234" in drawn[0][1][0]
    assert drawn[0][1][1] == "1 of 1 incidents found, 0 extra, 1 false"
    assert drawn[1][0] == {"I1"}
    for name in ("seen.png", "missed.png"):
        content = (tmp_path / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < 300_000
    assert (tmp_path / "seen.png").read_bytes() != (tmp_path / "missed.png").read_bytes()
