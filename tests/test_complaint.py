"""Somebody who reads the log learns that what he sends is of no use, once, and not of every poll."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from dataflows.complaint import AGAIN, LEAST, LOOK, Complaint
from tests.test_intake import T0, intake, message, take


def said(totals: list[tuple[float, int, int, int]]) -> list[tuple[float, str]]:
    """When it said what: (seconds, late or refused). It is told the totals of each moment."""
    complaint, found = Complaint("v2x", 3), []
    for now, *records in totals:
        with capture_logs() as lines:
            complaint.look(now, *records)
        for line in lines:
            assert (line["log_level"], line["topic"], line["partition"]) == ("warning", "v2x", 3)
            found.append((now, "late" if "late" in line else "refused"))
    return found


@pytest.mark.parametrize(("which", "late", "refused"), [("late", 51, 2), ("refused", 2, 51)])
def test_most_of_it_is_said_at_the_next_look(which: str, late: int, refused: int) -> None:
    assert said([(0.0, 0, 0, 0), (1.0, 100, late, refused), (LOOK, 100, late, refused)]) == [(LOOK, which)]


def test_what_is_usual_is_not_worth_a_line() -> None:
    assert said([(0.0, 0, 0, 0), (LOOK, 100, 30, 20), (2 * LOOK, 100, 30, 20)]) == []


def test_of_a_thin_feed_it_is_said_once_enough_has_come() -> None:
    """A station that speaks every two minutes and is always refused must be heard of, and one bad message must not."""
    told = said([(120.0 * n, n, 0, n) for n in range(LEAST + 1)])
    assert told == [(120.0 * LEAST, "refused")]


def test_it_goes_by_what_came_since_the_last_look() -> None:
    """A recording that is sent again is late, however much was in time before."""
    assert said([(0.0, 0, 0, 0), (LOOK, 10_000, 500, 0), (2 * LOOK, 12_000, 2_500, 0)]) == [(2 * LOOK, "late")]


def test_the_same_is_said_every_ten_minutes() -> None:
    told = said([(LOOK * n, 100 * n, 100 * n, 0) for n in range(int(2.5 * AGAIN / LOOK))])
    assert told == [(LOOK + AGAIN * n, "late") for n in range(3)]


def test_the_intake_keeps_the_totals() -> None:
    way = intake()
    for times in ([T0, T0 - 600_000], [T0 + 1]):
        take(way, [*map(message, times), b"nonsense"])
    assert way.records == (5, 1, 2)
