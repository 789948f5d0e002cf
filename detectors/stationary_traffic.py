"""Traffic that comes to a stand where it usually flows: the queue behind an obstruction, and where its tail is.

A vehicle that falls to less than half of its lately highest speed, or stands for a while, is rare on a road that flows and
common at merges and lights. So every place learns how often vehicles ease off, stand and brake hard there, and where roads
join and part more is expected from the start; several that do so within a minute or two, where that is a surprise and not
only one's answer to another (`answers`), open an incident. One alone, or nearly, does if it does not get on: a quarter of a
minute of crawling where others drive. What traffic had been getting slower for is a jam that grew, and where vehicles fell
ahead minutes before it is one that comes back: that is known, and nothing is said. From then on weaker evidence is enough:
whoever falls or crawls near a known queue belongs to it, and the two ends of one that was reported are followed for as long
as it lasts.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from detectors.across import at_the_side
from detectors.answers import only_answers
from detectors.crawlers import Crawlers
from detectors.driven import Driven
from detectors.forks import Forks
from detectors.ground import Ground
from detectors.heads import Heads
from detectors.model import Finding, Frame, Rows
from detectors.occurrences import BRAKED, HALTED, KINDS, MANY, Occurrences, Scope, Tally, kind_of
from detectors.place_rates import PlaceRates, Usual
from detectors.queues import Queues
from detectors.slowing import Slowing
from detectors.standing import Standing
from detectors.tracks import Tracks

SURPRISE = 7.0  # -log10 of the chance, of falls alone: at merges two or three stop for a moment every few minutes
SCOPES = ((30.0, 100.0), (120.0, 150.0))  # s and m: a tail grows upstream at some 15 km/h = 4 m/s at most
COMPANY = 2  # reporters at least: one vehicle that stops may have its own reasons
CRAWLED = 16.0  # s from which on one alone is looked at: who passes a small jam at a merge is through by then
NOT_ON = 0.005  # surprise per metre that others drive in that time: every 200 m are ten times as rare
LONGEST = 60.0  # s, beyond which crawling says no more: traffic may have come to a stand in the meantime
MORE = 4.0  # -log10 of the chance on top of what was missing, for falls where a jam is known: it goes on growing by itself
LINGERS = 3.0  # -log10 of the chance, of who does not get on: far fewer are asked than for falls
ALONE = MANY - 1  # reporters, he among them, who lately fell, stood or braked hard there: in a jam of more some always crawl

Place = tuple[float, float, float]  # lat, lon, heading


class StationaryTraffic:
    """Finds where traffic falls to a stand, and follows the queue for as long as it lasts."""

    kinds: ClassVar[tuple[str, ...]] = ("dangerous_end_of_queue", "stationary_vehicle", "breakdown")

    def __init__(self) -> None:
        self._tracks = Tracks()
        self._driven = Driven()
        self._places = PlaceRates(KINDS)
        self._ground = Ground()
        self._forks = Forks()
        self._lately = Occurrences()
        self._slowing = Slowing()
        self._crawlers = Crawlers()
        self._queues = Queues(self._places)
        self._heads = Heads(self._places, self._slowing, self._forks)
        self._standing = Standing(self._ground)

    def update(self, frame: Frame) -> list[Finding]:
        now = frame.end
        seen = self._tracks.update(frame)
        self._queues.forget(now)
        fresh = self._lately.note(seen.acting, self._ground.across, now)
        findings = self._look_at(seen.acting, fresh, now) if len(seen.acting) else []
        self._driven.take(seen.rows, now)
        self._driven.teach(now, self._places, self._ground.across, self._slowing)
        self._ground.learn(seen.acting, now)
        self._forks.learn(seen.rows, frame)
        findings += self._watch(seen.lingering, now)
        findings += self._heads.update(seen.rows, now, self._queues)
        findings += self._queues.ends(seen.rows, frame)
        return findings + self._standing.update(seen, frame, self._queues)

    def _look_at(self, acting: Rows, fresh: set[int], now: int) -> list[Finding]:
        """Findings about those that acted. Most do in a queue that was told of, in a jam, and are done with at once."""
        findings, at = [], 0
        while (at := self._queues.carry_on(acting, at, now)) < len(acting):
            if finding := self._look(acting[at], fresh, now):
                findings.append(finding)
            at += 1
        return findings

    def _look(self, one: Any, fresh: set[int], now: int) -> Finding | None:
        """Remember what one of the acting (`tracks.SEEN`) did; a finding, if too many did the like."""
        where = _place(one)
        asked = self._queues.asks(*where)
        if not asked:  # a queue must not teach that queues are usual
            for kind, did in ((kind_of(float(one["decel"])), one["eased"]), (HALTED, one["halted"]), (BRAKED, one["braked"])):
                if did:
                    self._places.occur(now, *where, kind)
        elif one["fell"]:
            self._queues.note(now, *where)
        return self._judge(where, now, asked) if asked < math.inf and int(one["reporter"]) in fresh else None

    def _judge(self, where: Place, now: int, asked: float) -> Finding | None:
        """A finding, if too many vehicles lately fell, halted or braked hard here, even for a jam that is known (`asked`)."""
        tallies = self._lately.tallies(*where, now, SCOPES)
        if tallies[-1].reporters < COMPANY or only_answers(tallies[-1].first, tallies[-1].last):
            return None
        score, scope = self._surprise(tallies, where, now, self._places.at(*where, now), COMPANY, SURPRISE)
        margin = score - SURPRISE
        if margin < 0.0 or not (margin >= asked if asked else self._sudden(where, now, margin)):
            return None
        behind = self._lately.cluster(*where, now, *scope)
        stopping = frozenset(behind["reporter"].tolist())
        return self._open(where, now, int(behind["time"].min()), score, stopping, ("stopping_vehicles", float(len(stopping))))

    def _watch(self, lingering: Rows, now: int) -> list[Finding]:
        """Findings about those that creep on and on where no queue is known."""
        strays = lingering.compress(self._queues.strays(lingering)) if len(lingering) else lingering
        self._crawlers.note(strays, now)
        if not len(strays):
            return []
        return [found for one in strays.compress(strays["crept"] >= CRAWLED) if (found := self._linger(one, now))]

    def _linger(self, one: Any, now: int) -> Finding | None:
        """A finding, if it is a surprise that this one does not get on."""
        where, crept = _place(one), float(one["crept"])
        if self._queues.holds(*where):
            return None
        usual = self._places.at(*where, now)
        if not usual.warm:
            return None
        tallies = self._lately.tallies(*where, now, SCOPES)
        if tallies[-1].reporters > ALONE:
            return None
        patience = NOT_ON * usual.speed * min(crept, LONGEST)
        score = self._surprise(tallies, where, now, usual, 1, LINGERS - patience)[0] + patience
        if score < LINGERS or not self._sudden(where, now, score - LINGERS):
            return None
        onset = now - round(crept * 1000.0)
        return self._open(where, now, onset, score, frozenset({int(one["reporter"])}), ("crawling_seconds", crept))

    def _surprise(
        self, tallies: list[Tally], where: Place, now: int, usual: Usual, company: int, least: float
    ) -> tuple[float, Scope]:
        """`_weigh`, with what is to be expected where roads join and part; below `least` that is not asked, for it costs."""
        weighed = _weigh(tallies, usual, company)
        often = self._forks.often(*where, now) if weighed[0] >= least else 1.0
        return weighed if often == 1.0 else _weigh(tallies, usual.where_often(often), company)

    def _sudden(self, where: Place, now: int, margin: float) -> bool:
        """Whether it is, with so much surprise to spare, or a jam that grew or comes from ahead: then a queue is known.

        Falls that are more of a surprise than that jam would be are told all the same: they come within seconds, before what
        happened has slowed those behind and so made itself doubtful.
        """
        doubt = self._slowing.doubt(*where, now) + self._lately.jam_ahead(*where, now)
        if doubt <= margin:
            return True
        self._queues.note(now, *where, asked=doubt + MORE)
        return False

    def _open(
        self, where: Place, now: int, onset: int, score: float, reporters: frozenset[int], evidence: tuple[str, float]
    ) -> Finding:
        """The end of a queue is here: from now on the queue is followed. Its place is where it begins."""
        self._queues.note(now, *where, reported=True)
        lat, lon, ahead = self._crawlers.foremost(*where)
        return Finding(
            kind="dangerous_end_of_queue",  # revised once the head of the queue is known
            time=now,
            onset=onset,
            lat=lat,
            lon=lon,
            heading=where[2],
            radius=50.0,
            score=score,
            reporters=reporters | ahead,
            evidence=(evidence,),
        )


def _weigh(tallies: list[Tally], usual: Usual, company: int) -> tuple[float, Scope]:
    """The most surprising of those with so many reporters, and in which scope; -inf if none has."""
    best, widest = -math.inf, SCOPES[-1]
    for tally, scope in zip(tallies, SCOPES, strict=True):
        if tally.reporters >= max(company, 1):
            score = sum(usual.surprises(tally.counts, *scope)) - at_the_side(tally.aside)
            if score > best:
                best, widest = score, scope
    return best, widest


def _place(one: Any) -> Place:
    return float(one["lat"]), float(one["lon"]), float(one["heading"])
