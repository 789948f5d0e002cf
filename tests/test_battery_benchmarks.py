"""The battery detector's side measures: a vehicle's state fits its budget, and what can be seen of a fault grows with it."""

from __future__ import annotations

import pytest

from benchmarks.battery_state import BUDGET, Size, fill
from benchmarks.battery_visibility import AFTER, KINDS, sights, text


@pytest.fixture(scope="module")
def size() -> Size:
    return fill(3_000)


def test_a_million_vehicles_fit_into_600_megabytes(size: Size) -> None:
    assert size.held / size.vehicles <= BUDGET
    assert size.pickled / size.vehicles <= BUDGET
    assert size.pickled / size.vehicles >= 100  # somebody lives there


def test_the_size_is_told_for_a_million(size: Size) -> None:
    assert "3000 vehicles" in size.text()
    assert "a million" in size.text()


def test_what_can_be_seen_of_a_fault_grows() -> None:
    seen = sights(4)
    assert {s.kind for s in seen} <= set(KINDS)
    assert len(seen) >= 6
    assert all(len(s.steps) == len(s.silent) == len(AFTER) for s in seen)
    assert sum(s.steps[-1] for s in seen) > 2 * sum(s.steps[0] for s in seen)
    assert text(seen).count("\n") == len(KINDS) + 1
