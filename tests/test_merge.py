"""What the incident step shows on the metrics page, and how old it takes the messages behind an alert to be."""

from __future__ import annotations

from dataflows.merge import IncidentMerge
from dataflows.metrics import METRICS
from dataflows.window import Report
from tests.test_incidents import T0, finding


def shown() -> float:
    return METRICS.value("incidents_open", kind="accident", severity="Severe")


def test_what_is_open_is_shown_after_a_restart_before_anything_changes() -> None:
    merge = IncidentMerge(1, 2000)
    merge.add(Report(0, T0 + 1000, (finding("accident", 1),), (), T0))
    merge.advance()
    assert shown() == 1.0
    METRICS.incidents("all", {})  # as in a process that has just begun
    IncidentMerge(1, 2000, merge.snapshot())
    assert shown() == 1.0
    IncidentMerge(1, 2000)
    assert shown() == 0.0


def test_an_arrival_counts_for_the_panes_that_it_closed() -> None:
    merge = IncidentMerge(2, 2000)
    merge.add(Report(0, T0 + 1000, (), (), T0 + 500))
    merge.advance()
    assert merge.arrival == T0 + 500, "the other shard has not reported"
    merge.add(Report(1, T0 + 1000, (), (), T0 + 300))
    assert merge.arrival == T0 + 500
    merge.advance()
    merge.add(Report(0, T0 + 2000, (), (), -1))
    assert merge.arrival == -1
