"""What a worker ends with: a reason that it found itself, unless it was asked by a signal."""

from __future__ import annotations

import pytest

from dataflows.stop import Stop

SIGNAL, FOUND = None, ValueError("partitions were added")


@pytest.mark.parametrize(
    ("asked", "why"),
    [([SIGNAL], None), ([FOUND], FOUND), ([SIGNAL, FOUND], None), ([FOUND, SIGNAL], None), ([FOUND, ValueError()], FOUND)],
)
def test_a_signal_needs_no_reason(asked: list[Exception | None], why: Exception | None) -> None:
    stop = Stop()
    assert not stop.asked
    for each in asked:
        stop.ask(each)
    assert (stop.asked, stop.why) == (True, why)
