"""What the scripts of peers in Python decode to; Flink reads its JSON in Java and has no msgspec."""

from __future__ import annotations

import msgspec


class Seen(msgspec.Struct, gc=False):
    """Only the fields that the job asks for."""

    ts: int
    lat: float
    lon: float
    v: float = 0.0
    ev: int = 0


read = msgspec.json.Decoder(Seen).decode
