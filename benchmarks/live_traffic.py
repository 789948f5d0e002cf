"""The bundled recording, copied side by side and told anew so that its event time is the wall clock's, message by message."""

from __future__ import annotations

import heapq
import json
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from benchmarks.load import APART, RECORDING
from dataflows.demo import recording
from dataflows.formats import FORMATS, encode, moment
from dataflows.recorded import messages

TOPICS = {"v2x.observations": "observation", "ev.gbt32960": "gbt32960", "roadside.sensors": "sensor"}
VEHICLES, CARS, ROADSIDE = TOPICS
SLICE = 200  # ms of traffic that is put in order at a time
SPREAD = 1000  # ms over which the copies of one message are dealt out: the city is no drill ground
CRASH = 700  # ms between two vehicles that say their airbag is out, each on another copy of the road
DISABLED = 3  # of these, one in so many says that it is disabled instead


class Line(NamedTuple):
    """One recorded observation, in the pieces of which its copies are made."""

    id: bytes
    behind: int  # ms from its event time to its arrival
    lat: float
    rest: bytes  # from the longitude on


class Due(NamedTuple):
    """One message of the recording's clock, to be sent when `arrival` has come."""

    arrival: int  # ms
    time: int  # ms: its event time
    topic: str
    key: int
    message: bytes


@dataclass(frozen=True)
class Traffic:
    """`shift` is added to every time of the recording (ms, whole seconds, as GB/T 32960 knows no less)."""

    arrivals: list[int]
    lines: list[Line]
    shift: int
    copies: int
    warm: int  # of the copies, so many are driven on before the clock starts

    def vehicles(self, begin: int, end: int, copies: int, crashes: bool) -> Iterator[Due]:
        """All that arrives between `begin` and `end` (ms of the recording) on so many copies of the road."""
        crash = begin
        for start in range(begin, end, SLICE):
            stop = min(start + SLICE, end)
            due = []
            for copy in range(copies):
                delay = copy * 379 % SPREAD
                first, last = (bisect_left(self.arrivals, at - delay) for at in (start, stop))
                due += [(self.arrivals[n] + delay, copy, n) for n in range(first, last)]
            due.sort()
            for arrival, copy, n in due:
                line = self.lines[n]
                told = arrival - line.behind + self.shift
                message = b'{"id":"%s%03x","ts":%d,"rx":%d,"lat":%.6f%s' % (
                    *(line.id, copy, told, arrival + self.shift),
                    *(line.lat + copy * APART, line.rest),
                )
                if crashes and arrival >= crash and copy == crash // CRASH % self.warm:
                    crash += CRASH
                    message = _crashed(message, "ab" if crash // CRASH % DISABLED else "dis")
                yield Due(arrival, told, VEHICLES, n_of(line.id) + copy, message)

    def others(self, begin: int, end: int) -> Iterator[Due]:
        """Electric cars, loops and road weather, once."""
        every = heapq.merge(self._cars(), self._roadside(), key=lambda due: due.arrival)
        return (due for due in every if begin <= due.arrival < end)

    def live(self, begin: int, end: int) -> Iterator[Due]:
        return heapq.merge(
            self.vehicles(begin, end, self.copies, crashes=True), self.others(begin, end), key=lambda due: due.arrival
        )

    def history(self, begin: int, end: int) -> Iterator[Due]:
        return heapq.merge(
            self.vehicles(begin, end, self.warm, crashes=False), self.others(begin, end), key=lambda due: due.arrival
        )

    def _cars(self) -> Iterator[Due]:
        for said in recording.electric_cars():
            time = said["time"] + self.shift
            message = encode.gbt32960_realtime(**(said | {"time": time}))
            yield Due(said["time"] + recording.MODEM, time, CARS, n_of(said["vin"].encode()), message)

    def _roadside(self) -> Iterator[Due]:
        for sent in heapq.merge(recording._loops(), recording._weather(), key=lambda sent: sent.arrival):
            said = json.loads(sent.message)
            _tell_anew(said, self.shift)
            time = sent.arrival - recording.ROADSIDE + self.shift
            yield Due(sent.arrival, time, ROADSIDE, n_of(sent.key), json.dumps(said).encode())


def _tell_anew(said: dict[str, Any], shift: int) -> None:
    """Move the times of a roadside message by `shift` (ms)."""
    if "ts" in said:
        said["ts"] += shift
        return
    properties = said["properties"]
    for part, name in (
        (properties["core_details"], "update_date"),
        (properties, "collection_interval_start_date"),
        (properties, "collection_interval_end_date"),
    ):
        part[name] = moment.write(round(datetime.fromisoformat(part[name]).timestamp() * 1000) + shift)


def _crashed(message: bytes, sign: str) -> bytes:
    """The same, of a vehicle that brakes harder than any driver and says what has become of it."""
    return json.dumps(json.loads(message) | {"ax": -6.0, sign: 1}, separators=(",", ":")).encode()


def n_of(name: bytes) -> int:
    """A number of a name that is the same in every process."""
    return int.from_bytes(name[-3:], "big")


def read(shift: int, copies: int, warm: int) -> Traffic:
    arrivals, lines = [], []
    for line in messages(RECORDING, FORMATS["observation"]):
        row = json.loads(line)
        arrivals.append(row["rx"])
        rest = line[line.index(b',"lon"') :]
        lines.append(Line(row["id"].encode(), row["rx"] - row["ts"], row["lat"], rest))
    return Traffic(arrivals, lines, shift, copies, warm)
