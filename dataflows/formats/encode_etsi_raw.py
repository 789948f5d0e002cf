"""SI units and signs as the integers of ETSI's data dictionary, for what writes CAMs and DENMs; NaN becomes 'unavailable'."""

from __future__ import annotations

import math

from dataflows.formats.etsi_rows import (
    ACCEL_UNAVAILABLE,
    DANGEROUS_GOODS,
    EPOCH,
    HEADING_UNAVAILABLE,
    LAT_UNAVAILABLE,
    LON_UNAVAILABLE,
    PERIOD,
    SPEED_UNAVAILABLE,
)
from detectors.model import Sign

CAR = 5  # StationType
LOW_FREQUENCY = Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS | Sign.HAZARDOUS_GOODS  # what that container is needed for


def delta(time: int) -> int:
    return (time - EPOCH) % PERIOD


def lat(value: float) -> int:
    return _raw(value, 1e7, LAT_UNAVAILABLE)


def lon(value: float) -> int:
    return _raw(value, 1e7, LON_UNAVAILABLE)


def speed(value: float) -> int:
    return min(_raw(value, 100, SPEED_UNAVAILABLE), SPEED_UNAVAILABLE)


def heading(value: float) -> int:
    return HEADING_UNAVAILABLE if math.isnan(value) else round(value * 10) % 3600


def accel(value: float) -> int:
    return ACCEL_UNAVAILABLE if math.isnan(value) else max(-160, min(160, round(value * 10)))


def _raw(value: float, scale: float, unavailable: int) -> int:
    return unavailable if math.isnan(value) else round(value * scale)


def control(signs: int) -> int:
    return 0x40 * bool(signs & Sign.BRAKE) | 0x10 * bool(signs & Sign.HARD_BRAKE)


def lights(signs: int) -> int:
    return 0x30 * bool(signs & Sign.HAZARD_LIGHTS) | 0x02 * bool(signs & Sign.FOG_LIGHTS)


def role(signs: int) -> int:
    return DANGEROUS_GOODS * bool(signs & Sign.HAZARDOUS_GOODS)
