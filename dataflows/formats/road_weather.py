"""roadwatch's road-weather JSON: what a station measures, units in the names (`schema/road_weather.schema.json`)."""

from __future__ import annotations

from typing import Literal

import msgspec

from dataflows.formats.base import Context, Fields, Reason, RefusedError
from dataflows.formats.text import Identity, Milliseconds
from detectors.model import LANES, Surface

NAN = float("nan")


class RoadWeather(msgspec.Struct, gc=False):
    """The message; null is the same as absent, and other keys are ignored."""

    id: Identity
    ts: Milliseconds  # event time
    lat: float
    lon: float
    surface_temperature_c: float | None = None
    air_temperature_c: float | None = None
    friction: float | None = None  # coefficient
    visibility_m: float | None = None
    precipitation_mm_h: float | None = None
    wind_m_s: float | None = None
    surface_state: Literal["unknown", "dry", "moist", "wet", "ice", "snow", "slush", "frost"] | None = None
    heading_deg: float | None = None  # of the carriageway, where it speaks for one only


MEASURES = RoadWeather.__struct_fields__[4:-1]
_decode = msgspec.json.Decoder(RoadWeather).decode


def read(message: bytes | msgspec.Raw, context: Context) -> Fields:
    """The fields of SENSOR, in its order; None where missing.

    A station whose sensors have failed says so with nulls; what names no measure at all is something else, such as an
    observation that was sent here.
    """
    said = _decode(message)
    if all(getattr(said, name) is None for name in MEASURES) and not set(MEASURES) & set(msgspec.json.decode(message)):
        raise RefusedError(Reason.WRONG_SHAPE, f"it measures nothing: expected one of {', '.join(MEASURES)}")
    return (
        said.ts,
        context.pseudonym(said.id),
        0,
        said.lat,
        said.lon,
        said.heading_deg,
        None,  # interval: the values are of the moment
        None,
        None,
        None,
        said.surface_temperature_c,
        said.air_temperature_c,
        said.friction,
        said.visibility_m,
        said.precipitation_mm_h,
        said.wind_m_s,
        Surface[(said.surface_state or "unknown").upper()].value,
        (None,) * LANES,
        (None,) * LANES,
    )
