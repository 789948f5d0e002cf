"""Whether a vehicle's rows can follow one another: how far, how fast and which way it can have gone in between.

One track per reporter, one step per pane: each row is seen beside the newest one of the panes before.

A crash must not be silenced: it is beyond all that tyres can do, and a wreck may send one position for ever. So slowing
down is never too hard in itself: a fall in speed is implausible only where brakes, accelerometer and hazard lights keep
silent about it, and so is a position that does not change afterwards.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import M_PER_DEGREE
from detectors.model import HARD_BRAKING, Doubt, Rows, Sign
from detectors.table import Slots, claim

MISTRUST = 60_000  # ms for which an implausible reporter is not believed: what was wrong once may still be
GAP = 5.0  # s between two rows of which two speeds tell what happened in between
SPLIT = 0.4  # s: within less a way says little of a speed
GRIP = 9.0  # m/s2: tyres on dry asphalt, 0.9 g, where TS 103 759 sets LongAcc-ValueTooLarge
SLACK = 1.0  # m/s: error of two speeds
FROZE = 10_000  # ms after such a fall in which a position that stays the same to the last digit is a unit that froze
FASTEST = 140.0  # m/s: a car's Speed-ValueTooLarge-VehicleType in TS 103 759
TOP = 70.0  # m/s, 250 km/h, where most cars are held: for a way of which too little is known
STRAY = 30.0  # m: a jump beyond the error of an honest receiver between buildings
MOVING = 4.0  # m/s: slower is manoeuvring
STRETCH = 20.0  # m: a way that can be judged, ten times the error of its ends
PATIENCE = 10.0  # s after which a way is judged however short it is: a drift over minutes is no driving
LONG = 100.0  # m, and
LATE = 15_000  # ms: such ways are ripe; when they are
SOME = 0.1  # of a pane, all that can be are judged together, every few seconds
STUCK = 0.2  # of the way that its speed says
VOWED = 1000.0  # m by its speed, in whatever pieces: so much must agree with its unit
SELDOM = 10.0  # s between two rows: who says less often may have stood meanwhile
MISTAKEN = 0.5  # of what was vowed: a speed in mph goes for m/s on 0.45 of it, one in km/h on 0.28
AGREES = 0.5  # of it, as the crow flies: three quarters round a circle
STRAIGHT = 0.8  # of it, as the crow flies: no bend within turns round farther than 130 degrees
CREPT = 5.0  # m: three times what two positions of one place differ by, and far more than receivers repeat
REVERSE = 12.0  # m/s: reverse gears end at some 40 km/h
AGAINST = 120.0  # degrees between where it went, which was STRAIGHT, and where it says that it heads

LASTING = int(Doubt.HEADING_AGAINST_MOVEMENT)  # from here on it is the reporter that is not believed, below only the row
BRAKES = int(Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.AIRBAG | Sign.JACKKNIFE | Sign.DISABLED)

TRACK = np.dtype(
    [
        ("reporter", "u8"),
        ("time", "i8"),  # ms, of the newest row
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f4"),
        ("heading", "f4"),  # degrees, while it last drove; NaN where nothing is known yet (`headings`)
        ("mark_lat", "f8"),  # from here on it is seen where one goes that says no heading
        ("mark_lon", "f8"),
        ("said", "?"),  # its newest row spoke of hard braking or trouble
        ("since", "i8"),  # ms: first seen
        ("cell", "u8"),  # where it was then
        ("from_time", "i8"),  # the way that is to be judged next began here
        ("from_lat", "f8"),
        ("from_lon", "f8"),
        ("way", "f4"),  # m of it, by its speed
        ("least", "f4"),  # m of it that it must have driven, even if it stopped dead between two rows
        ("gone", "f4"),  # m of it from row to row, by its positions
        ("vowed", "f4"),  # m, by the lesser of two speeds after another
        ("kept", "f4"),  # m, by its positions meanwhile
        ("drove", "f4"),  # m of ways that agreed with its speed
        ("fell", "i8"),  # ms: lost speed harder than HARD_BRAKING without a word
        ("doubted", "i8"),  # ms: not believed until
        ("why", "u1"),  # Doubt
        ("crowd", "i8"),  # ms: came in a crowd and is not believed before, nor without a history; 0 if it did not
        ("newest", "i4"),  # which row of the pane that is looked at is its newest
    ]
)

Row = np.void  # one of Rows: an observation, or a track
Bools = NDArray[np.bool_]
Codes = NDArray[np.uint8]  # of Doubt
Places = NDArray[np.int64]  # of the tracks of rows


class Step(NamedTuple):
    """From what was known of a row's reporter before the pane to the row."""

    gap: float  # s
    moved: float  # m
    speed: float  # m/s; by the way where it is not said
    past: float  # m/s, before


