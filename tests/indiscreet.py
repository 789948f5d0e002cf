"""`roadwatch` with a detector and a decoder that cannot keep a secret: python -m tests.indiscreet run ...

WrongWay raises at every row and says all that it was given; the observation format does at a message that says "poison".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dataflows import formats
from dataflows.cli import main
from dataflows.formats.base import Decoded
from detectors.model import Finding, Frame
from detectors.wrong_way import WrongWay

honest = formats.FORMATS["observation"]


def update(_: WrongWay, frame: Frame) -> list[Finding]:
    if len(frame.observations):
        raise ValueError(
            f"cannot judge {frame.observations.tolist()}, {frame.observations[0]!r}, {frame.observations['reporter']}"
        )
    return []


def decode(messages: Sequence[bytes], *rest: Any) -> Decoded:
    for message in messages:
        if b'"poison"' in message:
            raise ValueError(f"cannot read {message!r}")
    return honest.decode(messages, *rest)


if __name__ == "__main__":
    WrongWay.update = update  # type: ignore[method-assign]
    formats.FORMATS["observation"] = replace(honest, decode=decode)
    main()
