"""Ablation: one shard does as the graph does, switches switch, and the table says what changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest
import zstandard

from benchmarks import ablate, graph, one_shard
from benchmarks.ablate import Job, compare, variants
from benchmarks.judge import Alert
from benchmarks.recordings import Place
from benchmarks.switches import MODELS, Switch
from detectors import CATALOGUE, place_rates
from detectors.model import Detector, Finding, Frame

T0 = 1_741_000_000_000
PLACE = (22.54, 114.06)
CRASH = {"id": "I1", "label": "incident", "kind": "crash", "start": T0, "end": T0 + 60_000, "lat": PLACE[0], "lon": PLACE[1]}
META: dict[str, Any] = {
    "config": {"kind": "motorway"},
    "start_ms": T0,
    "dur_s": 3600,
    "monitored_carriageway_km": 10,
    "normal_day": {"sender_faults": []},
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Half a minute of two vehicles, both days alike; every other row of the second is late. A crash is labelled."""
    lines = []
    for second in range(30):
        time = T0 + 1000 * second
        seen = {"id": "aa", "ts": time, "rx": time + 100, "lat": PLACE[0], "lon": PLACE[1], "v": 20.0, "hdg": 10.0, "ax": 0.0}
        lines.append(seen)
        lines.append({**seen, "id": "bb", "ts": time - 5000 * (second % 2)})
    packed = zstandard.compress("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines).encode())
    for day in ("", "normal_"):
        (tmp_path / f"{day}events.jsonl.zst").write_bytes(packed)
        (tmp_path / f"{day}p05_ids.txt").write_text("aa\n")
    (tmp_path / "truth.jsonl").write_text(json.dumps(CRASH))
    return Place(tmp_path, META)


class Sees:
    """Finds a thing in the third pane."""

    kinds: ClassVar[tuple[str, ...]] = ("accident",)
    at: ClassVar[int] = 3

    def __init__(self) -> None:
        self._panes = 0

    def update(self, frame: Frame) -> list[Finding]:
        self._panes += 1
        if self._panes != self.at:
            return []
        return [Finding(self.kinds[0], frame.end, frame.start, *PLACE, 10.0, 50.0, 9.0, frozenset({1, 2}))]


class SeesLater(Sees):
    at: ClassVar[int] = 20


class SeesStop(Sees):
    kinds: ClassVar[tuple[str, ...]] = ("stationary_vehicle",)


class SeesIce(Sees):
    kinds: ClassVar[tuple[str, ...]] = ("adhesion",)


def test_late_rows_are_left_out_and_panes_are_whole(place: Place) -> None:
    panes = one_shard.panes(place, "incident", "20 %")
    assert [(pane.start, pane.end) for pane in panes] == [(T0 + 1000 * s, T0 + 1000 * (s + 1)) for s in range(30)]
    assert sum(len(pane.observations) for pane in panes) == 45  # every other one of the second vehicle is 5 s late
    assert sum(len(pane.observations) for pane in one_shard.panes(place, "incident", "5 %")) == 30


def test_what_is_opened_is_what_a_shard_finds_and_when_it_can_be_known(place: Place) -> None:
    kinds: tuple[type[Detector], ...] = (Sees, SeesIce)
    found = one_shard.detect(kinds, one_shard.panes(place, "incident", "20 %"))
    assert {name: len(each) for name, each in found.items()} == {"Sees": 1, "SeesIce": 1}
    opened = one_shard.opened(finding for each in found.values() for finding in each)
    assert {(alert.kind, alert.time) for alert in opened} == {("accident", T0 + 5000), ("adhesion", T0 + 5000)}


def test_what_becomes_worse_is_not_opened_again(place: Place) -> None:
    found = one_shard.detect((SeesStop, SeesLater), one_shard.panes(place, "incident", "20 %"))
    opened = one_shard.opened(finding for each in found.values() for finding in each)
    assert [alert.kind for alert in opened] == ["stationary_vehicle"]


def test_without_one_detector_another_may_find_it_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablate, "CATALOGUE", (Sees, SeesLater))
    found = variants(Job(place, "incident", "20 %", models=False))
    assert {name: [alert.time - T0 for alert in alerts] for name, alerts in found.items()} == {
        "nothing": [5000],  # the later finding is merged into it
        "Sees": [22_000],
        "SeesLater": [5000],
    }


