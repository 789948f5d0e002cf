"""What is remembered of each vehicle from pane to pane: how fast it lately was, how far it fell, whether to believe it.

Vectorised: one row per reporter, sorted, and one step per pane for all that were seen in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.lattice import Floats
from detectors.model import Rows, Sign, plain
from detectors.place_rates import GENTLE

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
HALT = 8_000  # ms of standing that are more than a hesitation
HARD_BRAKE = 3.92  # m/s2: 0.4 g, where SAE J2735 sets eventHardBraking

Bools = NDArray[np.bool_]

_TRACK = np.dtype(
    [
        ("reporter", "u8"),
        ("time", "i8"),  # ms, of the newest row
        ("speed", "f4"),
        ("peak", "f4"),  # m/s: lately highest speed, fading
        ("decel", "f4"),  # m/s2: lately hardest braking, fading
        ("eased", "?"),
        ("fell", "?"),
        ("braked", "?"),
        ("halted", "?"),
        ("stood", "i8"),  # ms: standing since; 0 if it moves
    ]
)


@dataclass(frozen=True, slots=True)
class Seen:
    """The believable vehicles of one pane, each with its newest row; arrays of one length, nothing NaN."""

    rows: Rows  # of OBSERVATION
    lat: Floats
    lon: Floats
    speed: Floats
    heading: Floats
    metres: Floats  # driven since it was last seen
    seconds: Floats  # since it was last seen, two at most
    braking: Floats  # of these, how many at GENTLE or more
    peak: Floats  # m/s
    decel: Floats  # m/s2: hardest braking of the last seconds
    eased: Bools  # fell below EASED in this pane
    fell: Bools  # fell below FELL in this pane
    braked: Bools  # began to brake hard in this pane
    halted: Bools  # has now been standing for HALT
    stood: NDArray[np.int64]  # ms: standing since; 0 if it moves
    rested: Floats  # s for which it stood, if it drove off in this pane; else 0

    def __len__(self) -> int:
        return len(self.rows)


class Tracks:
    """Feed it every pane's observations; it answers with who was seen, and what became of them since."""

    def __init__(self) -> None:
        self._tracks: Rows = np.empty(0, _TRACK)
        self._swept = 0

    def update(self, rows: Rows, now: int) -> Seen:
        """`rows` of one pane that ended at `now` (ms), sorted by time."""
        if now - self._swept >= SWEEP:
            self._tracks = self._tracks.compress(self._tracks["time"] > now - FORGET)
            self._swept = now
        rows = newest(rows)
        at, before, new = self._find(rows)
        lat, lon, time, speed = rows["lat"], rows["lon"], rows["time"], rows["speed"].astype(np.float64)
        gap = np.maximum((time - before["time"]) / 1000.0, 0.0)

        after = before.copy()
        peak = np.maximum(speed, before["peak"] * np.exp(-gap / MEMORY))
        low = (peak > DRIVING) & (speed < EASED * peak)
        deep = low & (speed < FELL * peak)
        down = speed < RECOVERED * peak
        after["eased"] = low | (before["eased"] & down)
        after["fell"] = deep | (before["fell"] & down)
        after["peak"] = peak
        comparable = (gap > 0.0) & (gap < GAP)
        slower = np.where(comparable, (before["speed"] - speed) / np.maximum(gap, 0.1), 0.0)
        decel = np.maximum(slower, np.fmax(-rows["accel"].astype(np.float64), 0.0))
        after["decel"] = np.maximum(decel, before["decel"] * np.exp(-gap / BRAKED))
        after["stood"] = np.where(speed < STANDING, np.where(before["stood"] > 0, before["stood"], time), 0)
        after["halted"] = (after["stood"] > 0) & (time - after["stood"] >= HALT)
        after["braked"] = ((rows["signs"] & int(Sign.HARD_BRAKE)) != 0) | (rows["accel"] < -HARD_BRAKE)
        for name in ("time", "speed"):
            after[name] = rows[name]
        plain(self._tracks)[at] = plain(after)

        seconds = np.minimum(gap, 2.0)
        return Seen(
            rows, lat, lon, speed, rows["heading"].astype(np.float64), speed * seconds, seconds,
            np.where(slower >= GENTLE, seconds, 0.0), peak, after["decel"].astype(np.float64),
            low & ~before["eased"] & ~new, deep & ~before["fell"] & ~new,
            after["braked"] & ~before["braked"], after["halted"] & ~before["halted"], after["stood"],
            np.where((before["stood"] > 0) & (after["stood"] == 0), (time - before["stood"]) / 1000.0, 0.0),
        )  # fmt: skip

    def _find(self, rows: Rows) -> tuple[NDArray[np.intp], Rows, Bools]:
        """Where each row's reporter is held, what was known of it, and whether it is new. Makes room for the new ones."""
        tracks, reporters = self._tracks, rows["reporter"]
        at = np.searchsorted(tracks["reporter"], reporters)
        new = np.ones(len(rows), bool)
        if len(tracks):
            new = tracks["reporter"][np.minimum(at, len(tracks) - 1)] != reporters
        if new.any():
            first = np.zeros(int(new.sum()), _TRACK)
            for name in ("reporter", "time", "speed"):
                first[name] = rows[name][new]
            first["peak"] = first["speed"]
            self._tracks = tracks = np.insert(plain(tracks), at[new], plain(first)).view(_TRACK)
            at = np.searchsorted(tracks["reporter"], reporters)
        return at, tracks.take(at), new


def newest(rows: Rows) -> Rows:
    """The last row of each reporter, sorted by reporter; rows without a speed or a heading do not count."""
    known = ~(np.isnan(rows["speed"]) | np.isnan(rows["heading"]))
    if not known.all():
        rows = rows.compress(known)
    order = np.argsort(rows["reporter"], kind="stable")
    sorted_reporters = rows["reporter"][order]
    last = np.ones(len(rows), bool)
    last[:-1] = sorted_reporters[1:] != sorted_reporters[:-1]
    return rows.take(order[last])
