"""Supervision: all restart together, with growing pauses, and it gives up loudly."""

from __future__ import annotations

import pytest

from dataflows import cluster
from dataflows.cluster import CALM, DEATHS, FIRST_PAUSE, LONGEST_PAUSE, START_AGAIN, ClusterError, Restarts, supervise


def test_pauses_grow_up_to_a_limit() -> None:
    restarts = Restarts()
    pauses = [restarts.pause(lived=1.0) for _ in range(DEATHS)]
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert None not in pauses
    assert max(p for p in pauses if p) <= LONGEST_PAUSE


def test_it_gives_up() -> None:
    restarts = Restarts()
    assert [restarts.pause(lived=1.0) for _ in range(DEATHS + 1)][-1] is None


def test_a_long_life_forgives() -> None:
    restarts = Restarts()
    for _ in range(DEATHS):
        restarts.pause(lived=1.0)
    assert restarts.pause(lived=CALM) == FIRST_PAUSE


def test_an_orderly_end_for_added_partitions_is_no_death(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = iter([[START_AGAIN, START_AGAIN], [START_AGAIN, 0], *[[1, -6]] * (DEATHS + 1)])
    pauses: list[float] = []
    monkeypatch.setattr(cluster.signal, "signal", lambda *_: None)
    monkeypatch.setattr(cluster.subprocess, "Popen", lambda *_, **__: None)
    monkeypatch.setattr(cluster, "_until_the_end", lambda _: next(codes))
    with pytest.raises(ClusterError, match=f"died {DEATHS} times"):
        supervise(2, [], sleep=pauses.append)
    assert len(pauses) == DEATHS
    assert next(codes, None) is None
