"""No detection may depend on where the grid happens to lie: the bundled recording, moved, gives the same incidents."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from dataflows.demo.recording import BUNDLE
from dataflows.formats import FORMATS
from dataflows.recorded import messages
from tests.faulty import Order, alerts, child

METRE = 1 / 111_195  # degrees of latitude
NEAR = 150.0  # m
SOON = 20.0  # s
MOVES = ((137.0, 211.0), (1003.0, -457.0))  # m north and east
RECORDING = BUNDLE / "observations.jsonl.zst"


class Opened(NamedTuple):
    kind: str
    time: float  # s
    lat: float
    lon: float


def incidents(folder: Path, north: float, east: float, recording: Path = RECORDING) -> list[Opened]:
    """Incidents opened in the recording when the whole world lies `north` and `east` metres farther; places moved back."""
    up, right = north * METRE, east * METRE / math.cos(math.radians(22.55))
    moved = folder / "moved.jsonl"
    with moved.open("wb") as file:
        for message in messages(recording, FORMATS["observation"]):
            seen = orjson.loads(message)
            seen["lat"], seen["lon"] = seen["lat"] + up, seen["lon"] + right
            file.write(orjson.dumps(seen) + b"\n")
    run = child(Order([(str(moved), "observation")], str(folder / "alerts.jsonl"), batch=5000))
    assert run.wait() == 0, run.communicate()[0]
    found = [json.loads(alert) for alert in alerts(folder / "alerts.jsonl")]
    return [
        Opened(
            alert["kind"],
            _seconds(alert["detected_at"]),
            alert["location"]["lat"] - up,
            alert["location"]["lon"] - right,
        )
        for alert in found
        if alert["status"] == "opened"
    ]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> list[Opened]:
    return incidents(tmp_path_factory.mktemp("here"), 0, 0)


@pytest.mark.parametrize(("north", "east"), MOVES)
def test_the_same_incidents(north: float, east: float, here: list[Opened], tmp_path: Path) -> None:
    there = incidents(tmp_path, north, east)
    assert here
    assert len(here) == len(there)
    assert pairless(here, there) == []


def pairless(here: list[Opened], there: list[Opened]) -> list[Opened]:
    """Those of both worlds that have no twin in the other."""
    unmatched, alone = list(there), []
    for one in here:
        twin = next((other for other in unmatched if _same(one, other)), None)
        if twin is None:
            alone.append(one)
        else:
            unmatched.remove(twin)
    return alone + unmatched


def _same(one: Opened, other: Opened) -> bool:
    apart = math.hypot((one.lat - other.lat) / METRE, (one.lon - other.lon) / METRE)
    return one.kind == other.kind and abs(one.time - other.time) <= SOON and apart <= NEAR


def _seconds(moment: str) -> float:
    minutes, seconds = moment[11:-1].rsplit(":", 1)
    hour, minute = minutes.split(":")
    return int(hour) * 3600 + int(minute) * 60 + float(seconds)
