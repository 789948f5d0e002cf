"""GCJ-02, the datum of maps and of many receivers in China: WGS-84 with each place moved by 100 to 700 m in a way of its own.

The rule itself is not published. What everybody uses, and tests have confirmed to a few metres all over the country, is a
polynomial and some waves in degrees from 105 E, 35 N, in metres on the ellipsoid of Krasovsky. Outside a box around China
nothing is moved; inside it are neighbours who have never heard of it, but they do not say that they speak GCJ-02 either.
"""

from __future__ import annotations

import math

from detectors.compiled import compiled

WEST, EAST, SOUTH, NORTH = 72.004, 137.8347, 0.8293, 55.8271  # degrees: the box
_AXIS = 6_378_245.0  # m: semi-major axis of Krasovsky's ellipsoid
_FLATTENED = 0.006693421622965943  # its eccentricity squared
_DIGITS = 1e7  # of a degree, 1 cm: more is neither on the wire nor the same in every library of sines

# What moves a place differs by at most 0.7 % of the way to it (its steepest wave: 20 m in a third of a degree), so each round
# leaves less than a hundredth of the error: of 700 m 5 m, then 4 cm, which is less than a digit on the wire (11 cm).
_ROUNDS = 2


@compiled
def to_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """Degrees in GCJ-02 -> degrees in WGS-84, to 4 cm; NaN stays NaN.

    >>> to_wgs84(39.9133455, 116.3840472)
    (39.9119541, 116.377817)
    """
    if not (SOUTH <= lat <= NORTH and WEST <= lon <= EAST):
        return lat, lon
    north, east = lat, lon
    for _ in range(_ROUNDS):
        up, right = _moved(north, east)
        north, east = lat - up, lon - right
    return math.floor(north * _DIGITS + 0.5) / _DIGITS, math.floor(east * _DIGITS + 0.5) / _DIGITS


@compiled
def to_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """The other way round, for tests and demonstrations."""
    if not (SOUTH <= lat <= NORTH and WEST <= lon <= EAST):
        return lat, lon
    up, right = _moved(lat, lon)
    return lat + up, lon + right


@compiled
def _moved(lat: float, lon: float) -> tuple[float, float]:
    """By how many degrees a place in WGS-84 is moved north and east."""
    x, y = lon - 105.0, lat - 35.0
    ripple = 20.0 * math.sin(6.0 * math.pi * x) + 20.0 * math.sin(2.0 * math.pi * x)
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    north += (ripple + _waves(y, 160.0, 320.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    east += (ripple + _waves(x, 150.0, 300.0)) * 2.0 / 3.0
    angle = math.radians(lat)
    bend = 1.0 - _FLATTENED * math.sin(angle) ** 2
    along = _AXIS * (1.0 - _FLATTENED) / (bend * math.sqrt(bend))  # m per radian of latitude
    across = _AXIS / math.sqrt(bend) * math.cos(angle)  # and of longitude
    return math.degrees(north / along), math.degrees(east / across)


@compiled
def _waves(z: float, twelfth: float, thirtieth: float) -> float:
    short = 20.0 * math.sin(math.pi * z) + 40.0 * math.sin(math.pi * z / 3.0)
    return short + twelfth * math.sin(math.pi * z / 12.0) + thirtieth * math.sin(math.pi * z / 30.0)
