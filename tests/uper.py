"""Unaligned PER, the little of it that tests need: types that write a value as a string of bits, and make one up.

Written from X.691 alone and apart from the decoders, so that the two check each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple


class Type(NamedTuple):
    write: Callable[[Any], str]
    some: Callable[[random.Random], Any]


class Field(NamedTuple):
    name: str
    type: Type
    optional: bool = False


def octets(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def binary(content: bytes) -> str:
    return "".join(f"{octet:08b}" for octet in content)


def counted(size: int) -> str:
    """A length without bounds, up to 16383."""
    return f"{size:08b}" if size < 128 else f"10{size:014b}"


def integer(low: int, high: int) -> Type:
    width = (high - low).bit_length()

    def some(dice: random.Random) -> int:
        return dice.choice((low, high, dice.randint(low, high), dice.randint(low, high)))

    return Type(lambda value: f"{value - low:0{width}b}", some)


def enumerated(count: int, extensible: bool = False) -> Type:
    """Values by number; of an extensible one the numbers from `count` on are a later edition's."""
    inside = integer(0, count - 1)

    def write(value: int) -> str:
        if not extensible:
            return inside.write(value)
        return "0" + inside.write(value) if value < count else f"10{value - count:06b}"

    return Type(write, inside.some)


def bit_string(size: int, extensible: bool = False) -> Type:
    """As a string of 0 and 1, of another length than `size` if it is extensible."""

    def write(value: str) -> str:
        if not extensible:
            return value
        return "0" + value if len(value) == size else "1" + counted(len(value)) + value

    return Type(write, lambda dice: f"{dice.getrandbits(size):0{size}b}")


def octet_string(size: int) -> Type:
    return Type(binary, lambda dice: dice.randbytes(size))


def choice(*alternatives: Type) -> Type:
    """As (which, value); without an extension."""
    which = integer(0, len(alternatives) - 1)

    def some(dice: random.Random) -> tuple[int, Any]:
        number = dice.randrange(len(alternatives))
        return number, alternatives[number].some(dice)

    return Type(lambda value: which.write(value[0]) + alternatives[value[0]].write(value[1]), some)


def sequence_of(low: int, high: int, item: Type) -> Type:
    count = integer(low, high)

    def some(dice: random.Random) -> list[Any]:
        return [item.some(dice) for _ in range(dice.randint(low, high))]

    return Type(lambda value: count.write(len(value)) + "".join(map(item.write, value)), some)


def sequence(*fields: Field, extensible: bool = False) -> Type:
    """As a dict; what is not in it is absent. Under "..." stand a later edition's additions, as bytes."""

    def write(value: dict[str, Any]) -> str:
        added: list[bytes] = value.get("...", [])
        assert set(value) <= {field.name for field in fields} | {"..."}, value
        bits = f"{bool(added):b}" if extensible else ""
        bits += "".join(f"{field.name in value:b}" for field in fields if field.optional)
        bits += "".join(field.type.write(value[field.name]) for field in fields if field.name in value or not field.optional)
        if added:
            bits += f"0{len(added) - 1:06b}" + "1" * len(added)
            bits += "".join(counted(len(content)) + binary(content) for content in added)
        return bits

    def some(dice: random.Random) -> dict[str, Any]:
        return {field.name: field.type.some(dice) for field in fields if not field.optional or dice.random() < 0.5}

    return Type(write, some)