@compiled
def follow(rows: Rows, tracks: Rows, slots: Slots, size: NDArray[np.int64], at: Places, doubts: Codes, worst: Codes) -> None:
    """Say what is wrong with each row of a pane, and bring the tracks up to their newest rows; `at` and `doubts` are filled.

    `worst`, zero at first, gets the worst of each reporter, where its newest row is. What is wrong with one lasts from here on.
    """
    reporters = 0
    for i in range(len(rows)):
        row, known = rows[i], size[0]
        at[i] = claim(slots, tracks["reporter"], size, row["reporter"])
        track = tracks[at[i]]
        if at[i] == known:
            _begin(track, row)
        track["said"] = track["said"] or _says(row)
        track["newest"] = i

    ripe, lost = 0, False
    for i in range(len(rows)):
        row, track = rows[i], tracks[at[i]]
        step, newest = _step(row, track), track["newest"]
        doubts[i] = _compare(row, track, step).value
        worst[newest] = max(worst[newest], doubts[i])
        if i == newest:  # all others of this reporter have been compared
            reporters += 1
            _advance(track, row, step)
            worst[i] = max(worst[i], _judge_unit(track).value)
            if step.gap >= GAP:  # what it did in between nobody knows
                lost = True
                _end_way(track, row, True)
            elif track["way"] >= LONG or row["time"] - track["from_time"] >= LATE:
                ripe += 1

    together = lost or ripe > SOME * reporters
    for i in range(len(rows)):
        row, track = rows[i], tracks[at[i]]
        if i == track["newest"]:
            if together:
                worst[i] = max(worst[i], _judge_way(track, row).value)
            if worst[i] >= LASTING:
                track["doubted"] = row["time"] + MISTRUST
                track["why"] = worst[i]


@compiled
def slows_hard(row: Row) -> bool:
    """Whether its accelerometer says so."""
    return bool(row["accel"] < -HARD_BRAKING)


@compiled
def _says(row: Row) -> bool:
    """Whether it speaks of hard braking or trouble, or of no speed, so that its speed cannot be what is wrong."""
    return bool((row["signs"] & np.uint32(BRAKES)) != 0 or slows_hard(row) or math.isnan(row["speed"]))


@compiled
def _begin(track: Row, row: Row) -> None:
    track["time"] = track["since"] = track["from_time"] = row["time"]
    track["lat"] = track["from_lat"] = row["lat"]
    track["lon"] = track["from_lon"] = row["lon"]
    track["cell"] = row["cell"]
    track["speed"] = 0.0 if math.isnan(row["speed"]) else row["speed"]
    track["heading"] = math.nan
    track["mark_lat"], track["mark_lon"] = row["lat"], row["lon"]


@compiled
def _step(row: Row, track: Row) -> Step:
    """The step to a row from its track before."""
    gap = max((row["time"] - track["time"]) / 1000.0, 0.0)
    east, north = apart(row, track["lat"], track["lon"])
    moved = math.hypot(east, north)
    speed = np.float64(row["speed"])
    if math.isnan(speed):
        speed = min(moved / max(gap, SPLIT), TOP)
    return Step(gap, moved, speed, np.float64(track["speed"]))


