"""Vehicles that say themselves that something has happened to them: an airbag is out, a trailer has
jackknifed, or they are disabled.

Such a message speaks for itself and needs no company; a single reporter's incident stays Possible all the same. The one
thing asked of it is that the vehicle does not drive on as if nothing were: then it is its unit that is broken. A crash can
destroy the unit that tells of it, and the last speed is that of before. So who says it while it drives is watched: it is
believed as soon as it slows down or falls silent. Hazard lights say less, they are weighed in `standing`.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.model import HARD_BRAKING, Finding, Frame, Rows, Sign
from detectors.signs import said

ROLLING = 10.0  # m/s: who drives faster than this is neither disabled nor just crashed
DRIVES_ON = 2_000  # ms for which it drives as fast after it has said so: no crash takes as long
SILENT = 3_000  # ms: of messages that come ten to one a second it has then missed three at least
FORGET = 90_000  # ms: a temporary id lives some minutes (SAE J2945/1)
SCORE = 6.0  # -log10, by decree: surer than any cluster needs to be, and one reporter stays Possible whatever it is
EXTENT = 25.0  # m: the error of its position and its own length

_SPEAKS = ((Sign.AIRBAG, "accident"), (Sign.JACKKNIFE, "accident"), (Sign.DISABLED, "breakdown"))
_ANY = int(Sign.AIRBAG | Sign.JACKKNIFE | Sign.DISABLED)


Said = tuple[int, str]
"""A reporter, and the kind of what it claims."""


class Claim(NamedTuple):
    """What a vehicle said while it drove, and where it was last seen since."""

    kind: str
    since: int  # ms
    time: int  # ms, of its newest row
    lat: float
    lon: float
    heading: float

    def seen(self, row: Rows) -> Claim:
        return Claim(self.kind, self.since, int(row["time"]), float(row["lat"]), float(row["lon"]), float(row["heading"]))

    def found(self, now: int, reporter: int) -> Finding:
        return Finding(
            kind=self.kind,
            time=now,
            onset=self.since,
            lat=self.lat,
            lon=self.lon,
            heading=self.heading,
            radius=EXTENT,
            score=SCORE,
            reporters=frozenset({reporter}),
            evidence=((self.kind, 1.0),),
        )


class SelfReports:
    """Repeats what a vehicle says of itself in every pane in which it says so, unless it drives."""

    kinds: ClassVar[tuple[str, ...]] = ("accident", "breakdown")

    def __init__(self) -> None:
        self.watched: dict[Said, Claim] = {}  # of those who said it while they drove
        self.broken: dict[Said, int] = {}  # who drove on: until when, ms, it is not asked again
        self.silent: dict[Said, int] = {}  # who was told of because he was silent: the same, unless he drives without saying it

    def update(self, frame: Frame) -> list[Finding]:
        rows = frame.observations
        speaks = said(rows) & _ANY
        if self.broken:
            self.broken = {claimed: until for claimed, until in self.broken.items() if until > frame.end}
        if self.silent:
            took_back = set(rows["reporter"].compress((rows["signs"] & _ANY) == 0).tolist())
            self.silent = {k: until for k, until in self.silent.items() if until > frame.end and k[0] not in took_back}
        if not speaks and not self.watched:
            return []
        slows = rows["accel"] < -HARD_BRAKING  # as a crash does, however fast it still is
        drives = (rows["speed"] > ROLLING) & ~slows
        found = self._watch(frame, drives) if self.watched else []
        if not speaks:
            return found
        speaking = (rows["signs"] & _ANY) != 0
        for row in _newest(rows.compress(speaking & ~drives)):
            found.append(_claim(row).found(frame.end, int(row["reporter"])))
        told = {(reporter, finding.kind) for finding in found for reporter in finding.reporters}
        for row in _newest(rows.compress(speaking & drives)):
            claim = _claim(row)
            claimed = int(row["reporter"]), claim.kind
            if claimed in self.broken:
                self.broken[claimed] = frame.end + FORGET
            elif claimed in self.silent:  # he reports every ten seconds, and drives on
                self.broken[claimed] = frame.end + FORGET
                del self.silent[claimed]
            elif claimed not in self.watched and claimed not in told:
                self.watched[claimed] = claim
        return found

    def _watch(self, frame: Frame, drives: NDArray[np.bool_]) -> list[Finding]:
        """What became of those who said it while they drove."""
        found, rows = [], frame.observations
        for claimed, claim in sorted(self.watched.items()):
            reporter, _ = claimed
            here = np.flatnonzero(rows["reporter"] == reporter)
            if len(here) and drives[here[-1]]:
                self.watched[claimed] = claim.seen(rows[here[-1]])
                if rows["time"][here[-1]] - claim.since >= DRIVES_ON:
                    del self.watched[claimed]
                    self.broken[claimed] = frame.end + FORGET
            elif len(here) or frame.end - claim.time >= SILENT:
                del self.watched[claimed]
                self.silent[claimed] = frame.end + FORGET
                newest = rows[here[-1]] if len(here) else None
                last = claim if newest is None else claim.seen(newest)
                itself = newest is not None and int(newest["signs"]) & _ANY and _claim(newest).kind == claim.kind
                if not itself:  # or it is about to say so
                    found.append(last.found(frame.end, reporter))
        return found


def _claim(row: Rows) -> Claim:
    kind = next(kind for sign, kind in _SPEAKS if row["signs"] & int(sign))
    time = int(row["time"])
    return Claim(kind, time, time, float(row["lat"]), float(row["lon"]), float(row["heading"]))


def _newest(rows: Rows) -> Rows:
    """The newest row of each reporter, of rows in order of time."""
    _, newest = np.unique(rows["reporter"][::-1], return_index=True)
    return rows[len(rows) - 1 - newest]
