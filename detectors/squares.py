"""What lies near a place: numbers kept by squares on the ground, so that nobody need be asked who is far away."""

from __future__ import annotations

import math

from detectors.geometry import M_PER_DEGREE, POLE

SIDE = 0.02  # degrees of latitude, 2.2 km: what most questions reach is within a square or two

Square = tuple[int, int]


class Squares:
    """Each number may lie in several squares. Places with NaN lie nowhere."""

    def __init__(self) -> None:
        self._numbers: dict[Square, set[int]] = {}
        self._squares: dict[int, set[Square]] = {}

    def put(self, number: int, lat: float, lon: float) -> None:
        if math.isnan(lat) or math.isnan(lon):
            return
        row = math.floor(lat / SIDE)
        square = row, math.floor(lon / _width(row))
        self._numbers.setdefault(square, set()).add(number)
        self._squares.setdefault(number, set()).add(square)

    def drop(self, number: int) -> None:
        for square in self._squares.pop(number, ()):
            self._numbers[square].discard(number)
            if not self._numbers[square]:
                del self._numbers[square]

    def near(self, lat: float, lon: float, metres: float) -> list[int]:
        """The numbers that may lie within so many metres, the smallest first: all that do, and some that do not."""
        if math.isnan(lat) or math.isnan(lon):
            return []
        reach = metres / M_PER_DEGREE
        rows = range(math.floor((lat - reach) / SIDE), math.floor((lat + reach) / SIDE) + 1)
        wide = reach / max(math.cos(math.radians(min(abs(lat) + reach + SIDE, 90.0))), POLE)
        columns = [(row, math.floor((lon - wide) / _width(row)), math.floor((lon + wide) / _width(row))) for row in rows]
        if sum(last - first + 1 for _, first, last in columns) > len(self._numbers):
            return sorted(self._squares)
        found: set[int] = set()
        for row, first, last in columns:
            for column in range(first, last + 1):
                found |= self._numbers.get((row, column), set())
        return sorted(found)


def _width(row: int) -> float:
    """Degrees of longitude that a square of the row is wide."""
    return SIDE / max(math.cos(math.radians((row + 0.5) * SIDE)), POLE)
