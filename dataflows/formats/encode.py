"""The other way round, for demonstrations and tests: what a vehicle, an EV or a sensor would put on the wire.

Arguments are in SI units, WGS-84 degrees and ms since the epoch, as in the decoded rows; NaN becomes the format's own
'unavailable'.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import orjson

from dataflows.formats import moment
from dataflows.formats.bsm import EVENT_FLAGS, MINUTE
from dataflows.formats.wzdx import HEADINGS
from dataflows.formats.ydt3709_bsm import LIGHT_SIGNS
from detectors.model import Sign, Surface

NAN = float("nan")
CELLS_A_PART = 200  # single voltages that one part of unit 08 may carry
NO_FIX = 1  # position status of unit 05


def ode_json(
    *,
    time: int,
    id: str,  # four bytes in hexadecimal
    lat: float,
    lon: float,
    speed: float = NAN,
    heading: float = NAN,
    accel: float = NAN,
    signs: int = 0,
) -> bytes:
    """A BSM as an ODE of schema version 9 publishes it. Fog lights have no place in the event flags and are left out."""
    core = {
        "msgCnt": time // 100 % 128,
        "id": id.upper(),
        "secMark": time % MINUTE,
        "lat": _raw(lat, 1e7, 900_000_001),
        "long": _raw(lon, 1e7, 1_800_000_001),
        "elev": -4096,
        "accuracy": {"semiMajor": 255, "semiMinor": 255, "orientation": 65535},
        "transmission": "unavailable",
        "speed": min(_raw(speed, 50, 8191), 8191),
        "heading": 28800 if math.isnan(heading) else _raw(heading, 80, 0) % 28800,
        "angle": 127,
        "accelSet": {"long": 2001 if math.isnan(accel) else max(-2000, min(2000, round(accel * 100)))}
        | {"lat": 2001, "vert": -127, "yaw": 0},
        "brakes": {"wheelBrakes": "78" if signs & Sign.BRAKE else "00"}
        | dict.fromkeys(("traction", "abs", "scs", "brakeBoost", "auxBrakes"), "unavailable"),
        "size": {"width": 0, "length": 0},
    }
    said: dict[str, object] = {"coreData": core}
    flags = sum(1 << 15 - place for place, sign in enumerate(EVENT_FLAGS[:13]) if signs & sign)
    if flags:
        safety = {"events": {"value": f"{flags:04X}", "length": 13}}
        said["partII"] = [{"partII-Id": 0, "partII-Value": {"VehicleSafetyExtensions": safety}}]
    metadata = {
        "recordType": "bsmTx",
        "payloadType": "us.dot.its.jpo.ode.model.OdeMessageFramePayload",
        "schemaVersion": 9,
        "recordGeneratedAt": moment.write(time),
        "recordGeneratedBy": "OBU",
        "odeReceivedAt": moment.write(time),
        "sanitized": False,
        "source": "EV",
    }
    data = {"messageId": 20, "value": {"BasicSafetyMessage": said}}
    return orjson.dumps(
        {
            "metadata": metadata,
            "payload": {"dataType": "us.dot.its.jpo.ode.plugin.j2735.J2735MessageFrame", "data": data},
        }
    )


def ydt3709_bsm(
    *,
    time: int,
    id: str,  # eight bytes in hexadecimal
    lat: float,
    lon: float,
    speed: float = NAN,
    heading: float = NAN,
    accel: float = NAN,
    signs: int = 0,
) -> bytes:
    """A BSM of a car as LTE-V2X has it, in its MessageFrame: pedal, event flags and lamps, and of the rest what must be."""
    flags = sum(1 << 12 - place for place, sign in enumerate(EVENT_FLAGS[:13]) if signs & sign)
    lights = sum(1 << 8 - place for place, sign in LIGHT_SIGNS if signs & sign)
    safety = bool(flags or lights)
    fields = [
        (0, 4), (safety << 1, 8), (time // 100 % 128, 7), (int(id, 16), 64), (time % MINUTE, 16),
        (0, 1), (_raw(lat, 1e7, 900_000_001) + 900_000_000, 31), (_raw(lon, 1e7, 1_800_000_001) + 1_799_999_999, 32),
        (7, 3), (min(_raw(speed, 50, 8191), 8191), 13), (28800 if math.isnan(heading) else _raw(heading, 80, 0) % 28800, 15),
        (2001 + 2000 if math.isnan(accel) else max(-2000, min(2000, round(accel * 100))) + 2000, 12),
        (2001 + 2000, 12), (0, 8), (32_767, 16),  # across, vertical: unavailable; yaw: none
        (0b1000000, 7), (2 if signs & Sign.BRAKE else 1, 2), (0, 1), (180, 10), (480, 12), (0, 2), (10, 8),
    ]  # fmt: skip
    if safety:
        fields += [(0b01001, 5), (flags, 1 + 13), (lights, 1 + 9)]
    whole = "".join(f"{value:0{size}b}" for value, size in fields)
    whole += "0" * (-len(whole) % 8)
    return int(whole, 2).to_bytes(len(whole) // 8, "big")


def gbt32960_realtime(
    *,
    time: int,
    vin: str,
    lat: float = NAN,
    lon: float = NAN,
    speed: float = NAN,
    mileage: float = NAN,
    soc: float = NAN,
    voltage: float = NAN,
    current: float = NAN,
    insulation: float = NAN,
    cells: Sequence[float] = (),
    temperatures: Sequence[float] = (),
    motor_temperature: float = NAN,
    alarms: int = 0,
    alarm_level: int = 0,
    state: int = 1,
    charging: int = 3,
    reissued: bool = False,
) -> bytes:
    """A real-time report (or a re-issued one) of a car with one pack and one motor: units 01, 02, 05, 06, 07, 08 and 09.

    `cells` are the single voltages and `temperatures` the probes' degrees Celsius; time is cut to the second.
    """
    volts, amperes = word(voltage, 10), word(current, 10, 1000)
    vehicle = struct.pack(">BBBHIHHB", state, charging, 1, word(speed, 36), long(mileage, 10), volts, amperes, byte(soc, 100))
    vehicle += struct.pack(">BBHBB", 1, 0x0E, word(insulation, 0.001), 0xFF, 0xFF)
    motor = struct.pack(">BBBBHHBHH", 1, 1, 3, 0xFF, 0xFFFF, 0xFFFF, byte(motor_temperature, 1, 40), volts, amperes)
    status = NO_FIX if math.isnan(lat) or math.isnan(lon) else (lat < 0) << 1 | (lon < 0) << 2
    place = struct.pack(">BII", status, long(abs(lon), 1e6), long(abs(lat), 1e6))
    highest = struct.pack(">BBH", 1, 1, word(max(cells, default=NAN), 1000))
    lowest = struct.pack(">BBH", 1, 1, word(min(cells, default=NAN), 1000))
    hottest = struct.pack(">BBB", 1, 1, byte(max(temperatures, default=NAN), 1, 40))
    coldest = struct.pack(">BBB", 1, 1, byte(min(temperatures, default=NAN), 1, 40))
    units = b"\x01" + vehicle + b"\x02" + motor + b"\x05" + place + b"\x06" + highest + lowest + hottest + coldest
    units += b"\x07" + struct.pack(">BI", alarm_level, alarms) + bytes(4)
    for first in range(0, len(cells), CELLS_A_PART):
        part = cells[first : first + CELLS_A_PART]
        units += struct.pack(">BBBHHHHB", 8, 1, 1, volts, amperes, len(cells), first + 1, len(part))
        units += struct.pack(f">{len(part)}H", *(word(cell, 1000) for cell in part))
    if temperatures:
        units += struct.pack(">BBBH", 9, 1, 1, len(temperatures)) + bytes(byte(probe, 1, 40) for probe in temperatures)
    return gbt32960_frame(0x03 if reissued else 0x02, vin, beijing(time) + units)


def gbt32960_login(*, time: int, vin: str, serial: int = 1) -> bytes:
    """What a vehicle says when it connects: its SIM card is nobody's, and its one pack has no code."""
    return gbt32960_frame(0x01, vin, beijing(time) + struct.pack(">H20sBB", serial, b"0" * 20, 1, 0))


