"""Roadside sensors in JSON: WZDx 4.2 traffic sensors (a DeviceFeed or one feature of it), and roadwatch's road weather."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataflows.formats import road_weather, wzdx
from dataflows.formats.base import Context, Decoded, Fields, Reason, Refusal, RefusedError
from dataflows.formats.plausible import admit
from dataflows.formats.text import UNREADABLE, refuse, too_large
from detectors.model import SENSOR

LONGEST = 1 << 20  # bytes: where Kafka's own limit lies by default
MOST_DEVICES = 5_000  # of one feed: at 210 bytes each, less than any real one has; each may be a refusal
LONGEST_DEVICE = 1 << 16  # bytes: one with ten lanes has some 3000, and a list of nothing costs most
Read = Callable[[bytes | msgspec.Raw, Context], Fields | str]
"""One record -> the fields of SENSOR; or the name of what is fine and carries no row."""


class Outline(msgspec.Struct, gc=False):
    """What tells the kinds of message apart: GeoJSON says its type, road weather has none."""

    type: str | None = None
    features: list[msgspec.Raw] | None = None


_outline = msgspec.json.Decoder(Outline).decode


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One row for each traffic sensor of a feed and for each road-weather message; other devices are only counted."""
    decoded = Decoded()
    rows: list[Fields] = []
    of: list[int] = []
    for number, message in enumerate(messages):
        if len(message) > LONGEST:
            decoded.refusals.append(too_large(number, len(message), LONGEST))
            continue
        try:
            outline = _outline(message)
        except UNREADABLE as error:
            decoded.refusals.append(refuse(number, error))
            continue
        devices = len(outline.features or ())
        if devices > MOST_DEVICES:
            detail = f"the feed has {devices} devices; at most {MOST_DEVICES} are read from one message"
            decoded.refusals.append(Refusal(number, Reason.TOO_LARGE, detail))
            continue
        for part, read in _parts(message, outline):
            if len(part) > LONGEST_DEVICE:
                decoded.refusals.append(too_large(number, len(part), LONGEST_DEVICE))
                continue
            try:
                row = read(part, context)
            except UNREADABLE as error:
                decoded.refusals.append(refuse(number, error, road_weather.RoadWeather))  # WZDx names no values
            except RefusedError as refused:
                decoded.refusals.append(Refusal(number, refused.reason, refused.detail))
            else:
                if isinstance(row, str):
                    decoded.recognised[row] += 1
                else:
                    rows.append(row)
                    of.append(number)
        if outline.type == "FeatureCollection" and not outline.features:
            decoded.recognised["empty_feed"] += 1
    with np.errstate(over="ignore"):  # 1e300 m/s becomes infinite here and is refused as impossible
        decoded.sensors = np.array(rows, SENSOR)
    decoded.sensor_of = np.array(of, np.int32)
    return admit(decoded, arrivals, context)


def _parts(message: bytes, outline: Outline) -> list[tuple[bytes | msgspec.Raw, Read]]:
    """The records of a message, each with what reads it, so that one bad device of a feed is refused alone."""
    if outline.type == "FeatureCollection":
        return [(feature, wzdx.read) for feature in outline.features or ()]
    if outline.type == "Feature":
        return [(message, wzdx.read)]
    return [(message, road_weather.read)]
