"""Which way a vehicle heads that does not say so: as it drove up to where it stands, or as it went lately.

All that is known of a road is known of one direction, so a vehicle without a heading would be out of sight. A receiver at rest
has no course: many units leave the heading out while they stand, as J2735 lets them, and others send noise. SAE J2945/1 has
units latch it below 4 km/h; for those that do not it is latched here. Fleets that never say one are known by where they went.
"""

from __future__ import annotations

import math

import numpy as np

from detectors.compiled import compiled
from detectors.lattice import Floats
from detectors.model import Rows
from detectors.movement import Places, Row, apart

LATCHED = 1.39  # m/s, 5 km/h: where SAE J2945/1 lets the heading go again
STEP = 20.0  # m that tell a course: receivers err by some metres, and alike within seconds


@compiled
def fill_in(rows: Rows, tracks: Rows, at: Places, headings: Floats) -> bool:
    """Write the headings of a pane's rows, in their order, and remember them; whether any is another than was said.

    `at` are the tracks of the rows. NaN where nothing is known yet.
    """
    changes = False
    for i in range(len(rows)):
        row, track = rows[i], tracks[at[i]]
        said, known = row["heading"], track["heading"]
        if row["speed"] < LATCHED and not math.isnan(known):
            headings[i] = known
        elif math.isnan(said):
            headings[i] = _went(row, track)
        else:
            headings[i] = said
            track["mark_lat"], track["mark_lon"] = row["lat"], row["lon"]
        changes = changes or (headings[i] != said and not math.isnan(headings[i]))
        track["heading"] = headings[i]
    return changes


@compiled
def _went(row: Row, track: Row) -> float:
    """The way from where it was a STEP or more ago; until then as it went before."""
    east, north = apart(row, np.float64(track["mark_lat"]), np.float64(track["mark_lon"]))
    if north * north + east * east < STEP * STEP:
        return float(track["heading"])
    track["mark_lat"], track["mark_lon"] = row["lat"], row["lon"]
    return math.degrees(math.atan2(east, north)) % 360.0
