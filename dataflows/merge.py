"""The incident step: shards' findings are merged pane by pane, once every shard has reported, into incidents."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import dataclass, field

from dataflows.intake import NEVER
from dataflows.metrics import METRICS
from dataflows.window import Report
from detectors.incident import Change
from detectors.incidents import Incidents
from detectors.model import Finding


@dataclass(slots=True)
class State:
    """All that the step remembers; this is its snapshot."""

    incidents: Incidents
    closed: dict[int, int] = field(default_factory=dict)  # shard -> end of the last pane it reported, ms
    waiting: list[Finding] = field(default_factory=list)  # of panes that some shard has not reported yet


class IncidentMerge:
    """Engine-free: feed it `add`, then ask `advance`. The order in which shards report cannot be seen in the answer."""

    def __init__(self, shards: int, lateness: int, snapshot: bytes | None = None) -> None:
        self.shards = shards
        self.state: State = State(Incidents(lateness)) if snapshot is None else pickle.loads(snapshot)
        self.state.incidents.lateness = lateness  # a setting, not a memory: it may have been changed since the snapshot
        self._show()
        self.arrival = -1  # ms: newest arrival behind the reports since the last advance

    def snapshot(self) -> bytes:
        return pickle.dumps(self.state, protocol=5)

    def add(self, report: Report) -> None:
        self.state.closed[report.shard] = max(report.closed, self.state.closed.get(report.shard, NEVER))
        self.state.waiting.extend(report.findings)
        self.arrival = max(self.arrival, report.arrival)

    def advance(self) -> list[Change]:
        """What changed in the panes that are now complete."""
        state = self.state
        if len(state.closed) < self.shards:
            return []
        complete = min(state.closed.values())
        if complete <= state.incidents.time:
            return []
        ready = [finding for finding in state.waiting if finding.time <= complete]
        state.waiting = [finding for finding in state.waiting if finding.time > complete]
        changes = list(state.incidents.advance(complete, ready))
        METRICS.merged(complete)
        if changes:
            self._show()
        self.arrival = -1
        return changes

    def _show(self) -> None:
        """What is open, on the metrics page."""
        METRICS.incidents("all", Counter((i.said.kind, i.said.severity) for i in self.state.incidents.open if i.said))
