"""A small flow under the engine, for three lives on one store: `python -m tests.three_lives DIRECTORY LIFE WORKERS`.

The first delivers nothing, so that the epoch in which it was told something is never complete; the second is told nothing; both
go on until they are killed. The third says what it resumes from, as "input 0" and "state 0", and ends.
"""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.recovery import RecoveryConfig
from bytewax.run import cli_main

EPOCH = timedelta(milliseconds=20)
QUIET = 10  # polls: until an epoch is complete
FIRST, SECOND, LAST = 1, 2, 3  # lives


class Numbers(StatefulSourcePartition[tuple[str, int], int]):
    def __init__(self, life: int, said: int) -> None:
        self._life, self._said, self._polls = life, said, 0
        if life == LAST:
            print("input", said)

    def next_batch(self) -> list[tuple[str, int]]:
        if self._life == LAST:
            raise StopIteration
        self._polls += 1
        if self._life == SECOND or self._polls < QUIET:
            return []
        self._said += 1
        return [("key", self._said)]

    def next_awake(self) -> datetime:
        return datetime.now(UTC) + EPOCH

    def snapshot(self) -> int:
        return self._said


class Input(FixedPartitionedSource[tuple[str, int], int]):
    def __init__(self, life: int) -> None:
        self._life = life

    def list_parts(self) -> list[str]:
        return ["part"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Numbers:
        return Numbers(self._life, resume_state or 0)


class Last(StatefulBatchLogic[int, int, int]):
    """The last number that it was told."""

    def __init__(self, resumed: int | None) -> None:
        self._last = resumed or 0
        if resumed is not None:
            print("state", resumed)

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        self._last = values[-1]
        return values, self.RETAIN

    def snapshot(self) -> int:
        return self._last


class Waiting(StatefulSinkPartition[int, None]):
    """Its snapshot waits for ever for what it was given to be delivered."""

    def __init__(self) -> None:
        self._given = False

    def write_batch(self, values: list[int]) -> None:
        self._given = True

    def snapshot(self) -> None:
        if self._given:
            threading.Event().wait()


class Output(FixedPartitionedSink[int, None]):
    def list_parts(self) -> list[str]:
        return ["part"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Waiting:
        return Waiting()


def main() -> None:
    directory, life, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    flow = Dataflow("lives")
    numbers = op.input("numbers", flow, Input(life))
    op.output("out", op.stateful_batch("last", numbers, Last), Output())
    recovery = RecoveryConfig(directory, backup_interval=timedelta(0))
    cli_main(flow, workers_per_process=workers, epoch_interval=EPOCH, recovery_config=recovery)


if __name__ == "__main__":
    main()
