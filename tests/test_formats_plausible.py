"""What is possible is admitted up to the limit itself, what is not is refused, and missing is always possible."""

from __future__ import annotations

import numpy as np
import pytest

from dataflows.formats.base import Decoded, Reason
from dataflows.formats.plausible import EARLIEST, LATEST, MOTION, ROADSIDE, TELEMETRY, Limit, admit
from detectors.model import OBSERVATION, READING, SENSOR
from tests.wire import CONTEXT, TIME

TABLES = {"observations": (OBSERVATION, MOTION), "sensors": (SENSOR, ROADSIDE), "readings": (READING, TELEMETRY)}
CASES = [(table, limit) for table, (_, limits) in TABLES.items() for limit in limits]


def refused(table: str, arrival: int = -1, **values: float) -> Reason | None:
    """Why a row of such values is refused; everything else in it is missing."""
    dtype = TABLES[table][0]
    rows = np.zeros(1, dtype)
    for name in dtype.names or ():
        if dtype[name].kind == "f":
            rows[name] = np.nan
    rows["time"], rows["lat"], rows["lon"] = TIME, 22.5, 114.1
    for name, value in values.items():
        rows[name] = value
    found = Decoded(**{table: rows, f"{table[:-1]}_of": np.zeros(1, np.int32)})
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
