"""Supervision: all restart together, with growing pauses, and it gives up loudly."""

from __future__ import annotations

from dataflows.cluster import CALM, DEATHS, FIRST_PAUSE, LONGEST_PAUSE, Restarts


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
