"""State as pieces of bytes: each part pickled by itself and its arrays laid beside it, so that none is copied to be written."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Iterable, Mapping
from itertools import accumulate, pairwise
from typing import Any

Piece = bytes | bytearray | memoryview

SMALL = 4096  # bytes: a smaller array is copied into the pickle sooner than it is written by itself
_LENGTH = struct.Struct("<I")


def pack(parts: Mapping[str, object]) -> tuple[list[Piece], dict[str, int]]:
    """Pieces, good until the parts change, and the bytes of each part."""
    packed = {name: _pickled(part) for name, part in parts.items()}
    sizes = {name: [len(piece) for piece in pieces] for name, pieces in packed.items()}
    contents = json.dumps(sizes).encode()
    pieces = [piece for pieces in packed.values() for piece in pieces]
    return [_LENGTH.pack(len(contents)) + contents, *pieces], {name: sum(each) for name, each in sizes.items()}


def unpack(whole: Piece) -> dict[str, list[Piece]]:
    """The pieces of each part, to be given to `load`; `whole` is all that `pack` gave, joined."""
    (length,) = _LENGTH.unpack_from(whole)
    start = _LENGTH.size + length
    sizes = json.loads(bytes(whole[_LENGTH.size : start]))
    found: dict[str, list[Piece]] = {}
    view = memoryview(whole)
    for name, each in sizes.items():
        cuts = list(accumulate(each, initial=start))
        found[name] = [view[a:b] for a, b in pairwise(cuts)]
        start = cuts[-1]
    return found


def load(pieces: Iterable[Piece]) -> Any:
    """One part. Its arrays are its own: they can be written, and keep nothing else in memory."""
    head, *beside = pieces
    return pickle.loads(head, buffers=[bytearray(piece) for piece in beside])


def _pickled(part: object) -> list[Piece]:
    beside: list[Piece] = []

    def lay(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if len(raw) >= SMALL:
            beside.append(raw)
            return False
        return True

    return [pickle.dumps(part, protocol=5, buffer_callback=lay), *beside]
