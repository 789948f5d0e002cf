"""Findings become incidents: what touches in space and time is one, opened, updated as it worsens, and cleared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from detectors.geometry import apart
from detectors.judgement import FAMILIES, RANK, Family, certainty, lasts, severity, urgency
from detectors.model import CAUSES, Finding
from detectors.squares import Squares

Status = Literal["opened", "updated", "cleared"]

SAME_WAY = 60.0  # degrees: a bend turns less than this from one spot to the next; the other carriageway is 180 away
GREW = 1.5  # times its radius: grown enough that somebody should hear of it
MOVED = 100.0  # m: the road cell is about twice as wide, so the place on a map is then another one
SPOTS = 64  # places remembered per incident; thinned to APART, so a queue of some 5 km is followed
APART = 75.0  # m


@dataclass(frozen=True, slots=True)
class Change:
    """One step in an incident's life: all that an alert says, in the units of the core. Times in ms since the epoch."""

    incident_id: str
    sequence: int
    status: Status
    kind: str
    subcause: int
    opened: int
    onset: int
    updated: int
    expires: int
    lat: float
    lon: float
    radius: float
    heading: float
    cells: tuple[int, ...]
    reporters: int
    score: float
    severity: str
    certainty: str
    urgency: str
    evidence: tuple[tuple[str, float], ...]

    @property
    def cause(self) -> int:
        return CAUSES[self.kind]


class Spot(NamedTuple):
    """Where a finding of an incident lay, lately."""

    time: int  # ms
    lat: float
    lon: float
    radius: float  # m
    heading: float

    @classmethod
    def of(cls, finding: Finding, heading: float) -> Spot:
        return cls(finding.time, finding.lat, finding.lon, finding.radius, heading)


@dataclass(slots=True)
class Incident:
    """One open incident."""

    incident_id: str
    family: Family
    leading: Finding  # the gravest so far: it gives the kind, the place and the heading
    opened: int
    onset: int
    seen: int
    led: int  # ms: when a finding of the leading kind was heard last
    spots: list[Spot]
    reporters: set[int]
    known: set[int]  # those of them who were no strangers
    cells: set[int]
    score: float
    evidence: dict[str, float]
    said: Change | None = None
    fresh: bool = field(default=False)  # findings since the last pane's changes

    def touched(self, finding: Finding) -> tuple[float, Spot] | None:
        """The spot nearest to a finding of those that it touches, and how far off that is, m."""
        if finding.kind not in self.family.kinds:
            return None
        best: tuple[float, Spot] | None = None
        for spot in self.spots:
            metres = apart(finding.lat, finding.lon, spot.lat, spot.lon)
            if metres > finding.radius + spot.radius + self.family.reach or (best is not None and metres >= best[0]):
                continue
            turn = abs(finding.heading - spot.heading) % 360.0
            if not min(turn, 360.0 - turn) > SAME_WAY:  # a missing heading (NaN) fits any
                best = metres, spot
        return best

    def absorb(self, finding: Finding, beside: Spot) -> None:
        """Take in a finding that touches the spot: it goes the same way, if it does not say which."""
        if self.released(finding.time):
            self.evidence = {}
        if self.led_by(finding):
            self.leading = finding
        if finding.kind == self.leading.kind:
            self.led = finding.time
        self.onset = min(self.onset, finding.onset)
        self.seen = finding.time
        self.reporters |= finding.reporters
        self.known |= finding.reporters - finding.strangers
        self.cells = (set() if self.family.follows else self.cells) | finding.cells
        self.score = max(self.score, finding.score)
        self.evidence.update(finding.evidence)
        self.fresh = True
        recent = [s for s in self.spots if s.time > finding.time - self.lasts]
        recent = [s for s in recent if not apart(finding.lat, finding.lon, s.lat, s.lon) < APART]
        heading = beside.heading if math.isnan(finding.heading) else finding.heading
        self.spots = [*recent, Spot.of(finding, heading)][-SPOTS:]

    def led_by(self, finding: Finding) -> bool:
        """Whether it says from now on what the incident is, and where. Of equals the first does, or two would take turns."""
        lead = self.leading
        if self.family.follows or self.released(finding.time):
            return True
        grave, before = (RANK[finding.kind], finding.score), (RANK[lead.kind], lead.score)
        return grave > before or (grave == before and not apart(finding.lat, finding.lon, lead.lat, lead.lon) > APART)

    def released(self, time: int) -> bool:
        """Whether nothing of the leading kind has been heard for as long as that is valid: what is left is something else."""
        return time - self.led > self.family.valid

    @property
    def lasts(self) -> int:
        """ms without a finding after which it is over."""
        return lasts(self.leading.kind)

    @property
    def sources(self) -> int:
        """Reporters that may be different senders: strangers count as one, for one sender may have many new names."""
        return len(self.known) + bool(self.reporters - self.known)

    @property
    def radius(self) -> float:
        """Metres from the place to the far edge of the farthest remembered spot. What moves is where it is now."""
        lead = self.leading
        if self.family.follows:
            return lead.radius
        reach = [apart(spot.lat, spot.lon, lead.lat, lead.lon) + spot.radius for spot in self.spots]
        return max([lead.radius, *(r for r in reach if not math.isnan(r))])


