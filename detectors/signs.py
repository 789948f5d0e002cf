"""Whether anybody says something: most panes have nobody who does, and then nothing more is asked of their rows."""

from __future__ import annotations

from detectors.compiled import compiled
from detectors.model import Rows


@compiled
def says(rows: Rows, signs: int) -> bool:
    """Whether any of the rows carries any of these signs."""
    for i in range(len(rows)):
        if rows[i]["signs"] & signs:
            return True
    return False
