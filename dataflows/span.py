"""Which times and places a recording's accepted rows are of.

No check finds swapped coordinates, or local time taken for UTC, where both are possible; whoever knows the recording sees it.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from dataflows.formats import moment
from dataflows.intake import Poll
from dataflows.panes import TABLES

COLUMNS = ("time", "lat", "lon")
HOUR, DAY = 3_600_000, 86_400_000  # ms
NEARLY = 300_000  # ms off a whole hour


class Span:
    """Of one file. Tell it of each poll; as a text it is times in UTC, and degrees to a kilometre, which shows no vehicle."""

    def __init__(self) -> None:
        self.tables: Counter[str] = Counter()  # rows in each, as shards get them: one near a border goes to several
        self.undirected = 0  # rows of sensors that count traffic and say no heading
        self._lag = DAY  # ms that the newest rows of a poll were behind their arrival, at least
        self._lowest, self._highest = np.full(len(COLUMNS), np.inf), np.full(len(COLUMNS), -np.inf)

    def take(self, poll: Poll) -> None:
        for chunk in poll.chunks.values():
            for table in TABLES:
                if (rows := getattr(chunk, table)) is None:
                    continue
                self.tables[table] += len(rows)
                if chunk.arrival >= 0:
                    self._lag = min(self._lag, chunk.arrival - int(rows["time"].max()))
                if table == "sensors":
                    counts = (rows["volume"] >= 0.0) | (rows["speed"] >= 0.0)
                    self.undirected += int(np.count_nonzero(counts & np.isnan(rows["heading"])))
                for number, name in enumerate(COLUMNS):  # of a car without a fix the place is NaN, which neither of these takes
                    self._lowest[number] = np.fmin.reduce(rows[name], dtype=float, initial=self._lowest[number])
                    self._highest[number] = np.fmax.reduce(rows[name], dtype=float, initial=self._highest[number])

    @property
    def hours_behind(self) -> int:
        """By how many whole hours all times are behind their arrivals; 0 if it is no such number, as of one that was wrong by
        its time zone."""
        hours = round(self._lag / HOUR)
        return hours if 0 < hours < DAY // HOUR and abs(self._lag - hours * HOUR) <= NEARLY else 0

    @property
    def rows(self) -> int:
        return self.tables.total()

    def __str__(self) -> str:
        (first, south, west), (last, north, east) = self._lowest, self._highest
        place = "no places" if south > north else f"lat {south:.2f} to {north:.2f}, lon {west:.2f} to {east:.2f}"
        return f"{moment.write(int(first))} to {moment.write(int(last))} (UTC), {place}"
