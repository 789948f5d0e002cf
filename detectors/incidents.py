"""Findings become incidents: what touches in space and time is one, opened, updated as it worsens, and cleared."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator

from detectors.geometry import apart
from detectors.incident import Change, Incident, Spot
from detectors.judgement import FAMILIES, Family, certainty, severity, urgency
from detectors.model import Finding
from detectors.squares import Squares

GREW = 1.5  # times its radius: grown enough that somebody should hear of it
FASTEST = 70.0  # m/s, 250 km/h
MOVED = 100.0  # m: some four seconds' drive on a motorway, so who is on his way should hear of it


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
            yield from self._lapse(pane)
            for finding in waiting[start:stop]:
                self._take(finding)
            yield from self._say(pane)
            start = stop
        yield from self._lapse(time)
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
        if family.follows and (number := self._followed(finding)) is not None:
            return number, beside
        for candidate in self._squares.near(finding.lat, finding.lon, finding.radius + family.reach + self._widest):
            if (touched := self._open[candidate].touched(finding)) is not None and touched[0] < nearest:
                (nearest, beside), number = touched, candidate
        return number, beside

    def _followed(self, finding: Finding) -> int | None:
        """The number of the incident of who drives, wherever he can have come since. Few speak of such a one; but an operator's
        station warns of several."""
        for number, incident in self._open.items():
            if finding.kind not in incident.family.kinds or incident.reporters.isdisjoint(finding.reporters):
                continue
            driven = FASTEST * (finding.time - incident.seen) / 1000.0 + incident.family.reach
            if not apart(finding.lat, finding.lon, incident.leading.lat, incident.leading.lon) > driven:
                return number
        return None

    def _begin(self, finding: Finding, family: Family) -> int:
        number, self._number = self._number, self._number + 1
        self._open[number] = Incident(
            incident_id=_identity(finding),
            family=family,
            leading=finding,
            began=(finding.lat, finding.lon),
            opened=finding.time,
            onset=finding.onset,
            seen=finding.time,
            led=finding.time,
            spots=[Spot.of(finding, finding.heading)],
            reporters=set(finding.reporters),
            known=set(finding.reporters - finding.strangers),
            cells=set(finding.cells),
            score=finding.score,
            heard={name: (finding.time, value) for name, value in finding.evidence},
            fresh=True,
        )
        return number

    def _say(self, pane: int) -> Iterator[Change]:
        for incident in self._open.values():
            if not incident.fresh:
                continue
            incident.fresh = False
            now = self._change(incident, pane)
            rings = not now.alarms <= incident.rang  # another alarm of a battery, such as a thermal event
            if incident.said is None or rings or _worth_saying(incident.said, now, incident.family):
                incident.said = now
                incident.rang |= now.alarms
                yield now

    def _lapse(self, time: int) -> Iterator[Change]:
        """What comes of silence, each at its own moment, the earliest first: what lasts longer than it was said to be valid is
        repeated, and what has been silent for long enough is cleared."""
        over = [(i.seen + i.lasts, i.incident_id, number) for number, i in self._open.items() if i.seen + i.lasts <= time]
        fades = [(i.fades - self.lateness, i.incident_id, n) for n, i in self._open.items() if i.fades - self.lateness <= time]
        for moment, _, number in sorted([*over, *fades]):
            if (incident := self._open.get(number)) is None:
                continue
            if moment < incident.seen + incident.lasts:
                incident.said = self._change(incident, moment)
                yield incident.said
                continue
            del self._open[number]
            self._squares.drop(number)
            if incident.family.personal:
                del self._personal[incident.leading.reporters]
            yield self._change(incident, moment, cleared=True)
        if over:
            self._widest = max((spot.radius for i in self._open.values() for spot in i.spots), default=0.0)

    def _change(self, incident: Incident, pane: int, cleared: bool = False) -> Change:
        said, lead = incident.said, incident.leading
        evidence = incident.evidence
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
            severity=severity(lead.kind, evidence),
            certainty=certainty(incident.sources, incident.score),
            urgency="Past" if cleared else urgency(lead.kind),
            evidence=tuple(sorted(evidence.items())),
        )


def _worth_saying(said: Change, now: Change, family: Family) -> bool:
    """Worse at once, or warned of for another cause, and where it is once that is known; grown, moved or joined by others when
    some time has passed; and before the last word expires."""
    if (now.kind, now.subcause, now.severity, now.certainty) != (said.kind, said.subcause, said.severity, said.certainty):
        return True
    if not now.warned <= said.warned:  # people on the road beside a crash
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
