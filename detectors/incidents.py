"""Findings become incidents: what touches in space and time is one, opened, updated as it worsens, and cleared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from detectors.geometry import angle_between, distance
from detectors.judgement import FAMILIES, RANK, Family, certainty, severity, urgency
from detectors.model import CAUSES, Finding

Status = Literal["opened", "updated", "cleared"]

SAME_WAY = 60.0  # degrees: a bend turns less than this over an incident's length; the other carriageway is 180 away
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


@dataclass(slots=True)
class Incident:
    """One open incident. `spots` are where its findings lay lately: (time, lat, lon, radius)."""

    incident_id: str
    family: Family
    leading: Finding  # the gravest so far: it gives the kind, the place and the heading
    opened: int
    onset: int
    seen: int
    spots: list[tuple[int, float, float, float]]
    reporters: set[int]
    known: set[int]  # those of them who were no strangers
    cells: set[int]
    score: float
    evidence: dict[str, float]
    said: Change | None = None
    fresh: bool = field(default=False)  # findings since the last pane's changes

    def touches(self, finding: Finding) -> bool:
        if finding.kind not in self.family.kinds:
            return False
        if self.family.personal:
            return finding.reporters == self.leading.reporters
        if angle_between(finding.heading, self.leading.heading) > SAME_WAY:  # a missing heading (NaN) fits any
            return False
        return any(
            distance(finding.lat, finding.lon, lat, lon) <= finding.radius + radius + self.family.reach
            for _, lat, lon, radius in self.spots
        )

    def absorb(self, finding: Finding) -> None:
        grave, before = (RANK[finding.kind], finding.score), (RANK[self.leading.kind], self.leading.score)
        if grave >= before or self.family.follows:
            self.leading = finding
        self.onset = min(self.onset, finding.onset)
        self.seen = finding.time
        self.reporters |= finding.reporters
        self.known |= finding.reporters - finding.strangers
        self.cells |= finding.cells
        self.score = max(self.score, finding.score)
        self.evidence.update(finding.evidence)
        self.fresh = True
        recent = [s for s in self.spots if s[0] > finding.time - self.family.lasts]
        recent = [s for s in recent if not distance(finding.lat, finding.lon, s[1], s[2]) < APART]
        self.spots = [*recent, (finding.time, finding.lat, finding.lon, finding.radius)][-SPOTS:]

    @property
    def sources(self) -> int:
        """Reporters that may be different senders: strangers count as one, for one sender may have many new names."""
        return len(self.known) + bool(self.reporters - self.known)

    @property
    def radius(self) -> float:
        """Metres from the place to the far edge of the farthest remembered spot."""
        lead = self.leading
        reach = [float(distance(lat, lon, lead.lat, lead.lon)) + radius for _, lat, lon, radius in self.spots]
        return max([lead.radius, *(r for r in reach if not math.isnan(r))])


class Incidents:
    """The open incidents of one area. Feed it panes in order; it answers with the changes, in an order of content."""

    def __init__(self, lateness: int) -> None:
        self.lateness = lateness  # ms, added to a pane's end to give the moment at which it could be known
        self.open: list[Incident] = []  # in order of opening
        self.time = 0  # ms: end of the last pane

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
        for incident in self.open:  # the oldest that it touches
            if incident.touches(finding):
                incident.absorb(finding)
                return
        if not finding.opens:
            return
        self.open.append(
            Incident(
                incident_id=_identity(finding),
                family=FAMILIES[finding.kind],
                leading=finding,
                opened=finding.time,
                onset=finding.onset,
                seen=finding.time,
                spots=[(finding.time, finding.lat, finding.lon, finding.radius)],
                reporters=set(finding.reporters),
                known=set(finding.reporters - finding.strangers),
                cells=set(finding.cells),
                score=finding.score,
                evidence=dict(finding.evidence),
                fresh=True,
            )
        )

    def _say(self, pane: int) -> Iterator[Change]:
        for incident in self.open:
            if not incident.fresh:
                continue
            incident.fresh = False
            now = self._change(incident, pane)
            if incident.said is None or _worth_saying(incident.said, now, incident.family):
                incident.said = now
                yield now

    def _clear(self, time: int) -> Iterator[Change]:
        """Clear what has been silent for long enough, each at its own moment, the earliest first."""
        over = [i for i in self.open if i.seen + i.family.lasts <= time]
        if not over:
            return
        self.open = [i for i in self.open if i.seen + i.family.lasts > time]
        for incident in sorted(over, key=lambda i: (i.seen + i.family.lasts, i.incident_id)):
            yield self._change(incident, incident.seen + incident.family.lasts, cleared=True)

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
        or bool(distance(now.lat, now.lon, said.lat, said.lon) > MOVED)
        or now.updated - said.updated >= family.valid // 2
    )


def _identity(finding: Finding) -> str:
    """The same findings make the same id, on every machine and after every restart."""
    place = f"{finding.lat:.6f},{finding.lon:.6f}"
    content = f"{finding.kind}|{finding.time}|{finding.onset}|{place}|{sorted(finding.reporters)}"
    return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()