def gbt32960_logout(*, time: int, vin: str, serial: int = 1) -> bytes:
    return gbt32960_frame(0x04, vin, beijing(time) + struct.pack(">H", serial))


def gbt32960_frame(command: int, vin: str, body: bytes, *, edition: Literal[2016, 2025] = 2016) -> bytes:
    """Any frame of a vehicle: header, body in the clear, BCC."""
    inside = struct.pack(">BB17sBH", command, 0xFE, vin.encode("ascii"), 0x01, len(body)) + body
    bcc = 0
    for octet in inside:
        bcc ^= octet
    return (b"##" if edition == 2016 else b"$$") + inside + bytes([bcc])


def traffic_sensor(
    *,
    time: int,
    id: str,
    lat: float,
    lon: float,
    heading: float = NAN,
    interval: float = 30.0,
    speed: float = NAN,
    volume: float = NAN,
    occupancy: float = NAN,
    lanes: Sequence[tuple[float, float]] = (),
) -> bytes:
    """One WZDx 4.2 feature of a traffic sensor; `time` is the end of its interval of `interval` seconds.

    `lanes`: vehicles/h and m/s of each, in their order across the road.
    """
    details = {
        "device_type": "traffic-sensor",
        "data_source_id": "roadwatch",
        "device_status": "ok",
        "update_date": moment.write(time),
        "has_automatic_location": False,
        "road_direction": _direction(heading),
    }
    properties: dict[str, object] = {
        "core_details": details,
        "collection_interval_start_date": moment.write(time - round(interval * 1000)),
        "collection_interval_end_date": moment.write(time),
    }
    properties |= _known(
        average_speed_kph=speed * 3.6, volume_vph=volume, occupancy_percent=occupancy * 100, heading_deg=heading
    )
    if lanes:
        properties["lane_data"] = [
            {"lane_order": place, **_known(volume_vph=volume, average_speed_kph=speed * 3.6)}
            for place, (volume, speed) in enumerate(lanes, 1)
        ]
    geometry = {"type": "Point", "coordinates": [lon, lat]}
    return orjson.dumps({"id": id, "type": "Feature", "properties": properties, "geometry": geometry})


