"""A small made-up road for the detectors' tests: rows from metres and seconds, frames from rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import h3.api.basic_int as h3
import numpy as np

from detectors.model import NOTICE, OBSERVATION, READING, SENSOR, Frame, Rows, Sign
from detectors.plausibility import Plausibility
from detectors.tracks import SEEN

T0 = 1_741_073_400_000  # ms
LAT, LON = 22.55, 114.06
METRE = 1 / 111_195.0  # degrees of latitude
METRE_EAST = METRE / float(np.cos(np.radians(LAT)))  # degrees of longitude here

NO_ROWS: Rows = np.empty(0, OBSERVATION)


def rows(n: int, east: Any = 0.0, north: Any = 0.0, seconds: Any = 0.0, **columns: Any) -> Rows:
    """`n` observations, metres from the origin and seconds from T0; other columns as given, cells left at 0."""
    out = np.zeros(n, OBSERVATION)
    out["time"] = T0 + np.rint(np.asarray(seconds) * 1000).astype(np.int64)
    out["lat"], out["lon"] = LAT + np.asarray(north) * METRE, LON + np.asarray(east) * METRE_EAST
    for name, values in columns.items():
        out[name] = values
    return out


def drive(
    reporter: int, start: float, seconds: int, east: float, north: float, heading: float, speed: float, **columns: Any
) -> Rows:
    """One vehicle at a steady speed, once a second."""
    t = np.arange(seconds, dtype=np.float64)
    angle = np.radians(heading)
    where = east + np.sin(angle) * speed * t, north + np.cos(angle) * speed * t
    return rows(seconds, *where, start + t, reporter=reporter, heading=heading, speed=speed, **columns)


def seen(n: int, north: Any = 0.0, **columns: Any) -> Rows:
    """`n` vehicles of one pane, northbound at 20 m/s and seen a second ago; metres from the origin, other columns as given."""
    out = np.zeros(n, SEEN)
    out["lat"], out["lon"] = LAT + np.asarray(north) * METRE, LON
    for name, values in {"speed": 20.0, "seconds": 1.0, **columns}.items():
        out[name] = values
    return out


def station(reporter: int, seconds: float, interval: float = 60.0, north: float = 0.0, **columns: float) -> Rows:
    """One measurement of a roadside device, `north` m from the origin; what is not given is missing."""
    out = np.zeros(1, SENSOR)
    for name in SENSOR.names or ():
        if SENSOR[name].base.kind == "f":
            out[name] = np.nan
    out["time"], out["reporter"], out["interval"] = T0 + int(seconds * 1000), reporter, interval
    out["lat"], out["lon"] = LAT + north * METRE, LON
    for name, value in columns.items():
        out[name] = value
    return out


def notice(reporter: int, seconds: float, cause: int, north: float = 0.0, **columns: float) -> Rows:
    """One warning, valid for ten minutes, of what is `north` m from the origin and was detected a second before."""
    out = np.zeros(1, NOTICE)
    out["time"], out["reporter"], out["cause"], out["heading"] = T0 + int(seconds * 1000), reporter, cause, np.nan
    out["onset"], out["version"], out["until"] = out["time"] - 1000, out["time"] - 1000, out["time"] + 599_000
    out["lat"], out["lon"] = LAT + north * METRE, LON
    for name, value in columns.items():
        out[name] = value
    return out


def together(*some: Rows, dtype: np.dtype[Any] = OBSERVATION) -> Rows:
    """In the one order of frames: by time, then reporter; with their H3 cells."""
    out: Rows = np.concatenate([np.empty(0, dtype), *some])
    out = out[np.lexsort((out["reporter"], out["time"]))]
    out["cell"] = [
        h3.latlng_to_cell(lat, lon, 9) if lat == lat and lon == lon else 0
        for lat, lon in zip(out["lat"].tolist(), out["lon"].tolist(), strict=True)
    ]
    return out


def moved(some: Rows, east: float, north: float) -> Rows:
    """The same, so many metres away."""
    out = some.copy()
    out["lat"] += north * METRE
    out["lon"] += east * METRE_EAST
    return together(out, dtype=some.dtype)


def frames(
    observations: Rows,
    sensors: Rows | None = None,
    readings: Rows | None = None,
    notices: Rows | None = None,
    seconds: int | None = None,
    pane: int = 1000,
    start: int = 0,
) -> Iterator[Frame]:
    """Panes from `start` on, empty ones too, until `seconds` after T0 or the last row. Rows in order of time."""
    tables = [
        observations,
        np.empty(0, SENSOR) if sensors is None else sensors,
        np.empty(0, READING) if readings is None else readings,
        np.empty(0, NOTICE) if notices is None else notices,
    ]
    last = max((int(table["time"][-1]) for table in tables if len(table)), default=T0)
    stop = last + 1 if seconds is None else T0 + seconds * 1000
    edges = np.arange(T0 + start * 1000, stop + pane, pane)
    cuts = [np.searchsorted(table["time"], edges) for table in tables]
    for k in range(len(edges) - 1):
        yield Frame(int(edges[k]), int(edges[k + 1]), *(t[c[k] : c[k + 1]] for t, c in zip(tables, cuts, strict=True)))


def believed(some: Iterable[Frame], plausibility: Plausibility | None = None) -> Iterator[Frame]:
    """The frames as detectors get them: without the rows that are not plausible."""
    asked = Plausibility() if plausibility is None else plausibility
    for frame in some:
        yield asked.believe(frame)[0]


def silence(start: int, seconds: int, every: int = 1000) -> Iterator[Frame]:
    """Empty panes from `start` (ms) on."""
    for at in range(start, start + seconds * 1000, every):
        yield Frame(at, at + every, NO_ROWS, np.empty(0, SENSOR), np.empty(0, READING))


def later(frame: Frame, by: int) -> Frame:
    """The same, so many ms later."""
    tables = frame.observations.copy(), frame.sensors.copy(), frame.readings.copy(), frame.notices.copy()
    for table in tables:
        table["time"] += by
    for name in ("onset", "version", "until"):
        tables[3][name] += by
    return Frame(frame.start + by, frame.end + by, *tables)


MOTORWAY = 3000.0  # m
APART = 18.0  # m between the middles of two carriageways


def motorway(seconds: int = 600, every: float = 4.0, seed: int = 1) -> Rows:
    """Northbound at east 0, southbound at west 18, two lanes each, receivers that err by 1.5 m; a crash that blocks
    northbound at 2000 m from 300 s to 420 s, slips southbound around 500 m from 200 s on, fog lights in the south at
    the end, a wrong-way driver on the northbound carriageway from 500 s on, and a vehicle that stands beside it from 120 s."""
    dice = np.random.default_rng(seed)
    made = [*_stream(dice, seconds, every, True), *_stream(dice, seconds, every, False)]
    made.append(drive(99_999, 500.0, min(seconds - 501, 60), 1.7, 1900.0, 180.0, 20.0))
    stood = max(0, seconds - 121)
    trembles = dice.normal(0, 0.5, (2, stood))
    made.append(rows(stood, 6.0 + trembles[0], 2700.0 + trembles[1], 120.0 + np.arange(stood), reporter=99_998, heading=0.0))
    return together(*made)


def _stream(dice: np.random.Generator, seconds: int, every: float, north: bool) -> Iterator[Rows]:
    ahead: dict[int, np.ndarray[Any, Any]] = {}
    for k in range(int(seconds / every)):
        lane, start = k % 2, k * every
        wish, t = dice.uniform(22, 28), np.arange(int(start), seconds)
        y, v = np.zeros(seconds), np.zeros(seconds)
        crashed = north and k in (int(210 / every), int(212 / every) + 1)
        for s in t.tolist():
            reach = np.inf if lane not in ahead else ahead[lane][s] - 9.0
            if crashed and y[s - 1] >= 2000.0 and s < 420:
                reach = min(reach, y[s - 1])
            before = v[s - 1] if s > int(start) else wish
            v[s] = max(0.0, min(wish, before + 2.0, max(before - 8.0, reach - y[s - 1])))
            y[s] = (y[s - 1] if s > int(start) else 0.0) + v[s]
        ahead[lane] = np.where(np.arange(seconds) < int(start), -np.inf, y)
        there = t[y[t] < MOTORWAY]
        if not len(there):
            continue
        offset = (1.7 if lane else -1.7) + dice.normal(0, 1.0)
        along = y[there] if north else MOTORWAY - y[there]
        east = offset + dice.normal(0, 1.0, len(there)) - (0.0 if north else APART)
        accel = np.diff(v[there], prepend=v[there][0])
        out = rows(len(there), east, along, there + dice.uniform(0, 0.9))
        out["reporter"] = k + (1000 if north else 5000)
        out["speed"], out["accel"] = v[there], accel
        out["heading"] = ((0.5 if north else 180.0) + dice.normal(0, 1.0, len(there))) % 360
        said = [(accel < -0.5, Sign.BRAKE), (accel < -3.92, Sign.HARD_BRAKE)]
        if crashed:
            said.append((v[there] == 0.0, Sign.AIRBAG | Sign.HAZARD_LIGHTS))
        if not north:
            slips = dice.random() < 0.3
            said.append((slips & (np.abs(along - 500.0) < 40.0) & (there > 200), Sign.TRACTION))
            said.append(((along < 600.0) & (there > 450), Sign.FOG_LIGHTS))
        for when, sign in said:
            out["signs"] |= np.where(when, np.uint32(sign), np.uint32(0))
        yield out
