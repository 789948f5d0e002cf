"""When a pane could be closed, as the latency benchmark reckons it: by the last partition's message, or by its silence."""

from __future__ import annotations

import pytest

from benchmarks.closing import Closing, closing, courses
from benchmarks.player import Note

IDLE = {"v2x": 5000.0, "ev": 500.0}


@pytest.mark.parametrize(
    ("notes", "expected"),
    [
        ([("v2x/0", 1010, 1000), ("v2x/1", 1005, 990), ("v2x/1", 1030, 1005)], Closing(1030, "v2x/1", False)),
        ([("v2x/0", 1010, 1000), ("v2x/1", 1020, 990), ("v2x/1", 1080, 1040)], Closing(1010, "v2x/0", False)),  # not yet heard
        ([("v2x/0", 1010, 1000), ("ev/0", 700, 650)], Closing(1200, "ev/0", True)),  # silent from 700 on
        ([("v2x/0", 600, 590), ("v2x/0", 1310, 1000), ("ev/0", 700, 650)], Closing(1310, "v2x/0", False)),  # silent already
        (
            [("v2x/0", 600, 590), ("v2x/0", 1310, 1000), ("ev/0", 700, 650), ("ev/0", 1305, 900)],
            Closing(1805, "ev/0", True),  # it spoke again
        ),
        (
            [("v2x/0", 600, 590), ("v2x/0", 1310, 1000), ("ev/0", 700, 650), ("ev/0", 1305, 1100)],
            Closing(1310, "v2x/0", False),
        ),
        ([("v2x/0", 990, 900), ("v2x/0", 1010, 1000), ("ev/0", 700, 650), ("ev/0", 1100, 1090)], Closing(1100, "ev/0", False)),
    ],
)
def test_closing(notes: list[tuple[str, float, int]], expected: Closing) -> None:
    made = courses([Note(*note) for note in notes], IDLE)
    assert closing(made, 1000) == expected
