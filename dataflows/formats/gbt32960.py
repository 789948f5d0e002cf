"""GB/T 32960.3, the telemetry that every electric vehicle in China sends: frames in, battery readings out.

One message may hold several frames, of the edition of 2016 or of 2025; each counts on its own. They are read in
`gbt32960_frames`; what is wrong with one is said here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dataflows.formats.base import Context, Decoded, Reason, Refusal
from dataflows.formats.gbt32960_common import GATHERED
from dataflows.formats.gbt32960_frames import EDITION_2025, FOUND, HEADER, LARGEST, SHORTEST, Outcome, walk
from dataflows.formats.plausible import admit
from dataflows.formats.text import not_bytes
from detectors.model import READING

VIN = slice(4, 21)  # bytes of a frame
TIME = slice(HEADER, HEADER + 6)
RECOGNISED = {
    0x01: "login",
    0x04: "logout",
    0x05: "platform_login",
    0x06: "platform_logout",
    0x07: "heartbeat",
    0x08: "time",
    0x80: "control",  # query, set and control, from the platform to the vehicle
    0x81: "control",
    0x82: "control",
}
RECOGNISED_2025 = RECOGNISED | {
    0x09: "activation",
    0x0A: "activation",  # its answer
    0x0B: "key_exchange",
}
REFUSED = {
    Outcome.COMMAND: (Reason.UNSUPPORTED, "command {command} is none of the {edition} edition's"),
    Outcome.TOO_LARGE: (Reason.TOO_LARGE, f"the message has {{size}} bytes; at most {LARGEST} are read"),
    Outcome.NO_FRAME: (Reason.TRUNCATED, "there is no whole frame at byte {at}"),
    Outcome.NO_START: (Reason.UNREADABLE, "no frame starts at byte {at}: neither 2323 nor 2424 stands there"),
    Outcome.SHORT_HEADER: (Reason.TRUNCATED, "the message ends within the header of the frame at byte {at}"),
    Outcome.SHORT_FRAME: (Reason.TRUNCATED, "the frame at byte {at} is {missing} bytes shorter than its length says"),
    Outcome.WRONG_BCC: (Reason.BAD_CHECKSUM, "the frame's BCC does not fit its bytes"),
    Outcome.ENCRYPTED: (
        Reason.ENCRYPTED,
        "the report is encrypted, by the method {method} (fe: abnormal, ff: invalid); it is read in the clear only",
    ),
    Outcome.NO_TIME: (Reason.BAD_LENGTH, "the report is too short for its time"),
    Outcome.IMPOSSIBLE_TIME: (Reason.IMPOSSIBLE_TIME, "the report's time {time} is no time of any day"),
    Outcome.NO_UNIT: (Reason.WRONG_SHAPE, "the report has no information unit"),
    Outcome.SHORT_UNIT: (Reason.BAD_LENGTH, "information unit {unit:02x} ends past the end of its frame"),
    Outcome.UNKNOWN_UNIT: (
        Reason.UNSUPPORTED,
        "information unit {unit:02x} is none of the 2025 edition's, so nothing tells where it ends",
    ),
}


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One reading for each report; whatever else a vehicle or a platform says is recognised and counted."""
    decoded, whole = Decoded(), b"".join(messages)
    starts = np.zeros(len(messages) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, messages), np.int64, len(messages)), out=starts[1:])
    most = len(whole) // SHORTEST + len(messages)  # frames, and messages that end without one
    found, readings = np.empty(most, FOUND), np.empty(most + 1, READING)
    count, reports = walk(np.frombuffer(whole, np.uint8), starts, found, readings, np.zeros(GATHERED, np.int64))
    found, readings = found[:count], readings[:reports].copy()  # the rest of that room is given back
    made = found["outcome"] == Outcome.REPORT
    firsts = starts.tolist()
    for number, start, end, outcome, unit in found.compress(~made).tolist():
        _say(decoded, number, messages[number], start - firsts[number], end - firsts[number], outcome, unit)
    reports_at = found["start"].compress(made)
    readings["reporter"] = context.pseudonym.of(whole, reports_at + VIN.start, reports_at + VIN.stop)
    decoded.readings, decoded.reading_of = readings, found["message"].compress(made)
    return admit(decoded, arrivals, context)


def _say(decoded: Decoded, number: int, message: bytes, at: int, end: int, outcome: int, unit: int) -> None:
    """Count what a frame says that is no report, or tell what is wrong with it; from byte `at` to `end` of its message."""
    head = message[at : at + HEADER + 6]  # no more of it, for there may be thousands in one message
    newer = head[:1] == bytes((EDITION_2025,))
    known = RECOGNISED_2025 if newer else RECOGNISED
    if outcome == Outcome.REPLY:
        decoded.recognised["reply"] += 1
    elif outcome == Outcome.COMMAND and head[2] in known:
        decoded.recognised[known[head[2]]] += 1
    else:
        reason, sentence = REFUSED[Outcome(outcome)]
        detail = sentence.format(
            at=at,
            size=len(message),
            missing=end - len(message),
            command=head[2:3].hex(),
            edition=2025 if newer else 2016,
            method=head[21:22].hex(),
            time=head[TIME].hex(),
            unit=unit,
        )
        text = not_bytes(message) if outcome == Outcome.NO_START and at == 0 else None
        decoded.refusals.append(Refusal(number, reason, text or detail))
