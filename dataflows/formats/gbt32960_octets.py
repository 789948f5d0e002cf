"""How numbers lie in a GB/T 32960.3 frame, in both editions: big-endian, with codes at the end of each range for no value.

FE / FFFE / FFFFFFFE mean abnormal and FF / FFFF / FFFFFFFF invalid: both become missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.compiled import compiled

Octets = NDArray[np.uint8]
Numbers = NDArray[np.int64]

PAST = -1  # in the place of the next byte: what is read here ends past its frame
UNKNOWN = -2  # or nobody knows where it ends
NOT_GIVEN = 255
ABNORMAL = 0xFE
ABNORMAL_16 = 0xFFFE
# The first raw values beyond the standard's ranges: from there on, "abnormal" and "invalid" among them, it is no value.
NO_TEMPERATURE = 251  # C, from -40 on
NO_CELL = 60_001  # mV
NO_CHARGE = 101  # %
NO_INSULATION = 60_001  # kOhm
ABNORMAL_32 = 0xFFFF_FFFE


@compiled
def past(at: int, end: int) -> int:
    return at if at <= end else PAST


@compiled
def u8(octets: Octets, at: int) -> int:
    return int(np.int64(octets[at]))


@compiled
def u16(octets: Octets, at: int) -> int:
    return (u8(octets, at) << 8) | u8(octets, at + 1)


@compiled
def u32(octets: Octets, at: int) -> int:
    return (u16(octets, at) << 16) | u16(octets, at + 2)


@compiled
def count8(octets: Octets, at: int) -> int:
    """How many entries follow; none where the count itself is abnormal or invalid."""
    count = u8(octets, at)
    return 0 if count >= ABNORMAL else count


@compiled
def count16(octets: Octets, at: int) -> int:
    count = u16(octets, at)
    return 0 if count >= ABNORMAL_16 else count


@compiled
def value(raw: int, abnormal: int, scale: float, offset: float) -> float:
    return np.nan if raw >= abnormal else np.int64(raw) * scale + offset


@compiled
def code(raw: int, highest: int) -> int:
    """A code from 1 to `highest`; anything else is not given."""
    return int(np.int64(raw)) if 1 <= raw <= highest else NOT_GIVEN
