"""Deterministic simulation of the whole graph: one seed, one history of polls, stalls, crashes and resumes.

    python -m tests.simulation [SEEDS] [FIRST]

No engine and no clock: chunks wait in queues that keep their order from one sender to one receiver, as the engine's do, and the
dice say who moves next. Whatever they say, the alerts must be those of the calm run, and a repeated alert the same bytes.
A failure prints its seed; the same seed gives the same history again.
"""

from __future__ import annotations

import pickle
import random
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from dataflows.alerts import alert_records
from dataflows.formats import FORMATS, Format
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.intake import NEVER, Chunk, Intake, Poll, Progress
from dataflows.merge import IncidentMerge
from dataflows.recorded import messages
from dataflows.settings import Settings, Window
from dataflows.window import Panes, Report, ShardWindow
from detectors import CATALOGUE
from tests import traffic

SETTINGS = Settings(window=Window(shards=16))  # of 64 nearly all would be silent, and take most of the time
SHARDS = SETTINGS.window.shards
Alerts = dict[str, bytes]


@dataclass(frozen=True)
class Input:
    """One partition's messages and format."""

    name: str
    form: Format
    messages: list[bytes]


@dataclass(frozen=True)
class Snapshot:
    """All state at one moment at which nothing was on its way."""

    progress: dict[str, tuple[Progress, bool]]  # and whether the partition had ended
    shards: dict[int, bytes]
    merge: bytes


class World:
    """The graph of dataflows/incidents.py with dice in the engine's place."""

    def __init__(self, inputs: list[Input], seed: int) -> None:
        self.inputs = {each.name: each for each in inputs}
        self.dice = random.Random(seed)
        self.grid = Grid(SETTINGS.window)
        self.panes = Panes(SETTINGS.window.pane, tuple(f"{name}/0" for name in self.inputs), self.grid, CATALOGUE)
        self.alerts: Alerts = {}
        self.repeated = 0
        start = {name: (Progress(0, NEVER, NEVER, NEVER), False) for name in self.inputs}
        self.resume(Snapshot(start, {}, b""))
        self.saved = self.snapshot()

    def resume(self, saved: Snapshot) -> None:
        """All processes are new; what was on its way is gone."""
        context = Context(Pseudonym(b"key"), SETTINGS.window.max_ahead)
        self.intakes, self.offsets, self.ended = {}, {}, set()
        for name, (progress, ended) in saved.progress.items():
            self.intakes[name] = Intake(name, 0, self.inputs[name].form, context, self.grid, SETTINGS.window)
            self.intakes[name].resume(progress)
            self.offsets[name] = progress.offset
            if ended:
                self.ended.add(name)
        self.shards = {n: ShardWindow(n, self.panes, saved.shards.get(n)) for n in range(SHARDS)}
        self.merge = IncidentMerge(SHARDS, SETTINGS.window.lateness, saved.merge or None)
        self.to_shard: dict[tuple[str, int], deque[Chunk]] = {}
        self.to_merge: dict[int, deque[Report]] = {}

    def snapshot(self) -> Snapshot:
        while self.to_shard or self.to_merge:
            self.work()
        return Snapshot(
            {name: (intake.progress(self.offsets[name]), name in self.ended) for name, intake in self.intakes.items()},
            {n: shard.snapshot() for n, shard in self.shards.items()},
            self.merge.snapshot(),
        )

    def poll(self) -> None:
        name = self.dice.choice([name for name in self.inputs if name not in self.ended])
        all_messages, start = self.inputs[name].messages, self.offsets[name]
        batch = all_messages[start : start + self.dice.choice((1, 7, 40, 300, 2000))]
        if batch:
            self.offsets[name] += len(batch)
            arrivals = np.full(len(batch), -1, np.int64)
            self.send(name, self.intakes[name].take(batch, arrivals, range(start, start + len(batch))))
        else:
            self.ended.add(name)
            self.send(name, self.intakes[name].rest(ended=True))

    def send(self, name: str, poll: Poll) -> None:
        if self.dice.random() < 0.2:
            poll = pickle.loads(pickle.dumps(poll))  # it went to another process
        for shard in range(SHARDS) if poll.tick else poll.chunks:
            chunk = poll.chunks.get(shard, poll.tick)
            assert chunk is not None
            self.to_shard.setdefault((name, shard), deque()).append(chunk)

    def work(self) -> None:
        """One shard takes some of what waits for it, or the incident step some of the reports."""
        if self.to_shard and (not self.to_merge or self.dice.random() < 0.9):
            for key in self.dice.sample(sorted(self.to_shard), min(len(self.to_shard), self.dice.choice((1, 20, 400)))):
                shard = self.shards[key[1]]
                waiting = self.to_shard[key]
                for _ in range(self.dice.randint(1, len(waiting))):
                    shard.add(waiting.popleft())
                if not waiting:
                    del self.to_shard[key]
                report = shard.close()
                if report is not None:
                    self.to_merge.setdefault(shard.shard, deque()).append(report)
        elif self.to_merge:
            for n in self.dice.sample(sorted(self.to_merge), self.dice.randint(1, len(self.to_merge))):
                self.merge.add(self.to_merge[n].popleft())
                if not self.to_merge[n]:
                    del self.to_merge[n]
            self.say()

    def say(self) -> None:
        for record in alert_records(self.merge.advance(), SETTINGS.outputs, SETTINGS.alerts, arrival=-1):
            if record.label is not None:
                name = dict(record.headers)["ce_id"].decode()
                assert record.value is not None
                assert self.alerts.get(name, record.value) == record.value, f"{name} was said again with other bytes"
                self.repeated += name in self.alerts
                self.alerts[name] = record.value

    def run(self) -> Alerts:
        while len(self.ended) < len(self.inputs) or self.to_shard or self.to_merge:
            roll = self.dice.random()
            if roll < 0.02:
                self.saved = self.snapshot()
            elif roll < 0.04:
                self.resume(self.saved)  # a crash, or a drain and a start with another number of processes
            elif roll < 0.5 and len(self.ended) < len(self.inputs):
                self.poll()
            elif self.to_shard or self.to_merge:
                self.work()
        return self.alerts


