"""The RoadsideSafetyMessage of YD/T 3709-2020, bit by bit: who a roadside unit's cameras and radars see on the road."""

from __future__ import annotations

from dataflows.formats import bsm
from dataflows.formats import ydt3709_parts as parts
from dataflows.formats.bits import Bits
from dataflows.formats.bsm import Bsm
from dataflows.formats.ydt3709_parts import Place

MOTOR = 1  # ParticipantType: unknown, motor, non-motor, pedestrian, rsu
NAN = float("nan")


def read(bits: Bits) -> list[Bsm]:
    """The motor vehicles among the participants. RefusedError where it ends too early or too late."""
    head = bits.take(72)  # extension bit, msgCnt 7, id 64
    unit = f"{head & 0xFFFF_FFFF_FFFF_FFFF:016X}"
    origin = parts.position(bits)
    seen = [_participant(bits, unit, origin) for _ in range(bits.take(4) + 1)]
    if head >> 71:
        bits.skip_additions()
    parts.ended(bits, "RSM")
    return [one for one in seen if one is not None]


def _participant(bits: Bits, unit: str, origin: Place) -> Bsm | None:
    """One ParticipantData; None if it is no motor vehicle.

    Its name is the unit's and the number that the unit gave it; one whose own BSMs the unit has heard, too, goes by their id,
    or one vehicle would be two witnesses.
    """
    present = bits.take(7)  # extension bit, and whether there are id, transmission, angle, confidence, acceleration, class
    kind = parts.enumerated(bits, 3)
    number = bits.take(16)
    parts.enumerated(bits, 3)  # source
    name = f"{bits.take(64):016X}" if present >> 5 & 1 else f"{unit}-{number}"
    sec_mark = bits.take(16)
    lat, lon = parts.degrees(parts.offset(bits, origin))
    parts.position_confidence(bits)
    if present >> 4 & 1:
        bits.take(3)
    motion = bits.take(28)  # speed 13, heading 15
    if present >> 3 & 1:
        bits.take(8)
    if present >> 2 & 1:
        parts.motion_confidence(bits)
    accel = parts.acceleration(bits) if present >> 1 & 1 else NAN
    parts.size(bits)
    if present & 1:
        parts.vehicle_class(bits)
    if present >> 6:
        bits.skip_additions()
    if kind != MOTOR:
        return None
    return Bsm(name, sec_mark, lat, lon, bsm.speed(motion >> 15), bsm.heading(motion & 0x7FFF), accel, signs=0)
