"""What a person sees of the open incidents, from the messages of the compacted topic."""

from __future__ import annotations

import io
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dataflows.kafka_admin import create_missing
from dataflows.settings_reader import load
from dataflows.tap import Received, Writer
from dataflows.watch import COLUMNS, OpenIncidents, _table, line, parse
from tests.living import PATIENCE, roadwatch

ROOT = Path(__file__).parents[1]
ACCIDENT: dict[str, Any] = {
    "alert_id": "00000000000000aa-0",
    "incident_id": "00000000000000aa",
    "sequence": 0,
    "status": "opened",
    "cap_status": "Actual",
    "kind": "accident",
    "detected_at": "2025-03-04T07:42:13.000Z",
    "onset_at": "2025-03-04T07:41:56.000Z",
    "updated_at": "2025-03-04T07:42:13.000Z",
    "expires_at": "2025-03-04T07:52:13.000Z",
    "location": {"lat": 22.55433, "lon": 114.10056, "radius_m": 120, "heading": 243.1, "cells": []},
    "reporters": 7,
    "severity": "Severe",
    "certainty": "Likely",
}
BATTERY = ACCIDENT | {
    "incident_id": "00000000000000bb",
    "kind": "battery_anomaly",
    "updated_at": "2025-03-04T07:50:00.000Z",
    "expires_at": "2025-03-04T08:20:00.000Z",
    "location": {"lat": None, "lon": None, "radius_m": 0, "heading": None, "cells": []},
    "reporters": 1,
    "severity": "Moderate",
    "certainty": "Possible",
}


NOW = 1_741_080_000_000  # ms, 2025-03-04: of the machine, not of the recording
TOMORROW = NOW + 86_400_000


def message(alert: dict[str, Any], at: int = NOW, **changes: Any) -> Received:
    alert = alert | changes
    return Received("road.incidents", 0, 0, alert["incident_id"].encode(), json.dumps(alert).encode(), {}, at)


def tombstone(alert: dict[str, Any]) -> Received:
    return Received("road.incidents", 0, 0, alert["incident_id"].encode(), None, {}, 0)


def drawn(incidents: OpenIncidents, width: int, now: int = NOW) -> str:
    """The table on a terminal so wide."""
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(_table(incidents.rows(now), width))
    return console.export_text()


def kinds(incidents: OpenIncidents) -> list[str]:
    return [row.alert["kind"] for row in incidents.rows(NOW)]


def test_the_gravest_comes_first_and_then_the_newest() -> None:
    incidents = OpenIncidents()
    newer = message(ACCIDENT, incident_id="00000000000000cc", kind="wrong_way", updated_at="2025-03-04T07:43:00.000Z")
    incidents.take([message(BATTERY), message(ACCIDENT), newer])
    assert kinds(incidents) == ["wrong_way", "accident", "battery_anomaly"]


def test_the_newest_state_counts_and_a_repeated_one_is_no_news() -> None:
    incidents = OpenIncidents()
    updated = message(ACCIDENT, sequence=1, status="updated", reporters=12)
    assert len(incidents.take([message(ACCIDENT), updated])) == 2
    assert incidents.take([message(ACCIDENT), updated]) == []  # the worker was killed and told it again
    assert [row.cells["reporters"] for row in incidents.rows(NOW)] == ["12"]


@pytest.mark.parametrize("ending", [message(ACCIDENT, sequence=2, status="cleared"), tombstone(ACCIDENT)])
def test_a_cleared_one_goes(ending: Received) -> None:
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT), message(BATTERY), ending])
    assert kinds(incidents) == ["battery_anomaly"]


@pytest.mark.parametrize("value", [b"", b"{", b"7", b'{"status": "opened"}', b'{"text": "\xff"}'])
def test_what_is_no_alert_is_passed_over(value: bytes) -> None:
    incidents = OpenIncidents()
    assert incidents.take([Received("road.incidents", 0, 0, b"x", value, {}, 0)]) == []
    assert len(incidents) == 0


def test_a_row_says_all_and_leaves_out_what_is_not_known() -> None:
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT, updated_at="2025-03-04T07:44:00.000Z"), message(BATTERY)])
    accident, battery = (tuple(row.cells[name] for name in COLUMNS) for row in incidents.rows(NOW))
    assert accident == (
        *("Actual", "accident", "Severe", "Likely", "07:41:56", "07:42:13", "07:44:00", "07:52:13"),
        *("22.5543,114.1006", "243°", "120 m", "7", "00000000000000aa"),
    )
    assert battery[8:11] == ("nowhere known", "", "0 m")


