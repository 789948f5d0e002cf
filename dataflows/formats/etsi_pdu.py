"""CAM and DENM in unaligned PER, read as far as rows are made of them: EN 302 637-2 and EN 302 637-3, both releases.

Release 2 (protocol version 2: TS 103 900, TS 103 831) keeps every field here in its place, as bits: it renames types, adds
behind extension bits, and turns a cause code into the choice of one of 129 sub-cause codes, whose index is the cause code.
"""

from __future__ import annotations

from dataflows.formats.base import Reason, RefusedError
from dataflows.formats.bits import Bits
from dataflows.formats.etsi_rows import (
    DANGEROUS_GOODS,
    DEFAULT_VALIDITY,
    HAZARDOUS_GOODS,
    HEADING_UNAVAILABLE,
    ROADSIDE,
    ROADSIDE_DENM,
    VEHICLES,
    Cam,
    Denm,
    Said,
    acceleration_signs,
    light_signs,
    other_cam,
)

VERSIONS = (1, 2)
DENM, CAM = 1, 2
MESSAGES = {  # of the ItsPduHeader; what is not here has no name in either release
    3: "POIM", 4: "SPATEM", 5: "MAPEM", 6: "IVIM", 7: "EV-RSR", 8: "TIS-TPG", 9: "SREM", 10: "SSEM", 11: "EVCSN", 12: "SAEM",
    13: "RTCMEM", 14: "CPM", 15: "IMZM", 16: "VAM", 17: "DSM", 18: "MIM", 19: "MVM", 20: "MCM",
}  # fmt: skip
DANGEROUS_GOODS_CONTAINER = 2  # of the seven special vehicle containers
POINT = 52  # bits of a path's point: whether its time follows, and how far it is away
POSITION = 123  # bits of a ReferencePosition: latitude 31, longitude 32, ellipse 36, altitude 24
OPTIONS = (7, 4, 17, 16, 16, 3)  # bits of what a high frequency container may have, in its order; then a tolling zone
OPTIONAL = [sum(size for place, size in enumerate(OPTIONS) if has & 0x20 >> place) for has in range(64)]


def read(pdu: bytes) -> Said:
    """RefusedError for what is no CAM or DENM, or ends before it should. Of what no row comes the rest is not looked at."""
    bits = Bits.of(pdu)
    header = bits.take(48)
    version, message_id = header >> 40, header >> 32 & 0xFF
    if version not in VERSIONS:
        raise RefusedError(Reason.UNSUPPORTED, f"the message is of protocol version {version}; 1 and 2 are read")
    if message_id == CAM:
        return _cam(bits, header & 0xFFFF_FFFF)
    if message_id == DENM:
        return _denm(bits)
    name = MESSAGES.get(message_id, "message of another type")
    raise RefusedError(Reason.UNSUPPORTED, f"this is a {name} (messageID {message_id}); only CAM, 2, and DENM, 1, are read")


def _cam(bits: Bits, station: int) -> Said:
    raw = bits.take(151)  # time 16, extended 1, low frequency 1, special 1; basic container: extended 1, type 8, position 123
    if raw >> 131 & 1:
        bits.skip_additions()
    station_type = raw >> 123 & 0xFF
    if station_type not in VEHICLES:
        return other_cam(station_type)
    container = bits.take(2)  # of a later edition 1, which one 1
    if container & 2:
        raise RefusedError(Reason.UNSUPPORTED, "the CAM has a high frequency container of a later edition")
    if container:
        return other_cam(ROADSIDE)
    heading, speed, accel, signs = _high_frequency(bits)
    if raw >> 133 & 1:
        signs |= _low_frequency(bits)
    special, extended = raw >> 132 & 1, raw >> 134 & 1
    if special and bits.take(4) == DANGEROUS_GOODS_CONTAINER:
        signs |= HAZARDOUS_GOODS
    if not special:  # what a special container says beside its kind is not read, so the end is not known
        if extended:
            bits.skip_additions()
        bits.end()
    return Cam(station, raw >> 135, *_place(raw), speed, heading, accel, signs)