@compiled
def _compare(row: Row, track: Row, step: Step) -> Doubt:
    """What is wrong with a row, seen beside its track before."""
    gap, moved, speed, past = step
    near = 0.0 < gap < GAP
    least = min(speed, past) * gap
    if gap > 0.0 and moved > STRAY + min(max(speed, past) * gap + 0.5 * GRIP * gap * gap, TOP * gap):
        return Doubt.POSITION_CHANGE_TOO_LARGE
    if near and moved == 0.0:
        froze = track["doubted"] > row["time"] and track["why"] == Doubt.CONSTANT_POSITION
        if least > CREPT or froze or track["fell"] > row["time"] - FROZE:
            return Doubt.CONSTANT_POSITION
    if near and least > STRETCH and moved < STUCK * least:
        return Doubt.POSITION_CHANGE_TOO_SMALL
    if row["speed"] > FASTEST:
        return Doubt.SPEED_VALUE_TOO_LARGE
    if near and abs(speed - past) > GRIP * gap + SLACK and not track["said"]:
        return Doubt.SPEED_CHANGE_TOO_LARGE
    if row["accel"] > GRIP:
        return Doubt.LONG_ACC_VALUE_TOO_LARGE
    return Doubt.NONE


@compiled
def _advance(track: Row, row: Row, step: Step) -> None:
    """Bring a track up to its newest row."""
    gap, moved, speed, past = step
    if gap > 0.0 and past - speed > HARD_BRAKING * gap + SLACK and not track["said"]:
        track["fell"] = row["time"]
    track["way"] = np.float64(track["way"]) + 0.5 * (speed + past) * gap
    track["least"] = np.float64(track["least"]) + min(speed, past) * gap
    track["gone"] = np.float64(track["gone"]) + moved
    if gap <= SELDOM and min(speed, past) >= MOVING:
        track["vowed"] = np.float64(track["vowed"]) + min(speed, past) * gap
        track["kept"] = np.float64(track["kept"]) + moved
    track["time"], track["lat"], track["lon"] = row["time"], row["lat"], row["lon"]
    track["speed"], track["said"] = speed, _says(row)


@compiled
def _judge_unit(track: Row) -> Doubt:
    """Whether it gets on as its speed says, over ways of any length: what is in another unit never does."""
    vowed, kept = np.float64(track["vowed"]), np.float64(track["kept"])
    if vowed < VOWED:
        return Doubt.NONE
    track["vowed"] = track["kept"] = 0.0
    return Doubt.POSITION_CHANGE_TOO_SMALL if kept < MISTAKEN * vowed else Doubt.NONE


@compiled
def _judge_way(track: Row, row: Row) -> Doubt:
    """What is wrong with the way up to a row, if it can be judged; then the next one begins."""
    seconds, way = (row["time"] - track["from_time"]) / 1000.0, np.float64(track["way"])
    if way < STRETCH and seconds < PATIENCE:
        return Doubt.NONE
    least, gone = np.float64(track["least"]), np.float64(track["gone"])
    east, north = apart(row, track["from_lat"], track["from_lon"])
    far = math.hypot(east, north)
    _end_way(track, row, False)
    if far > 2.0 * way + STRAY:
        return Doubt.POSITION_CHANGE_TOO_LARGE
    if gone == 0.0 and least >= CREPT:
        return Doubt.CONSTANT_POSITION
    if least >= STRETCH and least >= MOVING * seconds:
        if gone < STUCK * least:
            return Doubt.POSITION_CHANGE_TOO_SMALL
        if least >= REVERSE * seconds and far >= STRAIGHT * way:
            turned = abs(math.degrees(math.atan2(east, north)) - np.float64(row["heading"])) % 360.0
            if min(turned, 360.0 - turned) > AGAINST:
                return Doubt.HEADING_AGAINST_MOVEMENT
    return Doubt.NONE


@compiled
def _end_way(track: Row, row: Row, lost: bool) -> None:
    """What agreed with its speed counts as driven; of a way that was lost out of sight less is asked."""
    east, north = apart(row, track["from_lat"], track["from_lon"])
    far, way = math.hypot(east, north), np.float64(track["way"])
    if CREPT <= far <= 2.0 * way + CREPT and (lost or far >= AGREES * way):
        track["drove"] = np.float64(track["drove"]) + far
    track["from_time"], track["from_lat"], track["from_lon"] = row["time"], row["lat"], row["lon"]
    track["way"] = track["least"] = track["gone"] = 0.0


@compiled
def apart(row: Row, lat: float, lon: float) -> tuple[float, float]:
    """Metres east and north of a point."""
    return (row["lon"] - lon) * (M_PER_DEGREE * math.cos(math.radians(row["lat"]))), (row["lat"] - lat) * M_PER_DEGREE
