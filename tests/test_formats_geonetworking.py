"""CAMs and DENMs in what the radio and the security put around them, written byte by byte from the headers of the standard."""

from __future__ import annotations

import pytest

from dataflows.formats import encode_etsi
from dataflows.formats.base import Reason
from tests.wire import CAM, DENM, TIME, decode, packet, secured

CAM_PDU, DENM_PDU = encode_etsi.cam(**CAM), encode_etsi.denm(**DENM)
SHB, TSB, CIRCLE, ELLIPSE, ANYCAST, UNICAST = 0x50, 0x51, 0x40, 0x42, 0x31, 0x20


@pytest.mark.parametrize("kind", [SHB, TSB, CIRCLE, ELLIPSE, ANYCAST, UNICAST])
@pytest.mark.parametrize("transport", [0x10, 0x20])
def test_a_packet_says_what_its_pdu_says(kind: int, transport: int) -> None:
    inner = packet(kind, 2001, CAM_PDU, transport)
    plain, safe = b"\x11\0\x05\x01" + inner, b"\x12\0\x05\x01" + secured(inner)
    result = decode("etsi", CAM_PDU, secured(CAM_PDU), plain, safe, secured(inner), arrival=TIME)
    assert result.refusals == []
    assert len({row.tobytes() for row in result.observations}) == 1
    assert len(result.observations) == 5


def test_a_long_denm_in_a_signed_packet() -> None:
    """Its length takes two octets in the envelope."""
    inner = packet(CIRCLE, 2002, encode_etsi.denm(**DENM, heading=30.0))
    assert len(inner) > 0x60
    result = decode("etsi", b"\x12\0\x05\x01" + secured(inner, long=True), arrival=TIME)
    assert result.notices["cause"].tolist() == [94]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x11\0\x05\x01", Reason.TRUNCATED),
        (b"\x11\0\x05\x01" + packet(SHB, 2001, CAM_PDU)[:-1], Reason.TRUNCATED),
        (b"\x11\0\x05\x01" + packet(SHB, 2001, CAM_PDU) + b"\0", Reason.BAD_LENGTH),
        (b"\x11\0\x05\x01" + packet(SHB, 2004, CAM_PDU), Reason.UNSUPPORTED),  # a signal phase
        (b"\x11\0\x05\x01" + packet(0x10, 2001, CAM_PDU), Reason.UNSUPPORTED),  # a beacon
        (b"\x11\0\x05\x01" + packet(SHB, 2001, CAM_PDU, 0x30), Reason.UNSUPPORTED),  # IPv6
        (b"\x11\0\x05\x01" + packet(SHB, 2001, b""), Reason.UNREADABLE),
        (b"\x11\0\x05\x01" + packet(SHB, 2001, CAM_PDU, short=True), Reason.BAD_LENGTH),
        (b"\x12\0\x05\x01" + packet(SHB, 2001, CAM_PDU), Reason.WRONG_SHAPE),
        (b"\x12\0\x05\x01" + b"\x03\x82" + bytes(40), Reason.ENCRYPTED),
        (secured(packet(SHB, 2001, CAM_PDU))[:40], Reason.TRUNCATED),
        (secured(b""), Reason.UNREADABLE),
    ],
)
def test_what_cannot_be_taken_out_is_refused(message: bytes, reason: Reason) -> None:
    assert [refusal.reason for refusal in decode("etsi", message, arrival=TIME).refusals] == [reason]


def test_what_follows_a_packet_is_no_part_of_its_pdu() -> None:
    (refusal,) = decode("etsi", b"\x11\0\x05\x01" + packet(SHB, 2001, CAM_PDU) + b"\0", arrival=TIME).refusals
    assert refusal.detail == "more bytes follow than the GeoNetworking packet states"
