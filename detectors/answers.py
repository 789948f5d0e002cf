"""Who brakes for one who brakes is no witness: he answers him, and not what is in the way.

A vehicle that brakes hard, or falls to a crawl, makes those behind do the same. That is over within seconds, and whatever made
the first one do it may be over, too. What is in the way is still there for those who come later.
"""

from __future__ import annotations

ANSWERED = 3.0  # s: who sees another brake does so within 2.5 s (AASHTO, nine of ten drivers), and a pane is 1 s


def only_answers(first: int, last: int) -> bool:
    """Whether what was done between these times (ms, ends of panes) may all be one who acted and who answered him."""
    return last - first <= ANSWERED * 1000.0
