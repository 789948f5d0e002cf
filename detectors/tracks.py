"""What is remembered of each vehicle from pane to pane: how fast it lately was, how far it fell, how long it has stood."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled
from detectors.geometry import metres_between
from detectors.model import HARD_BRAKING, Frame, Rows, Sign
from detectors.place_rates import GENTLE
from detectors.table import Names, Slots, Table, claim

FORGET = 90_000  # ms unseen: a temporary id lives some minutes (SAE J2945/1), most gaps are losses of seconds
SWEEP = 30_000  # ms
MEMORY = 60.0  # s: time constant with which a vehicle's lately highest speed fades
BRAKED = 10.0  # s: time constant with which its hardest braking fades: a stop from 100 km/h takes so long
DRIVING = 8.0  # m/s, 29 km/h: who was slower has not fallen from anything
EASED = 0.65  # of the lately highest speed: what a weaving or merging lane does to many
FELL = 0.4  # of it: nobody does that on a road that flows
RECOVERED = 0.8  # of it: the next fall is a new one
STANDING = 2.0  # m/s: a walk; above what a receiver at rest shows
GAP = 5.0  # s between two rows that are still compared
HEARD = 15.0  # s: a gap no longer than that is one of who reports every ten seconds, and says where a stand ended
LEFT = 30.0  # m: who is seen so far from where it stood before such a gap has driven in between, whatever it says now
HALT = 8_000  # ms of standing that are more than a hesitation
CREEP = 4.0  # m/s, 14 km/h: slower than anybody drives by choice on a road that flows
FROM = 11.0  # m/s: lately highest speed of who creeps instead of driving; 25 m/s fades to it in 49 s, a taxi in town in 14
LINGER = 4.0  # s of creeping between two looks at who does

_BRAKES_HARD = int(Sign.HARD_BRAKE)
_TRACK = np.dtype(
    [
        ("reporter", "u8"),
        ("time", "i8"),  # ms, of the newest row
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f4"),
        ("peak", "f4"),  # m/s: lately highest speed, fading
        ("decel", "f4"),  # m/s2: lately hardest braking, fading
        ("eased", "?"),
        ("fell", "?"),
        ("braked", "?"),
        ("halted", "?"),
        ("stood", "i8"),  # ms: standing since; 0 if it moves
        ("crept", "f4"),  # s for which it has crept since it last drove
    ]
)
SEEN = np.dtype(
    [
        ("reporter", "u8"),
        ("lat", "f8"),
        ("lon", "f8"),
        ("speed", "f8"),
        ("heading", "f8"),
        ("seconds", "f8"),  # since it was last seen, two at most
        ("braking", "f8"),  # of these, how many at GENTLE or more
        ("decel", "f8"),  # m/s2: hardest braking of the last seconds
        ("stood", "i8"),  # ms: standing since; 0 if it moves
        ("rested", "f8"),  # s for which it stood, if it drove off in this pane; else 0
        ("crept", "f8"),  # s for which it has crept or stood since it last drove
        ("signs", "u4"),
        ("eased", "?"),  # fell below EASED in this pane
        ("fell", "?"),  # fell below FELL in this pane
        ("braked", "?"),  # began to brake hard in this pane
        ("halted", "?"),  # has now been standing for HALT
        ("acts", "?"),  # one of these four, or drove off after more than a hesitation
        ("lingers", "?"),  # has crept for LINGER more in this pane
    ]
)
"""A believable vehicle in one pane, with its newest row there; nothing NaN."""


class Seen(NamedTuple):
    """The vehicles of one pane."""

    rows: Rows  # of SEEN
    acting: Rows  # of SEEN: those of them with which something happened, by reporter
    lingering: Rows  # of SEEN: those that creep or stand, every LINGER, by reporter
    since: int  # ms: from when on the first of those that stand has stood; 0 if none stands


class Tracks:
    """Feed it every pane's observations; it answers with who was seen, and what became of them since."""

    def __init__(self) -> None:
        self._tracks = Table(_TRACK, "reporter")
        self._swept = 0

    def update(self, frame: Frame) -> Seen:
        """Of the rows with a speed and a heading the newest of each reporter counts."""
        if frame.end - self._swept >= SWEEP:
            self._tracks.keep(self._tracks.held["time"] > frame.end - FORGET)
            self._swept = frame.end
        observations = frame.observations
        self._tracks.reserve(len(observations))
        out = np.empty(len(observations), SEEN)
        count, acting, lingering, since = _step(observations, *self._tracks.arrays, frame.start, out)
        rows = out[:count]
        acts = _by_reporter(rows.compress(rows["acts"])) if acting else rows[:0]
        return Seen(rows, acts, _by_reporter(rows.compress(rows["lingers"])) if lingering else rows[:0], since)


