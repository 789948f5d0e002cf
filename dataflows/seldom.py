"""What is to be said when it begins, and now and then while it lasts: a log in which all else is buried tells nothing."""

from __future__ import annotations

EVERY = 60.0  # s, where nothing else is said


class Seldom:
    """Whether it is to be said now; pure, so that it can be tested without waiting.

    >>> seldom = Seldom()
    >>> [seldom.due(now) for now in (0.0, 1.0, 60.0, 61.0)]
    [True, False, True, False]
    """

    def __init__(self, every: float = EVERY) -> None:
        self._every = every
        self._next = float("-inf")  # s, on the caller's clock

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + self._every
        return True
