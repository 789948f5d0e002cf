"""Traffic that falls to a stand is found, one way only; free traffic, single stops and lights that all are used to are not it."""

from __future__ import annotations

import pytest

from detectors.incidents import Change, Incidents
from detectors.model import Finding, Rows
from detectors.stationary_traffic import StationaryTraffic
from tests import road

LEARNING = 900  # s of free traffic first
FREE = 25.0  # m/s


def free(seconds: int, every: float = 5.0, first: int = 1000, heading: float = 0.0, east: float = 0.0) -> list[Rows]:
    """Vehicles that pass the origin at 25 m/s."""
    start = -1000.0 if heading == 0.0 else 1000.0
    return [road.drive(first + k, k * every, 80, east, start, heading, FREE) for k in range(int(seconds / every))]


def queue(vehicles: int, at: float, stands: int = 120, first: int = 1) -> list[Rows]:
    """One after the other comes from 500 m before, brakes within 8 s, and stands behind the one before, 40 m apart."""
    made = []
    for k in range(vehicles):
        stop = -40.0 * k
        start = at + 6.0 * k
        made.append(road.drive(first + k, start, 12, 0.0, stop - 100.0 - 12 * FREE, 0.0, FREE))
        for second in range(8):  # 25 m/s to nothing: 100 m
            speed = FREE * (1 - (second + 1) / 8)
            north = stop - 100.0 + FREE * (second + 1 - (second + 1) ** 2 / 16)
            made.append(road.drive(first + k, start + 12 + second, 1, 0.0, north, 0.0, speed, accel=-3.1))
        made.append(road.drive(first + k, start + 20, stands, 0.0, stop, 0.0, 0.0))
    return made


def found(*some: Rows) -> list[Finding]:
    detector = StationaryTraffic()
    return [finding for frame in road.frames(road.together(*some)) for finding in detector.update(frame)]


def opened(findings: list[Finding]) -> list[Change]:
    return [c for c in Incidents(0).advance(road.T0 + 10_000_000, findings) if c.status == "opened"]


def test_a_queue_is_found_soon_and_is_one_incident() -> None:
    findings = found(*free(LEARNING - 60), *free(LEARNING + 200, first=5000, heading=180.0, east=-18.0), *queue(6, LEARNING))
    assert findings
    assert min(f.time for f in findings) - (road.T0 + LEARNING * 1000) <= 60_000
    (incident,) = opened(findings)
    assert abs(incident.heading) < 30 or abs(incident.heading - 360) < 30  # not the other carriageway
    assert incident.certainty == "Likely"
    last = [f for f in findings if f.time > road.T0 + (LEARNING + 80) * 1000]
    assert last  # it is reported for as long as it lasts
    assert {f.kind for f in last} <= {"dangerous_end_of_queue", "stationary_vehicle"}


def test_free_traffic_is_silent() -> None:
    assert found(*free(LEARNING), *free(LEARNING, first=5000, heading=180.0, east=-18.0)) == []


def test_one_vehicle_that_stops_for_a_moment_is_nothing() -> None:
    assert found(*free(LEARNING + 200), *queue(1, LEARNING, stands=20)) == []


def test_a_cold_start_is_quiet() -> None:
    assert found(*queue(2, 30.0, stands=20)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_place_where_all_stop_is_used_to_it(seed: int) -> None:
    """A light: every two minutes some vehicles come to a stand for half a minute, for two hours."""
    stops = [rows for n in range(60) for rows in queue(3, 60.0 + 120.0 * n + seed, stands=30, first=10 + 10 * n)]
    findings = found(*stops)
    late = [f for f in findings if f.time > road.T0 + 3_600_000]
    assert len(opened(late)) <= 1
