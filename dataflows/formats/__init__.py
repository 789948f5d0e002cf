"""The wire formats, by the name that settings and commands give them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dataflows.formats import etsi, etsi_json, gbt32960, gbt32960_cut, j2735, observation, ode_json, sensor, ydt3709
from dataflows.formats.base import Decode


@dataclass(frozen=True, slots=True)
class Format:
    """One wire format: how to decode it, and how its messages lie in a file."""

    name: str
    decode: Decode
    framing: Literal["lines", "hex_lines", "binary"]
    description: str
    unknown: Callable[[Sequence[bytes]], Counter[str]] | None = None
    """Keys of messages that this format does not know, and how many have each; None where that cannot be said."""
    meant: Mapping[str, str] = field(default_factory=dict)
    """Such keys in small letters, and what they are called here."""
    dated: bool = True
    """Whether its messages say when they were sent, and not a part of it such as the second: then their arrival tells."""
    cut: Callable[[Iterator[bytes]], Iterator[tuple[int, bytes]]] | None = None
    """Blocks of a file in binary to its messages, each with the byte at which it begins; None where such a file is one."""


FORMATS: dict[str, Format] = {
    entry.name: entry
    for entry in (
        Format(
            "observation",
            observation.decode,
            "lines",
            "roadwatch's own compact JSON: one vehicle seen once (schema/observation.schema.json).",
            unknown=observation.unknown,
            meant=observation.MEANT,
        ),
        Format(
            "ode-json",
            ode_json.decode,
            "lines",
            "USDOT ODE BSM JSON: SI units (schema version 8 and before), raw J2735 integers (9), or UPER in hexadecimal.",
        ),
        Format(
            "j2735",
            j2735.decode,
            "binary",
            "SAE J2735 BSM in UPER, bare, in a MessageFrame or in an IEEE 1609.2 envelope; one message a file.",
            dated=False,
        ),
        Format(
            "ydt3709",
            ydt3709.decode,
            "hex_lines",
            "YD/T 3709-2020 (LTE-V2X in China) in UPER: BSM and RSM, each in its MessageFrame and nothing around it.",
            dated=False,
        ),
        Format(
            "etsi",
            etsi.decode,
            "hex_lines",
            "ETSI CAM (EN 302 637-2) and DENM (EN 302 637-3) in UPER, bare, signed (TS 103 097) or in a GeoNetworking packet.",
            dated=False,
        ),
        Format(
            "etsi-json",
            etsi_json.decode,
            "lines",
            "ETSI CAM and DENM in JSON, with the integers of the standard, as the its-client project writes them.",
        ),
        Format(
            "gbt32960",
            gbt32960.decode,
            "hex_lines",
            "GB/T 32960.3-2016 and -2025: an electric vehicle's telemetry, one or more binary frames a message.",
            cut=gbt32960_cut.cut,
        ),
        Format(
            "sensor",
            sensor.decode,
            "lines",
            "WZDx 4.2 traffic sensors (a DeviceFeed or one feature), and road weather (schema/road_weather.schema.json).",
        ),
    )
}
