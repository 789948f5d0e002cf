"""The BasicSafetyMessage of YD/T 3709-2020, bit by bit: its units are SAE J2735's, its layout is not.

The American message has every field; here a field may be missing, and a row of presence bits in front says which are there.
"""

from __future__ import annotations

from dataflows.formats import bsm
from dataflows.formats import ydt3709_parts as parts
from dataflows.formats.base import Reason, RefusedError
from dataflows.formats.bits import Bits
from dataflows.formats.bsm import Bsm
from dataflows.formats.j2735 import ENGAGED
from detectors.model import Sign

TIME_CONFIDENCES = 40  # values of TimeConfidence, from 0
PEDAL_ON, PEDAL_STATES = 2, 3  # BrakePedalStatus: unavailable, off, on
EVENTS, LIGHTS = 13, 9  # bits of VehicleEventFlags and ExteriorLights, unless their extension bit says otherwise
LIGHT_SIGNS = ((4, int(Sign.HAZARD_LIGHTS)), (7, int(Sign.FOG_LIGHTS)))  # place in ExteriorLights, bit 0 first
MOST_CRUMBS = 23  # points of a path history


def read(bits: Bits) -> Bsm | None:
    """What the vehicle says; None if the sender is a pedestrian, a cyclist or a roadside device.

    RefusedError where it ends too early or too late, or holds what no edition has.
    """
    head = bits.take(95)  # extension bit, 7 presence bits, msgCnt 7, id 64, secMark 16
    if head >> 93 & 1 and bits.take(6) >= TIME_CONFIDENCES:
        raise parts.outside("time confidence")
    lat, lon = parts.degrees(parts.position(bits))
    if head >> 92 & 1:
        bits.take(32)  # posAccuracy: 8, 8, 16
    if head >> 91 & 1:
        parts.position_confidence(bits)
    motion = bits.take(31)  # transmission 3, speed 13, heading 15
    if head >> 90 & 1:
        bits.take(8)  # steering angle
    if head >> 89 & 1:
        parts.motion_confidence(bits)
    accel = parts.acceleration(bits)
    signs = _brakes(bits)
    parts.size(bits)
    kind = parts.vehicle_class(bits)
    known = True
    if head >> 88 & 1:
        safety, known = _safety(bits)
        signs |= safety
    if known:
        if head >> 87 & 1:
            _emergency(bits)
        if head >> 94:
            bits.skip_additions()
        parts.ended(bits, "BSM")
    if kind in parts.TRAVELLERS:
        return None
    return Bsm(
        id=f"{head >> 16 & 0xFFFF_FFFF_FFFF_FFFF:016X}",
        sec_mark=head & 0xFFFF,
        lat=lat,
        lon=lon,
        speed=bsm.speed(motion >> 15 & 0x1FFF),
        heading=bsm.heading(motion & 0x7FFF),
        accel=accel,
        signs=signs,
    )


def _brakes(bits: Bits) -> int:
    """Sign bits of BrakeSystemStatus: seven presence bits, then the pedal, the wheels, and five systems of two bits."""
    present, signs = bits.take(7), 0
    if present >> 6:
        pedal = bits.take(2)
        if pedal >= PEDAL_STATES:
            raise parts.outside("brake pedal")
        if pedal == PEDAL_ON:
            signs = bsm.BRAKE
    if present >> 5 & 1:
        wheels = bits.take(5)  # bit 0: unavailable; 1 to 4: the wheels
        if wheels & 0x0F and not wheels & 0x10:
            signs |= bsm.BRAKE
    if present >> 4 & 1 and bits.take(2) == ENGAGED:
        signs |= bsm.TRACTION
    if present >> 3 & 1 and bits.take(2) == ENGAGED:
        signs |= bsm.ABS
    if present >> 2 & 1 and bits.take(2) == ENGAGED:
        signs |= bsm.STABILITY
    bits.take(2 * (present & 3).bit_count())  # brake boost and auxiliary brakes
    return signs


def _safety(bits: Bits) -> tuple[int, bool]:
    """Sign bits of VehicleSafetyExtensions, and whether it is known where they end.

    That is not known where the path history has an initial position: its fields differ between the sources of the standard.
    What comes before it, the events, is told; what comes behind, the lights, is not.
    """
    head, signs = bits.take(5), 0
    if head >> 3 & 1:
        length = bits.length() if bits.take(1) else EVENTS
        signs = bsm.event_signs(bits.take(length), length, length)
    if head >> 2 & 1 and not _path_history(bits):
        return signs, False
    if head >> 1 & 1:
        prediction = bits.take(25)  # extension bit, radius 16, confidence 8
        if prediction >> 24:
            bits.skip_additions()
    if head & 1:
        length = bits.length() if bits.take(1) else LIGHTS
        lights = bits.take(length)
        for place, sign in LIGHT_SIGNS:
            if place < length and lights >> length - 1 - place & 1:
                signs |= sign
    if head >> 4:
        bits.skip_additions()
    return signs, True


def _path_history(bits: Bits) -> bool:
    """Pass over PathHistory; False if its end cannot be told."""
    head = bits.take(3)
    if head >> 1 & 1:
        return False
    if head & 1:
        bits.take(8)  # currGNSSstatus
    crumbs = bits.take(5) + 1
    if crumbs > MOST_CRUMBS:
        raise RefusedError(Reason.WRONG_SHAPE, f"the path history has {crumbs} points, more than {MOST_CRUMBS}")
    for _ in range(crumbs):
        crumb = bits.take(4)  # extension bit, whether there are speed, confidence and heading
        parts.offset(bits, (0, 0))
        bits.take(16 + 13 * (crumb >> 2 & 1))  # time offset, speed
        if crumb >> 1 & 1:
            parts.position_confidence(bits)
        if crumb & 1:
            bits.take(8)
        if crumb >> 3:
            bits.skip_additions()
    if head >> 2:
        bits.skip_additions()
    return True


def _emergency(bits: Bits) -> None:
    """Pass over VehicleEmergencyExtensions: the response, the siren and the light bar."""
    head = bits.take(4)
    if head >> 2 & 1:
        parts.enumerated(bits, 3)
    bits.take(2 * (head >> 1 & 1) + 3 * (head & 1))
    if head >> 3:
        bits.skip_additions()
