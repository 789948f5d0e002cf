"""A bounds-checked walk over the bits of a message in unaligned PER, most significant first."""

from __future__ import annotations

from typing import Self

from dataflows.formats.base import Reason, RefusedError


class Bits:
    """What is left of a message; RefusedError where it ends before a field does."""

    def __init__(self, value: int, size: int) -> None:
        self._value = value
        self.left = size

    @classmethod
    def of(cls, message: bytes) -> Self:
        return cls(int.from_bytes(message, "big"), 8 * len(message))

    def take(self, size: int) -> int:
        if size > self.left:
            raise RefusedError(Reason.TRUNCATED, "the message ends in the middle of a field")
        self.left -= size
        return self._value >> self.left & ((1 << size) - 1)

    def put_back(self, size: int) -> None:
        """The last `size` bits that were taken are to be taken again."""
        self.left += size

    def length(self) -> int:
        """A length determinant: 7 bits, or 14; longer ones come in fragments."""
        if not self.take(1):
            return self.take(7)
        if not self.take(1):
            return self.take(14)
        raise RefusedError(Reason.UNSUPPORTED, "a part of the message comes in fragments, which none of its kind needs")

    def open_type(self) -> Bits:
        """The content of an open type, which says its own length in octets."""
        size = 8 * self.length()
        return Bits(self.take(size), size)

    def small(self) -> int:
        """A normally small number: 6 bits, or a length and octets where that is not enough."""
        return self.take(8 * self.length()) if self.take(1) else self.take(6)

    def skip_additions(self) -> None:
        """Pass over what a later edition has added to the end of a sequence whose extension bit is set."""
        if self.take(1):
            raise RefusedError(Reason.UNSUPPORTED, "a part of the message has more than 64 additions, which no edition has")
        for _ in range(self.take(self.take(6) + 1).bit_count()):
            self.take(8 * self.length())

    def end(self) -> None:
        """RefusedError if whole bytes follow, for padding is less than that."""
        if self.left >= 8:
            raise RefusedError(Reason.BAD_LENGTH, f"{self.left // 8} bytes follow the end of the message")
