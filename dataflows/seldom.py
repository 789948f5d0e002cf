"""What is to be said once when it begins, and once a minute while it lasts: a log in which all else is buried tells nothing."""

from __future__ import annotations

EVERY = 60.0  # s


class Seldom:
    """Whether it is to be said now; pure, so that it can be tested without waiting.

    >>> seldom = Seldom()
    >>> [seldom.due(now) for now in (0.0, 1.0, 60.0, 61.0)]
    [True, False, True, False]
    """

    def __init__(self) -> None:
        self._next = float("-inf")  # s, on the caller's clock

    def due(self, now: float) -> bool:
        if now < self._next:
            return False
        self._next = now + EVERY
        return True
