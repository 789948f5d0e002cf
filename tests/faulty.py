"""The real graph over files, in this process or a child, with faults on order: stalls, drains, kills at a given poll.

python -m tests.faulty '{"files": [["a.jsonl", "observation"]], "out": "alerts.jsonl", ...}'
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from bytewax.run import cli_main

from dataflows import replay
from dataflows.incidents import flow
from dataflows.intake import Poll
from dataflows.settings_reader import load
from dataflows.store import open_store
from tests.forked import ROOT, Forked


@dataclass(frozen=True)
class Order:
    """One run. Polls are counted per partition from this run's start; 0 means never."""

    files: list[tuple[str, str]]
    out: str
    batch: int = 1000
    stalls: float = 0.0  # share of polls that bring nothing
    seed: int = 0
    drain_at: int = 0  # poll at which every partition ends as on SIGTERM
    kill_at: int = 0  # poll at which the process is killed, without warning
    recovery: str | None = None
    process_id: int | None = None
    addresses: list[str] | None = None


class FaultyPartition(replay.FilePartition):
    """A file partition that stalls, drains and kills as ordered."""

    order: Order
    polls: int
    dice: random.Random

    @classmethod
    def wrap(cls, partition: replay.FilePartition, order: Order, name: str) -> FaultyPartition:
        partition.__class__ = cls
        assert isinstance(partition, cls)
        partition.order, partition.polls = order, 0
        partition.dice = random.Random(f"{order.seed} {name}")
        return partition

    def next_batch(self) -> list[Poll]:
        if self.dice.random() < self.order.stalls:
            return []
        self.polls += 1
        if self.polls == self.order.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.polls == self.order.drain_at:
            raise StopIteration
        return super().next_batch()


class FaultySource(replay.FileSource):
    order: Order

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> FaultyPartition:
        return FaultyPartition.wrap(super().build_part(step_id, for_part, resume_state), self.order, for_part)


def run(order: Order) -> None:
    settings = load(
        None,
        {
            "kafka": {"poll_messages": order.batch},
            "privacy": {"key": "the key of the tests"},
            "recovery": {"directory": order.recovery or "nowhere", "partitions": 2},
        },
    )
    ends = replay.ends([(Path(path), form) for path, form in order.files], settings, Path(order.out))
    ends.source.__class__ = FaultySource
    ends.source.order = order  # type: ignore[attr-defined]
    recovery = store = None
    if order.recovery is not None:
        recovery, store = open_store(settings, order.process_id or 0), settings.recovery.directory
    cli_main(
        flow(settings, ends, store),
        process_id=order.process_id,
        addresses=order.addresses,
        epoch_interval=timedelta(milliseconds=20) if recovery else None,  # the engine asks for snapshots nobody keeps, too
        recovery_config=recovery,
    )


def child(order: Order, folder: Path = ROOT) -> Forked:
    """`folder` is where it stands: relative paths of the order count from there."""
    return Forked("tests.faulty", json.dumps(asdict(order)), cwd=folder)


def stranger(order: Order) -> subprocess.Popen[bytes]:
    """An interpreter of its own, with another seed of hashes than `child` has."""
    command = [sys.executable, "-m", "tests.faulty", json.dumps(asdict(order))]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def alerts(path: Path) -> list[bytes]:
    return sorted(path.read_bytes().splitlines())


if __name__ == "__main__":
    run(Order(**json.loads(sys.argv[1])))