def _by_reporter(rows: Rows) -> Rows:
    return rows.take(np.argsort(rows["reporter"]))


@compiled
def _step(
    rows: Rows, tracks: Rows, names: Names, slots: Slots, size: NDArray[np.int64], start: int, seen: Rows
) -> tuple[int, int, int, int]:
    """How many were seen, how many of them act, how many linger, and from when on the first of them has stood."""
    count = acting = lingering = since = 0
    for i in range(len(rows) - 1, -1, -1):  # the newest first
        row = rows[i]
        time, speed = row["time"], np.float64(row["speed"])
        if math.isnan(speed) or math.isnan(row["heading"]):
            continue
        known = size[0]
        track = tracks[claim(slots, names, size, row["reporter"])]
        if size[0] > known:
            track["time"], track["speed"], track["peak"] = time, speed, speed
        elif track["time"] >= start:
            continue
        gap = max((time - track["time"]) / 1000.0, 0.0)
        peak = max(speed, np.float64(track["peak"]) * math.exp(-gap / MEMORY))
        low = peak > DRIVING and speed < EASED * peak
        deep = low and speed < FELL * peak
        down = speed < RECOVERED * peak
        slower = (np.float64(track["speed"]) - speed) / max(gap, 0.1) if 0.0 < gap < GAP else 0.0
        accel = np.float64(row["accel"])
        decel = max(slower, np.float64(track["decel"]) * math.exp(-gap / BRAKED))
        if -accel > decel:  # not if it is missing
            decel = -accel
        hard = (row["signs"] & _BRAKES_HARD) != 0 or accel < -HARD_BRAKING
        far = metres_between(row["lat"], row["lon"], track["lat"], track["lon"]) if gap > GAP else 0.0
        stood = track["stood"]
        since_when = stood if stood > 0 and far <= LEFT else time
        stands = since_when if speed < STANDING else 0
        halted = stands > 0 and time - stands >= HALT
        creeps = speed < CREEP and peak > FROM
        before = np.float64(track["crept"]) if down and far <= LEFT + CREEP * gap else 0.0
        crept = before + min(gap, GAP) if creeps else before

        one = seen[count]
        count += 1
        one["reporter"], one["signs"] = row["reporter"], row["signs"]
        one["lat"], one["lon"], one["heading"], one["speed"] = row["lat"], row["lon"], row["heading"], speed
        one["seconds"] = min(gap, 2.0)
        one["braking"] = one["seconds"] if slower >= GENTLE else 0.0
        one["stood"] = stands
        one["rested"] = (time - stood) / 1000.0 if stood > 0 and stands == 0 and (far <= LEFT or gap <= HEARD) else 0.0
        one["eased"] = low and not track["eased"]
        one["fell"] = deep and not track["fell"]
        one["braked"] = hard and not track["braked"]
        one["halted"] = halted and not track["halted"]
        one["acts"] = one["eased"] or one["fell"] or one["braked"] or one["halted"] or one["rested"] >= HALT / 1000.0
        acting += one["acts"]
        one["crept"] = crept
        one["lingers"] = creeps and math.floor(crept / LINGER) > math.floor(before / LINGER)
        lingering += one["lingers"]
        if stands > 0 and (since == 0 or stands < since):
            since = stands

        track["time"], track["lat"], track["lon"] = time, row["lat"], row["lon"]
        track["speed"], track["peak"], track["decel"] = speed, peak, decel
        track["eased"] = low or (track["eased"] and down)
        track["fell"] = deep or (track["fell"] and down)
        track["braked"], track["halted"], track["stood"] = hard, halted, stands
        track["crept"] = crept
        one["decel"] = track["decel"]
    return count, acting, lingering, since
