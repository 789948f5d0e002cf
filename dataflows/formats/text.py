"""What goes wrong with a JSON message, as a reason and a sentence that repeats nothing of the message itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from dataflows.formats.base import Reason, Refusal

Identity = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
"""A vehicle's or a device's name: bounded, for the last many are remembered to hash them quickly."""

Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**53), le=2**53)]
"""A time as a number, within what every JSON reader keeps exactly."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bad JSON: syntax and shape, bytes that are not UTF-8, nesting that is too deep."""

MISSING = {  # fields without which there is no row, under the names that the JSON formats give them
    "ts": Reason.NO_TIME,
    "lat": Reason.NO_POSITION,
    "lon": Reason.NO_POSITION,
}


def refuse(number: int, error: Exception) -> Refusal:
    """The refusal of message `number` for one of UNREADABLE."""
    if isinstance(error, msgspec.ValidationError):
        said = str(error)
        for field, reason in MISSING.items():
            if said == f"Object missing required field `{field}`":
                return Refusal(number, reason, f'the message has no "{field}"')
        if said.startswith("Invalid"):  # it would repeat the value
            said = f"Unexpected value - at {said.rpartition(' - at ')[2]}"
        return Refusal(number, Reason.WRONG_SHAPE, f"the message does not have the format's shape: {said}")
    if isinstance(error, UnicodeDecodeError):
        return Refusal(number, Reason.UNREADABLE, "the message is not UTF-8 text")
    if isinstance(error, RecursionError):
        return Refusal(number, Reason.UNREADABLE, "the message is nested too deeply")
    return Refusal(number, Reason.UNREADABLE, f"the message is not JSON: {error}")


def too_large(number: int, size: int, longest: int) -> Refusal:
    return Refusal(number, Reason.TOO_LARGE, f"the message has {size} bytes; the longest honest one has {longest}")


def is_document(text: bytes) -> bool:
    """Whether the text is one JSON document, whole."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True
