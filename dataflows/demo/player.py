"""Plays the recording into the topics at a multiple of real time, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping

from dataflows.demo.recording import Sent, Wire
from dataflows.kafka_admin import BrokerError
from dataflows.settings import Settings
from dataflows.tap import Writer

AHEAD = 0.02  # s: messages that are due within so little are sent together


class Player(threading.Thread):
    """Messages are sent when they are due and keep the times of the recording; where the machine is slow, it falls behind."""

    def __init__(self, settings: Settings, topics: Mapping[Wire, str], recording: Iterable[Sent], speed: float) -> None:
        super().__init__(name="player", daemon=True)
        self.sent = 0
        self.failed: BrokerError | None = None
        self.seconds = 0.0  # that playing took
        self._settings = settings
        self._topics = topics
        self._recording = recording
        self._speed = speed
        self._asked = threading.Event()

    def stop(self) -> None:
        self._asked.set()
        self.join()

    def run(self) -> None:
        writer = Writer(self._settings)
        started = time.monotonic()
        first: int | None = None
        try:
            for arrival, form, key, message in self._recording:
                first = arrival if first is None else first
                wait = started + (arrival - first) / 1000 / self._speed - time.monotonic()
                if wait > AHEAD and self._asked.wait(wait):
                    return
                writer.write(self._topics[form], key, message, arrival)
                self.sent += 1
            writer.flush()
        except BrokerError as error:
            self.failed = error
        finally:
            self.seconds = time.monotonic() - started
