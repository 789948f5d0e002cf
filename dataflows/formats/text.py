"""What goes wrong with a message, as a reason and a sentence for people that repeats nothing of the message itself."""

from __future__ import annotations

import re
import string
from functools import cache
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import msgspec

from dataflows.formats.base import Reason, Refusal, RefusedError

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

KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}
"""What msgspec calls by Python's names, in words."""

PLACE = re.compile(r" - at `\$\.?([^`]*)`\Z")
"""Where it is, at the end of what msgspec says."""

HEX = frozenset(b"0123456789abcdefABCDEF \t\r\n")
OTHER_STAMP = re.compile(rb"(?!\d{13}\b)\d{9,}(\.\d*)?[ \t]+[0-9a-fA-F]+")
"""A line of hexadecimal digits behind what may be a time, and not in milliseconds: in seconds, say."""
PRINTABLE = frozenset(string.printable.encode())
BEHIND = re.compile(rb"[\s,;|][0-9a-fA-F]{20}")  # more digits than a word or a number has: hexadecimal, and something before it
ONLY_AN_ARRIVAL = "only the arrival may stand before the digits: 13 digits, ms since 1970, and a space"


def refuse(number: int, error: Exception, shape: type[msgspec.Struct] | None = None) -> Refusal:
    """The refusal of message `number` for one of UNREADABLE; `shape` knows which values its fields may have."""
    if isinstance(error, msgspec.ValidationError):
        said = str(error)
        for field, reason in MISSING.items():
            if said == f"Object missing required field `{field}`":
                return Refusal(number, reason, f'the message has no "{field}"')
        return Refusal(number, Reason.WRONG_SHAPE, _in_words(said, shape))
    if isinstance(error, UnicodeDecodeError):
        return Refusal(number, Reason.UNREADABLE, "the message is not UTF-8 text")
    if isinstance(error, RecursionError):
        return Refusal(number, Reason.UNREADABLE, "the message is nested too deeply")
    said = str(error).removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends in the middle")
    return Refusal(number, Reason.UNREADABLE, f"the message is not JSON: {said}")


def _in_words(said: str, shape: type[msgspec.Struct] | None) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.ts`" as "ts: expected a whole number, got a text"."""
    place = PLACE.search(said)
    what, where = (said[: place.start()], place[1]) if place else (said, "")
    where = where or "the message"
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", what):
        return f'{where} has no "{missing[1]}"'
    choice = _choices(shape).get(where) if shape else None
    if not what.startswith("Expected"):  # "Invalid ..." would repeat the value, and that may look like a place
        return f"{where}: expected {choice or ('a smaller number' if what == 'Number out of range' else 'another value')}"
    what = what.replace("got `float`", "got a number with a point or an exponent")  # any number would do for a float
    words = re.sub(r"`([^`]+)`", lambda named: " or ".join(KINDS.get(kind, kind) for kind in named[1].split(" | ")), what)
    if choice:
        words = f"expected {choice}, {words.rpartition(', ')[2]}"
    return f"{where}: {words[0].lower()}{words[1:]}"


@cache
def _choices(shape: type[msgspec.Struct]) -> dict[str, str]:
    """The fields that may have some values only, and these in words."""
    named = dict[str, str]()
    for field, hint in get_type_hints(shape).items():
        for each in (hint, *get_args(hint)):
            if get_origin(each) is Literal:
                *most, last = map(str, get_args(each))
                named[field] = f"{', '.join(most)} or {last}"
    return named


def too_large(number: int, size: int, longest: int) -> Refusal:
    return Refusal(number, Reason.TOO_LARGE, f"the message has {size} bytes; the longest honest one has {longest}")


def refuse_bytes(number: int, message: bytes, error: RefusedError) -> Refusal:
    """The refusal of message `number` of a binary format. Text is told what it is, not what its letters mean as bits."""
    if error.reason is not Reason.TOO_LARGE and (said := not_bytes(message)):
        return Refusal(number, Reason.UNREADABLE, said)
    return Refusal(number, error.reason, error.detail)


def not_bytes(message: bytes) -> str | None:
    """What to say of a text that came where the bytes of a binary format are expected; None if it is none."""
    head = message[:64]
    if not head or not PRINTABLE.issuperset(head):
        return None
    if OTHER_STAMP.match(head):
        return "the digits in front of the message are no arrival in ms since 1970, which has 13 of them"
    if not HEX.issuperset(head):
        return "this is text and no hexadecimal" + (f"; {ONLY_AN_ARRIVAL}" if BEHIND.search(head) else "")
    if len(message) % 2:
        return "this is hexadecimal with a digit too few or too many"
    return "these are hexadecimal digits, and a message has the bytes themselves"


def is_document(text: bytes) -> bool:
    """Whether the text is one JSON document, whole."""
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except UNREADABLE:
        return False
    return True