def test_a_moment_of_another_day_says_which() -> None:
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT, TOMORROW)])
    cells = incidents.rows(TOMORROW)[0].cells
    assert [cells[name] for name in ("began", "opened", "last change", "valid until")] == [
        *("03-04 07:41", "03-04 07:42", "03-04 07:42", "03-04 07:52"),
    ]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_an_exercise_is_not_taken_for_the_real_thing(width: int) -> None:
    """On the narrowest terminal, too. While all is Actual nothing is said of it, for it would only take room."""
    real, trial = message(ACCIDENT), message(ACCIDENT, incident_id="dd", cap_status="Exercise")
    incidents = OpenIncidents()
    incidents.take([real])
    assert "cap_status" not in drawn(incidents, width)
    incidents.take([trial])
    text = drawn(incidents, width)
    assert "2 open incidents (" in text
    assert "1 not to be acted upon: cap_status is not Actual" in text
    assert ["EXERCISE" in row for row in text.splitlines() if "accident" in row] == [False, True]


def test_a_line_of_an_exercise_says_so_and_until_when_it_is_valid() -> None:
    said = line(ACCIDENT | {"cap_status": "Exercise"})
    assert said.split()[:3] == ["07:42:13", "EXERCISE", "OPENED"]
    assert "until 07:52:13" in said[:89], "a date before it, and it is seen in 100 columns"
    assert "until" not in line(ACCIDENT | {"status": "cleared"})


def test_what_has_expired_is_no_open_incident() -> None:
    """Nobody says `cleared` where the worker is away, or was started from nothing. The accident is valid for ten minutes."""
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT, NOW - 601_000), message(ACCIDENT, NOW - 599_000, incident_id="dd"), message(BATTERY)])
    assert [(row.alert["incident_id"], row.expired) for row in incidents.rows(NOW)] == [
        ("dd", False),
        (BATTERY["incident_id"], False),
        (ACCIDENT["incident_id"], True),
    ]
    text = drawn(incidents, 160)
    assert "2 open incidents (" in text
    assert "1 not cleared, but expired: see whether the worker runs, and is fed" in text
    assert [line for line in text.splitlines() if "expired" in line and ACCIDENT["incident_id"] in line]
    incidents.take([message(ACCIDENT, sequence=1)])
    assert not any(row.expired for row in incidents.rows(NOW))


def test_an_unknown_time_of_arrival_expires_nothing() -> None:
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT, -1)])
    assert not incidents.rows(NOW)[0].expired


def test_the_table_draws() -> None:
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT)])
    assert "1 open incident (times in UTC" in drawn(incidents, 160)


def test_a_line_for_one_reporter() -> None:
    assert line(parse(message(BATTERY).value) or {}).endswith("nowhere known           1 reporter  00000000000000bb")


def test_without_a_terminal_it_writes_lines_until_it_is_stopped(broker: str) -> None:
    settings = load(None, {"kafka": {"bootstrap_servers": broker}})
    create_missing(settings, 1, 1)
    writer = Writer(settings)
    for each in (message(ACCIDENT), message(ACCIDENT, sequence=1, status="cleared"), message(BATTERY)):
        writer.write(settings.outputs.incidents, each.key, each.value or b"", 1_741_073_400_000)
    writer.flush()
    watching = subprocess.Popen(
        roadwatch("watch", f"--set=kafka.bootstrap_servers={broker}"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert watching.stdout is not None
    lines = [watching.stdout.readline() for _ in range(3)]
    watching.send_signal(signal.SIGINT)
    rest = watching.communicate(timeout=PATIENCE)[0]
    day = (parse(message(ACCIDENT).value) or {})["updated_at"][:10]
    assert [text.split()[:1] + text.split()[2:4] for text in lines] == [
        [day, "OPENED", "accident"],
        [day, "CLEARED", "accident"],
        [day, "OPENED", "battery_anomaly"],
    ]
    assert rest == ""
    assert watching.returncode == 0


@pytest.mark.parametrize("cap", ["Actual", "Exercise"])
@pytest.mark.parametrize("width", [100, 156, 160])
def test_until_when_it_is_valid_is_seen_in_100_columns(width: int, cap: str) -> None:
    incidents = OpenIncidents()
    incidents.take([message(ACCIDENT, TOMORROW, cap_status=cap)])
    assert "03-04 07:52" in drawn(incidents, width, TOMORROW)


@pytest.mark.parametrize("width", [80, 100, 156, 160])
def test_nothing_is_cut_on_a_narrow_terminal(width: int) -> None:
    """What does not fit is left out instead: how grave it is was the first to be cut."""
    incidents = OpenIncidents()
    place = ACCIDENT["location"] | {"lat": -22.55432, "lon": -114.10056}
    incidents.take([message(ACCIDENT | {"kind": "dangerous_end_of_queue", "severity": "Moderate", "location": place})])
    text = drawn(incidents, width)
    for whole in ("dangerous_end_of_queue", "Moderate", "-22.5543,-114.1006", "last change"):
        assert whole in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
