"""Takes a message out of its IEEE 1609.2 envelope; signatures are the roadside unit's to verify, not ours."""

from __future__ import annotations

from dataflows.formats.base import Reason, RefusedError

VERSION = 0x03
UNSECURED, SIGNED, ENCRYPTED = 0x80, 0x81, 0x82
CONTENT_PRESENT = 0x40  # the preamble of a signed payload that carries its data rather than a hash of it
DEEPEST = 4  # envelopes within envelopes


def wrapped(message: bytes) -> bool:
    return len(message) > 3 and message[0] == VERSION and message[1] in (UNSECURED, SIGNED, ENCRYPTED)


def unwrap(message: bytes) -> bytes:
    """The innermost payload. RefusedError where it is encrypted, cut off, or not carried at all.

    The encoding is COER: `03 80 length payload`, and `03 81 hash-algorithm preamble 03 80 length payload ...` if signed.
    """
    for _ in range(DEEPEST):
        if not wrapped(message):
            return message
        if message[1] == ENCRYPTED:
            raise RefusedError(Reason.ENCRYPTED, "the IEEE 1609.2 envelope is encrypted")
        if message[1] == UNSECURED:
            return _counted(message, 2)
        if not message[3] & CONTENT_PRESENT:
            raise RefusedError(Reason.UNSUPPORTED, "the IEEE 1609.2 signature is detached: its message is not with it")
        message = message[4:]
        if not wrapped(message):
            break
    raise RefusedError(Reason.UNSUPPORTED, "the IEEE 1609.2 envelope holds no message that can be read in the clear")


def _counted(message: bytes, at: int) -> bytes:
    """The octets that start with their length at byte `at`."""
    size, at = message[at], at + 1
    if size >= 0x80:
        octets = size & 0x7F
        size, at = int.from_bytes(message[at : at + octets], "big"), at + octets
    if at + size > len(message):
        raise RefusedError(Reason.TRUNCATED, "the IEEE 1609.2 envelope ends before the length that it states")
    return message[at : at + size]
