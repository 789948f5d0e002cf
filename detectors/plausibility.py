"""Which rows to believe: asked once a pane, before the detectors, by whoever gives them their frames.

A row is judged by its reporter's movement (`movement`) and, if it is new, by who came with it (`newcomers`). Of a reporter
without a history no claim is believed that it brakes hard or slips. But who says that its airbag is out or that it is
disabled is heard whatever is wrong with its track, since that is what a crash looks like: such a message stands for one
reporter, which never makes an incident more than Possible, and of those without a history one is heard for all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.model import Doubt, Rows, Sign, plain
from detectors.movement import LASTING, TRACK, UNSAID, Bools, Codes, Step, advance, begun, compare, step
from detectors.newcomers import Newcomers

FORGET = 90_000  # ms unseen: a temporary id lives some minutes (SAE J2945/1), most gaps are losses of seconds
SWEEP = 30_000  # ms
MOMENT = 15_000  # ms: a vehicle at 120 km/h that comes over a shard's border has been seen for so long, from 500 m before it

_SPEAKS = int(Sign.AIRBAG | Sign.JACKKNIFE | Sign.DISABLED)
_CLAIMS = int(Sign.HARD_BRAKE | Sign.ABS | Sign.TRACTION | Sign.STABILITY)


class Plausibility:
    """Feed it every pane's observations; it answers with what is wrong with each."""

    def __init__(self) -> None:
        self._tracks: Rows = np.empty(0, TRACK)  # by reporter
        self._swept = 0
        self._newcomers = Newcomers()

    def judge(self, rows: Rows, now: int) -> Codes:
        """A Doubt for each of the `rows` of the pane that ended at `now` (ms), sorted by time; NONE is believed."""
        if now - self._swept >= SWEEP:
            self._tracks = self._tracks.compress(self._tracks["time"] > now - FORGET)
            self._newcomers.sweep(now)
            self._swept = now
        if not len(rows):
            return np.zeros(0, np.uint8)
        self._newcomers.wake(now)
        order = np.argsort(rows["reporter"], kind="stable")
        rows = rows.take(order)  # take: a thirtieth of the time of rows[order], which copies field by field
        first = np.ones(len(rows), bool)
        first[1:] = rows["reporter"][1:] != rows["reporter"][:-1]
        starts, whose = np.flatnonzero(first), np.cumsum(first) - 1
        newest = np.append(starts[1:], len(rows)) - 1
        single = len(starts) == len(rows)  # nobody speaks twice, which is usual: then all three are one, and need not be taken

        at, before, new = self._find(rows if single else rows.take(starts))
        beside = before if single else before.take(whose)
        taken = step(rows, beside)
        if not single:
            taken = taken._replace(said=np.logical_or.reduceat(taken.said, starts)[whose])
        doubts = compare(rows, beside, taken)
        tracks = self._tracks.take(at)
        if single:
            advance(tracks, rows, before, taken, doubts)
        else:
            last = Step(*(column[newest] for column in taken))
            advance(tracks, rows.take(newest), before, last, np.maximum.reduceat(doubts, starts))
        plain(self._tracks)[at] = plain(tracks)
        if new is not None and self._newcomers.crowd(self._tracks, rows["cell"][starts], new, now):
            tracks = self._tracks.take(at)

        answer = np.empty_like(doubts)
        answer[order] = self._weigh(rows, tracks, whose, doubts, now)
        return answer

    def strangers(self, reporters: frozenset[int]) -> frozenset[int]:
        """Those who were seen for less than a MOMENT: one sender may speak under any number of new names."""
        names, tracks = np.array(sorted(reporters), np.uint64), self._tracks
        if not len(tracks):
            return frozenset()
        at = np.minimum(np.searchsorted(tracks["reporter"], names), len(tracks) - 1)
        young = (tracks["reporter"][at] == names) & (tracks["time"][at] - tracks["since"][at] < MOMENT)
        return frozenset(names[young].tolist())

    def _find(self, rows: Rows) -> tuple[NDArray[np.intp], Rows, Bools | None]:
        """Where each row's reporter is held, what was known of it, and who is new, if any. Makes room for the new ones."""
        tracks, reporters = self._tracks, rows["reporter"]
        at = np.searchsorted(tracks["reporter"], reporters)
        new: Bools = np.ones(len(rows), bool)
        if len(tracks):
            new = tracks["reporter"][np.minimum(at, len(tracks) - 1)] != reporters
        if not np.count_nonzero(new):
            return at, tracks.take(at), None
        fresh = begun(rows.compress(new))
        self._tracks = tracks = np.insert(plain(tracks), at[new], plain(fresh)).view(TRACK)
        at = np.searchsorted(tracks["reporter"], reporters)
        return at, tracks.take(at), new

    def _weigh(self, rows: Rows, tracks: Rows, whose: NDArray[np.intp], doubts: Codes, now: int) -> Codes:
        """What counts in the end, of each row: what is wrong with its reporter, with it alone, or with what it claims."""
        time, stranger = tracks["time"], ~self._newcomers.history(tracks)
        doubted, crowd = tracks["doubted"] > time, tracks["crowd"] > 0
        weighed = doubts
        if np.count_nonzero(doubted | crowd):
            hidden = np.where(doubted, tracks["why"], np.uint8(Doubt.NONE))
            hidden[crowd & (stranger | (tracks["crowd"] > time))] = Doubt.MANY_IDENTITIES
            weighed = np.maximum(np.where(doubts < LASTING, doubts, np.uint8(Doubt.NONE)), hidden[whose])
        if np.count_nonzero(stranger):
            claims = ((rows["signs"] & _CLAIMS) != 0) | (rows["accel"] < -UNSAID)
            weighed[claims & stranger[whose] & (weighed < LASTING)] = Doubt.CLAIM_WITHOUT_HISTORY
        speaking = (rows["signs"] & _SPEAKS) != 0
        for i in np.flatnonzero(speaking).tolist() if np.count_nonzero(speaking) else ():
            place = int(rows["reporter"][i]), float(rows["lat"][i]), float(rows["lon"][i])
            heard = not stranger[whose[i]] or self._newcomers.may_speak(*place, now)
            weighed[i] = Doubt.NONE if heard else max(int(weighed[i]), Doubt.CLAIM_WITHOUT_HISTORY)
        return weighed
