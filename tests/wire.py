"""Messages for the tests of the formats: what decodes them, and a BSM writer of the tests' own, made from the field table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataflows.formats import FORMATS, encode, encode_etsi, encode_etsi_json
from dataflows.formats.base import Context, Decoded, Pseudonym
from dataflows.formats.encode_2025 import gbt32960_2025
from detectors.model import Sign
from tests import ydt3709_wire

CONTEXT = Context(Pseudonym(b"a key for the tests"))
TIME = 1_741_246_200_784  # 2025-03-06T07:30:00.784Z
VIN = "LRWTESTVEHICLE001"
VECTORS = Path(__file__).parents[2] / "shared" / "vectors"


def decode(name: str, *messages: bytes, arrival: int = -1) -> Decoded:
    return FORMATS[name].decode(messages, np.full(len(messages), arrival, np.int64), CONTEXT)


def vectors(folder: str) -> Path:
    """A folder of real messages, which lie beside the repository and are no part of it."""
    path = VECTORS / folder
    if not path.is_dir():
        pytest.skip(f"needs the real messages of ../shared/vectors/{folder}, which are not here; the tests' own vectors ran")
    return path


CORE_FIELDS = (  # name, bits, offset: BSMcoreData in the order of the standard
    ("msgCnt", 7, 0),
    ("id", 32, 0),
    ("secMark", 16, 0),
    ("lat", 31, 900_000_000),
    ("long", 32, 1_799_999_999),
    ("elev", 16, 4096),
    ("semiMajor", 8, 0),
    ("semiMinor", 8, 0),
    ("orientation", 16, 0),
    ("transmission", 3, 0),
    ("speed", 13, 0),
    ("heading", 15, 0),
    ("angle", 8, 126),
    ("accelLong", 12, 2000),
    ("accelLat", 12, 2000),
    ("accelVert", 8, 127),
    ("yaw", 16, 32767),
    ("wheelBrakes", 5, 0),
    ("traction", 2, 0),
    ("abs", 2, 0),
    ("scs", 2, 0),
    ("brakeBoost", 2, 0),
    ("auxBrakes", 2, 0),
    ("width", 10, 0),
    ("length", 12, 0),
)
UNAVAILABLE = {
    "secMark": 65535,
    "lat": 900_000_001,
    "long": 1_800_000_001,
    "elev": -4096,
    "semiMajor": 255,
    "semiMinor": 255,
    "orientation": 65535,
    "transmission": 7,
    "speed": 8191,
    "heading": 28800,
    "angle": 127,
    "accelLong": 2001,
    "accelLat": 2001,
    "accelVert": -127,
    "wheelBrakes": 0b10000,
}


def bsm(parts: tuple[tuple[int, str], ...] = (), regional: tuple[tuple[int, str], ...] = (), **core: int) -> bytes:
    """A bare BSM in unaligned PER. `parts` are (PartII-Id, content as a string of bits), so are regional extensions."""
    bits = "0" + ("1" if parts else "0") + ("1" if regional else "0")
    for name, size, offset in CORE_FIELDS:
        bits += f"{core.pop(name, UNAVAILABLE.get(name, 0)) + offset:0{size}b}"
    assert not core, f"no such field: {core}"
    if parts:
        bits += f"{len(parts) - 1:03b}" + "".join(f"{number:06b}" + open_type(content) for number, content in parts)
    if regional:
        bits += f"{len(regional) - 1:02b}" + "".join(f"{number:08b}" + open_type(content) for number, content in regional)
    return octets(bits)


def open_type(content: str) -> str:
    inside = octets(content)
    length = f"{len(inside):08b}" if len(inside) < 128 else f"10{len(inside):014b}"
    return length + "".join(f"{octet:08b}" for octet in inside)


def octets(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big") if bits else b""


def safety(events: str) -> tuple[int, str]:
    """VehicleSafetyExtensions with nothing but event flags: 13 of them, or more behind an extension bit."""
    extended = "" if len(events) == 13 else f"{len(events):08b}"
    return 0, "0" + "1000" + ("1" if extended else "0") + extended + events


def frame(message: bytes, number: int = 20) -> bytes:
    """In a MessageFrame."""
    length = len(message).to_bytes(1, "big") if len(message) < 128 else (0x8000 | len(message)).to_bytes(2, "big")
    return number.to_bytes(2, "big") + length + message


def packet(kind: int, port: int, pdu: bytes, transport: int = 0x10, short: bool = False) -> bytes:
    """A GeoNetworking packet from its common header on; if it is short it has no room for its BTP header."""
    extended = {0x20: 48, 0x50: 28, 0x51: 28}.get(kind, 44)
    payload = b"" if short else port.to_bytes(2, "big") + b"\0\0" + pdu
    common = bytes((transport, kind, 2, 0x80)) + len(payload).to_bytes(2, "big") + b"\x01\0"
    return common + bytes(range(extended)) + payload


def secured(message: bytes, long: bool = False) -> bytes:
    """In a signed IEEE 1609.2 envelope, whose length may be written in the long way."""
    length = b"\x82" + len(message).to_bytes(2, "big") if long or len(message) > 0x7F else bytes([len(message)])
    return b"\x03\x81\x00\x40\x03\x80" + length + message + b"header, signer and signature"


def a_reading(**changes: object) -> bytes:
    said = {
        "time": TIME // 1000 * 1000,
        "vin": VIN,
        "lat": 22.540897,
        "lon": 114.050292,
        "speed": 12.5,
        "mileage": 20_345.6,
        "soc": 0.57,
        "voltage": 355.5,
        "current": -20.5,
        "insulation": 5e6,
        "cells": [3.7, 3.65, 3.71],
        "temperatures": [25, 31, -10],
        "motor_temperature": 55,
    }
    return encode.gbt32960_realtime(**(said | changes))


def a_reading_of_2025(**changes: object) -> bytes:
    said = {
        "time": TIME // 1000 * 1000,
        "vin": VIN,
        "lat": 22.538165,
        "lon": 114.055396,
        "system": 2,
        "speed": 12.5,
        "mileage": 20_345.6,
        "soc": 0.57,
        "voltage": 713.8,
        "current": -1220.5,
        "insulation": 5e6,
        "cells": [3.7, 3.65, 3.71],
        "temperatures": [25, 31, -10],
        "motor_temperature": 55,
        "signature": bytes(range(64)),
    }
    return gbt32960_2025(**(said | changes))


PLACE = {"lat": 22.540897, "lon": 114.050292}
CRUMB = {"llvOffset": {"offsetLL": (2, {"lon": -90, "lat": 40}), "offsetV": (0, 3)}, "timeOffset": 20, "speed": 490}
SEEN_BEFORE = {"events": "0000000100000", "pathHistory": {"crumbData": [CRUMB] * 3}, "lights": "000010000"}
STATION = 0xB3D65C18  # of a CAM and a DENM
CAM = {"time": TIME, "station": STATION, "speed": 5.88, "heading": 74.4, "accel": -2.7, **PLACE}
DENM = {"detected": TIME - 700, "referred": TIME, "station": STATION, "number": 7, "cause": 94, "subcause": 2, **PLACE}
LIT = {"signs": Sign.BRAKE | Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS | Sign.HAZARDOUS_GOODS}
VALID: dict[str, list[bytes]] = {
    "observation": [
        b'{"id":"b3d65c18","ts":1741246199784,"rx":1741246200060,"lat":22.540897,"lon":114.050292,"v":5.88,"hdg":74.4,"ax":-2.72,"brk":1}',
        b'{"id":"aeef0c53","ts":1741246199784,"lat":-33.8,"lon":-70.6}',
    ],
    "ode-json": [
        encode.ode_json(time=TIME, id="b3d65c18", speed=5.88, heading=74.4, accel=-2.72, signs=Sign.BRAKE | Sign.ABS, **PLACE),
        b'{"metadata":{"recordGeneratedAt":"","odeReceivedAt":"2025-03-06T07:30:00Z","asn1":"%s"},"payload":{}}'
        % frame(bsm(lat=225408970, long=1140502920, speed=100, parts=(safety("0000000100000"),))).hex().encode(),
        b'{"metadata":{"schemaVersion":6,"recordGeneratedAt":"2025-03-06T07:30:00Z"},"payload":{"data":{"coreData":{"id":"b3d65c18",'
        b'"secMark":500,"position":{"latitude":22.5,"longitude":114.1},"speed":1.12,"heading":268.3,"accelSet":{"accelLong":-5.9}},'
        b'"partII":[{"id":"VehicleSafetyExtensions","value":{"events":{"eventHardBraking":true}}}]}}}',
    ],
    "j2735": [
        bsm(id=0xB3D65C18, lat=225408970, long=1140502920, speed=100, heading=800, accelLong=-300, secMark=784),
        frame(bsm(lat=225408970, long=1140502920, parts=(safety("0000000100000"), (2, "1" * 99)))),
        bytes.fromhex("038100400380") + b"\x28" + frame(bsm(lat=225408970, long=1140502920)),
    ],
    "ydt3709": [
        encode.ydt3709_bsm(
            time=TIME, id="5AFE0000B3D65C18", speed=5.88, heading=74.4, signs=Sign.BRAKE | Sign.FOG_LIGHTS, **PLACE
        ),
        ydt3709_wire.bsm(safetyExt=SEEN_BEFORE, emergencyExt={"responseType": 1, "lightsUse": 2}),
        ydt3709_wire.rsm(ydt3709_wire.participant(), ydt3709_wire.participant(ptcId=2, id=bytes(8))),
        b"\x80\x02\x0c\x00",
    ],
    "etsi": [
        encode_etsi.cam(**CAM),
        encode_etsi.cam(**CAM | LIT),
        encode_etsi.denm(**DENM, heading=74.4),
        encode_etsi.denm(**DENM, ended=True),
        b"\x12\0\x05\x01" + secured(packet(0x40, 2002, encode_etsi.denm(**DENM))),
        b"\x11\0\x05\x01" + packet(0x50, 2001, encode_etsi.cam(**CAM)),
    ],
    "etsi-json": [
        encode_etsi_json.cam(**CAM | LIT),
        encode_etsi_json.denm(**DENM, heading=74.4),
        b'{"type":"cam","timestamp":1741246200784,"message":{"station_id":1,"generation_delta_time":1234,"basic_container":'
        b'{"reference_position":{"latitude":225408970,"longitude":1140502920}},"high_frequency_container":{"speed":588,'
        b'"heading":744,"acceleration_control":"1010000"},"low_frequency_container":{"exterior_lights":"00110010"}}}',
        b'{"type":"denm","timestamp":1741246200784,"message":{"station_id":1,"management_container":{"action_id":'
        b'{"originating_station_id":1,"sequence_number":7},"detection_time":668331000784,"reference_time":668331000784,'
        b'"event_position":{"latitude":225408970,"longitude":1140502920}},"situation_container":{"event_type":{"cause":94}},'
        b'"location_container":{"event_position_heading":744}}}',
    ],
    "gbt32960": [
        a_reading(),
        a_reading(reissued=True) + encode.gbt32960_login(time=TIME, vin=VIN),
        encode.gbt32960_frame(7, VIN, b""),
        a_reading_of_2025(alarms=1 << 23 | 1 << 11, alarm_level=4, levels=[(11, 2), (23, 4)]),
        a_reading_of_2025(system=1, reissued=True) + a_reading() + encode.gbt32960_frame(0x0B, VIN, b"", edition=2025),
    ],
    "sensor": [
        encode.traffic_sensor(time=TIME, id="loop-7", heading=74.0, speed=20.0, volume=1200.0, occupancy=0.11, **PLACE),
        b'{"type":"FeatureCollection","features":['
        + encode.traffic_sensor(time=TIME, id="loop-8", speed=20.0, **PLACE)
        + b"]}",
        encode.road_weather(time=TIME, id="rw-1", friction=0.31, visibility=90.0, surface_temperature=-1.5, **PLACE),
    ],
}
"""Of each format, messages that decode whole."""
