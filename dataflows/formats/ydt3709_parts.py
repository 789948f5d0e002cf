"""What BSM and RSM of YD/T 3709-2020 have in common: positions, confidences, sizes, and what later editions append."""

from __future__ import annotations

from dataflows.formats import bsm
from dataflows.formats.base import Reason, RefusedError
from dataflows.formats.bits import Bits

NO_LATITUDE, NO_LONGITUDE = 900_000_001, 1_800_000_001  # as written where the position is not available
NO_ACCELERATION = 2_001  # likewise, and the last value that there is

OFFSETS = (12, 14, 16, 18, 22, 24)  # bits each of longitude and latitude, counted from the lowest
ABSOLUTE = 6  # the alternative behind them: a place of its own instead of an offset
HEIGHTS = (7, 8, 9, 10, 11, 12, 16)  # bits of an offset in height

TRAVELLERS = range(80, 93)  # classes of pedestrians, cyclists, road workers (80 to 86) and roadside devices (90 to 92)

Place = tuple[int, int]
"""Latitude and longitude in 1e-7 degrees, as they are written."""


def position(bits: Bits) -> Place:
    """Position3D: whether there is a height (1 bit), latitude (31), longitude (32), height (16)."""
    raw = bits.take(64)
    if raw >> 63:
        bits.take(16)
    return (raw >> 32 & 0x7FFF_FFFF) - 900_000_000, (raw & 0xFFFF_FFFF) - 1_799_999_999


def offset(bits: Bits, origin: Place) -> Place:
    """PositionOffsetLLV, a place told from another: longitude first; what is offset is added."""
    has_height, way = bits.take(1), bits.take(3)
    lat, lon = origin
    if way < ABSOLUTE:
        size = OFFSETS[way]
        half, raw = 1 << size - 1, bits.take(2 * size)
        if lat != NO_LATITUDE and lon != NO_LONGITUDE:
            lat, lon = lat + (raw & 2 * half - 1) - half, lon + (raw >> size) - half
    elif way == ABSOLUTE:
        raw = bits.take(63)
        lat, lon = (raw & 0x7FFF_FFFF) - 900_000_000, (raw >> 31) - 1_799_999_999
    else:
        raise RefusedError(Reason.WRONG_SHAPE, "a position is written in an eighth way, and there are seven")
    if has_height:
        way = bits.take(3)
        if way == len(HEIGHTS):
            raise RefusedError(Reason.WRONG_SHAPE, "a height is written in an eighth way, and there are seven")
        bits.take(HEIGHTS[way])
    return lat, lon


def degrees(place: Place) -> tuple[float, float]:
    """Latitude and longitude; NaN where unavailable."""
    return bsm.degrees(place[0], NO_LATITUDE), bsm.degrees(place[1], NO_LONGITUDE)


def position_confidence(bits: Bits) -> None:
    """PositionConfidenceSet: whether there is one of the height (1 bit), of the place (4), of the height (4)."""
    if bits.take(5) >> 4:
        bits.take(4)


def motion_confidence(bits: Bits) -> None:
    """MotionConfidenceSet: of speed, heading and steering angle (3, 3 and 2 bits), each if the bit before says so."""
    present = bits.take(3)
    bits.take(3 * (present >> 2) + 3 * (present >> 1 & 1) + 2 * (present & 1))


def acceleration(bits: Bits) -> float:
    """AccelerationSet4Way: along the vehicle (12 bits), across (12), vertical (8), and the rate of yaw (16)."""
    raw = (bits.take(48) >> 36) - 2_000
    if raw > NO_ACCELERATION:
        raise outside("acceleration")
    return bsm.acceleration(raw)


def size(bits: Bits) -> None:
    """VehicleSize: whether there is a height (1 bit), width (10), length (12), height (7)."""
    if bits.take(23) >> 22:
        bits.take(7)


def vehicle_class(bits: Bits) -> int:
    """BasicVehicleClass: behind the extension bit, one that says whether a fuel type (4 bits) follows the class (8)."""
    raw = bits.take(10)
    if raw >> 8 & 1:
        bits.take(4)
    if raw >> 9:
        bits.skip_additions()
    return raw & 0xFF


def enumerated(bits: Bits, width: int) -> int | None:
    """A value of an enumeration that later editions may extend; None for one of theirs."""
    if not bits.take(1):
        return bits.take(width)
    bits.small()
    return None


def ended(bits: Bits, what: str) -> None:
    """Refuse what goes on behind its end: only the last byte is filled up, with zeros (X.691, 11.1)."""
    bits.end()
    if bits.take(bits.left):
        raise RefusedError(Reason.BAD_LENGTH, f"the last byte goes on behind the end of the {what}")


def outside(what: str) -> RefusedError:
    """A value that its bits have room for and the standard has not: nearly always the message is something else."""
    return RefusedError(Reason.WRONG_SHAPE, f"the {what} is a value that the standard does not have: is it another edition's?")
