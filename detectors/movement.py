"""Whether a vehicle's rows can follow one another: how far, how fast and which way it can have gone in between.

Vectorised: one track per reporter, one step per pane, each row seen beside the newest one of the panes before.

A crash must not be silenced: it is beyond all that tyres can do, and a wreck may send one position for ever. So slowing
down is never too hard in itself: a fall in speed is implausible only where brakes, accelerometer and hazard lights keep
silent about it, and so is a position that does not change afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.geometry import M_PER_DEGREE, angle_between
from detectors.model import Doubt, Rows, Sign

MISTRUST = 60_000  # ms for which an implausible reporter is not believed: what was wrong once may still be
GAP = 5.0  # s between two rows of which two speeds tell what happened in between
SPLIT = 0.4  # s: within less a way says little of a speed
GRIP = 9.0  # m/s2: tyres on dry asphalt, 0.9 g, where TS 103 759 sets LongAcc-ValueTooLarge
SLACK = 1.0  # m/s: error of two speeds
UNSAID = 3.92  # m/s2: 0.4 g; from there on SAE J2735 wants eventHardBraking said
FROZE = 10_000  # ms after such a fall in which a position that stays the same to the last digit is a unit that froze
FASTEST = 140.0  # m/s: a car's Speed-ValueTooLarge-VehicleType in TS 103 759
TOP = 70.0  # m/s, 250 km/h, where most cars are held: for a way of which too little is known
STRAY = 30.0  # m: a jump beyond the error of an honest receiver between buildings
MOVING = 4.0  # m/s: slower is manoeuvring
STRETCH = 20.0  # m: a way that can be judged, ten times the error of its ends
PATIENCE = 10.0  # s after which a way is judged however short it is: a drift over minutes is no driving
LONG = 100.0  # m, and
LATE = 15_000  # ms: such ways are ripe; when they are
SOME = 0.1  # of a pane, all that can be are judged together, every few seconds: a pane of few rows costs by the call
STUCK = 0.2  # of the way that its speed says
AGREES = 0.5  # of it, as the crow flies: three quarters round a circle
STRAIGHT = 0.8  # of it, as the crow flies: no bend within turns round farther than 130 degrees
CREPT = 5.0  # m: three times what two positions of one place differ by, and far more than receivers repeat
REVERSE = 12.0  # m/s: reverse gears end at some 40 km/h
AGAINST = 120.0  # degrees between where it went, which was STRAIGHT, and where it says that it heads

LASTING = Doubt.HEADING_AGAINST_MOVEMENT  # from here on it is the reporter that is not believed, below only the row
BRAKES = int(Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.AIRBAG | Sign.JACKKNIFE | Sign.DISABLED)

TRACK = np.dtype(
    [
        ("reporter", "u8"),
        ("time", "i8"),  # ms, of the newest row
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f4"),
        ("said", "?"),  # its newest row spoke of hard braking or trouble
        ("since", "i8"),  # ms: first seen
        ("cell", "u8"),  # where it was then
        ("from_time", "i8"),  # the way that is to be judged next began here
        ("from_lat", "f8"),
        ("from_lon", "f8"),
        ("way", "f4"),  # m of it, by its speed
        ("least", "f4"),  # m of it that it must have driven, even if it stopped dead between two rows
        ("gone", "f4"),  # m of it from row to row, by its positions
        ("drove", "f4"),  # m of ways that agreed with its speed
        ("fell", "i8"),  # ms: lost speed harder than UNSAID without a word
        ("doubted", "i8"),  # ms: not believed until
        ("why", "u1"),  # Doubt
        ("crowd", "i8"),  # ms: came in a crowd and is not believed before, nor without a history; 0 if it did not
    ]
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.uint8]  # of Doubt


class Step(NamedTuple):
    """From what was known of a row's reporter before the pane to the row."""

    gap: Floats  # s
    moved: Floats  # m
    speed: Floats  # m/s; by the way where it is not said
    past: Floats  # m/s, before
    says: Bools  # hard braking or trouble now
    said: Bools  # now or before


def begun(rows: Rows) -> Rows:
    """Tracks that begin with these rows."""
    tracks = np.zeros(len(rows), TRACK)
    for name in ("reporter", "time", "lat", "lon", "cell"):
        tracks[name] = rows[name]
    tracks["speed"], tracks["said"] = np.nan_to_num(rows["speed"]), says(rows)
    tracks["since"] = tracks["from_time"] = rows["time"]
    tracks["from_lat"], tracks["from_lon"] = rows["lat"], rows["lon"]
    return tracks


def step(rows: Rows, before: Rows) -> Step:
    """The step to each row from its track before."""
    gap = np.maximum((rows["time"] - before["time"]) / 1000.0, 0.0)
    moved = np.hypot(*_apart(rows, before["lat"], before["lon"]))
    speed, past = rows["speed"].astype(np.float64), before["speed"].astype(np.float64)
    silent = np.isnan(speed)
    if np.count_nonzero(silent):
        speed = np.where(silent, np.minimum(moved / np.maximum(gap, SPLIT), TOP), speed)
    speaks = says(rows)
    return Step(gap, moved, speed, past, speaks, before["said"] | speaks)


def says(rows: Rows) -> Bools:
    """Which rows speak of hard braking or trouble, or of no speed, so that theirs cannot be what is wrong."""
    speaks: Bools = ((rows["signs"] & BRAKES) != 0) | (rows["accel"] < -UNSAID) | np.isnan(rows["speed"])
    return speaks


