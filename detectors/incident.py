"""One incident: what it is, where it lies, who spoke of it, and what was last said of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from detectors.geometry import apart
from detectors.judgement import RANK, Family, lasts
from detectors.model import BITS, CAUSES, WARNED, Finding

Status = Literal["opened", "updated", "cleared"]

SAME_WAY = 60.0  # degrees: a bend turns less than this from one spot to the next; the other carriageway is 180 away
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

    @property
    def warned(self) -> frozenset[str]:
        """What stations warn of beside what it is called: names of the evidence. Each stays for as long as it is valid."""
        return frozenset(name for name, _ in self.evidence if name.startswith(WARNED)) - {f"{WARNED}{self.cause}"}

    @property
    def alarms(self) -> frozenset[tuple[str, int]]:
        """The alarm bits of a battery, and those of the limits that it passed."""
        bits = [(name, int(value)) for name, value in self.evidence if name in BITS]
        return frozenset((name, bit) for name, value in bits for bit in range(value.bit_length()) if value >> bit & 1)


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
    began: tuple[float, float]  # lat, lon of the first finding
    opened: int
    onset: int
    seen: int
    led: int  # ms: when the leading finding, or another of what it tells of, was heard last
    spots: list[Spot]
    reporters: set[int]
    known: set[int]  # those of them who were no strangers
    cells: set[int]
    score: float
    heard: dict[str, tuple[int, float]]  # evidence: when it was heard last, ms, and what it was then
    said: Change | None = None
    rang: frozenset[tuple[str, int]] = frozenset()  # a battery's alarms that were told of
    fresh: bool = field(default=False)  # findings since the last pane's changes

    def touched(self, finding: Finding) -> tuple[float, Spot] | None:
        """The spot nearest to a finding of those that it touches, and how far off that is, m."""
        farthest = min(self.family.widest, finding.within)
        if finding.kind not in self.family.kinds or apart(finding.lat, finding.lon, *self.began) > farthest:
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
        if self.led_by(finding):
            self.leading = finding
        if self._told_of_again(finding):
            self.led = finding.time
        self.onset = min(self.onset, finding.onset)
        self.seen = finding.time
        self.reporters |= finding.reporters
        self.known |= finding.reporters - finding.strangers
        self.cells = (set() if self.family.follows else self.cells) | finding.cells
        self.score = max(self.score, finding.score)
        self.hear(finding)
        self.fresh = True
        heading = beside.heading if math.isnan(finding.heading) else finding.heading
        self._remember(Spot.of(finding, heading))

    def _remember(self, new: Spot) -> None:
        """Where it lay, thinned to APART. What stays keeps its place, so that a row of standing vehicles, told of from head to
        tail, is remembered as long as it is; what drives leaves no place behind."""
        recent = [s for s in self.spots if s.time > new.time - self.lasts]
        near = [s for s in recent if apart(new.lat, new.lon, s.lat, s.lon) < APART]
        if near and not self.family.follows:
            known = min(near, key=lambda s: apart(new.lat, new.lon, s.lat, s.lon))
            new = new._replace(lat=known.lat, lon=known.lon, radius=max(known.radius, new.radius))
            near = [known]
        self.spots = [*(s for s in recent if s not in near), new][-SPOTS:]

    @property
    def fades(self) -> int:
        """ms: when its last alert will soon expire, if nothing is said of it meanwhile."""
        assert self.said is not None
        return self.said.expires - self.family.valid // 4

    def led_by(self, finding: Finding) -> bool:
        """Whether it says from now on what the incident is, and where. Of equals the first does, or two would take turns."""
        lead = self.leading
        if self.family.follows or self.released(finding.time):
            return True
        if (finding.kind, finding.reporters) == (lead.kind, lead.reporters) and finding.subcause != lead.subcause:
            return True  # who said so takes it back
        grave, before = (RANK[finding.kind], finding.score), (RANK[lead.kind], lead.score)
        return grave > before or (grave == before and not apart(finding.lat, finding.lon, lead.lat, lead.lon) > APART)

    def _told_of_again(self, finding: Finding) -> bool:
        """Whether it tells of what leads: the same kind, from the same reporters or at the same place."""
        lead = self.leading
        if finding.kind != lead.kind:
            return False
        return finding.reporters == lead.reporters or not apart(finding.lat, finding.lon, lead.lat, lead.lon) > APART

    def hear(self, finding: Finding) -> None:
        """What nobody has said for as long as that is valid is evidence no more. Who speaks of himself alone takes back what he
        does not repeat: an alarm that is over."""
        keeps = self.lasts if self.family.personal else self.family.valid
        self.heard = {name: held for name, held in self.heard.items() if held[0] > finding.time - keeps}
        self.heard |= {name: (finding.time, value) for name, value in finding.evidence}

    def released(self, time: int) -> bool:
        """Whether what leads has not been told of for as long as that is valid: what is left is something else. Not sooner, for
        a car whose driver turns the key is silent, and is there."""
        return time - self.led > self.family.valid

    @property
    def evidence(self) -> dict[str, float]:
        return {name: value for name, (_, value) in self.heard.items()}

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
