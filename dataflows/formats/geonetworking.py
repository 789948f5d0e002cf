"""Takes a CAM or a DENM out of a GeoNetworking packet (EN 302 636-4-1) and its BTP header (EN 302 636-5-1).

`basic header 4 | common header 8 | extended header | BTP 4 | PDU`; where the packet is secured (TS 103 097), everything behind
the basic header lies in an IEEE 1609.2 envelope. Signatures are the roadside unit's to verify, not ours.
"""

from __future__ import annotations

from dataflows.formats import ieee1609
from dataflows.formats.base import Reason, RefusedError

BASIC, COMMON, BTP = 4, 8, 4  # bytes of the headers
PLAIN, SECURED = b"\x11", b"\x12"  # first byte of a packet of version 1: what is next, the common header or an envelope
TRANSPORTS = (0x10, 0x20)  # first byte of a common header: BTP-A or BTP-B is next
EXTENDED = {  # bytes of the extended header by header type and subtype
    0x20: 48,  # GeoUnicast
    0x30: 44, 0x31: 44, 0x32: 44,  # GeoAnycast: circle, rectangle, ellipse
    0x40: 44, 0x41: 44, 0x42: 44,  # GeoBroadcast
    0x50: 28, 0x51: 28,  # topologically-scoped broadcast: one hop (SHB), several
}  # fmt: skip
PORTS = (2001, 2002)  # CAM, DENM


def unpack(message: bytes) -> bytes:
    """The PDU in a packet, an envelope, or an envelope in a packet; what is none of them comes out as it is.

    An envelope may hold a bare PDU as well as everything behind the basic header.
    """
    if message[:1] in (PLAIN, SECURED):
        secured, message = message[:1] == SECURED, message[BASIC:]
        if secured and not ieee1609.wrapped(message):
            raise RefusedError(Reason.WRONG_SHAPE, "the packet is said to be secured, and no IEEE 1609.2 envelope is in it")
        return _transported(ieee1609.unwrap(message))
    if ieee1609.wrapped(message):
        message = ieee1609.unwrap(message)
        return _transported(message) if message and message[0] & 0xF0 in TRANSPORTS else message
    return message


def _transported(packet: bytes) -> bytes:
    """The PDU behind a common header, an extended header and a BTP header."""
    if len(packet) < COMMON:
        raise RefusedError(Reason.TRUNCATED, "the GeoNetworking packet ends within its common header")
    kind = packet[1]
    if packet[0] & 0xF0 not in TRANSPORTS or kind not in EXTENDED:
        raise RefusedError(Reason.UNSUPPORTED, f"the GeoNetworking packet, of type {kind:02x}, carries no message over BTP")
    payload, start = int.from_bytes(packet[4:6], "big"), COMMON + EXTENDED[kind]
    if start + payload > len(packet):
        raise RefusedError(Reason.TRUNCATED, "the GeoNetworking packet ends before the length that it states")
    if start + payload < len(packet):
        raise RefusedError(Reason.BAD_LENGTH, "more bytes follow than the GeoNetworking packet states")
    if payload < BTP:
        raise RefusedError(Reason.BAD_LENGTH, "the GeoNetworking packet has no room for a BTP header")
    port = int.from_bytes(packet[start : start + 2], "big")
    if port not in PORTS:
        raise RefusedError(Reason.UNSUPPORTED, f"the packet is for port {port}; 2001, CAM, and 2002, DENM, are read")
    return packet[start + BTP :]
