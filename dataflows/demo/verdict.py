"""Alerts against the labels of the recording: what was found, after how long, what was missed, what was a false alarm."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dataflows.demo.recording import BUNDLE, electric_cars
from dataflows.watch import Alert
from detectors.geometry import angle_between, distance

NEAR = 300.0  # m
BEFORE, AFTER = 30_000, 120_000  # ms around an incident in which an alert belongs to it: it begins with the braking
ALONG = 60_000  # ms around an alert in which the track of something that moves is compared
SAME_WAY = 60.0  # degrees
BATTERY = "battery_anomaly"

Spot = tuple[int, float, float]  # ms, latitude, longitude


@dataclass(frozen=True, slots=True)
class Label:
    """What really happened, or, where `incident` is false, what must not make an alert. Times in ms."""

    kind: str
    incident: bool
    start: int
    end: int
    clear: int  # when its queue was gone
    lat: float
    lon: float
    heading: float | None = None
    affected: tuple[tuple[float, float], ...] = ()  # along its queue
    track: tuple[Spot, ...] = ()
    battery: bool = False

    def lasts(self, time: int) -> bool:
        return self.start - BEFORE <= time <= self.end + AFTER

    def here(self, lat: float, lon: float, time: int) -> bool:
        if self.track:
            return any(abs(t - time) <= ALONG and distance(lat, lon, y, x) <= NEAR for t, y, x in self.track)
        return self.metres(lat, lon, time) <= NEAR

    def metres(self, lat: float, lon: float, time: int) -> float:
        """How far it is from there, or was at that time if it moves."""
        _, y, x = min(self.track, key=lambda spot: abs(spot[0] - time), default=(0, self.lat, self.lon))
        return float(distance(lat, lon, y, x))

    def queue(self, lat: float, lon: float, time: int) -> bool:
        near = any(distance(lat, lon, y, x) <= NEAR for y, x in self.affected)
        return near and self.start - BEFORE <= time <= self.clear + AFTER

    def same_way(self, heading: float | None) -> bool:
        if self.heading is None or heading is None or self.kind == "wrong_way":
            return True
        return bool(angle_between(heading, self.heading) <= SAME_WAY)


@dataclass(slots=True)
class Verdict:
    found: list[tuple[Label, float, Alert]] = field(default_factory=list)  # with the seconds after its start
    missed: list[Label] = field(default_factory=list)
    further: list[Alert] = field(default_factory=list)  # of an incident that was found, at its place or in its queue
    false: list[tuple[Alert, str]] = field(default_factory=list)  # with what lies there


def labels() -> list[Label]:
    """The incidents and the distractors of the traffic, and the faults of the electric cars."""
    traffic = [_traffic(json.loads(line)) for line in (BUNDLE / "labels.jsonl").read_text("utf-8").splitlines()]
    faults = [json.loads(line) for line in (BUNDLE / "ev.labels.jsonl").read_text("utf-8").splitlines()]
    tracks: dict[str, list[Spot]] = {fault["vin"]: [] for fault in faults}
    for said in electric_cars():
        if said["vin"] in tracks and "lat" in said:
            tracks[said["vin"]].append((said["time"], said["lat"], said["lon"]))
    return traffic + [_fault(fault["kind"], fault["onset"], tracks[fault["vin"]]) for fault in faults]


def judge(alerts: Iterable[Alert], truth: Sequence[Label]) -> Verdict:
    """Judge the opened ones among the alerts. The first at an incident's place and in its time finds it."""
    verdict, found = Verdict(), set[int]()
    for alert in sorted((a for a in alerts if a["status"] == "opened"), key=lambda a: a["detected_at"]):
        place, time = alert["location"], milliseconds(alert["detected_at"])
        if place["lat"] is None:
            verdict.false.append((alert, "no place"))
            continue
        lat, lon = place["lat"], place["lon"]
        fitting = [label for label in truth if label.battery == (alert["kind"] == BATTERY) and label.same_way(place["heading"])]
        causes = [label for label in fitting if label.incident]
        here = [label for label in causes if label.lasts(time) and label.here(lat, lon, time)]
        fresh = [label for label in here if id(label) not in found]
        if fresh:
            label = min(fresh, key=lambda each: each.metres(lat, lon, time))
            found.add(id(label))
            verdict.found.append((label, (time - label.start) / 1000, alert))
        elif here or any(label.queue(lat, lon, time) for label in causes):
            verdict.further.append(alert)
        else:
            others = [label for label in fitting if not label.incident and label.lasts(time)]
            others = [label for label in others if label.here(lat, lon, time) or label.queue(lat, lon, time)]
            verdict.false.append((alert, min(others, key=lambda o: o.end - o.start).kind if others else "nothing there"))
    verdict.missed = [label for label in truth if label.incident and id(label) not in found]
    return verdict


def milliseconds(moment: str) -> int:
    """
    >>> milliseconds("2025-03-04T07:30:00.123Z")
    1741073400123
    """
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _traffic(said: dict[str, Any]) -> Label:
    return Label(
        kind=said["kind"],
        incident=said["label"] == "incident",
        start=said["start"],
        end=said["end"],
        clear=said.get("t_clear", said["end"]),
        lat=said["lat"],
        lon=said["lon"],
        heading=said.get("heading"),
        affected=tuple((lat, lon) for lat, lon in said.get("affected", ())),
        track=tuple((time, lat, lon) for time, lat, lon in said.get("track", ())),
    )


def _fault(kind: str, onset: int, track: Sequence[Spot]) -> Label:
    """A fault moves with its car, and lasts until the recording of the cars ends."""
    after = tuple(spot for spot in track if spot[0] >= onset)
    _, lat, lon = after[0]
    end = after[-1][0]
    return Label(kind=kind, incident=True, start=onset, end=end, clear=end, lat=lat, lon=lon, track=after, battery=True)
