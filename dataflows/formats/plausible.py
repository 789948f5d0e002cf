"""What no vehicle, battery or sensor can truly say: every decoder ends here, and the impossible is refused.

The limits rule out broken senders, not extreme roads: a value that a person would want to see survives. Missing
(NaN) is always admitted, except where a row is nothing without it: an observation or a sensor needs a place. Of a car
that raises an alarm only the impossible value is dropped: a pack that burns says odd things.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflows.formats.base import Context, Decoded, Reason, Refusal
from detectors.model import Rows

EARLIEST = 946_684_800_000  # ms: 2000-01-01. Clocks without a fix start in 1970 or 1980, before any V2X radio
LATEST = 4_102_444_800_000  # ms: 2100-01-01. Beyond it a unit was mistaken, such as microseconds for milliseconds
NULL_ISLAND = 0.001  # degrees, about 110 m: receivers without a fix say 0, 0, which is open sea in the Gulf of Guinea


class Limit(NamedTuple):
    """One column's admissible range, both ends included, and what leaving it is called."""

    column: str
    low: float
    high: float
    reason: Reason
    unit: str


SPEED = Limit("speed", 0.0, 163.82, Reason.IMPOSSIBLE_SPEED, "m/s")  # 590 km/h, the fastest that a CAM or BSM can say
HEADING = Limit("heading", 0.0, 360.0, Reason.IMPOSSIBLE_HEADING, "degrees")
MOTION = (
    SPEED,
    HEADING,
    # Tyres and brakes stay under 2 g, where SAE J2735 ends its scale; a crash pulse can read some g more.
    Limit("accel", -50.0, 50.0, Reason.IMPOSSIBLE_ACCELERATION, "m/s2"),
)
WARNED = (HEADING,)  # of a notice
TIMES = {
    "onset": "when it was detected",
    "version": "when it was made",
    "until": "when it ends to be valid",
}  # of a notice, beside its own
ROADSIDE = (
    SPEED,
    HEADING,
    Limit("interval", 0.0, 86_400.0, Reason.IMPOSSIBLE_READING, "s"),  # a day: longer is a report, not a measurement
    Limit("volume", 0.0, 50_000.0, Reason.IMPOSSIBLE_READING, "vehicles/h"),  # 20 lanes at capacity (2400, HCM)
    Limit("occupancy", 0.0, 1.0, Reason.IMPOSSIBLE_READING, "of the time"),
    # Air: the WMO's records are -89.2 and 56.7 degrees Celsius; asphalt in the sun reaches about 30 degrees more.
    Limit("air_temperature", -90.0, 60.0, Reason.IMPOSSIBLE_READING, "degrees Celsius"),
    Limit("surface_temperature", -90.0, 100.0, Reason.IMPOSSIBLE_READING, "degrees Celsius"),
    Limit("friction", 0.0, 1.0, Reason.IMPOSSIBLE_READING, "(coefficient)"),  # as the sensors scale it
    Limit("visibility", 0.0, 300_000.0, Reason.IMPOSSIBLE_READING, "m"),  # Rayleigh scattering ends it there
    Limit("precipitation", 0.0, 2_000.0, Reason.IMPOSSIBLE_READING, "mm/h"),  # WMO record: 31.2 mm in a minute
    Limit("wind", 0.0, 120.0, Reason.IMPOSSIBLE_READING, "m/s"),  # WMO record gust: 113 m/s
)
TELEMETRY = (  # the ranges that GB/T 32960.3 calls valid, the wider where its editions differ; outside are codes for 'no value'
    SPEED,
    Limit("mileage", 0.0, 999_999.9, Reason.IMPOSSIBLE_READING, "km"),
    Limit("soc", 0.0, 1.0, Reason.IMPOSSIBLE_READING, "of full"),
    # 1000 V in 2016 and 6000 V in 2025, but GB 18384 ends the voltage of a vehicle (class B) at 1500 V of direct current.
    Limit("voltage", 0.0, 1_500.0, Reason.IMPOSSIBLE_READING, "V"),
    Limit("current", -3_000.0, 3_000.0, Reason.IMPOSSIBLE_READING, "A"),  # 1000 A in 2016
    Limit("insulation", 0.0, 60e6, Reason.IMPOSSIBLE_READING, "ohm"),
    # 60 V in 2025, of the smallest unit in parallel; a block of lead-acid cells has 15 V at most.
    Limit("cell_voltage_max", 0.0, 15.0, Reason.IMPOSSIBLE_READING, "V"),
    Limit("cell_voltage_min", 0.0, 15.0, Reason.IMPOSSIBLE_READING, "V"),
    Limit("cell_voltage_mean", 0.0, 15.0, Reason.IMPOSSIBLE_READING, "V"),
    Limit("temperature_max", -40.0, 210.0, Reason.IMPOSSIBLE_READING, "degrees Celsius"),
    Limit("temperature_min", -40.0, 210.0, Reason.IMPOSSIBLE_READING, "degrees Celsius"),
    Limit("motor_temperature", -40.0, 210.0, Reason.IMPOSSIBLE_READING, "degrees Celsius"),
)

PLACE = ("lat", "lon")
WORST = 4  # alarm level of the 2025 edition; above are the codes for 'no value'
ROUNDING = 1e-6  # relative: columns are float32, and a limit itself must not fall to its rounding


