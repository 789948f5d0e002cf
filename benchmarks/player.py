"""Sends messages when they are due, and notes when the broker acknowledged those that move a partition's event time.

A process of its own: at 40,000 messages a second it takes a good part of a core.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from multiprocessing.connection import Connection
from typing import NamedTuple

from confluent_kafka import Message, Producer

from benchmarks.live_traffic import Due, Traffic

NOTED = 50  # ms: within so little of the last note a message of the same pane of the same partition is not noted
PANE = 1000  # ms
ALIKE = 32  # messages between two looks at the acknowledgements while it is busy


class Note(NamedTuple):
    partition: str
    acknowledged: float  # ms since the epoch
    latest: int  # ms: the partition's newest credible event time, this message included


class Played(NamedTuple):
    notes: list[Note]
    sent: int
    seconds: float
    cpu: float  # s
    behind: list[float]  # ms by which a message was sent after it was due, of one in a hundred


class Player:
    def __init__(self, broker: str, partitions: int) -> None:
        self._producer = Producer(
            {"bootstrap.servers": broker, "acks": "all", "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
        )
        self._partitions = partitions
        self._latest: dict[str, int] = {}
        self._noted: dict[str, tuple[int, float]] = {}  # pane and time of the last note
        self.notes: list[Note] = []
        self.failed: list[str] = []

    def send(self, due: Due, arrival: int) -> None:
        """`arrival` (ms) is the time stamp that the broker keeps."""
        number = due.key % self._partitions
        name = f"{due.topic}/{number}"
        latest = self._latest[name] = max(self._latest.get(name, 0), min(due.time, arrival))
        pane, (before, noted) = latest // PANE, self._noted.get(name, (0, 0.0))
        report = None
        if pane > before or arrival - noted >= NOTED:
            self._noted[name] = pane, arrival
            report = partial(self._note, name, latest)
        while True:
            try:
                self._producer.produce(due.topic, due.message, partition=number, timestamp=arrival, on_delivery=report)
                return
            except BufferError:
                self._producer.poll(0.1)

    def poll(self, seconds: float) -> None:
        self._producer.poll(seconds)

    def flush(self) -> None:
        self._producer.flush()

    def _note(self, name: str, latest: int, error: object, _: Message) -> None:
        if error is not None:
            self.failed.append(str(error))
        self.notes.append(Note(name, time.time() * 1000, latest))


def pour(player: Player, given: Iterable[Due], shift: int) -> int:
    """Send all at once, each with its own time of arrival."""
    count = 0
    for count, due in enumerate(given, 1):
        player.send(due, due.arrival + shift)
        if count % ALIKE == 0:
            player.poll(0)
    player.flush()
    return count


def play(player: Player, given: Iterable[Due], shift: int) -> Played:
    """Send each when it is due."""
    started, spent, behind, sent = 0.0, 0.0, list[float](), 0
    for sent, due in enumerate(given, 1):
        while (wait := (due.arrival + shift) / 1000 - time.time()) > 0:
            time.sleep(min(wait, 0.002))  # the client's own wait knows whole ms only, and would spin
            player.poll(0)
        if not started:
            started, spent = time.time(), time.process_time()
        if sent % ALIKE == 0:
            player.poll(0)
        if sent % 100 == 0:
            behind.append(-wait * 1000)
        player.send(due, int(time.time() * 1000))
    player.flush()
    return Played(player.notes, sent, time.time() - started, time.process_time() - spent, behind)


def run(broker: str, partitions: int, traffic: Traffic, begin: int, end: int, tell: Connection) -> None:
    """In a process of its own: pour the history, say how much it was, play the rest when its time has come."""
    player = Player(broker, partitions)
    tell.send(pour(player, traffic.history(traffic.arrivals[0], begin), traffic.shift))
    player.notes.clear()
    tell.send(play(player, traffic.live(begin, end), traffic.shift))
    if player.failed:
        raise SystemExit(f"the broker did not take {len(player.failed)} messages: {player.failed[0]}")
