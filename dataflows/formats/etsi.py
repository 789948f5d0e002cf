"""ETSI CAMs and DENMs as stations send them: one PDU a message, bare or in what the radio and the security put around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dataflows.formats import etsi_pdu, geonetworking
from dataflows.formats.base import Context, Decoded, Reason, RefusedError
from dataflows.formats.etsi_rows import Gathered, Said
from dataflows.formats.plausible import admit
from dataflows.formats.text import refuse_bytes

LONGEST = 8_192  # bytes: a DENM with all its traces, history and containers, signed, has some 5000


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """An observation for each CAM of a vehicle, a notice for each DENM of anybody but the infrastructure."""
    gathered = Gathered(context)
    refusals = gathered.decoded.refusals
    for number, (message, arrival) in enumerate(zip(messages, arrivals.tolist(), strict=True)):
        try:
            gathered.add(number, read(message), arrival)
        except RefusedError as refused:
            refusals.append(refuse_bytes(number, message, refused))
    return admit(gathered.rows(), arrivals, context)


def read(message: bytes) -> Said:
    """What the PDU in a message says, whatever is around it."""
    if len(message) > LONGEST:
        raise RefusedError(Reason.TOO_LARGE, f"the message has {len(message)} bytes; a DENM has at most {LONGEST}")
    pdu = geonetworking.unpack(message)
    if not pdu:
        raise RefusedError(Reason.UNREADABLE, "the message is empty")
    return etsi_pdu.read(pdu)
