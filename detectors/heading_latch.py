"""Which way a vehicle heads that hardly moves: as it drove up to where it is.

A receiver at rest has no course: many units leave the heading out while they stand, as J2735 lets them, and others send noise.
SAE J2945/1 has units latch it below 4 km/h; for those that do not it is latched here. A vehicle that breaks down would be out
of sight otherwise, for all that is known of a road is known of one direction.
"""

from __future__ import annotations

import math

from detectors.compiled import compiled
from detectors.lattice import Floats
from detectors.model import Rows
from detectors.movement import Places

LATCHED = 1.39  # m/s, 5 km/h: where SAE J2945/1 lets the heading go again


@compiled
def latch(rows: Rows, tracks: Rows, at: Places, headings: Floats) -> bool:
    """Fill in the headings of a pane's rows, in their order, and remember those of who drives; whether any is another now.

    `at` are the tracks of the rows. Of one that was never seen driving the first heading counts; NaN if it has said none.
    """
    changes = False
    for i in range(len(rows)):
        row, track = rows[i], tracks[at[i]]
        said, known = row["heading"], track["heading"]
        if row["speed"] < LATCHED and not math.isnan(known):
            headings[i] = known
            changes = changes or said != known
            continue
        headings[i] = said
        if not math.isnan(said):
            track["heading"] = said
    return changes
