"""Loops of a scenario as roadside messages, and sets other than the open ones: their days, shares and how they were made."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import loops, origin, recordings, score
from benchmarks.judge import Alert
from benchmarks.recordings import Place
from benchmarks.scoreboard import board, markdown
from benchmarks.tally import Run
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym

T0 = 1_741_000_000_000
HEAD = "t_start,t_end,station,dir,index,km,lane,lat,lon,count,flow_vph,occupancy_pct,speed_ms"
LOOPS = [  # two lanes of a station on a road to the north, and one lane of the next, where nobody passed
    "0,30,F-00,F,0,0.25,0,22.540000,114.060000,9,1080,6.0,25.00",
    "0,30,F-00,F,0,0.25,1,22.540000,114.060000,3,360,2.0,13.00",
    "0,30,F-01,F,1,0.75,0,22.544500,114.060000,0,0,50.0,-1.00",
]
META: dict[str, Any] = {
    "scenario": "motorwayX",
    "seed": 9,
    "dur_s": 5400,
    "penetration": 0.2,
    "start_ms": T0,
    "monitored_carriageway_km": 10,
    "config": {"kind": "motorway", "mix": "motorway", "net": {"km": 8, "on": [[1700, 5000]]}, "dem": {}},
    "normal_day": {"sender_faults": []},
}
OPEN_DAY = {"scenario": "motorway", "seed": 1}


def make(folder: Path, **other: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({**META, **other}))
    (folder / "truth.jsonl").write_text("")
    return folder


def sensors(path: Path, day: recordings.Day = "incident") -> tuple[np.ndarray, list[int]]:
    """The loops of a day, through the wire format and back."""
    sent = list(loops.messages(Place(path, META), day))
    decoded = FORMATS["sensor"].decode([m for _, m in sent], np.array([a for a, _ in sent]), Context(Pseudonym(b"k")))
    assert not decoded.refusals
    return decoded.sensors, [arrival for arrival, _ in sent]


def test_the_lanes_of_a_station_are_one_message(tmp_path: Path) -> None:
    (make(tmp_path / "a") / "loops.csv").write_text("\n".join([HEAD, *LOOPS]))
    rows, arrivals = sensors(tmp_path / "a")
    busy, blocked = rows
    assert arrivals == [T0 + 30_000 + loops.ROADSIDE] * 2
    assert busy["time"] == T0 + 30_000
    assert busy["interval"] == 30
    assert busy["speed"] == pytest.approx((9 * 25 + 3 * 13) / 12)
    assert busy["volume"] == 12 * 120
    assert busy["occupancy"] == pytest.approx(0.04)
    assert busy["heading"] == pytest.approx(0.0)
    assert np.isnan(blocked["speed"])  # -1 in the file is no speed
    assert blocked["occupancy"] == pytest.approx(0.5)


def test_loops_come_in_order_of_time_and_may_be_packed(tmp_path: Path) -> None:
    later = [line.replace("0,30,", "30,60,", 1) for line in LOOPS]
    (make(tmp_path / "a") / "normal_loops.csv.gz").write_bytes(gzip.compress("\n".join([HEAD, *later, *LOOPS]).encode()))
    rows, arrivals = sensors(tmp_path / "a", "normal")
    assert len(rows) == 4
    assert arrivals == sorted(arrivals)


def test_a_heading_is_that_from_neighbour_to_neighbour() -> None:
    corner = [("A-00", 0.0, 0.0), ("A-01", 0.0, 0.01), ("A-02", 0.01, 0.01), ("B-00", 0.0, 0.0)]
    seen = [loops.Interval(30, 30, name, name[0], 0.0, lat, lon, 0, 0.0, 0.0) for name, lat, lon in corner]
    ways = loops.headings(seen)
    assert [round(ways[name]) for name in ("A-00", "A-01", "A-02")] == [90, 45, 0]
    assert np.isnan(ways["B-00"])  # the only one of its road


def test_a_loop_is_known_before_its_pane_closes() -> None:
    from dataflows.settings import Settings

    assert Settings().window.lateness > loops.ROADSIDE


def test_sets_are_found_in_a_folder_or_named_and_only_when_complete(tmp_path: Path) -> None:
    make(tmp_path / "b")
    make(tmp_path / "a")
    unfinished = {name: value for name, value in META.items() if name != "normal_day"}
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "meta.json").write_text(json.dumps(unfinished))
    assert [place.name for place in recordings.places([tmp_path])] == ["a", "b"]
    assert [place.name for place in recordings.places([tmp_path / "b"])] == ["b"]


def test_the_open_days_count_as_tuned_on_wherever_they_lie(tmp_path: Path) -> None:
    make(tmp_path / "a", **OPEN_DAY, penetration=1.0)
    make(tmp_path / "b", scenario="urban", seed=4)
    assert [place.tuned_on for place in recordings.places([tmp_path])] == [True, False]


@pytest.mark.skipif(not recordings.OPEN.exists(), reason=recordings.ABSENT)
def test_the_open_days_are_those_of_the_open_sets() -> None:
    assert {(place.meta["scenario"], place.meta["seed"]) for place in recordings.places()} == recordings.OPEN_DAYS


def test_a_hundred_percent_wants_both_days(tmp_path: Path) -> None:
    place = Place(make(tmp_path / "a"), META)
    (place.path / "events_p100.jsonl.zst").touch()
    assert "100 %" not in place.penetrations
    (place.path / "normal_events_p100.jsonl.zst").touch()
    assert "100 %" in place.penetrations
    assert {job.penetration for job in score.jobs([place], loops=False)} == {"100 %", "20 %", "5 %"}
    assert len(score.jobs([place], loops=True)) == 2 * 2 * 3


def test_a_set_made_of_all_vehicles_is_no_sample_of_a_fifth(tmp_path: Path) -> None:
    place = Place(make(tmp_path / "a", penetration=1.0), {**META, "penetration": 1.0})
    assert place.penetrations == ("100 %",)
    assert place.recording("normal", "100 %").name == "normal_events.jsonl.zst"
    assert origin.again([place]).count("--pen 1.0") == 1


def test_the_board_keeps_feeds_and_validation_apart(tmp_path: Path) -> None:
    crash = {"id": "I1", "label": "incident", "kind": "crash", "start": T0, "end": T0 + 60_000, "lat": 22.0, "lon": 114.0}
    seen, unseen = make(tmp_path / "seen"), make(tmp_path / "elsewhere" / "unseen")
    for path in (seen, unseen):
        (path / "truth.jsonl").write_text(json.dumps(crash))
    finds = [Alert("accident", 22.0, 114.0, T0 + 5000)]
    runs = [
        Run(Place(seen, {**META, **OPEN_DAY}), "incident", "5 %", [], [], 1.0),
        Run(Place(seen, {**META, **OPEN_DAY}), "incident", "5 %", finds, [], 1.0, loops=True),
        Run(Place(unseen, META), "incident", "5 %", finds, [], 1.0),
    ]
    tables = {table.title: table for table in board(runs)}
    lines = {row[0]: row[1] for row in tables["Scoreboard, tuned on these places"].rows}
    assert lines["motorway 5 %"] == "0/1"
    assert lines["motorway 5 %, with loops"] == "1/1"
    assert lines["motorway 5 %, to reach"] == ""
    lines = {row[0]: row[1] for row in tables["Scoreboard, not tuned on these places"].rows}
    assert lines["motorway 5 %"] == "1/1"
    assert "motorway 5 %, with loops" not in lines
    assert "unseen" not in markdown(board(runs[:2]), "abc")


def test_the_town_has_a_goal_at_a_hundred_percent(tmp_path: Path) -> None:
    town = Place(make(tmp_path / "a"), {**META, "config": {"kind": "urban"}})
    tables = board([Run(town, "incident", "100 %", [], [], 1.0)])
    assert ("urban 100 %, to reach", "", ">= .85", ">= .65", ">= .75", "25 / 150", "<= .03", "", "kept") in tables[0].rows


def test_says_how_a_set_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = tmp_path / "make.py"
    generator.write_text('SCEN = {"motorway": dict()}')
    monkeypatch.setattr(origin, "GENERATOR", generator)
    place = Place(make(tmp_path / "motorwayX-9"), META)
    text = origin.again([place])
    assert "python gen/make.py --scenario motorwayX --seed 9 --out DIR/motorwayX-9 --normal-full\n" in text
    assert '"motorwayX": dict(kind="motorway", mix="motorway", net=dict(km=8, on=((1700, 5000),)), dem=dict()),' in text
    assert str(tmp_path) not in text
    assert "SCEN" not in origin.again([Place(place.path, {**META, "scenario": "motorway"})])
    for name in ("events_p100.jsonl.zst", "normal_events_p100.jsonl.zst"):
        (place.path / name).touch()
    text = origin.again([Place(place.path, {**META, "dur_s": 3600})])
    assert "--normal-full --dur 3600 --raw RAW/motorwayX-9\n" in text
    assert "--raw RAW/motorwayX-9/normal --out DIR/motorwayX-9/normal_events_p100.jsonl.zst --pen 1.0\n" in text


def test_the_results_are_written_with_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One open set and one other: each goes to its own file, and only the open one is drawn."""
    make(tmp_path / "open" / "seen", **OPEN_DAY)
    make(tmp_path / "other" / "unseen")
    monkeypatch.setattr(score, "ROOT", tmp_path)
    monkeypatch.setattr(score, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(score, "commit", lambda: "abc1234")
    monkeypatch.setattr(score, "_run_all", lambda jobs, say: [Run(j.place, j.day, j.penetration, [], [], 1.0) for j in jobs])
    drawn: list[Path] = []
    monkeypatch.setattr(score.plot, "picture", lambda *given: drawn.append(given[-1]))  # type: ignore[attr-defined]
    sets = ["--sets", str(tmp_path / "open"), "--sets", str(tmp_path / "other")]
    monkeypatch.setattr("sys.argv", ["score", "--no-batteries", *sets])
    score.main()
    assert drawn == [tmp_path / "results" / "seen.png"]
    seen, unseen = ((tmp_path / "results" / name).read_text() for name in ("score.md", "validation.md"))
    assert "abc1234" in seen
    assert "[seen](seen.png)" in seen
    assert "unseen" not in seen
    assert "unseen 20 %" in unseen
    assert "--out DIR/unseen" in unseen
    assert str(tmp_path) not in seen + unseen
    assert "written to results/validation.md" in capsys.readouterr().out
