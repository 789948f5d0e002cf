"""The information units inside a GB/T 32960.3 report, read into one reading of the vehicle's battery, by compiled loops."""

from __future__ import annotations

from dataflows.formats import gbt32960_units_2016 as of_2016
from dataflows.formats import gbt32960_units_2025 as of_2025
from dataflows.formats.gbt32960_common import complete, forget
from dataflows.formats.gbt32960_octets import Numbers, Octets
from detectors.compiled import compiled
from detectors.model import Rows


@compiled
def read(octets: Octets, at: int, end: int, newer: bool, readings: Rows, reports: int, gathered: Numbers) -> tuple[int, int]:
    """Put what the units say into row `reports`; `newer`: as the 2025 edition has them. `end`, or PAST or UNKNOWN instead, and
    the unit that was begun last.

    Some makers leave the length out of their own units, so nothing tells what follows: what was said before the first of them
    stands, kept in the row after the report's.
    """
    row = readings[reports]
    forget(gathered)
    makers = False
    while at < end:
        unit = octets[at]
        if not makers and (of_2025.makers(unit) if newer else of_2016.makers(unit)):
            makers = True
            readings[reports + 1] = row
            complete(readings[reports + 1], gathered)
        if newer:
            at = of_2025.read_unit(octets, at + 1, end, unit, row, gathered)
        else:
            at = of_2016.read_unit(octets, at + 1, end, unit, row, gathered)
        if at < 0:
            if not makers:
                return at, unit
            readings[reports] = readings[reports + 1]
            return end, unit
    complete(row, gathered)
    return end, 0
