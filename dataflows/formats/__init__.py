"""The wire formats, by the name that settings and commands give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dataflows.formats import observation
from dataflows.formats.base import Decode


@dataclass(frozen=True, slots=True)
class Format:
    """One wire format: how to decode it, and how its messages lie in a file."""

    name: str
    decode: Decode
    framing: Literal["lines", "hex_lines", "binary"]
    description: str


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "observation",
            observation.decode,
            "lines",
            "roadwatch's own compact JSON: one vehicle seen once (schema/observation.schema.json).",
        ),
    )
}