class Incidents:
    """The open incidents of one area. Feed it panes in order; it answers with the changes, in an order of content."""

    def __init__(self, lateness: int) -> None:
        self.lateness = lateness  # ms, added to a pane's end to give the moment at which it could be known
        self.time = 0  # ms: end of the last pane
        self._open: dict[int, Incident] = {}  # by number, in order of opening
        self._number = 0  # of the next one
        self._squares = Squares()  # of their spots
        self._widest = 0.0  # m: largest radius of a spot
        self._personal: dict[frozenset[int], int] = {}  # the number of each vehicle's

    @property
    def open(self) -> list[Incident]:
        """In order of opening."""
        return list(self._open.values())

    def advance(self, time: int, findings: Iterable[Finding]) -> Iterator[Change]:
        """Take the findings of all panes that ended since the last call and up to `time` (ms); yield what changed."""
        waiting = sorted(findings, key=lambda f: f.order)
        start = 0
        while start < len(waiting):
            pane = waiting[start].time
            stop = start
            while stop < len(waiting) and waiting[stop].time == pane:
                stop += 1
            yield from self._clear(pane)
            for finding in waiting[start:stop]:
                self._take(finding)
            yield from self._say(pane)
            start = stop
        yield from self._clear(time)
        self.time = max(self.time, time)

    def _take(self, finding: Finding) -> None:
        """It goes to the incident whose spot is nearest, the oldest of several: two that grow together stay two."""
        family = FAMILIES[finding.kind]
        number, beside = self._nearest(finding, family)
        if number is not None:
            self._open[number].absorb(finding, beside)
        elif finding.opens:
            number = self._begin(finding, family)
        else:
            return
        if family.personal:
            self._personal[finding.reporters] = number
        else:
            self._squares.put(number, finding.lat, finding.lon)
            self._widest = max(self._widest, finding.radius)

    def _nearest(self, finding: Finding, family: Family) -> tuple[int | None, Spot]:
        """The number of its incident, if there is one, and the spot there that it touches."""
        nearest, number, beside = math.inf, None, Spot.of(finding, finding.heading)
        if family.personal:
            return self._personal.get(finding.reporters), beside
        for candidate in self._squares.near(finding.lat, finding.lon, finding.radius + family.reach + self._widest):
            if (touched := self._open[candidate].touched(finding)) is not None and touched[0] < nearest:
                (nearest, beside), number = touched, candidate
        return number, beside

    def _begin(self, finding: Finding, family: Family) -> int:
        number, self._number = self._number, self._number + 1
        self._open[number] = Incident(
            incident_id=_identity(finding),
            family=family,
            leading=finding,
            opened=finding.time,
            onset=finding.onset,
            seen=finding.time,
            led=finding.time,
            spots=[Spot.of(finding, finding.heading)],
            reporters=set(finding.reporters),
            known=set(finding.reporters - finding.strangers),
            cells=set(finding.cells),
            score=finding.score,
            evidence=dict(finding.evidence),
            fresh=True,
        )
        return number

    def _say(self, pane: int) -> Iterator[Change]:
        for incident in self._open.values():
            if not incident.fresh:
                continue
            incident.fresh = False
            now = self._change(incident, pane)
            if incident.said is None or _worth_saying(incident.said, now, incident.family):
                incident.said = now
                yield now

    def _clear(self, time: int) -> Iterator[Change]:
        """Clear what has been silent for long enough, each at its own moment, the earliest first."""
        over = [(i.seen + i.lasts, i.incident_id, number) for number, i in self._open.items() if i.seen + i.lasts <= time]
        for moment, _, number in sorted(over):
            incident = self._open.pop(number)
            self._squares.drop(number)
            if incident.family.personal:
                del self._personal[incident.leading.reporters]
            yield self._change(incident, moment, cleared=True)
        if not self._open:
            self._widest = 0.0

    def _change(self, incident: Incident, pane: int, cleared: bool = False) -> Change:
        said, lead = incident.said, incident.leading
        grave = severity(lead.kind, incident.evidence)
        return Change(
            incident_id=incident.incident_id,
            sequence=0 if said is None else said.sequence + 1,
            status="cleared" if cleared else "opened" if said is None else "updated",
            kind=lead.kind,
            subcause=lead.subcause,
            opened=incident.opened + self.lateness,
            onset=incident.onset,
            updated=pane + self.lateness,
            expires=pane + self.lateness + (0 if cleared else incident.family.valid),
            lat=lead.lat,
            lon=lead.lon,
            radius=incident.radius,
            heading=lead.heading,
            cells=tuple(sorted(incident.cells)),
            reporters=incident.sources,
            score=incident.score,
            severity=grave,
            certainty=certainty(incident.sources, incident.score),
            urgency="Past" if cleared else urgency(lead.kind),
            evidence=tuple(sorted(incident.evidence.items())),
        )


def _worth_saying(said: Change, now: Change, family: Family) -> bool:
    """Worse at once, and where it is once that is known; grown, moved or joined by others when some time has passed; and before
    the last word expires."""
    if (now.kind, now.subcause, now.severity, now.certainty) != (said.kind, said.subcause, said.severity, said.certainty):
        return True
    if math.isnan(said.lat) and not math.isnan(now.lat):
        return True
    if now.updated - said.updated < family.steady:
        return False
    return (
        now.radius >= GREW * said.radius
        or now.reporters >= 2 * said.reporters
        or apart(now.lat, now.lon, said.lat, said.lon) > MOVED
        or now.updated - said.updated >= family.valid // 2
    )


def _identity(finding: Finding) -> str:
    """The same findings make the same id, on every machine and after every restart."""
    place = f"{finding.lat:.6f},{finding.lon:.6f}"
    content = f"{finding.kind}|{finding.time}|{finding.onset}|{place}|{sorted(finding.reporters)}"
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
