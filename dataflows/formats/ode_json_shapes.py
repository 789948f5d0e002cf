"""The shapes that an ODE JSON record may have, as far as they are read; every other key is passed over."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from dataflows.formats.text import Identity

Measured = Annotated[int, Meta(ge=-(2**53), le=2**53)]  # what a float holds exactly


class Brakes(Struct, gc=False):
    """States by name: unavailable, off, on, engaged."""

    traction: str | None = None
    abs: str | None = None
    scs: str | None = None


# Schema version 8 and before: SI units and degrees, absent or null where unavailable.


class Place(Struct, gc=False):
    latitude: float | None = None
    longitude: float | None = None


class Acceleration(Struct, gc=False, rename="camel"):
    accel_long: float | None = None


class Wheels(Struct, gc=False, rename="camel"):
    unavailable: bool | None = None
    left_front: bool | None = None
    right_front: bool | None = None
    left_rear: bool | None = None
    right_rear: bool | None = None


class NamedBrakes(Brakes, gc=False, rename="camel"):
    wheel_brakes: Wheels | None = None


class Core(Struct, gc=False, rename="camel"):
    id: Identity
    sec_mark: int | None = None
    position: Place | None = None
    accel_set: Acceleration | None = None
    speed: float | None = None
    heading: float | None = None
    brakes: NamedBrakes | None = None


class Extension(Struct, gc=False):
    events: dict[str, bool | None] | None = None


class Part(Struct, gc=False):
    value: Extension | None = None


# Schema version 9: the integers of J2735, with its own values for unavailable.


class RawAcceleration(Struct, gc=False):
    along: Measured = field(default=2001, name="long")


class RawBrakes(Brakes, gc=False, rename="camel"):
    wheel_brakes: str | None = None  # a bit string in hexadecimal


class RawCore(Struct, gc=False, rename="camel"):
    id: Identity
    sec_mark: int = 65_535
    lat: Measured = 900_000_001
    lon: Measured = field(default=1_800_000_001, name="long")
    speed: Measured = 8_191
    heading: Measured = 28_800
    accel_set: RawAcceleration | None = None
    brakes: RawBrakes | None = None


class BitString(Struct, gc=False):
    value: str  # hexadecimal, the first bit is the most significant
    length: int  # bits


class RawSafety(Struct, gc=False):
    events: BitString | None = None


class RawExtension(Struct, gc=False):
    safety: RawSafety | None = field(default=None, name="VehicleSafetyExtensions")


class RawPart(Struct, gc=False):
    value: RawExtension | None = field(default=None, name="partII-Value")


class RawBsm(Struct, gc=False):
    core: RawCore = field(name="coreData")
    part_ii: list[RawPart] | None = field(default=None, name="partII")


# Around them.


class MessageFrame(Struct, gc=False):
    bsm: RawBsm | None = field(default=None, name="BasicSafetyMessage")


class Content(Struct, gc=False):
    """Which of the three is there tells the style."""

    core: Core | None = field(default=None, name="coreData")
    part_ii: list[Part] | None = field(default=None, name="partII")
    frame: MessageFrame | None = field(default=None, name="value")
    octets: str | None = field(default=None, name="bytes")


class Payload(Struct, gc=False):
    data: Content | None = None


class Metadata(Struct, gc=False):
    generated_at: str | None = field(default=None, name="recordGeneratedAt")
    received_at: str | None = field(default=None, name="odeReceivedAt")
    asn1: str | None = None  # the message as it was received, in hexadecimal


class Record(Struct, gc=False):
    metadata: Metadata
    payload: Payload