def admit(decoded: Decoded, arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """The same batch with impossible rows turned into refusals, which come out in the order of their messages.

    `arrivals` holds one time in ms for each message, -1 where it is unknown.
    """
    refusals = decoded.refusals
    decoded.observations, decoded.observation_of = _split(
        decoded.observations, decoded.observation_of, MOTION, True, arrivals, context, refusals
    )
    decoded.sensors, decoded.sensor_of = _split(decoded.sensors, decoded.sensor_of, ROADSIDE, True, arrivals, context, refusals)
    decoded.readings, decoded.reading_of = _split(
        decoded.readings, decoded.reading_of, TELEMETRY, False, arrivals, context, refusals
    )
    decoded.notices, decoded.notice_of = _split(decoded.notices, decoded.notice_of, WARNED, True, arrivals, context, refusals)
    refusals.sort(key=lambda refusal: refusal.message)
    return decoded


def _split(
    rows: Rows,
    of: NDArray[np.int32],
    limits: tuple[Limit, ...],
    needs_place: bool,
    arrivals: NDArray[np.int64],
    context: Context,
    refusals: list[Refusal],
) -> tuple[Rows, NDArray[np.int32]]:
    """The admissible rows and their messages; the first fault of each other row goes to `refusals`."""
    if not len(rows):
        return rows, of
    if "heading" in (rows.dtype.names or ()):
        rows["heading"][rows["heading"] == 360.0] = 0.0  # north has one name
    bad, alarmed = np.zeros(len(rows), np.bool_), _alarmed(rows) if limits is TELEMETRY else None
    for mask, reason, detail, columns in _faults(rows, arrivals[of], limits, needs_place, context):
        if alarmed is not None and columns:
            for column in columns:
                rows[column][mask & alarmed] = np.nan
            mask = mask & ~alarmed
        new = mask & ~bad
        if new.any():
            refusals.extend(Refusal(int(of[i]), reason, detail(i)) for i in np.flatnonzero(new).tolist())
            bad |= mask
    if not bad.any():
        return rows, of
    return rows.compress(~bad), of[~bad]


def _alarmed(rows: Rows) -> NDArray[np.bool_]:
    """Whose car raises an alarm: that must be heard, whatever else it says; a probe that melts says odd things."""
    level: NDArray[np.uint8] = rows["alarm_level"]
    raised: NDArray[np.bool_] = (rows["alarms"] != 0) | ((level > 0) & (level <= WORST))
    return raised


class _Fault(NamedTuple):
    mask: NDArray[np.bool_]
    reason: Reason
    detail: _Detail
    columns: tuple[str, ...] = ()  # what is not known, then, of a car that raises an alarm; empty: no row without it


class _Detail(NamedTuple):
    """Says what is wrong with row `i`, only once it is asked for; rounded, so that no number tells who said it."""

    values: NDArray[np.generic]
    sentence: str

    def __call__(self, i: int) -> str:
        return self.sentence.format(self.values[i].item())


def _faults(
    rows: Rows, arrivals: NDArray[np.int64], limits: tuple[Limit, ...], needs_place: bool, context: Context
) -> Iterator[_Fault]:
    time, lat, lon = rows["time"], rows["lat"], rows["lon"]
    yield _Fault(
        (time < EARLIEST) | (time >= LATEST),
        Reason.IMPOSSIBLE_TIME,
        # rounded, for what stands where a time should be may be a name, and this is told
        # rounded, as the numbers below are: an identity in the wrong field may not come out whole
        _Detail(time, "the event time {:.4g} is not between the years 2000 and 2100; it counts milliseconds since 1970"),
    )
    ahead = time - arrivals
    yield _Fault(
        (arrivals >= 0) & (ahead > context.max_ahead),
        Reason.AHEAD_OF_TIME,
        _Detail(ahead, f"the event time is {{:.6g}} ms past the arrival, more than the {context.max_ahead} ms allowed"),
    )
    for column, what in TIMES.items() if "until" in (rows.dtype.names or ()) else ():
        yield _Fault(
            (rows[column] < EARLIEST) | (rows[column] >= LATEST),
            Reason.IMPOSSIBLE_TIME,
            _Detail(rows[column], f"{what}, {{:.4g}}, is not between the years 2000 and 2100"),
        )
    if needs_place:
        missing = np.isnan(lat) | np.isnan(lon)
        yield _Fault(missing, Reason.NO_POSITION, _Detail(lat, "the position is not available"))
    yield _Fault(
        np.abs(lat) > 90.0,
        Reason.IMPOSSIBLE_POSITION,
        _Detail(lat, "the latitude {:.6g} is not within -90 to 90 degrees"),
        PLACE,
    )
    yield _Fault(
        np.abs(lon) > 180.0,
        Reason.IMPOSSIBLE_POSITION,
        _Detail(lon, "the longitude {:.6g} is not within -180 to 180 degrees"),
        PLACE,
    )
    yield _Fault(
        (np.abs(lat) < NULL_ISLAND) & (np.abs(lon) < NULL_ISLAND),
        Reason.IMPOSSIBLE_POSITION,
        _Detail(lat, "the position is latitude 0, longitude 0, which receivers say when they have no fix"),
        PLACE,
    )
    for column, low, high, reason, unit in limits:
        values = rows[column]
        slack = ROUNDING * max(abs(low), abs(high))
        yield _Fault(
            (values < low - slack) | (values > high + slack),
            reason,
            _Detail(values, f"{column.replace('_', ' ')} {{:.6g}} is not within {low:g} to {high:g} {unit}"),
            (column,),
        )
