"""What a SAE J2735 basic safety message says of its vehicle, whichever way it was written: raw integers to SI units."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from detectors.model import OBSERVATION, Rows, Sign

NAN = float("nan")
MINUTE = 60_000  # ms
LAST_SEC_MARK = 60_999  # ms: a minute and its leap second; above are reserved values, and 65535 for unavailable

BRAKE, ABS, TRACTION, STABILITY = map(int, (Sign.BRAKE, Sign.ABS, Sign.TRACTION, Sign.STABILITY))

EVENT_FLAGS = (  # VehicleEventFlags, bit 0 first; 0: reserved
    Sign.HAZARD_LIGHTS,
    Sign.STOP_LINE_VIOLATION,
    Sign.ABS,
    Sign.TRACTION,
    Sign.STABILITY,
    Sign.HAZARDOUS_GOODS,
    Sign(0),
    Sign.HARD_BRAKE,
    Sign.LIGHTS_CHANGED,
    Sign.WIPERS,
    Sign.FLAT_TYRE,
    Sign.DISABLED,
    Sign.AIRBAG,
    Sign.JACKKNIFE,  # since the 2024 edition
)


class Bsm(NamedTuple):
    """The core data in SI units and degrees; NaN where unavailable."""

    id: str  # temporary, eight hexadecimal digits in upper case
    sec_mark: int  # ms in the minute
    lat: float
    lon: float
    speed: float
    heading: float
    accel: float
    signs: int


def degrees(raw: int, unavailable: int) -> float:
    """1e-7 degrees, as latitude (unavailable: 900000001) and longitude (1800000001) are written."""
    return NAN if raw == unavailable else raw / 1e7


def speed(raw: int) -> float:
    return NAN if raw == 8191 else raw * 0.02


def heading(raw: int) -> float:
    return NAN if raw == 28800 else raw * 0.0125


def acceleration(raw: int) -> float:
    """0.01 m/s2 from -2000 to 2000, and 2001: unavailable; twelve bits hold more, which is none either."""
    return NAN if raw > 2000 else raw * 0.01


def event_signs(flags: int, width: int, length: int) -> int:
    """Sign bits of a string of `length` event flags, written from the most significant of the `width` bits of `flags`."""
    if width > 16:  # no edition has so many
        flags, width = flags >> width - 16, 16
    return _event_signs(flags, width, min(width, length))


@lru_cache(maxsize=1024)
def _event_signs(flags: int, width: int, length: int) -> int:
    signs = Sign(0)
    for place, sign in enumerate(EVENT_FLAGS[:length]):
        if flags >> (width - 1 - place) & 1:
            signs |= sign
    return int(signs)


def event_time(near: int, sec_mark: int, ahead: int = MINUTE // 2) -> int:
    """The moment at `sec_mark` ms in a minute that is closest to `near`, in ms since the epoch; `near` if that is unknown.

    It lies in the minute that ends `ahead` ms after `near`: by default half of it before and half after.

    >>> event_time(1_525_190_401_000, 59_900)  # seen one second into a minute, said 1.1 s earlier
    1525190399900
    """
    if not 0 <= sec_mark <= LAST_SEC_MARK:
        return near
    latest = near + ahead
    return latest - (latest - sec_mark) % MINUTE


def rows(seen: list[tuple[int, int, Bsm]]) -> Rows:
    """OBSERVATION rows of (event time, reporter, message)."""
    count = len(seen)
    table = np.zeros(count, OBSERVATION)
    table["time"] = np.fromiter([time for time, _, _ in seen], np.int64, count)
    table["reporter"] = np.fromiter([reporter for _, reporter, _ in seen], np.uint64, count)
    with np.errstate(over="ignore"):  # 1e300 m/s becomes infinite here and is refused as impossible
        for column in ("lat", "lon", "speed", "heading", "accel"):
            place = Bsm._fields.index(column)
            table[column] = np.fromiter([bsm[place] for _, _, bsm in seen], np.float64, count)
    table["signs"] = np.fromiter([bsm.signs for _, _, bsm in seen], np.uint32, count)
    return table
