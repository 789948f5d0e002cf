"""YD/T 3709-2020 (T/CSAE 53-2020), what China's connected vehicles and their roadside units say over LTE-V2X: BSM and RSM.

One MessageFrame in unaligned PER a message, as the radio's message layer has it. Maps, signal phases and roadside information
are recognised by their frame and not read. Sources and editions:
docs/decisions.md#lte-v2x-is-read-by-a-layout-put-together-from-others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dataflows.formats import bsm, ydt3709_bsm, ydt3709_rsm
from dataflows.formats.base import UNDATED, Context, Decoded, Reason, RefusedError
from dataflows.formats.bits import Bits
from dataflows.formats.bsm import Bsm
from dataflows.formats.plausible import admit
from dataflows.formats.text import not_bytes, refuse_bytes

LONGEST = 16_384  # bytes: where the length of an open type would come in fragments; a BSM or RSM has some hundred at most
BSM, RSM = 0, 2  # of the MessageFrame's alternatives
UNREAD = {1: "map", 3: "spat", 4: "rsi"}
CHOICE = 4  # bits: whether it is a later edition's, and which of five alternatives
LATER = 0x80  # the first byte of the one alternative that later editions added, msgFrameExt: an open type follows


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One observation for each BSM of a vehicle, and one for each motor vehicle that an RSM tells of.

    Both say their time within the minute only: it is the last such moment that is not too far past the arrival.
    """
    decoded = Decoded()
    seen: list[tuple[int, int, Bsm]] = []
    of: list[int] = []
    for number, (message, arrival) in enumerate(zip(messages, arrivals.tolist(), strict=True)):
        try:
            said = read(message)
            if isinstance(said, str):
                decoded.recognised[said] += 1
                continue
            if arrival < 0:
                raise RefusedError(Reason.NO_TIME, f"the message says its time within the minute only, {UNDATED}")
        except RefusedError as refused:
            decoded.refusals.append(refuse_bytes(number, message, refused))
            continue
        for one in said:
            seen.append((bsm.event_time(arrival, one.sec_mark, context.max_ahead), context.pseudonym(one.id), one))
            of.append(number)
    decoded.observations, decoded.observation_of = bsm.rows(seen), np.array(of, np.int32)
    return admit(decoded, arrivals, context)


def read(message: bytes) -> list[Bsm] | str:
    """The vehicles that a message tells of; or the name of one that is fine and tells of none."""
    if not message:
        raise RefusedError(Reason.UNREADABLE, "the message is empty")
    if len(message) > LONGEST:
        raise RefusedError(Reason.TOO_LARGE, f"the message has {len(message)} bytes; a MessageFrame has at most {LONGEST}")
    kind, bits = message[0] >> CHOICE, Bits(int.from_bytes(message, "big"), 8 * len(message) - CHOICE)
    if kind == BSM:
        said = ydt3709_bsm.read(bits)
        return "not_a_vehicle" if said is None else [said]
    if kind == RSM:
        return ydt3709_rsm.read(bits) or "rsm_without_a_vehicle"
    if not_bytes(message):  # most digits and letters would pass for one of the kinds below
        raise RefusedError(Reason.UNREADABLE, "the message is text")
    if kind in UNREAD:
        return UNREAD[kind]
    if message[0] == LATER and _is_open_type(message):
        return "later_edition"
    raise RefusedError(Reason.UNSUPPORTED, "the first byte is that of no MessageFrame that the 2020 edition has")


def _is_open_type(message: bytes) -> bool:
    """Whether a length is behind the first byte, and as many bytes as it says behind that."""
    bits = Bits(int.from_bytes(message[1:4].ljust(3, b"\0"), "big"), 24)
    size = bits.length()
    return len(message) == 1 + (24 - bits.left) // 8 + size