def _high_frequency(bits: Bits) -> tuple[int, int, int, int]:
    """Heading, speed, acceleration and sign bits of a BasicVehicleContainerHighFrequency."""
    raw = bits.take(99)  # optionals 7, heading 12 + 7, speed 14 + 7, direction 2, size 19, acceleration 9 + 7, curvature 14 + 1
    if raw & 1:  # how the curvature was found, in a way of a later edition
        bits.small()
        bits.take(20)
    else:
        bits.take(22)  # yaw rate 20
    has, tolling = raw >> 93, raw >> 92 & 1
    optional = bits.take(OPTIONAL[has])
    signs = acceleration_signs(optional >> OPTIONAL[has & 0x1F]) if has & 0x20 else 0
    if tolling:
        zone = bits.take(65)  # extended 1, numbered 1, position 63
        bits.take(27 * (zone >> 63 & 1))
        if zone >> 64:
            bits.skip_additions()
    return raw >> 80 & 0xFFF, raw >> 59 & 0x3FFF, (raw >> 22 & 0x1FF) - 160, signs


def _low_frequency(bits: Bits) -> int:
    """Sign bits of a low frequency container."""
    if bits.take(1):  # of a later edition
        bits.small()
        bits.open_type()
        return 0
    raw = bits.take(18)  # role 4, lights 8, number of points 6
    _skip_points(bits, raw & 0x3F)
    return light_signs(raw >> 6 & 0xFF) | (HAZARDOUS_GOODS if raw >> 14 == DANGEROUS_GOODS else 0)


def _denm(bits: Bits) -> Said:
    has_situation, has_location, has_more = bits.take(1), bits.take(1), bits.take(1)
    extended, options = bits.take(1), bits.take(5)
    station, number, detection, reference = bits.take(32), bits.take(16), bits.take(42), bits.take(42)
    ended = options >> 4
    bits.take(ended)
    position = bits.take(POSITION)
    bits.take(3 * (options >> 3 & 1) + 2 * (options >> 2 & 1))  # relevance: distance, traffic direction
    validity = bits.take(17) if options & 2 else DEFAULT_VALIDITY
    bits.take(14 * (options & 1))  # transmission interval
    station_type = bits.take(8)
    if extended:
        bits.skip_additions()
    if station_type == ROADSIDE:
        return ROADSIDE_DENM
    cause, subcause = _situation(bits) if has_situation else (-1, 0)
    heading = HEADING_UNAVAILABLE
    if has_location:
        heading, extended = _location(bits)
        if extended and not has_more:
            bits.skip_additions()
    if not has_more:
        bits.end()
    return Denm(station, number, detection, reference, validity, *_place(position), heading, cause, subcause, ended)


def _situation(bits: Bits) -> tuple[int, int]:
    """Cause and sub-cause of a SituationContainer."""
    extended, linked, history = bits.take(1), bits.take(1), bits.take(1)
    bits.take(3)  # information quality
    cause = _cause(bits)
    if linked:
        _cause(bits)
    if history:
        _skip_points(bits, bits.take(5) + 1, after=3)  # each with its information quality
    if extended:
        bits.skip_additions()
    return cause


def _cause(bits: Bits) -> tuple[int, int]:
    extended, cause, subcause = bits.take(1), bits.take(8), bits.take(8)
    if extended:
        bits.skip_additions()
    return cause, subcause


def _location(bits: Bits) -> tuple[int, int]:
    """Heading of a LocationContainer, and whether a later edition's additions follow."""
    extended, has_speed, has_heading, has_road = bits.take(1), bits.take(1), bits.take(1), bits.take(1)
    bits.take(21 * has_speed)
    heading = bits.take(19) >> 7 if has_heading else HEADING_UNAVAILABLE
    for _ in range(bits.take(3) + 1):  # traces
        _skip_points(bits, bits.take(6))
    bits.take(2 * has_road)
    return heading, extended


def _skip_points(bits: Bits, count: int, after: int = 0) -> None:
    """Pass over the points of a path, each with its time or without, and `after` bits more."""
    take = bits.take
    for _ in range(count):
        if take(POINT) >> POINT - 1 and take(17) >> 16:  # a time beyond the scale: an integer in octets
            bits.put_back(16)
            bits.open_type()
        if after:
            take(after)


def _place(raw: int) -> tuple[int, int]:
    """Latitude and longitude of the ReferencePosition in the lowest bits."""
    return (raw >> 92 & 0x7FFF_FFFF) - 900_000_000, (raw >> 60 & 0xFFFF_FFFF) - 1_800_000_000
