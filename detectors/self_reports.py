"""Vehicles that say themselves what happened: an airbag, a breakdown, hazard lights that stay on while others drive by."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from detectors.geometry import angle_between, distance
from detectors.model import Finding, Frame, Rows, Sign

CRASHED = int(Sign.AIRBAG | Sign.JACKKNIFE)
STANDS = 1.0  # m/s
PASSES = 5.0  # m/s: driving, not creeping in the same queue
LASTING = 60_000  # ms: who lets somebody in or out is gone by then
LOST = 15_000  # ms unseen, after which the lights may be off
REACH = 100.0  # m
SAME_WAY = 45.0  # degrees
WITNESSES = 3  # others that pass: in a queue all stand, with hazard lights on at its tail
SURE = 8.0  # score of an airbag: in service one fires without a crash less than once in 1e8 km
LIKELY = 6.0  # score of a breakdown that the vehicle itself reports
SUPPOSED = 4.0  # score of lasting hazard lights: some stand beside the road for other reasons
RADIUS = 20.0  # m


@dataclass(slots=True)
class _Lights:
    """A vehicle that stands with its hazard lights on."""

    since: int  # ms
    seen: int  # ms
    lat: float
    lon: float
    heading: float
    passed: set[int] = field(default_factory=set)  # reporters that drove by


class SelfReports:
    """Believes what vehicles say of themselves, one reporter being enough (`accident`, `breakdown`)."""

    kinds: ClassVar[tuple[str, ...]] = ("accident", "breakdown")

    def __init__(self) -> None:
        self._lights: dict[int, _Lights] = {}

    def update(self, frame: Frame) -> list[Finding]:
        rows = frame.observations
        signs = rows["signs"]
        findings = [_finding("accident", row, frame.end, SURE) for row in _one_each(rows[(signs & CRASHED) != 0])]
        findings += [_finding("breakdown", row, frame.end, LIKELY) for row in _one_each(rows[(signs & Sign.DISABLED) != 0])]
        self._note(rows[((signs & Sign.HAZARD_LIGHTS) != 0) & ~np.isnan(rows["speed"])])
        if self._lights:
            self._lights = {who: each for who, each in self._lights.items() if frame.end - each.seen < LOST}
            findings += self._lasting(rows, frame.end)
        return findings

    def _note(self, lit: Rows) -> None:
        for row in _one_each(lit):
            who = int(row["reporter"])
            if row["speed"] >= STANDS:
                self._lights.pop(who, None)
                continue
            place = float(row["lat"]), float(row["lon"]), float(row["heading"])
            known = self._lights.setdefault(who, _Lights(int(row["time"]), 0, *place))
            known.seen = int(row["time"])

    def _lasting(self, rows: Rows, now: int) -> list[Finding]:
        findings = []
        driving = rows[rows["speed"] > PASSES]
        for who, lights in sorted(self._lights.items()):
            if len(lights.passed) < WITNESSES:
                near = distance(driving["lat"], driving["lon"], lights.lat, lights.lon) <= REACH
                near &= ~(angle_between(driving["heading"], lights.heading) > SAME_WAY)
                lights.passed |= set(driving["reporter"][near].tolist())
            lasted = lights.seen - lights.since
            if lasted >= LASTING and len(lights.passed) >= WITNESSES:
                evidence = (("hazard_lights_seconds", lasted / 1000.0), ("vehicles_passing", float(len(lights.passed))))
                findings.append(
                    Finding(
                        kind="breakdown",
                        time=now,
                        onset=lights.since,
                        lat=lights.lat,
                        lon=lights.lon,
                        heading=lights.heading,
                        radius=RADIUS,
                        score=SUPPOSED,
                        reporters=frozenset({who}),
                        evidence=evidence,
                    )
                )
        return findings


def _one_each(rows: Rows) -> list[np.void]:
    """The newest row of each reporter, in the order of reporters."""
    return [row for _, row in sorted({int(row["reporter"]): row for row in rows}.items())]


def _finding(kind: str, row: np.void, now: int, score: float) -> Finding:
    return Finding(
        kind=kind,
        time=now,
        onset=int(row["time"]),
        lat=float(row["lat"]),
        lon=float(row["lon"]),
        heading=float(row["heading"]),
        radius=RADIUS,
        score=score,
        reporters=frozenset({int(row["reporter"])}),
        evidence=(("signs", float(row["signs"])),),
    )
