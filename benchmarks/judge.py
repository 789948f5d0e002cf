"""What alerts are worth against labelled traffic: detections, false alarms, times, and what luck alone would have found.

An incident is detected by the first opened alert near its place and in its time. A further alert there, or along the queue it
made, is extra, not false. Anything else is a false alarm, charged to the distractor on which it lies, if any.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

RADIUS = 300.0  # m
BEFORE, AFTER = 30_000, 120_000  # ms around an incident in which an alert belongs to it: it begins with the braking
ALONG = 60_000  # ms around an alert in which a moving incident's track is compared
SAME_WAY = 60.0  # degrees
SHIFTS = 20  # circular shifts in time that stand for luck
KM_PER_DEGREE_LAT, KM_PER_DEGREE_LON = 110.574, 111.320  # WGS-84, near the equator

NOTHING = "nothing there"


@dataclass(frozen=True, slots=True)
class Alert:
    """An incident as it was opened."""

    kind: str
    lat: float
    lon: float
    time: int  # ms: when it could be known
    heading: float | None = None  # degrees
    said: str = ""  # for people: its numbers


@dataclass(frozen=True, slots=True)
class Label:
    """One labelled thing: an incident, or a distractor that must not make an alert."""

    name: str
    incident: bool
    kind: str
    start: int  # ms
    end: int
    clear: int  # ms: when its queue was gone
    lat: float
    lon: float
    heading: float | None
    affected: tuple[tuple[float, float], ...]
    track: tuple[tuple[int, float, float], ...]
    probes: dict[str, int] = field(default_factory=dict)  # others that passed within 2 min, by penetration
    shares: tuple[float, ...] = ()  # each actor reports when the penetration is above its number
    road: str = ""  # the carriageway, or the direction of a street, where one is named

    @classmethod
    def parse(cls, o: dict[str, Any]) -> Label:
        return cls(
            name=o.get("id", ""),
            incident=o.get("label") == "incident",
            kind=o["kind"],
            start=o["start"],
            end=o["end"],
            clear=o.get("t_clear", o["end"]),
            lat=o["lat"],
            lon=o["lon"],
            heading=o.get("heading"),
            affected=tuple((lat, lon) for lat, lon in o.get("affected", ())),
            track=tuple((t, lat, lon) for t, lat, lon in o.get("track", ())),
            probes=o.get("probes_2min", {}),
            shares=tuple(o.get("actors_u", ())),
            road=o.get("chain", ""),
        )

    def at(self, alert: Alert, when: int | None) -> bool:
        """Is the alert near the place? `when` narrows a moving incident to where it was then."""
        if self.track:
            return any(
                metres(alert.lat, alert.lon, lat, lon) <= RADIUS
                for t, lat, lon in self.track
                if when is None or abs(t - when) <= ALONG
            )
        if self.kind == "slippery":
            return self.along(alert)
        return metres(alert.lat, alert.lon, self.lat, self.lon) <= RADIUS

    def along(self, alert: Alert) -> bool:
        """Is the alert near the stretch that was affected, the queue included?"""
        return any(metres(alert.lat, alert.lon, lat, lon) <= RADIUS for lat, lon in self.affected)

    def same_way(self, alert: Alert) -> bool:
        if alert.heading is None or self.heading is None or self.kind == "wrong_way":
            return True
        return abs((alert.heading - self.heading + 180) % 360 - 180) <= SAME_WAY


@dataclass(slots=True)
class Verdict:
    """What came of one run's alerts."""

    incidents: list[Label]
    found: dict[str, tuple[float, Alert]] = field(default_factory=dict)  # label -> seconds after its start, by what
    extra: list[tuple[Alert, Label]] = field(default_factory=list)
    false: list[tuple[Alert, str]] = field(default_factory=list)  # with the distractor's kind

    @property
    def alerts(self) -> int:
        return len(self.found) + len(self.extra) + len(self.false)

    @property
    def missed(self) -> list[Label]:
        return [o for o in self.incidents if o.name not in self.found]

    @property
    def rate(self) -> float:
        return len(self.found) / len(self.incidents) if self.incidents else math.nan

    def within(self, seconds: float) -> float:
        return sum(s <= seconds for s, _ in self.found.values()) / len(self.incidents) if self.incidents else math.nan

    @property
    def seconds(self) -> list[float]:
        return sorted(s for s, _ in self.found.values())

    @property
    def causes(self) -> Counter[str]:
        return Counter(cause for _, cause in self.false)


