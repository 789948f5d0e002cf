"""The wire formats, by the name that settings and commands give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dataflows.formats import gbt32960, observation
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
        Format(
            "gbt32960",
            gbt32960.decode,
            "hex_lines",
            "GB/T 32960.3-2016: an electric vehicle's telemetry, one or more binary frames a message.",
        ),
    )
}
