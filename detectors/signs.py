"""What is said in a pane at all: in most nobody says anything special, and then nothing more is asked of their rows."""

from __future__ import annotations

import numpy as np

from detectors.compiled import compiled
from detectors.model import Rows


@compiled
def said(rows: Rows) -> int:
    """The signs that any of the rows carries."""
    together = np.int64(0)
    for i in range(len(rows)):
        together |= np.int64(rows[i]["signs"])
    return int(together)
