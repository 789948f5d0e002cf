"""A file that is one run of GB/T 32960 frames, cut at each of them: a file may be of any size, and a message may not.

What is no frame is a message of its own up to the next frame, for the decoder to refuse: nothing behind it is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from dataflows.formats.gbt32960_frames import HEADER, LARGEST

STARTS = (b"##", b"$$")  # 2323 and 2424, how a frame begins; most of its bytes may be letters and digits
START = re.compile(rb"(?=##|\$\$)")  # looked ahead to, for a third # may be the second of a frame
ROOM = 2 * LARGEST + 2  # bytes in which what is no frame is cut, the next frame ends, and two more tell what follows it


def cut(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each message and the byte of the file at which it begins, from 0, of a file that comes in blocks.

    What is no frame is cut into messages of LARGEST bytes at most; white space between frames is passed over, like empty lines.
    """
    before, octets, ended = 0, b"", False  # bytes that are done with, and those in hand
    while not ended:
        block = next(blocks, b"")
        octets, ended, at = octets + block, not block, 0
        while at < len(octets) and (ended or len(octets) - at >= ROOM):
            end = _end(octets, at) or _next(octets, at)
            if not (message := octets[at:end]).isspace():
                yield before + at, message
            at = end
        before, octets = before + at, octets[at:]


def _end(octets: bytes, at: int) -> int | None:
    """Where the frame that starts at byte `at` ends, None if none does.

    A length may be damaged, or be no length: it is believed where it leads to another frame or to the end of the file, or where
    the BCC fits.
    """
    end = _said_end(octets, at)
    if not octets.startswith(STARTS, at) or end > len(octets):
        return None
    if octets.startswith(STARTS, at + 1):  # of three # the last two begin it, if that is the better reading
        other = _said_end(octets, at + 1)
        if other <= len(octets) and _reads(octets, at + 1, other) > _reads(octets, at, end):
            return None
    return end if _reads(octets, at, end) else None


def _reads(octets: bytes, at: int, end: int) -> int:
    """How much speaks for a frame from `at` to `end`: that another one, or the end of the file, follows it, and its BCC."""
    checked = np.frombuffer(octets, np.uint8, end - at - 2, at + 2)
    return (end == len(octets) or octets.startswith(STARTS, end)) + bool(np.bitwise_xor.reduce(checked) == 0)


def _said_end(octets: bytes, at: int) -> int:
    return at + HEADER + int.from_bytes(octets[at + HEADER - 2 : at + HEADER]) + 1


def _next(octets: bytes, at: int) -> int:
    """Where the next frame starts behind byte `at`, at which none does, or else how far to go."""
    limit = min(at + LARGEST, len(octets))
    starts = (start.start() for start in START.finditer(octets, at + 1, limit + 1))
    return next((start for start in starts if _end(octets, start)), limit)
