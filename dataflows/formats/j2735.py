"""SAE J2735 basic safety messages as OBUs send them: unaligned PER, bare or in a MessageFrame, one in a message."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dataflows.formats import bsm, ieee1609
from dataflows.formats.base import UNDATED, Context, Decoded, Reason, RefusedError
from dataflows.formats.bits import Bits
from dataflows.formats.bsm import Bsm
from dataflows.formats.plausible import admit
from dataflows.formats.text import refuse_bytes

LONGEST = 16_384  # bytes: where the length of an open type would come in fragments, which no BSM needs
BSM_ID = 20  # DSRCmsgID of the basic safety message
BARE = 37  # bytes of a BSM that is nothing but core data: 3 + 290 bits
ASSIGNED = {*range(18, 64), *range(240, 256)} - {BSM_ID}  # other messages' numbers, with room for new ones; 240 on: for trials
SAFETY = 0  # PartII-Id of VehicleSafetyExtensions
ENGAGED = 3  # of unavailable, off, on, engaged


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One observation for each message.

    A BSM says its time within the minute only: it is the last such moment that is not too far past the arrival.
    """
    decoded = Decoded()
    seen: list[tuple[int, int, Bsm]] = []
    of: list[int] = []
    for number, (message, arrival) in enumerate(zip(messages, arrivals.tolist(), strict=True)):
        try:
            said = read(message)
            if arrival < 0:
                raise RefusedError(Reason.NO_TIME, f"a BSM says its time within the minute only, {UNDATED}")
        except RefusedError as refused:
            decoded.refusals.append(refuse_bytes(number, message, refused))
            continue
        seen.append((bsm.event_time(arrival, said.sec_mark, context.max_ahead), context.pseudonym(said.id), said))
        of.append(number)
    decoded.observations, decoded.observation_of = bsm.rows(seen), np.array(of, np.int32)
    return admit(decoded, arrivals, context)


def read(message: bytes) -> Bsm:
    """The BSM in a message, out of its IEEE 1609.2 envelope and its MessageFrame if it has them."""
    if len(message) > LONGEST:
        raise RefusedError(Reason.TOO_LARGE, f"the message has {len(message)} bytes; a BSM has at most {LONGEST}")
    if len(message) != BARE and ieee1609.wrapped(message):
        message = ieee1609.unwrap(message)
    return _bsm(_unframed(message))


def _unframed(message: bytes) -> bytes:
    """The BSM within a MessageFrame (extension bit, 15 bits of message id, length, message), or the message itself.

    A bare BSM whose first byte is zero has neither Part II nor regional content, so its size is known; that and the
    frame's own length tell the two apart.
    """
    if not message:
        raise RefusedError(Reason.UNREADABLE, "the message is empty")
    if message[0]:
        return message
    if len(message) < 4:
        raise RefusedError(Reason.TRUNCATED, f"the message ends after {len(message)} bytes")
    size, start = message[2], 3
    if size >= 0x80:
        size, start = (size & 0x3F) << 8 | message[3], 4
    message_id = int.from_bytes(message[:2], "big")
    if len(message) == BARE and message_id not in ASSIGNED:  # its first bytes may look like a frame's
        return message
    if start + size == len(message):
        if message_id != BSM_ID:
            raise RefusedError(Reason.UNSUPPORTED, f"the J2735 message is of type {message_id}; only 20, BSM, is read")
        return message[start:]
    if len(message) == BARE:
        return message
    if start + size > len(message):
        raise RefusedError(Reason.TRUNCATED, f"the frame is {start + size - len(message)} bytes shorter than it says")
    raise RefusedError(Reason.BAD_LENGTH, f"{len(message) - start - size} bytes follow the end of the frame")


def _bsm(message: bytes) -> Bsm:
    bits = Bits.of(message)
    extended, has_part_ii, has_regional = bits.take(1), bits.take(1), bits.take(1)
    said = _core(bits.take(290))
    signs = said.signs
    if has_part_ii:
        for _ in range(bits.take(3) + 1):
            part, content = bits.take(6), bits.open_type()
            if part == SAFETY:
                signs |= _safety(content)
    if has_regional:
        for _ in range(bits.take(2) + 1):
            bits.take(8)
            bits.open_type()
    if not extended:
        bits.end()
    return said._replace(signs=signs)


def _core(raw: int) -> Bsm:
    """BSMcoreData, 290 bits without any choice; the comments say how many bits lie to the right of each field."""
    wheels = raw >> 32 & 0x1F  # 22 size, 10 brake states
    signs = bsm.BRAKE if wheels & 0x0F and not wheels & 0x10 else 0  # bit 0: unavailable; 1 to 4: the wheels
    if raw >> 30 & 3 == ENGAGED:
        signs |= bsm.TRACTION
    if raw >> 28 & 3 == ENGAGED:
        signs |= bsm.ABS
    if raw >> 26 & 3 == ENGAGED:
        signs |= bsm.STABILITY
    return Bsm(
        id=f"{raw >> 251 & 0xFFFF_FFFF:08X}",  # 290 - 7 - 32
        sec_mark=raw >> 235 & 0xFFFF,
        lat=bsm.degrees((raw >> 204 & 0x7FFF_FFFF) - 900_000_000, 900_000_001),
        lon=bsm.degrees((raw >> 172 & 0xFFFF_FFFF) - 1_799_999_999, 1_800_000_001),
        speed=bsm.speed(raw >> 108 & 0x1FFF),  # 172 - 16 elevation - 32 accuracy - 3 transmission - 13
        heading=bsm.heading(raw >> 93 & 0x7FFF),
        accel=bsm.acceleration((raw >> 73 & 0xFFF) - 2_000),  # 93 - 8 steering angle - 12
        signs=signs,
    )


def _safety(bits: Bits) -> int:
    """Sign bits of VehicleSafetyExtensions: an extension bit, four presence bits, then the event flags if present."""
    bits.take(1)
    if not bits.take(1):
        return 0
    bits.take(3)
    length = bits.length() if bits.take(1) else 13
    return bsm.event_signs(bits.take(length), length, length)
