"""Traffic that comes to a stand where it usually flows: the queue behind an obstruction, and where its tail is.

A vehicle that falls to less than half of its lately highest speed, or stands for a while, is rare on a road that flows and
common at merges and lights. So every place learns how often vehicles ease off, stand and brake hard there; several that do
so within a minute or two, where that is a surprise, open an incident. From then on weaker evidence is enough: whoever falls
or crawls near a known queue belongs to it, and its two ends are reported for as long as it lasts.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from detectors.across import at_the_side
from detectors.driven import Driven
from detectors.ground import Ground
from detectors.model import Finding, Frame
from detectors.occurrences import BRAKED, HALTED, KINDS, Nearby, Occurrences, counts_of, kind_of
from detectors.place_rates import PlaceRates
from detectors.queues import Queues
from detectors.standing import Standing
from detectors.tracks import Tracks

SURPRISE = 6.1  # -log10 of the chance: some 1e4 places and minutes to be wrong in on a day; at 6.0 two were on the edge
SCOPES = ((30.0, 100.0), (120.0, 150.0))  # s and m: a tail grows upstream at some 15 km/h = 4 m/s at most
FEW = 5  # occurrences, too few to surprise where as many were in the eight minutes before
COMPANY = 2  # reporters at least: one vehicle that stops may have its own reasons


class StationaryTraffic:
    """Finds where traffic falls to a stand, and follows the queue for as long as it lasts."""

    kinds: ClassVar[tuple[str, ...]] = ("dangerous_end_of_queue", "stationary_vehicle", "breakdown")

    def __init__(self) -> None:
        self._tracks = Tracks()
        self._driven = Driven()
        self._places = PlaceRates(KINDS)
        self._ground = Ground()
        self._lately = Occurrences()
        self._queues = Queues(self._places)
        self._standing = Standing(self._ground)

    def update(self, frame: Frame) -> list[Finding]:
        now = frame.end
        seen = self._tracks.update(frame)
        self._queues.forget(now)
        fresh = self._lately.note(seen.acting, self._ground.across, now)
        findings = [finding for one in seen.acting if (finding := self._look(one, fresh, now))]
        self._driven.take(seen.rows, now)
        self._driven.teach(now, self._places, self._ground.across)
        self._ground.learn(seen.acting, now)
        findings += self._queues.ends(seen.rows, frame)
        return findings + self._standing.update(seen, frame, self._queues)

    def _look(self, one: Any, fresh: set[int], now: int) -> Finding | None:
        """Remember what one of the acting (`tracks.SEEN`) did; a finding, if too many did the like."""
        where = float(one["lat"]), float(one["lon"]), float(one["heading"])
        if self._queues.holds(*where):  # a queue must not teach that queues are usual
            if one["fell"]:
                self._queues.note(now, *where)
            return None
        for kind, did in ((kind_of(float(one["decel"])), one["eased"]), (HALTED, one["halted"]), (BRAKED, one["braked"])):
            if did:
                self._places.occur(now, *where, kind)
        finding = self._judge(*where, now) if int(one["reporter"]) in fresh else None
        if finding:
            self._queues.say(now, *where)
        return finding

    def _judge(self, lat: float, lon: float, heading: float, now: int) -> Finding | None:
        """A finding, if too many vehicles lately fell, halted or braked hard around this place."""
        widest = SCOPES[-1][1]
        near = self._lately.around(lat, lon, heading, widest, now)
        fresh = near.fresh(widest)
        if fresh < COMPANY or fresh <= min(FEW, sum(near.old(SCOPES[0][1]))):
            return None
        best, behind = 0.0, near.rows
        for window, radius in SCOPES:
            score = self._score(near, lat, lon, heading, now, window, radius)
            if score > best:
                best, behind = score, near.cluster(window, radius)
        if best < SURPRISE:
            return None
        reporters = frozenset(behind["reporter"].tolist())
        return Finding(
            kind="dangerous_end_of_queue",
            time=now,
            onset=int(behind["time"].min()),
            lat=lat,
            lon=lon,
            heading=heading,
            radius=50.0,
            score=best,
            reporters=reporters,
            evidence=(("stopping_vehicles", float(len(reporters))),),
        )

    def _score(self, near: Nearby, lat: float, lon: float, heading: float, now: int, window: float, radius: float) -> float:
        """How surprising the cluster is, by what is usual here and by what went on in the minutes before; 0 for one vehicle."""
        cluster = near.cluster(window, radius)
        if len(np.unique(cluster["reporter"])) < COMPANY:
            return 0.0
        counts = counts_of(cluster)
        excused = near.excused(counts, window, radius)
        if sum(e for e, count in zip(excused, counts, strict=True) if count) < SURPRISE:
            return 0.0
        usual = self._places.surprises(lat, lon, heading, now, counts, window, radius)
        score = sum(min(pair) for pair in zip(usual, excused, strict=True))
        return score - at_the_side(float(cluster["aside"].mean()))
