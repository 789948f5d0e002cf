"""Rows of the last while, in order of time: what is new is written behind them, and what is old is left out in front.

To copy them in every pane, minutes of what a whole shard did, took as much time as to look at them
(docs/decisions.md#a-jam-costs-no-more-than-it-is-large).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.model import Rows, plain
from detectors.table import SMALLEST


class Lately:
    """Rows with a `time`, in ms, that are taken in as time goes on; `rows` is good until the next `take`."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.rows: Rows = np.empty(0, dtype)
        self._buffer, self._end = self.rows, 0

    def forget(self, until: float) -> None:
        """Leave out what is of `until`, ms, or older."""
        rows, old = self.rows, 0
        while old < len(rows) and rows[old]["time"] <= until:
            old += 1
        if old:
            rows[:old].view(np.uint8)[:] = 0  # the buffer stays, and is not to remember anybody
            self.rows = rows[old:]

    def take(self, new: Rows) -> None:
        """Take in what is no older than what is held."""
        held, end = self.rows, self._end + len(new)
        if end > len(self._buffer):
            end = len(held) + len(new)
            self._buffer = np.zeros(max(SMALLEST, 2 * end), held.dtype)
            plain(self._buffer)[: len(held)] = plain(held)
        plain(self._buffer)[end - len(new) : end] = plain(new)
        self.rows, self._end = self._buffer[end - len(held) - len(new) : end], end

    def __getstate__(self) -> dict[str, Any]:
        return {"rows": self.rows.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.rows = self._buffer = state["rows"]
        self._end = len(self.rows)
