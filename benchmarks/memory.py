"""The real graph over messages that lie in memory, and the least that anybody can do with them: decode, and find the cells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import h3.api.basic_int as h3
import msgspec
import numpy as np
from bytewax.inputs import StatefulSourcePartition
from bytewax.testing import run_main
from numpy.typing import NDArray

from benchmarks.load import Measure
from dataflows.ends import Ends, PollSource
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.formats.observation import Observation
from dataflows.grid import Grid
from dataflows.incidents import flow
from dataflows.intake import Intake, Poll
from dataflows.metrics import METRICS
from dataflows.pace import Pace
from dataflows.replay import Nowhere
from dataflows.settings import Settings
from dataflows.window import PLAUSIBILITY
from detectors import CATALOGUE

Given = Callable[[int], None]  # told how many messages have been given

KEY = b"bench"
DECODING = "decoding, cells, sharding"
STAGES = (*(detector.__name__ for detector in CATALOGUE), PLAUSIBILITY, DECODING)


def spent(*formats: str) -> dict[str, float]:
    """Seconds that this process has spent in each stage so far."""
    stages = {name: METRICS.value("detector_seconds_total", detector=name) for name in STAGES if name != DECODING}
    return stages | {DECODING: sum(METRICS.value("decode_seconds_sum", format=name) for name in formats)}


@dataclass(frozen=True)
class Form:
    """How messages are written, and when each arrived, ms; None where that says nothing more than they do."""

    name: str = "observation"
    arrivals: NDArray[np.int64] | None = None

    def arrived(self, start: int, count: int) -> NDArray[np.int64]:
        return np.full(count, -1, np.int64) if self.arrivals is None else self.arrivals[start : start + count]


@dataclass(frozen=True)
class Floor:
    """Only decode, and give each its cell: nobody can do with less."""

    form: Form = Form()

    def __call__(self, messages: list[bytes], settings: Settings, given: Given = lambda count: None) -> Measure:
        decode, grid = FORMATS[self.form.name].decode, Grid(settings.window)
        context = Context(Pseudonym(KEY), settings.window.max_ahead)
        for start in range(0, len(messages), settings.kafka.poll_messages):
            given(start)
            batch = messages[start : start + settings.kafka.poll_messages]
            decoded = decode(batch, self.form.arrived(start, len(batch)), context)
            for rows in (decoded.observations, decoded.sensors, decoded.readings, decoded.notices):
                grid.cells(rows["lat"], rows["lon"])
        return {}


def by_message(messages: list[bytes], settings: Settings) -> Measure:
    """What one would write first: an object by msgspec and a cell by h3 for each message, and nothing made of them."""
    read, to_cell, resolution = msgspec.json.Decoder(Observation).decode, h3.latlng_to_cell, settings.window.cell_resolution
    for start in range(0, len(messages), settings.kafka.poll_messages):
        seen = [read(message) for message in messages[start : start + settings.kafka.poll_messages]]
        [to_cell(each.lat, each.lon, resolution) for each in seen]
    return {}


@dataclass(frozen=True)
class Graph:
    """The real graph, every detector on. Beside the time: microseconds a message by stage."""

    form: Form = Form()

    def __call__(self, messages: list[bytes], settings: Settings, given: Given = lambda count: None) -> Measure:
        run_main(flow(settings, self._ends(messages, settings, given), kept=False))
        stages = spent(self.form.name)
        accepted = METRICS.value("accepted_records_total", topic="memory")
        assert accepted > 0.9 * len(messages), f"{accepted:.0f} of {len(messages)} messages were accepted"
        return {f"us {name}": seconds / len(messages) * 1e6 for name, seconds in stages.items()}

    def _ends(self, messages: list[bytes], settings: Settings, given: Given) -> Ends:
        grid, form = Grid(settings.window), self.form

        class Memory(PollSource):
            partitions = ("memory/0",)
            pace = Pace(partitions, settings.window)

            def build_part(self, step_id: str, for_part: str, resume_state: Any) -> _Partition:
                context = Context(Pseudonym(KEY), settings.window.max_ahead)
                intake = Intake("memory", 0, FORMATS[form.name], context, grid, settings.window)
                return _Partition(messages, form, intake, settings.kafka.poll_messages, given)

        return Ends(grid, Memory(), Nowhere(), Nowhere(), Nowhere())


class _Partition(StatefulSourcePartition[Poll, bytes]):
    def __init__(self, messages: list[bytes], form: Form, intake: Intake, batch: int, given: Given) -> None:
        self._messages, self._form, self._intake, self._batch = messages, form, intake, batch
        self._given = given
        self._offset = 0

    def next_batch(self) -> list[Poll]:
        self._given(self._offset)
        most = min(self._batch, self._intake.portion)
        start, batch = self._offset, self._messages[self._offset : self._offset + most]
        if start > len(self._messages):
            raise StopIteration
        self._offset += max(len(batch), 1)
        if not batch:
            return [self._intake.rest(ended=True)]
        return [self._intake.take(batch, self._form.arrived(start, len(batch)), range(start, start + len(batch)))]

    def snapshot(self) -> bytes:
        return b""
