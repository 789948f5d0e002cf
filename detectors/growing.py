"""An array of rows that grows and stays where it is: many rows are moved by the kernel, page by page, and not copied.

A table of a quarter of a million cars is 78 MB. To copy it when it grows takes 0.1 s in which no pane closes
(docs/decisions.md#tables-grow-without-being-copied); to map its pages to a longer piece of memory takes less than a
millisecond, and the new ones are made when they are written to.
"""

from __future__ import annotations

from contextlib import suppress
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.model import Rows, plain

LARGE = 1 << 20  # bytes: copied in less than a millisecond


class Growing:
    """Rows that are zero until they are written to.

    `rows` is good until the next `grow`. Whoever still holds it then keeps what was there, and the rows are copied: so they
    are where the kernel moves no pages (macOS).
    """

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        self._pages: mmap | None = None
        self.rows: Rows = np.empty(0, dtype)
        self._make(dtype, count)

    def grow(self, count: int) -> None:
        """Become so many rows, more than there are."""
        old, dtype = self.rows, self.rows.dtype
        if self._pages is not None:
            self.rows = old = np.empty(0, dtype)  # pages that somebody looks at are not moved
            with suppress(BufferError, SystemError):  # somebody does, or there is no such call
                self._pages.resize(count * dtype.itemsize)
            self.rows = old = np.frombuffer(self._pages, dtype)
        if len(old) < count:
            self._make(dtype, count)
            plain(self.rows)[: len(old)] = plain(old)

    def _make(self, dtype: np.dtype[Any], count: int) -> None:
        size = count * dtype.itemsize
        self._pages = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS) if size >= LARGE else None
        self.rows = np.zeros(count, dtype) if self._pages is None else np.frombuffer(self._pages, dtype)


def grown(held: NDArray[Any], count: int) -> Growing:
    """So many rows, of which the first are a copy of those held."""
    made = Growing(held.dtype, count)
    plain(made.rows)[: len(held)] = plain(held)
    return made
