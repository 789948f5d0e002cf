"""A few seeded kills and stops of the real worker under load; `make torture` does it fifty times."""

from __future__ import annotations

from pathlib import Path

from tests import kills

SEED = 1


def test_a_worker_that_is_killed_loses_nothing(broker: str, tmp_path: Path) -> None:
    outcome, _ = kills.kill_one(tmp_path, broker, SEED, 3, chapters=1)
    assert outcome.alerts


def test_a_cluster_that_is_killed_loses_nothing(broker: str, tmp_path: Path) -> None:
    """One of the kills hits the supervisor alone: its members must not live on beside the next cluster."""
    outcome, _ = kills.kill_cluster(tmp_path, broker, SEED, 3, chapters=2)
    assert outcome.alerts


def test_a_worker_that_is_stopped_says_nothing_twice(broker: str, tmp_path: Path) -> None:
    outcome, took = kills.stop_often(tmp_path, broker, SEED, 3, chapters=1)
    assert outcome.alerts
    assert len(took) == 3