@cache
def inputs(seconds: int = 100, seed: int = 5, vehicles: int = 27) -> list[Input]:
    with tempfile.TemporaryDirectory() as folder:
        recorded = traffic.files(Path(folder), seconds, seed, vehicles)
        return [Input(Path(path).stem, FORMATS[form], list(messages(Path(path), FORMATS[form]))) for path, form in recorded]


def calm(given: list[Input]) -> Alerts:
    return calm_world(given).alerts


def calm_world(given: list[Input]) -> World:
    """After one poll a partition, everything delivered in order, and no crash."""
    world = World(given, seed=0)
    for each in given:
        size, intake = len(each.messages), world.intakes[each.name]
        world.send(each.name, intake.take(each.messages, np.full(size, -1, np.int64), range(size)))
        world.send(each.name, intake.rest(ended=True))
    for (_, n), waiting in world.to_shard.items():
        for chunk in waiting:
            world.shards[n].add(chunk)
    for shard in world.shards.values():
        report = shard.close()
        if report is not None:
            world.merge.add(report)
    world.say()
    return world


def main() -> None:
    seeds, first = (int(each) for each in [*sys.argv[1:], "200", "1"][:2]) if len(sys.argv) < 3 else map(int, sys.argv[1:3])
    expected, repeated = calm(inputs()), 0
    for seed in range(first, first + seeds):
        world = World(inputs(), seed)
        if world.run() != expected:
            sys.exit(f"seed {seed}: the alerts differ from the calm run's; again with: python -m tests.simulation 1 {seed}")
        repeated += world.repeated
        print(f"\r{seed - first + 1} of {seeds} histories agree", end="", flush=True)
    print(f": {len(expected)} alerts each, {repeated} said again after crashes, all with the same bytes")


if __name__ == "__main__":
    main()
