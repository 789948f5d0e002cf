"""What every format shares: the shape of a decoded poll, the reasons for refusing, the hash that hides identities."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflows.formats.identities import Identities
from detectors.model import NOTICE, OBSERVATION, READING, SENSOR, Rows


class Reason(StrEnum):
    """Why a message or a record was refused: the whole of the label's values, so it stays bounded."""

    UNREADABLE = "unreadable"  # not JSON, not hex, not the format's framing at all
    WRONG_SHAPE = "wrong_shape"  # readable, but a field is missing or of the wrong type
    TOO_LARGE = "too_large"  # longer than any honest message of the format
    TRUNCATED = "truncated"  # ends before its own length says
    BAD_CHECKSUM = "bad_checksum"
    BAD_LENGTH = "bad_length"
    ENCRYPTED = "encrypted"
    UNSUPPORTED = "unsupported"  # a message type or version that this format does not carry
    NO_TIME = "no_time"
    NO_POSITION = "no_position"
    IMPOSSIBLE_TIME = "impossible_time"
    AHEAD_OF_TIME = "ahead_of_time"  # event time further past its arrival than allowed
    IMPOSSIBLE_POSITION = "impossible_position"
    IMPOSSIBLE_SPEED = "impossible_speed"
    IMPOSSIBLE_HEADING = "impossible_heading"
    IMPOSSIBLE_ACCELERATION = "impossible_acceleration"
    DECODER_FAILED = "decoder_failed"  # the decoder raised: a mistake of ours, see guard.py
    IMPOSSIBLE_READING = "impossible_reading"  # a battery or sensor value that physics rules out


class Refusal(NamedTuple):
    """One record that was not accepted: which message of the batch, why, and a sentence for the person who looks."""

    message: int
    reason: Reason
    detail: str


Fields = tuple[float | int | tuple[float | None, ...] | None, ...]
"""The fields of one row in its dtype's order, None where missing."""


UNDATED = "and its arrival is unknown; in a file of hexadecimal digits a line may begin with it, in ms since 1970"


class RefusedError(Exception):
    """Raised while one message is read and turned into its Refusal at once: the reason and the sentence."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Pseudonym:
    """Keyed BLAKE2b of an identity, 64 bits: what a reporter is called from the decoder on. Remembers recent ones."""

    REMEMBERED = 200_000  # about 30 MB; forgetting costs time, never correctness

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=8, key=key)  # whose copies have the key in them: 0.6 us a name instead of 0.9
        self._known: dict[str, int] = {}
        self.of = Identities(self._hashed)

    def __call__(self, identity: str) -> int:
        known = self._known.get(identity)
        if known is None:
            if len(self._known) >= self.REMEMBERED:
                self._known.clear()
            known = self._known[identity] = self._hashed(identity)
        return known

    def _hashed(self, identity: str) -> int:
        named = self._keyed.copy()
        named.update(identity.encode("utf-8", "surrogatepass"))
        return int.from_bytes(named.digest(), "big")


@dataclass(slots=True)
class Decoded:
    """One batch of messages of one format as rows, each with the index of the message that it came from."""

    observations: Rows = field(default_factory=lambda: np.empty(0, OBSERVATION))
    observation_of: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    sensors: Rows = field(default_factory=lambda: np.empty(0, SENSOR))
    sensor_of: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    readings: Rows = field(default_factory=lambda: np.empty(0, READING))
    reading_of: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    notices: Rows = field(default_factory=lambda: np.empty(0, NOTICE))
    notice_of: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    arrivals: NDArray[np.int64] | None = None  # ms by message, where the format knows better than its caller
    refusals: list[Refusal] = field(default_factory=list)
    recognised: Counter[str] = field(default_factory=Counter)  # messages that are fine and carry no row: login, heartbeat

    @property
    def records(self) -> int:
        """Rows, refusals and recognised messages: what `received` counts. One unreadable message is one record."""
        rows = len(self.observations) + len(self.sensors) + len(self.readings) + len(self.notices)
        return rows + len(self.refusals) + self.recognised.total()


@dataclass(frozen=True, slots=True)
class Context:
    """What a decoder may know beside the bytes."""

    pseudonym: Pseudonym
    max_ahead: int = 10_000  # ms: an event time further past its arrival than this is refused


Decode = Callable[[Sequence[bytes], NDArray[np.int64], Context], Decoded]
"""messages, arrival times in ms (-1: unknown), context -> rows. Never raises, whatever the bytes are."""
