"""The shapes that a CAM or a DENM of the its-client project may have in JSON, as far as they are read.

Both generations: the older one (up to 2.0) is flat, has `_container` in the names of a DENM's parts and bit strings of 0 and
1; the newer one nests a value beside its confidence, and has objects of flags. Integers are those of the standard.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct, field

from dataflows.formats.etsi_rows import (
    ACCEL_UNAVAILABLE,
    DEFAULT_VALIDITY,
    HEADING_UNAVAILABLE,
    LAT_UNAVAILABLE,
    LON_UNAVAILABLE,
    SPEED_UNAVAILABLE,
)

# What counts or names has its range from the standard; what is measured has the one of plausible.py.
Byte = Annotated[int, Meta(ge=0, le=0xFF)]
Word = Annotated[int, Meta(ge=0, le=0xFFFF)]
Long = Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
TimestampIts = Annotated[int, Meta(ge=0, le=(1 << 42) - 1)]
Termination = Annotated[int, Meta(ge=0, le=1)]
Seconds = Annotated[int, Meta(ge=0, le=86_400)]
Measured = Annotated[int, Meta(ge=-(2**53), le=2**53)]


class There(Struct, gc=False):
    """An object of which only matters that it is there."""


class Value(Struct, gc=False):
    value: Measured


class Position(Struct, gc=False):
    latitude: Measured = LAT_UNAVAILABLE
    longitude: Measured = LON_UNAVAILABLE


class Control(Struct, gc=False):
    brake_pedal_engaged: bool = False
    emergency_brake_engaged: bool = False


class Lights(Struct, gc=False):
    left_turn_signal_on: bool = False
    right_turn_signal_on: bool = False
    fog_light_on: bool = False


class Motion(Struct, gc=False):
    speed: Measured | Value = SPEED_UNAVAILABLE
    heading: Measured | Value = HEADING_UNAVAILABLE
    longitudinal_acceleration: Measured | Value = ACCEL_UNAVAILABLE
    acceleration_control: str | Control | None = None


class HighFrequency(Motion, gc=False):
    """The older generation's fields lie here, the newer one's in one of two containers."""

    vehicle: Motion | None = field(default=None, name="basic_vehicle_container_high_frequency")
    roadside: There | None = field(default=None, name="rsu_container_high_frequency")


class Appearance(Struct, gc=False):
    vehicle_role: Byte = 0
    exterior_lights: str | Lights | None = None


class LowFrequency(Appearance, gc=False):
    vehicle: Appearance | None = field(default=None, name="basic_vehicle_container_low_frequency")


class Special(Struct, gc=False):
    dangerous_goods_container: There | None = None


class Basic(Struct, gc=False):
    reference_position: Position
    station_type: Byte = 0


class Cam(Struct, gc=False):
    station_id: Long
    basic_container: Basic
    high_frequency_container: HighFrequency
    generation_delta_time: Word | None = None
    low_frequency_container: LowFrequency | None = None
    special_vehicle_container: Special | None = None


class Action(Struct, gc=False):
    originating_station_id: Long
    sequence_number: Word


class Management(Struct, gc=False):
    action_id: Action
    detection_time: TimestampIts
    reference_time: TimestampIts
    event_position: Position
    termination: Termination | None = None
    validity_duration: Seconds = DEFAULT_VALIDITY
    station_type: Byte = 0


class Cause(Struct, gc=False):
    cause: Byte
    subcause: Byte = 0


class Situation(Struct, gc=False):
    event_type: Cause


class Location(Struct, gc=False):
    event_position_heading: Measured | Value = HEADING_UNAVAILABLE


class Denm(Struct, gc=False):
    """Either name of each part."""

    management: Management | None = None
    management_container: Management | None = None
    situation: Situation | None = None
    situation_container: Situation | None = None
    location: Location | None = None
    location_container: Location | None = None


class Encoded(Struct, gc=False):
    payload: str  # a PDU in base64


class Envelope(Struct, gc=False):
    """What is around every message; its type decides how that is read."""

    message: Raw
    message_type: str | None = None
    type: str | None = None  # as the older generation has it
    message_format: str | None = None
    timestamp: Annotated[int, Meta(ge=0, le=2**53)] | None = None  # ms since 1970
