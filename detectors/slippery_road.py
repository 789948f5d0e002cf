"""Slippery road: more vehicles than usual slip where they pass, while none of them finds the grip to brake hard."""

from __future__ import annotations

from typing import ClassVar

from detectors.model import HARD_BRAKING, Finding, Frame, Rows, Sign
from detectors.passers import Passers
from detectors.signs import said
from detectors.surprise import Surprise, Witnesses, witnesses

SLIP = int(Sign.ABS | Sign.TRACTION | Sign.STABILITY)
HARD = int(Sign.HARD_BRAKE)
SAME_TROUBLE = 5_000  # ms: an emergency braking and the ABS in it are one thing
MOVING = 2.0  # m/s: below, wheels lock for a moment on any road
RATE = 0.001  # per vehicle and 400 m: an assumption, about one intervention in 400 km; the place's own days correct it
VEHICLES = 2  # one may be its driver's doing
SURPRISE = 4.0  # -log10: one chance in 10,000 at a place that somebody slipped at
STILL = 2.0  # -log10 at which a place once found is still slippery
QUIET = 10_000  # ms within which the same vehicle's slips are one
LASTING = 300_000  # ms that a place once found is looked at with STILL


class SlipperyRoad:
    """Needs two vehicles that slipped within 200 m and five minutes, going the same way."""

    kinds: ClassVar[tuple[str, ...]] = ("adhesion",)

    def __init__(self) -> None:
        self._passers = Passers()
        self._surprise = Surprise(RATE, self._passers)
        self._gripped: dict[int, int] = {}  # reporter -> when it last braked hard
        self._found: dict[int, int] = {}  # witness -> when it was last part of a finding

    def update(self, frame: Frame) -> list[Finding]:
        rows = frame.observations
        new = said(rows) & (SLIP | HARD) != 0 and self._hear(rows)
        ticked = self._passers.tick(rows, frame.start, frame.end)
        if ticked:
            self._surprise.age(frame.end)
            self._gripped = {r: t for r, t in self._gripped.items() if frame.end - t < SAME_TROUBLE}
            self._found = {r: t for r, t in self._found.items() if frame.end - t < LASTING}
        if not (new or ticked) or len(self._surprise.lately) < VEHICLES:
            return []
        return self._findings(frame.end)

    def _hear(self, rows: Rows) -> bool:
        hard = rows[((rows["signs"] & HARD) != 0) | (rows["accel"] < -HARD_BRAKING)]
        if len(hard):
            self._gripped.update(zip(hard["reporter"].tolist(), hard["time"].tolist(), strict=True))
            self._surprise.withdraw(hard["reporter"], int(hard["time"][0]) - SAME_TROUBLE)
        slips = rows[((rows["signs"] & SLIP) != 0) & (rows["speed"] > MOVING) & (rows["heading"] >= 0.0)]
        return bool(len(slips)) and self._surprise.hear(self._honest(slips), QUIET)

    def _honest(self, slips: Rows) -> Witnesses:
        """The slips of those that have not just braked hard."""
        apart = [
            time - self._gripped.get(name, -SAME_TROUBLE) >= SAME_TROUBLE
            for name, time in zip(slips["reporter"].tolist(), slips["time"].tolist(), strict=True)
        ]
        return witnesses(slips[apart])

    def _findings(self, now: int) -> list[Finding]:
        found = []
        for c in self._surprise.clusters(VEHICLES, now):
            known = any(name in self._found for name in c.reporters)
            if c.score < (STILL if known else SURPRISE):
                continue
            self._found.update(dict.fromkeys(c.reporters, now))
            evidence = (("passed", round(c.passed, 1)), ("slipped", float(c.said)))
            found.append(Finding("adhesion", now, c.onset, c.lat, c.lon, c.heading, c.radius, c.score, c.reporters, evidence))
        return found
