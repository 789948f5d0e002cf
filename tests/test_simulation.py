"""Two hundred simulated histories of polls, stalls, crashes and resumes: every one gives the calm run's alerts."""

from __future__ import annotations

import pytest

from tests.simulation import World, calm, inputs

SEEDS = 200
BLOCK = 20


@pytest.mark.parametrize("first", range(1, SEEDS + 1, BLOCK))
def test_every_history_ends_the_same(first: int) -> None:
    expected = calm(inputs())
    assert expected
    for seed in range(first, first + BLOCK):
        assert World(inputs(), seed).run() == expected, f"again with: python -m tests.simulation 1 {seed}"