def compare(rows: Rows, before: Rows, taken: Step) -> Codes:
    """What is wrong with each row, seen beside its track before."""
    gap, moved, speed, past, _, said = taken
    doubts = np.zeros(len(rows), np.uint8)
    near = (gap > 0.0) & (gap < GAP)
    least = np.minimum(speed, past) * gap
    reach = np.minimum(np.maximum(speed, past) * gap + 0.5 * GRIP * gap * gap, TOP * gap)
    _mark(doubts, rows["accel"] > GRIP, Doubt.LONG_ACC_VALUE_TOO_LARGE)
    _mark(doubts, near & (np.abs(speed - past) > GRIP * gap + SLACK) & ~said, Doubt.SPEED_CHANGE_TOO_LARGE)
    _mark(doubts, rows["speed"] > FASTEST, Doubt.SPEED_VALUE_TOO_LARGE)
    _mark(doubts, near & (least > STRETCH) & (moved < STUCK * least), Doubt.POSITION_CHANGE_TOO_SMALL)
    same = near & (moved == 0.0)
    if np.count_nonzero(same):
        frozen = (before["doubted"] > rows["time"]) & (before["why"] == Doubt.CONSTANT_POSITION)
        frozen |= before["fell"] > rows["time"] - FROZE
        _mark(doubts, same & ((least > CREPT) | frozen), Doubt.CONSTANT_POSITION)
    _mark(doubts, (moved > STRAY + reach) & (gap > 0.0), Doubt.POSITION_CHANGE_TOO_LARGE)
    return doubts


def advance(tracks: Rows, rows: Rows, before: Rows, taken: Step, doubts: Codes) -> None:
    """Bring `tracks`, which still are as `before`, up to their newest rows. `doubts`: the worst of the pane, of each.

    What is wrong with a reporter lasts from here on. Ways are judged together, when one of them has become long.
    """
    gap, moved, speed, past, speaks, said = taken
    for name in ("time", "lat", "lon"):
        tracks[name] = rows[name]
    tracks["speed"], tracks["said"] = speed, speaks
    fell = (past - speed > UNSAID * gap + SLACK) & (gap > 0.0) & ~said
    if np.count_nonzero(fell):
        tracks["fell"][fell] = rows["time"][fell]
    tracks["way"] += 0.5 * (speed + past) * gap
    tracks["least"] += np.minimum(speed, past) * gap
    tracks["gone"] += moved
    waited = rows["time"] - before["from_time"]
    lost = gap >= GAP  # what it did in between nobody knows
    ripe = np.count_nonzero((tracks["way"] >= LONG) | (waited >= LATE))
    if ripe > SOME * len(rows) or np.count_nonzero(lost):
        doubts = np.maximum(doubts, _ways(tracks, rows, waited / 1000.0, lost))
    lasting = doubts >= LASTING
    if np.count_nonzero(lasting):
        tracks["doubted"][lasting] = rows["time"][lasting] + MISTRUST
        tracks["why"][lasting] = doubts[lasting]


def _ways(tracks: Rows, rows: Rows, seconds: Floats, lost: Bools) -> Codes:
    """Judge the ways that are over, and let the next ones begin."""
    way, least, gone = (tracks[name].astype(np.float64) for name in ("way", "least", "gone"))
    east, north = _apart(rows, tracks["from_lat"], tracks["from_lon"])
    far = np.hypot(east, north)
    over = (way >= STRETCH) | (seconds >= PATIENCE) | lost
    judged = over & ~lost
    steady = judged & (least >= STRETCH) & (least >= MOVING * seconds)
    backwards = steady & (least >= REVERSE * seconds) & (far >= STRAIGHT * way)
    backwards &= angle_between(np.degrees(np.arctan2(east, north)), rows["heading"]) > AGAINST
    doubts = np.zeros(len(rows), np.uint8)
    _mark(doubts, backwards, Doubt.HEADING_AGAINST_MOVEMENT)
    _mark(doubts, steady & (gone < STUCK * least), Doubt.POSITION_CHANGE_TOO_SMALL)
    _mark(doubts, judged & (gone == 0.0) & (least >= CREPT), Doubt.CONSTANT_POSITION)
    _mark(doubts, judged & (far > 2.0 * way + STRAY), Doubt.POSITION_CHANGE_TOO_LARGE)
    agrees = over & (far >= CREPT) & (far <= 2.0 * way + CREPT) & ((far >= AGREES * way) | lost)
    tracks["drove"] += np.where(agrees, far, 0.0)
    for name, origin in (("from_time", "time"), ("from_lat", "lat"), ("from_lon", "lon")):
        tracks[name] = np.where(over, rows[origin], tracks[name])
    for name in ("way", "least", "gone"):
        tracks[name] = np.where(over, 0.0, tracks[name])
    return doubts


def _mark(doubts: Codes, wrong: Bools, doubt: Doubt) -> None:
    """Most panes have nothing wrong, and to count is four times as fast as to assign nothing."""
    if np.count_nonzero(wrong):
        doubts[wrong] = doubt


def _apart(rows: Rows, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """Metres east and north of the points (lat, lon), one for each row."""
    here = rows["lat"]
    return (rows["lon"] - lon) * (M_PER_DEGREE * np.cos(np.radians(here))), (here - lat) * M_PER_DEGREE
