"""Which rows to believe: asked once a pane, before the detectors, by whoever gives them their frames.

A row is judged by its reporter's movement (`movement`) and, if it is new, by who came with it (`newcomers`). Of a reporter
without a history no claim is believed that it brakes hard or slips. But who says that its airbag is out or that it is
disabled is heard whatever is wrong with its track, since that is what a crash looks like: such a message stands for one
reporter, which never makes an incident more than Possible, and of those without a history one is heard for all.
"""

from __future__ import annotations

import numpy as np

from detectors.compiled import compiled
from detectors.headings import fill_in
from detectors.model import Doubt, Frame, Rows, Sign
from detectors.movement import LASTING, TRACK, Codes, Places, follow, slows_hard
from detectors.newcomers import Newcomers, has_history
from detectors.table import Names, Slots, Table, find

FORGET = 90_000  # ms unseen: a temporary id lives some minutes (SAE J2945/1), most gaps are losses of seconds
SWEEP = 30_000  # ms
WARNED = 1_000  # stations that warned lately, of a shard: more than it holds warnings of (`notices`)
MOMENT = 15_000  # ms: a vehicle at 120 km/h that comes over a shard's border has been seen for so long, from 500 m before it

_SPEAKS = np.uint32(Sign.AIRBAG | Sign.JACKKNIFE | Sign.DISABLED)
_CLAIMS = np.uint32(Sign.HARD_BRAKE | Sign.ABS | Sign.TRACTION | Sign.STABILITY)


class Plausibility:
    """Feed it every pane; it answers with what is wrong with each observation, and what is left for the detectors."""

    def __init__(self) -> None:
        self._tracks = Table(TRACK, "reporter")
        self._swept = 0
        self._newcomers = Newcomers()
        self._warned: dict[int, None] = {}  # stations, in the order in which they were heard last

    def believe(self, frame: Frame) -> tuple[Frame, Codes]:
        """The pane without the rows that are not believed, and a Doubt for each that it had; NONE is believed.

        Headings that are not said are filled in.
        """
        rows = frame.observations
        if len(frame.notices):
            self._remember(frame.notices["reporter"].tolist())
        at = np.empty(len(rows), np.int64)
        doubts = self._judge(rows, at, frame.end)
        headings = np.empty(len(rows))
        if len(rows) and fill_in(rows, self._tracks.arrays[0], at, headings):
            rows = rows.copy()  # others look at these
            rows["heading"] = headings
        if np.count_nonzero(doubts):
            rows = rows.compress(doubts == Doubt.NONE)
        if rows is frame.observations:
            return frame, doubts
        return Frame(frame.start, frame.end, rows, frame.sensors, frame.readings, frame.notices), doubts

    def _judge(self, rows: Rows, at: Places, now: int) -> Codes:
        """A Doubt for each of the rows; `at` is filled with where their tracks lie."""
        if now - self._swept >= SWEEP:
            self._tracks.keep(self._tracks.held["time"] > now - FORGET)
            self._newcomers.sweep(now)
            self._swept = now
        doubts = np.zeros(len(rows), np.uint8)
        if not len(rows):
            return doubts
        self._newcomers.wake(now)
        known = len(self._tracks)
        self._tracks.reserve(len(rows))
        tracks, _, slots, size = self._tracks.arrays
        follow(rows, tracks, slots, size, at, doubts, np.zeros(len(rows), np.uint8))
        if len(self._tracks) > known:
            self._newcomers.crowd(self._tracks.held, known, rows["cell"], at, now)
        if _weigh(rows, tracks, at, doubts):
            asking = np.flatnonzero(((rows["signs"] & _SPEAKS) != 0) & (doubts != Doubt.NONE))
            for i in asking[np.argsort(rows["reporter"][asking], kind="stable")].tolist():
                if self._newcomers.may_speak(int(rows["reporter"][i]), float(rows["lat"][i]), float(rows["lon"][i]), now):
                    doubts[i] = Doubt.NONE
        return doubts

    def strangers(self, reporters: frozenset[int]) -> frozenset[int]:
        """Those who were seen for less than a MOMENT, those who warn and were not seen at all or are not believed.

        One sender may speak under any number of new names. Roadside sensors and electric cars are not seen to drive either.
        """
        names = np.array(sorted(reporters), np.uint64)
        ages = np.empty(len(names), np.int64)
        tracks, held, slots, _ = self._tracks.arrays
        _find_ages(tracks, held, slots, names, ages)
        found = zip(names.tolist(), ages.tolist(), strict=True)
        return frozenset(name for name, age in found if (0 <= age < MOMENT) or (age < 0 and name in self._warned))

    def _remember(self, stations: list[int]) -> None:
        """They warned. What is not believed of a track leaves a warning without one."""
        for station in stations:
            self._warned.pop(station, None)
            self._warned[station] = None
        for station in list(self._warned)[:-WARNED]:
            del self._warned[station]


@compiled
def _weigh(rows: Rows, tracks: Rows, at: Places, doubts: Codes) -> bool:
    """What counts in the end, of each row: what is wrong with its reporter, with it alone, or with what it claims.

    Whether there are some who speak without a history: they are doubted here, and one may be heard for all.
    """
    asks = False
    for i in range(len(rows)):
        row, track = rows[i], tracks[at[i]]
        stranger = not has_history(track)
        weighed = int(doubts[i])
        if track["doubted"] > track["time"]:
            weighed = max(weighed, int(track["why"]))
        if track["crowd"] > 0 and (stranger or track["crowd"] > track["time"]):
            weighed = Doubt.MANY_IDENTITIES.value
        if stranger and weighed < LASTING and ((row["signs"] & _CLAIMS) != 0 or slows_hard(row)):
            weighed = Doubt.CLAIM_WITHOUT_HISTORY.value
        if (row["signs"] & _SPEAKS) != 0:
            weighed = max(weighed, Doubt.CLAIM_WITHOUT_HISTORY.value) if stranger else 0
            asks = asks or stranger
        doubts[i] = weighed
    return asks


@compiled
def _find_ages(tracks: Rows, held: Names, slots: Slots, names: Names, ages: Places) -> None:
    """For how long each has been seen, ms; -1 if not at all, or not to drive as it says."""
    for i in range(len(names)):
        at = find(slots, held, names[i])
        ages[i] = -1
        if at >= 0:
            track, age = tracks[at], tracks[at]["time"] - tracks[at]["since"]
            doubted = track["doubted"] > track["time"] or track["crowd"] > track["time"]
            ages[i] = -1 if age >= MOMENT and (doubted or not has_history(track)) else age
