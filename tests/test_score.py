"""The scoreboard's arithmetic: against hand-made cases, and against the reference scorer where that is present."""

from __future__ import annotations

import importlib.util
import json
import math
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from benchmarks import graph, naive, recordings, score
from benchmarks.judge import Alert, Label, Verdict, by_luck, gates, judge, quantile, read_labels
from benchmarks.scoreboard import batteries, board, markdown
from benchmarks.table import Table
from benchmarks.tally import Run
from detectors.model import OBSERVATION, Sign

SHARED = Path(__file__).parents[1].parent / "shared" / "scenarios"
NEEDS = "needs ../shared/scenarios beside the repository (score.py and open/*)"
T0 = 1_741_000_000_000
PLACE = (22.54, 114.06)
KM = 1 / 110.574  # degrees of latitude


def label(kind: str = "crash", incident: bool = True, **other: Any) -> Label:
    given = {"id": "X", "label": "incident" if incident else "distractor", "kind": kind, "lat": PLACE[0], "lon": PLACE[1]}
    return Label.parse({**given, "start": T0, "end": T0 + 300_000, "heading": 10.0, **other})


def alert(seconds: float, km_north: float = 0.0, heading: float | None = 10.0, kind: str = "accident") -> Alert:
    return Alert(kind, PLACE[0] + km_north * KM, PLACE[1], T0 + int(seconds * 1000), heading)


QUEUE: dict[str, Any] = {"affected": [[PLACE[0] - k * KM, PLACE[1]] for k in (0, 1, 2)], "t_clear": T0 + 900_000}
TRACK: dict[str, Any] = {"track": [[T0 + 60_000 * k, PLACE[0] + k * KM, PLACE[1]] for k in range(4)]}

