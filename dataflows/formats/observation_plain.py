"""Observations as nearly all of them are written, read where they lie: one compiled loop over the bytes of a whole poll.

Plain are ASCII texts without escapes, numbers of up to 15 digits without exponents, known keys, each once, in any order and
with any white space between. Whatever else a message has, and whatever is wrong with it, it is not plain: then nothing is said
of it here, and `observation` gives it to msgspec. So what is accepted, and what is told of the rest, is msgspec's to say.
"""

from __future__ import annotations

import numpy as np

from dataflows.formats.identities import Octets, Places
from detectors.compiled import compiled
from detectors.model import Rows, Sign

SIGN_OF = {
    "brk": Sign.BRAKE,
    "ev": Sign.HARD_BRAKE,
    "abs": Sign.ABS,
    "tc": Sign.TRACTION,
    "scs": Sign.STABILITY,
    "hz": Sign.HAZARD_LIGHTS,
    "ab": Sign.AIRBAG,
    "dis": Sign.DISABLED,
    "wip": Sign.WIPERS,
    "fog": Sign.FOG_LIGHTS,
}
"""The flags' keys."""

KEYS = ("id", "ts", "lat", "lon", "rx", "v", "hdg", "ax", *SIGN_OF)
END = b"\0"
"""After every message: nothing plain has it, so no loop runs further."""
FOUND = np.dtype(
    [
        ("plain", "?"),
        ("id", "i8"),  # byte of all messages, one after the other
        ("id_end", "i8"),
        ("arrival", "i8"),  # ms, -1 if it does not say
    ]
)
"""What is known of a message beside its row."""

_PACKED = np.array([int.from_bytes(key.encode("ascii"), "big") for key in KEYS], np.int64)
_BITS = np.array([0] * (len(KEYS) - len(SIGN_OF)) + [int(sign) for sign in SIGN_OF.values()], np.uint32)
_ID, _TS, _LAT, _LON, _RX, _V, _HDG, _AX = range(8)
_NEEDED = 1 << _ID | 1 << _TS | 1 << _LAT | 1 << _LON
_DIGITS = 15  # as many as a float keeps, and then one division rounds as it should
_TENS = np.array([10.0**power for power in range(_DIGITS + 1)])
_LONGEST_KEY, _LONGEST_ID = 3, 128  # bytes
_QUOTE, _BACKSLASH, _OPEN, _COLON, _COMMA, _CLOSE = b'"\\{:,}'
_MINUS, _POINT, _ZERO, _ONE, _NINE = b"-.019"
_SPACE, _TAB, _LINE, _RETURN, _LAST = b" \t\n\r\x7f"
_N, _U, _L = b"nul"


@compiled
def scan(octets: Octets, starts: Places, ends: Places, rows: Rows, found: Rows) -> None:
    """Read the plain ones of the messages that lie in `octets` from `starts` up to an END at `ends`.

    Each gets a row in `rows` (OBSERVATION), but for the reporter's name, and one in `found` (FOUND). Of those that are not
    plain, both mean nothing else.
    """
    for i in range(len(starts)):
        row, one = rows[i], found[i]
        row["reporter"], row["cell"], row["signs"] = 0, 0, 0
        row["speed"], row["heading"], row["accel"] = np.nan, np.nan, np.nan
        one["arrival"] = -1
        one["plain"] = _message(octets, starts[i], row, one) == ends[i]


@compiled
def _message(octets: Octets, at: int, row: Rows, one: Rows) -> int:
    """Where the message that begins at byte `at` ends, and the white space after it; -1 if it is not plain."""
    at = _blank(octets, at)
    if octets[at] != _OPEN:
        return -1
    seen, field = 0, -1
    while seen == 0 or octets[at] == _COMMA:
        field, at = _key(octets, _blank(octets, at + 1), field + 1)
        if field < 0 or seen & (1 << field):
            return -1
        seen |= 1 << field
        at = _value(octets, at, field, row, one)
        if at < 0:
            return -1
        at = _blank(octets, at)
    return _blank(octets, at + 1) if octets[at] == _CLOSE and seen & _NEEDED == _NEEDED else -1


