"""Kafka's ends of the dataflow: a source of all partitions, and sinks for what leaves."""

from __future__ import annotations

from pathlib import Path

import structlog
from bytewax.inputs import StatefulSourcePartition

from dataflows.ends import Ends, PollSource
from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Pseudonym
from dataflows.grid import Grid
from dataflows.health import HEALTH
from dataflows.intake import NEVER, Intake, Poll, Progress
from dataflows.kafka_admin import Cluster, connect, counter
from dataflows.kafka_cluster import keep_to
from dataflows.kafka_partitions import Lookout, PartitionsAddedError, Starts
from dataflows.kafka_reader import KafkaPartition, Shared
from dataflows.kafka_sink import KafkaSink
from dataflows.pace import Pace
from dataflows.seal import Seal
from dataflows.secret_files import pseudonym_key
from dataflows.settings import Settings
from dataflows.stop import STOP
from dataflows.store import is_there

log = structlog.get_logger(__name__)


class KafkaSource(PollSource):
    """All partitions of all input topics, as they are when the worker starts, or those that the settings name."""

    def __init__(self, settings: Settings, grid: Grid, cluster: Cluster, recovery: Path | None) -> None:
        """`recovery`: where notes may lie beside the snapshots."""
        partitions = cluster.partitions
        self._settings = settings
        self._grid = grid
        self._inputs = {
            f"{each.topic}/{number}": (each, number)
            for each in settings.inputs.topics
            for number in each.partitions or range(partitions[each.topic])
        }
        self.partitions = tuple(self._inputs)
        self.pace = Pace(self.partitions, settings.window)
        self._assigned = 0
        key = pseudonym_key(settings)
        self._context = Context(Pseudonym(key), settings.window.max_ahead)
        starts = Starts(recovery)
        starts.begin((each.topic, number) for each, number in self._inputs.values())
        self._others = starts.others(self._inputs)
        for name, (topic, number, _) in self._others.items():
            if number >= partitions.get(topic, number + 1):
                log.error("a partition that was read before is not there; was the topic made anew?", partition=name)
            else:
                log.warning("a partition that was read before is not read any more", partition=name)
        whole = {each.topic: partitions[each.topic] for each in settings.inputs.topics if not each.partitions}
        self._lookout = Lookout(whole, counter(settings), settings.kafka.partitions_interval, _restart)
        self._shared = Shared(settings.kafka, self.pace, Seal(key), starts, len(self._inputs), cluster.topics)

    def list_parts(self) -> list[str]:
        """The engine, which asks for it once it runs, ends where its store holds a partition that is not in the list."""
        HEALTH.runs()
        return [*self.partitions, *self._others]

    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> StatefulSourcePartition[Poll, bytes]:
        if for_part in self._others:
            *_, first = self._others[for_part]
            begun = Progress(first, NEVER, NEVER, NEVER).pack()
            return Unread(resume_state or self._shared.seal.close(f"source/{for_part}", begun))
        each, number = self._inputs[for_part]
        intake = Intake(each.topic, number, FORMATS[each.format], self._context, self._grid, self._settings.window)
        if not self._assigned:
            self._lookout.start()
        self._assigned += 1
        HEALTH.assigned(self._assigned)
        HEALTH.broker(True)
        return KafkaPartition(each, number, intake, self._shared, resume_state)


class Unread(StatefulSourcePartition[Poll, bytes]):
    """One that was read before and is not now: nothing comes of it, and where it stood is kept for when it is read again."""

    def __init__(self, stood: bytes) -> None:
        self._stood = stood

    def next_batch(self) -> list[Poll]:
        raise StopIteration

    def snapshot(self) -> bytes:
        return self._stood


def _restart(why: str) -> None:
    log.error(why)
    HEALTH.stopping(why)
    STOP.ask(PartitionsAddedError(why))


def ends(settings: Settings) -> Ends:
    """Connect, see which partitions there are, and give the graph its ends. Raises BrokerError, RecoveryError."""
    grid = Grid(settings.window)
    cluster = connect(settings)
    recovery = settings.recovery.directory.absolute() if settings.recovery.enabled and is_there(settings) else None
    if recovery:
        keep_to(cluster.id, settings.kafka.bootstrap_servers, recovery)
    return Ends(
        grid=grid,
        source=KafkaSource(settings, grid, cluster, recovery),
        alerts=KafkaSink(settings.kafka, linger=0),
        cells=KafkaSink(settings.kafka),
        dead_letters=KafkaSink(settings.kafka),
    )
