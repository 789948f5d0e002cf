"""What somebody may have meant who wrote a name that there is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ALIKE = 0.5  # of the letters that two names share


def no_such(wrong: str, right: Iterable[str]) -> str:
    """The nearest of the names that there are, or all of them.

    >>> no_such("gbt3296", ["observation", "gbt32960"])
    "there is no 'gbt3296'; did you mean 'gbt32960'?"
    """
    names = list(right)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=ALIKE)
    return f"there is no {wrong!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}")
