"""The ends of the dataflow: what the graph needs of whatever feeds it and takes its records."""

from __future__ import annotations

from dataclasses import dataclass

from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import Sink

from dataflows.alerts import Record
from dataflows.grid import Grid
from dataflows.intake import Poll
from dataflows.pace import Pace


class PollSource(FixedPartitionedSource[Poll, bytes]):
    """A source of polls that knows, before it starts, the names of all partitions of the whole cluster, and paces them."""

    partitions: tuple[str, ...]
    pace: Pace

    def list_parts(self) -> list[str]:
        return list(self.partitions)


@dataclass(frozen=True)
class Ends:
    grid: Grid
    source: PollSource
    alerts: Sink[tuple[str, Record]]
    cells: Sink[tuple[str, Record]]
    dead_letters: Sink[tuple[str, Record]]
