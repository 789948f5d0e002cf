"""A seal on every snapshot: only bytes that this roadwatch wrote, under its own key and for that very place, are unpickled.

The key is derived from the pseudonym key, which is kept outside the store and shared by a cluster already. State that was
learnt under another pseudonym key knows its reporters by other names, so refusing it is right for that reason too.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

SIZE = sha256().digest_size
PURPOSE = b"roadwatch recovery store"  # what is derived for this purpose says nothing of the pseudonym key


class SealError(Exception):
    """The bytes are not what was sealed: another key, another place, or another hand."""


class Seal:
    """HMAC-SHA-256 over a place and a payload, put before the payload. Places are `step/key`, so rows cannot change places.

    >>> seal = Seal(b"the pseudonym key")
    >>> seal.open("windows/7", seal.close("windows/7", b"state"))
    b'state'
    """

    def __init__(self, pseudonym_key: bytes) -> None:
        self._key = hmac.digest(pseudonym_key, PURPOSE, "sha256")

    def close(self, place: str, payload: bytes) -> bytes:
        return self._mac(place, payload) + payload

    def open(self, place: str, sealed: bytes) -> bytes:
        """The payload. Raises SealError."""
        payload = sealed[SIZE:]
        if not hmac.compare_digest(self._mac(place, payload), sealed[:SIZE]):
            raise SealError(place)
        return payload

    def of_note(self, note: Mapping[str, object]) -> str:
        """The seal on what a store says of itself: names and plain values."""
        said = "".join(f"{name}={value}\n" for name, value in sorted(note.items()))
        return self._mac("note", said.encode()).hex()

    def _mac(self, place: str, payload: bytes) -> bytes:
        mac = hmac.new(self._key, place.encode() + b"\0", sha256)
        mac.update(payload)
        return mac.digest()
