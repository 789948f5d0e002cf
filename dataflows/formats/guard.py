"""The one boundary around decoders: none ever should raise, and if one does it costs that message and no other.

What it raised may quote the message, so only its kind and its place in the code are told.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from traceback import walk_tb

import numpy as np
from numpy.typing import NDArray

from dataflows.formats.base import Context, Decode, Decoded, Reason, Refusal

ROWS = (
    ("observations", "observation_of"),
    ("sensors", "sensor_of"),
    ("readings", "reading_of"),
    ("notices", "notice_of"),
)


def decode_safely(decode: Decode, messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """As `decode` does; where it raises, message by message, and those that make it raise are refused."""
    try:
        return decode(messages, arrivals, context)
    except Exception:  # noqa: BLE001  # whatever it is, the next one will do the same at every restart
        return _one_by_one(decode, messages, arrivals, context)


def _one_by_one(decode: Decode, messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    whole, known, parts = Decoded(), arrivals.copy(), []
    for number, message in enumerate(messages):
        try:
            part = decode([message], arrivals[number : number + 1], context)
        except Exception as error:  # noqa: BLE001
            *_, (frame, line) = walk_tb(error.__traceback__)
            where = f"{Path(frame.f_code.co_filename).name}:{line}"
            detail = f"the decoder raised {type(error).__name__} at {where}: report it with this message"
            whole.refusals.append(Refusal(number, Reason.DECODER_FAILED, detail))
            continue
        if part.arrivals is not None:
            known[number] = part.arrivals[0]
        whole.refusals += (refusal._replace(message=number) for refusal in part.refusals)
        whole.recognised += part.recognised
        parts.append((np.int32(number), part))
    for rows, of in ROWS:
        if parts:
            setattr(whole, rows, np.concatenate([getattr(part, rows) for _, part in parts]))
            setattr(whole, of, np.concatenate([getattr(part, of) + number for number, part in parts]))
    whole.arrivals = known
    return whole