@compiled
def _blank(octets: Octets, at: int) -> int:
    """The next byte that is no white space."""
    while octets[at] <= _SPACE and (octets[at] == _SPACE or octets[at] == _LINE or octets[at] == _RETURN or octets[at] == _TAB):
        at += 1
    return at


@compiled
def _key(octets: Octets, at: int, likely: int) -> tuple[int, int]:
    """Which of KEYS stands at `at`, -1 if none, and where its value begins; `likely` is tried first."""
    if octets[at] != _QUOTE:
        return -1, at
    first, packed = at + 1, np.int64(0)
    at = first
    while octets[at] != _QUOTE:
        if octets[at] < _SPACE or at - first == _LONGEST_KEY:
            return -1, at
        packed = packed << 8 | np.int64(octets[at])
        at += 1
    at = _blank(octets, at + 1)
    if octets[at] != _COLON:
        return -1, at
    at = _blank(octets, at + 1)
    for i in range(len(_PACKED)):
        field = (likely + i) % len(_PACKED)
        if _PACKED[field] == packed:
            return field, at
    return -1, at


@compiled
def _value(octets: Octets, at: int, field: int, row: Rows, one: Rows) -> int:
    """Take in the value at `at`, and say where it ends; -1 if it is not plain."""
    first = octets[at]
    if field > _AX:
        if first == _ONE:
            row["signs"] |= _BITS[field]
        return at + 1 if first in (_ZERO, _ONE) else -1
    if field == _ID:
        end = _text(octets, at + 1) if first == _QUOTE else -1
        one["id"], one["id_end"] = at + 1, end
        return end + 1 if 1 <= end - at - 1 <= _LONGEST_ID else -1
    if first == _N:
        return _null(octets, at) if field >= _RX else -1
    end, digits, decimals, negative = _number(octets, at)
    if field in (_TS, _RX):
        whole = -digits if negative else digits
        if field == _TS:
            row["time"] = whole
        else:
            one["arrival"] = whole
        return end if decimals == 0 else -1
    number = -(digits / _TENS[decimals]) if negative else digits / _TENS[decimals]
    if field == _LAT:
        row["lat"] = number
    elif field == _LON:
        row["lon"] = number
    elif field == _V:
        row["speed"] = number
    elif field == _HDG:
        row["heading"] = number
    else:
        row["accel"] = number
    return end


@compiled
def _text(octets: Octets, at: int) -> int:
    """Where the text that begins at `at` has its closing quote; -1 if it is not plain."""
    while octets[at] != _QUOTE:
        if octets[at] < _SPACE or octets[at] > _LAST or octets[at] == _BACKSLASH:
            return -1
        at += 1
    return at


@compiled
def _null(octets: Octets, at: int) -> int:
    """Where the null at `at` ends; -1 if it is none."""
    return at + 4 if octets[at + 1] == _U and octets[at + 2] == _L and octets[at + 3] == _L else -1


@compiled
def _number(octets: Octets, at: int) -> tuple[int, np.int64, int, bool]:
    """Where the number at `at` ends, -1 if it is not plain; its digits, how many are decimals, whether it is negative."""
    negative = octets[at] == _MINUS
    first = at + 1 if negative else at
    whole, digits = _digits(octets, first, np.int64(0))
    if whole == first or (octets[first] == _ZERO and whole > first + 1):
        return -1, np.int64(0), 0, False
    if octets[whole] != _POINT:
        end, decimals = whole, 0
        plain = whole - first <= _DIGITS and not (negative and digits == 0)  # msgspec reads -0 as 0, and -0.0 as -0.0
    else:
        end, digits = _digits(octets, whole + 1, digits)
        decimals = end - whole - 1
        plain = decimals > 0 and whole - first + decimals <= _DIGITS
    return (end, digits, decimals, negative) if plain else (-1, np.int64(0), 0, False)


@compiled
def _digits(octets: Octets, at: int, number: np.int64) -> tuple[int, np.int64]:
    """Where the digits at `at` end, and what they make of `number`; of too many that says nothing."""
    while _ZERO <= octets[at] <= _NINE:
        number = number * np.int64(10) + np.int64(octets[at] - _ZERO)
        at += 1
    return at, number
