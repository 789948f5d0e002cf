"""What is possible is admitted up to the limit itself, what is not is refused, and missing is always possible."""

from __future__ import annotations

import numpy as np
import pytest

from dataflows.formats.base import Decoded, Reason
from dataflows.formats.plausible import EARLIEST, LATEST, MOTION, ROADSIDE, TELEMETRY, Limit, admit
from detectors.model import OBSERVATION, READING, SENSOR, Rows
from tests.wire import CONTEXT, TIME

TABLES = {"observations": (OBSERVATION, MOTION), "sensors": (SENSOR, ROADSIDE), "readings": (READING, TELEMETRY)}
CASES = [(table, limit) for table, (_, limits) in TABLES.items() for limit in limits]


def row_of(table: str, **values: float) -> Decoded:
    """A row of such values; everything else in it is missing."""
    dtype = TABLES[table][0]
    rows = np.zeros(1, dtype)
    for name in dtype.names or ():
        if dtype[name].base.kind == "f":
            rows[name] = np.nan
    rows["time"], rows["lat"], rows["lon"] = TIME, 22.5, 114.1
    for name, value in values.items():
        rows[name] = value
    return Decoded(**{table: rows, f"{table[:-1]}_of": np.zeros(1, np.int32)})


def admitted(table: str, arrival: int = -1, **values: float) -> Rows:
    found = row_of(table, **values)
    admit(found, np.array([arrival]), CONTEXT)
    rows: Rows = getattr(found, table)
    return rows


def refused(table: str, arrival: int = -1, **values: float) -> Reason | None:
    """Why a row of such values is refused."""
    found = row_of(table, **values)
    admit(found, np.array([arrival]), CONTEXT)
    assert len(getattr(found, table)) + len(found.refusals) == 1
    return found.refusals[0].reason if found.refusals else None


@pytest.mark.parametrize(("table", "limit"), CASES, ids=lambda one: one.column if isinstance(one, Limit) else one)
def test_limits(table: str, limit: Limit) -> None:
    for possible in (limit.low, limit.high, np.nan):
        assert refused(table, **{limit.column: possible}) is None
    beyond = 1e-4 * max(abs(limit.low), abs(limit.high))
    for impossible in (limit.low - beyond, limit.high + beyond, np.inf, -np.inf):
        assert refused(table, **{limit.column: impossible}) is limit.reason


@pytest.mark.parametrize("table", TABLES)
def test_times(table: str) -> None:
    assert refused(table, time=EARLIEST - 1) is refused(table, time=LATEST) is Reason.IMPOSSIBLE_TIME
    assert refused(table, time=EARLIEST) is refused(table, time=LATEST - 1) is None
    assert refused(table, arrival=TIME - CONTEXT.max_ahead) is None
    assert refused(table, arrival=TIME - CONTEXT.max_ahead - 1) is Reason.AHEAD_OF_TIME


@pytest.mark.parametrize("table", TABLES)
def test_places(table: str) -> None:
    for lat, lon in ((90.001, 0), (-91, 0), (0, 180.001), (0, 0), (0.0009, -0.0009), (np.inf, 0)):
        assert refused(table, lat=lat, lon=lon) is Reason.IMPOSSIBLE_POSITION
    for lat, lon in ((90, 180), (-90, -180), (0, 1), (0.002, 0)):
        assert refused(table, lat=lat, lon=lon) is None


def test_only_a_reading_needs_no_place() -> None:
    assert refused("readings", lat=np.nan, lon=np.nan) is None
    assert refused("observations", lat=np.nan) is refused("sensors", lon=np.nan) is Reason.NO_POSITION


@pytest.mark.parametrize("alarm", [{"alarms": 2}, {"alarm_level": 1}, {"alarm_level": 4}], ids=str)
@pytest.mark.parametrize(
    "odd", [{"insulation": 61e6}, {"temperature_max": 212.0}, {"lat": 0.0, "lon": 0.0}, {"lat": 91.0}], ids=str
)
def test_a_car_that_raises_an_alarm_is_heard(alarm: dict[str, float], odd: dict[str, float]) -> None:
    """A pack that burns says odd things: those are dropped, and everything else is kept."""
    quiet = {"alarm_level": 255.0}
    assert refused("readings", **quiet | odd) is not None
    assert refused("readings", **quiet | alarm | odd) is None
    assert refused("readings", **quiet | alarm | odd, time=0) is Reason.IMPOSSIBLE_TIME
    rows = admitted("readings", **quiet | alarm | odd, soc=0.5)
    gone = {"lat", "lon"} if "lat" in odd else set(odd)
    assert all(np.isnan(rows[name][0]) for name in gone)
    assert rows["soc"][0] == 0.5
    assert (rows["alarms"][0], rows["alarm_level"][0]) == (alarm.get("alarms", 0), alarm.get("alarm_level", 255))