def metres(lat: float, lon: float, lat0: float, lon0: float) -> float:
    wide = 1000 * KM_PER_DEGREE_LON * math.cos(math.radians((lat + lat0) / 2))
    return math.hypot((lat - lat0) * 1000 * KM_PER_DEGREE_LAT, (lon - lon0) * wide)


def read_labels(path: Path) -> list[Label]:
    return [Label.parse(json.loads(line)) for line in path.read_text("utf-8").splitlines() if line.strip()]


def judge(alerts: Iterable[Alert], labels: Sequence[Label]) -> Verdict:
    incidents = [o for o in labels if o.incident]
    verdict = Verdict(incidents)
    for alert in sorted(alerts, key=lambda a: a.time):
        t = alert.time
        lasting = [o for o in incidents if o.start - BEFORE <= t <= o.end + AFTER and o.same_way(alert)]
        here = [o for o in lasting if o.at(alert, t)]
        queue = [o for o in incidents if o.start - BEFORE <= t <= o.clear + AFTER and o.same_way(alert) and o.along(alert)]
        if here:
            fresh = [o for o in here if o.name not in verdict.found]
            nearest = min(fresh or here, key=lambda o: metres(alert.lat, alert.lon, o.lat, o.lon))
            if fresh:
                verdict.found[nearest.name] = (t - nearest.start) / 1000, alert
            else:
                verdict.extra.append((alert, nearest))
        elif queue:
            verdict.extra.append((alert, queue[0]))
        else:
            verdict.false.append((alert, _cause(alert, labels)))
    return verdict


def _cause(alert: Alert, labels: Sequence[Label]) -> str:
    """The most specific distractor under the alert: the shortest."""
    under = [
        o
        for o in labels
        if not o.incident and o.start - BEFORE <= alert.time <= o.end + AFTER and (o.at(alert, None) or o.along(alert))
    ]
    return min(under, key=lambda o: o.end - o.start).kind if under else NOTHING


def by_luck(alerts: Sequence[Alert], labels: Sequence[Label], start: int, length: int) -> float:
    """Mean detection rate of the same alerts shifted circularly in time over the recording (ms)."""
    rates = []
    for shift in range(1, SHIFTS + 1):
        moved = [replace(a, time=start + (a.time - start + length * shift // (SHIFTS + 1)) % length) for a in alerts]
        rates.append(judge(moved, labels).rate)
    return sum(rates) / len(rates)


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the ordered values do not exceed; NaN of none."""
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def gates(verdict: Verdict) -> list[str]:
    """The hard gates that were broken, in words; none is what is wanted."""
    causes, broken = verdict.causes, []
    if causes["single_brake"]:
        broken.append(f"{causes['single_brake']} opened for a single_brake")
    senders = causes["stuck_obu"] + causes["gps_glitch"]
    if senders > 1:
        broken.append(f"{senders} opened for a stuck_obu or gps_glitch")
    queues = causes["red_light_queue"] + causes["recurrent_congestion"]
    if queues > 0.1 * verdict.alerts:
        broken.append(f"{queues} of {verdict.alerts} opened for red_light_queue or recurrent_congestion")
    true = len(verdict.found) + len(verdict.extra)
    if verdict.incidents and true > 1.5 * len(verdict.incidents):
        broken.append(f"{true} opened for {len(verdict.incidents)} true incidents")
    return broken
