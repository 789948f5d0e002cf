"""The dataflow, read top to bottom: messages in, incidents out.

    python -m bytewax.run "dataflows.incidents:flow()"

runs it on the settings of the environment; `roadwatch run` does the same with recovery, metrics and signals around it.
"""

from __future__ import annotations

from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from dataflows import kafka
from dataflows.alerts import Record, cell_records, dead_letter_records
from dataflows.disk import Disk
from dataflows.ends import Ends
from dataflows.intake import Chunk, Poll
from dataflows.seal import Seal
from dataflows.secret_files import pseudonym_key
from dataflows.settings import Settings
from dataflows.settings_reader import load
from dataflows.steps import AREA, IncidentStep, WindowStep
from dataflows.window import Panes, Report
from detectors import CATALOGUE


def flow(settings: Settings | None = None, ends: Ends | None = None, store: Path | None = None, kept: bool = True) -> Dataflow:
    """The graph. `ends` says where messages come from and records go: Kafka by default, files in a replay.

    `store` is where large state is kept beside the engine's own files; without it all state goes through the engine.
    `kept`: whether anybody keeps snapshots. The engine asks for them anyway, and packing state costs time.
    """
    settings = settings or load()
    ends = ends or kafka.ends(settings)
    seal, disk = (
        Seal(pseudonym_key(settings)) if kept else None,
        None if store is None else Disk(store, settings.recovery.interval),
    )
    shards, outputs = [(str(shard), shard) for shard in range(settings.window.shards)], settings.outputs
    panes = Panes(settings.window.pane, ends.source.partitions, ends.grid, CATALOGUE)

    def to_shards(polls: list[Poll]) -> list[tuple[str, tuple[int, Chunk]]]:
        """Rows go to their shard; how far the partition has come goes to every shard."""
        return [
            (key, (shard, chunk))
            for poll in polls
            for key, shard in shards
            if (chunk := poll.chunks.get(shard, poll.tick)) is not None
        ]

    def to_area(reports: list[tuple[str, Report]]) -> list[tuple[str, Report]]:
        return [(AREA, report._replace(minutes=()) if report.minutes else report) for _, report in reports]

    def to_cells(reports: list[tuple[str, Report]]) -> list[tuple[str, Record]]:
        return [(shard, record) for shard, report in reports for record in cell_records(report.minutes, outputs)]

    def to_dead_letters(polls: list[Poll]) -> list[tuple[str, Record]]:
        return [("dead", record) for poll in polls for record in dead_letter_records(poll.dead, outputs)]

    graph = Dataflow("roadwatch")
    polls = op.input("source", graph, ends.source)
    chunks = op.flat_map_batch("to_shards", polls, to_shards)
    reports = op.stateful_batch("windows", chunks, lambda snapshot: WindowStep(panes, ends.source.pace, seal, disk, snapshot))
    area = op.flat_map_batch("to_area", reports, to_area)
    alerts = op.stateful_batch("incidents", area, lambda snapshot: IncidentStep(settings, seal, snapshot))
    op.output("alerts", alerts, ends.alerts)
    op.output("cells", op.flat_map_batch("to_cells", reports, to_cells), ends.cells)
    op.output("dead_letters", op.flat_map_batch("to_dead_letters", polls, to_dead_letters), ends.dead_letters)
    return graph