def test_a_model_that_is_off_has_its_own_detectors_run_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablate, "CATALOGUE", (Sees, SeesIce))
    blind = Switch("seeing", ("Sees",), __name__, "Sees.update", lambda _: lambda *_: [])
    missing = Switch("smelling", ("Sees",), __name__, "Sees.smell", lambda known: known)
    monkeypatch.setattr(ablate, "MODELS", (blind, missing))
    assert (blind.gone, missing.gone) == (False, True)
    found = variants(Job(place, "incident", "20 %", models=True))
    assert [alert.kind for alert in found["seeing"]] == ["adhesion"]
    assert "smelling" not in found
    assert len(variants(Job(place, "incident", "20 %", models=False))["nothing"]) == 2  # and it is on again


def test_the_table_says_what_changed(place: Place) -> None:
    hit, false = Alert("accident", *PLACE, T0 + 5000), Alert("adhesion", 23.0, 114.0, T0)
    slow = Alert("accident", *PLACE, T0 + 150_000)
    runs = [
        (Job(place, "incident", "20 %", False), {"nothing": [hit], "A": [], "B": [slow], "C": [hit, false]}),
        (Job(place, "normal", "20 %", False), {"nothing": [false], "A": [], "B": [false, false], "C": [false]}),
    ]
    first, second = compare(runs)
    assert [row[:5] for row in first.rows] == [
        ["nothing", "1/1", "1/1", "1 (0.10)", "0"],
        ["A", "-1", "-1", "-1", "0"],
        ["B", "0", "-1", "+1", "0"],
        ["C", "0", "0", "0", "+1"],
    ]
    assert second.rows == []


def test_what_one_place_loses_another_does_not_make_up_for(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "truth.jsonl").write_text(json.dumps(CRASH))
    other, hit = Place(tmp_path / "other", META), Alert("accident", *PLACE, T0 + 5000)
    runs = [
        (Job(place, "incident", "20 %", False), {"nothing": [hit], "A": []}),
        (Job(other, "incident", "20 %", False), {"nothing": [], "A": [hit]}),
    ]
    assert compare(runs)[0].rows[1][:3] == ["A", "-1 +1", "-1 +1"]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_each_model_is_where_its_switch_says(model: Switch) -> None:
    assert not model.gone, f"mend or remove the switch of {model.path} in benchmarks/switches.py"
    assert set(model.detectors) <= {kind.__name__ for kind in CATALOGUE}


def test_a_place_without_a_past_of_its_own_is_judged_by_the_fleet() -> None:
    def score(driven: float) -> float:
        return place_rates.surprise(3.0, 200.0, 0.0, driven, 0.001)

    known = score(100_000.0)
    assert known > score(0.0)
    with MODELS[0].off():
        assert score(100_000.0) == pytest.approx(score(0.0))
    assert score(100_000.0) == known


def test_agrees_with_the_graph(place: Place) -> None:
    """On a recording in which three vehicles brake hard one after the other, after minutes in which none did."""
    lines = []
    driven = [15.0 * who for who in range(6)]
    for second in range(700):
        for who in range(6):
            time = T0 + 1000 * second + who
            braking = max(0, second - 599 - 2 * (2 - who)) if who < 3 else 0  # seconds so far: from 20 m/s to 5, and on at that
            speed = 20.0 - 5.0 * min(braking, 3)
            driven[who] += speed
            seen = {"id": f"a{who}", "ts": time, "rx": time + 100, "lat": PLACE[0] + driven[who] / 111_195, "lon": PLACE[1]}
            seen |= {"v": speed, "hdg": 0.0, "ax": -5.0 if 0 < braking <= 3 else 0.0}
            lines.append(json.dumps(seen, separators=(",", ":")) + "\n")
    (place.path / "events.jsonl.zst").write_bytes(zstandard.compress("".join(lines).encode()))
    expected, _ = graph.run(place, "incident", "20 %")
    found = one_shard.detect(CATALOGUE, one_shard.panes(place, "incident", "20 %"))
    opened = one_shard.opened(finding for each in found.values() for finding in each)
    assert expected
    assert [(a.kind, a.time) for a in opened] == [(a.kind, a.time) for a in expected]