CASES: dict[
    str, tuple[list[Label], list[Alert], dict[str, float], int, dict[str, int]]
] = {  # labels, alerts -> found, extra, causes of false alarms
    "the first one finds it": ([label()], [alert(40), alert(50)], {"X": 40.0}, 1, {}),
    "the braking before it counts": ([label()], [alert(-29)], {"X": -29.0}, 0, {}),
    "not half a minute before": ([label()], [alert(-31)], {}, 0, {"nothing there": 1}),
    "not two minutes after": ([label()], [alert(421)], {}, 0, {"nothing there": 1}),
    "300 m, not 310": ([label()], [alert(1, 0.31), alert(2, 0.29)], {"X": 2.0}, 0, {"nothing there": 1}),
    "the other carriageway": ([label()], [alert(1, heading=190.0)], {}, 0, {"nothing there": 1}),
    "no heading fits any": ([label()], [alert(1, heading=None)], {"X": 1.0}, 0, {}),
    "its queue is no false alarm and no find": ([label(**QUEUE)], [alert(600, -2.0)], {}, 1, {}),
    "when the queue is gone it is": ([label(**QUEUE)], [alert(1021, -2.0)], {}, 0, {"nothing there": 1}),
    "what moves is where it is then": ([label("wrong_way", **TRACK)], [alert(180, 3.0, 190.0)], {"X": 180.0}, 0, {}),
    "and no longer where it was": ([label("wrong_way", **TRACK)], [alert(180, 0.0)], {}, 0, {"nothing there": 1}),
    "a slippery stretch counts all along": ([label("slippery", **QUEUE)], [alert(9, -2.0)], {"X": 9.0}, 0, {}),
    "a distractor is charged": ([label("short_stop", False)], [alert(9)], {}, 0, {"short_stop": 1}),
    "the shorter distractor is charged": (
        [label("recurrent_congestion", False), label("single_brake", False, end=T0 + 3000)],
        [alert(9)],
        {},
        0,
        {"single_brake": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_judging(name: str) -> None:
    labels, alerts, found, extra, causes = CASES[name]
    verdict = judge(alerts, labels)
    assert {n: s for n, (s, _) in verdict.found.items()} == found
    assert len(verdict.extra) == extra
    assert verdict.causes == causes


def test_a_second_incident_at_the_same_place_is_found_by_the_second_alert() -> None:
    verdict = judge([alert(5), alert(6)], [label(id="A"), label(id="B")])
    assert set(verdict.found) == {"A", "B"}
    assert verdict.rate == 1.0
    assert verdict.within(5) == 0.5


def test_luck_finds_what_is_chatty() -> None:
    labels = [label()]
    always = [alert(t) for t in range(0, 3600, 60)]
    assert by_luck(always, labels, T0, 3_600_000) == 1.0
    assert by_luck([alert(5)], labels, T0, 3_600_000) < 0.2


def test_gates() -> None:
    incident = label()
    fine = Verdict([incident], {"X": (1.0, alert(1))})
    assert gates(fine) == []
    assert "single_brake" in gates(Verdict([incident], false=[(alert(1), "single_brake")]))[0]
    assert gates(Verdict([incident], false=[(alert(1), "stuck_obu")])) == []
    assert "gps_glitch" in gates(Verdict([incident], false=[(alert(1), "stuck_obu"), (alert(1), "gps_glitch")]))[0]
    assert "red_light_queue" in gates(Verdict([incident], false=[(alert(1), "red_light_queue")]))[0]
    assert "true incidents" in gates(Verdict([incident], {"X": (1.0, alert(1))}, [(alert(2), incident)]))[0]


def test_quantiles() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.95) == 4.0
    assert math.isnan(quantile([], 0.5))


def test_alert_documents_are_read_as_they_open() -> None:
    document = {
        "status": "opened",
        "kind": "accident",
        "detected_at": "2025-03-04T07:30:00.123Z",
        "location": {"lat": 1.0, "lon": 2.0, "heading": None},
        "score": 5.25,
        "reporters": 3,
        "evidence": {"hard_brakes": 3, "unknown": None},
    }
    lines = [json.dumps(document), json.dumps({**document, "status": "updated"})]
    assert list(graph.opened(lines)) == [
        Alert("accident", 1.0, 2.0, 1741073400123, None, "score 5.25, 3 reporters, hard_brakes 3")
    ]


def test_says_that_the_recordings_are_absent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(recordings, "OPEN", tmp_path / "nowhere")
    monkeypatch.setattr("sys.argv", ["score"])
    score.main()
    assert "not here" in capsys.readouterr().out


def test_the_board_says_each_miss_and_false_alarm(tmp_path: Path) -> None:
    meta = {
        "config": {"kind": "motorway"},
        "start_ms": T0,
        "dur_s": 3600,
        "monitored_carriageway_km": 10,
        "normal_day": {"sender_faults": []},
    }
    missed = {"id": "I1", "label": "incident", "kind": "crash", "start": T0, "end": T0 + 60_000, "lat": 23.0, "lon": 114.0}
    (tmp_path / "truth.jsonl").write_text(json.dumps(missed) + "\n")
    place = recordings.Place(tmp_path, meta)
    runs = [
        Run(place, "incident", "20 %", [], [alert(1)], 1.0),
        Run(place, "normal", "20 %", [alert(77, kind="wrong_way")], [], 1.0),
    ]
    text = markdown(board(runs), "abc1234")
    assert "abc1234" in text
    assert "I1 crash" in text
    assert "0.10 (1)" in text  # false alarms per km h
    assert "77 s" in text
    assert Table("a", ("b",), [("c|d",)]).markdown().splitlines()[-1] == "| c/d |"


def test_batteries_keep_their_own_columns() -> None:
    table = batteries([{"kind": "all", "found": 3}, {"kind": "spread", "found": 1}])
    assert "| kind | found |" in table.markdown()
    assert table.rich().row_count == 2
    assert batteries([]).rows == []


def braking(vehicles: int) -> np.ndarray:
    rows = np.zeros(vehicles, OBSERVATION)
    rows["time"] = T0 + np.arange(vehicles) * 1000
    rows["reporter"] = np.arange(vehicles)
    rows["lat"], rows["lon"], rows["speed"], rows["heading"] = *PLACE, 15.0, 10.0
    rows["signs"] = Sign.HARD_BRAKE
    return rows


def test_three_hard_brakes_fire_the_naive_rule_and_two_do_not() -> None:
    assert [a.kind for a in naive.alerts(braking(3))] == ["dangerous_situation"]
    assert naive.alerts(braking(2)) == []


def test_naive_rules_bear_a_night_in_which_nobody_drives_for_a_while() -> None:
    later = braking(3)
    later["time"] += 3_600_000
    assert [a.kind for a in naive.alerts(np.concatenate([braking(3), later]))] == ["dangerous_situation"] * 2


def test_one_that_stands_for_a_minute_fires_the_naive_rule() -> None:
    rows = np.repeat(braking(1), 80)
    rows["time"] = T0 + np.arange(80) * 1000
    rows["signs"], rows["speed"] = 0, 0.0
    assert [a.kind for a in naive.alerts(rows)] == ["stationary_vehicle"]
    rows["speed"][::10] = 3.0
    assert naive.alerts(rows) == []


def reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_score", SHARED / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not (SHARED / "score.py").exists(), reason=NEEDS)
@pytest.mark.parametrize("place", recordings.places(), ids=lambda place: place.name)
def test_agrees_with_the_reference(place: recordings.Place) -> None:
    """Random alerts around what is labelled, some of them elsewhere, before, after and the other way."""
    ref, dice = reference(), random.Random(place.name)
    labels = read_labels(place.path / "truth.jsonl")
    truth = [json.loads(line) for line in (place.path / "truth.jsonl").read_text().splitlines()]
    alerts = []
    for _ in range(400):
        o = dice.choice(labels)
        lat, lon = dice.choice([(o.lat, o.lon), *o.affected])
        time = dice.randint(o.start - 60_000, o.clear + 200_000)
        heading = None if dice.random() < 0.2 or o.heading is None else (o.heading + dice.choice((0, 50, 70, 180))) % 360
        alerts.append(Alert("x", lat + dice.gauss(0, 0.001), lon + dice.gauss(0, 0.001), time, heading))
    theirs = [
        {"kind": "x", "lat": a.lat, "lon": a.lon, "t_detected": a.time, **({} if a.heading is None else {"heading": a.heading})}
        for a in alerts
    ]
    expected = ref.score(theirs, truth, heading=60)
    verdict = judge(alerts, labels)
    assert {n: round(s, 1) for n, (s, _) in verdict.found.items()} == expected["ttd"]
    assert len(verdict.extra) == expected["extra_alerts"]
    assert dict(verdict.causes) == expected["FA_by_cause"]
    assert [f"{o.name}:{o.kind}" for o in verdict.missed] == expected["missed"]
    assert round(quantile(verdict.seconds, 0.95), 1) == expected["TTD_p95"]
    few, fewer = alerts[:60], theirs[:60]
    luck = ref.chance(fewer, truth, place.start, place.start + place.length, heading=60)
    assert by_luck(few, labels, place.start, place.length) == pytest.approx(luck, abs=6e-4)