def road_weather(
    *,
    time: int,
    id: str,
    lat: float,
    lon: float,
    surface_temperature: float = NAN,
    air_temperature: float = NAN,
    friction: float = NAN,
    visibility: float = NAN,
    precipitation: float = NAN,
    wind: float = NAN,
    surface: Surface = Surface.UNKNOWN,
) -> bytes:
    """A road-weather message of ours."""
    said = {"id": id, "ts": time, "lat": lat, "lon": lon, "surface_state": surface.name.lower()}
    said |= _known(
        surface_temperature_c=surface_temperature,
        air_temperature_c=air_temperature,
        friction=friction,
        visibility_m=visibility,
        precipitation_mm_h=precipitation,
        wind_m_s=wind,
    )
    return orjson.dumps(said)


def _known(**values: float) -> dict[str, float]:
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _direction(heading: float) -> str:
    """The road's name for a heading: the nearest of the four."""
    if math.isnan(heading):
        return "unknown"
    return min(HEADINGS, key=lambda name: abs((heading - HEADINGS[name] + 180) % 360 - 180))


def _raw(value: float, scale: float, unavailable: int, offset: float = 0.0) -> int:
    return unavailable if math.isnan(value) else round((value + offset) * scale)


def byte(value: float, scale: float, offset: float = 0.0) -> int:
    return _raw(value, scale, 0xFF, offset)


def word(value: float, scale: float, offset: float = 0.0) -> int:
    return _raw(value, scale, 0xFFFF, offset)


def long(value: float, scale: float) -> int:
    return _raw(value, scale, 0xFFFF_FFFF)


def beijing(time: int) -> bytes:
    local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time, hours=8)
    return bytes((local.year - 2000, local.month, local.day, local.hour, local.minute, local.second))
