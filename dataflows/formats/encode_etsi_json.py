"""A CAM or a DENM in JSON as the its-client project writes it, for demonstrations and tests; see `encode_etsi`."""

from __future__ import annotations

import orjson

from dataflows.formats import encode_etsi_raw as raw
from dataflows.formats.etsi_rows import DEFAULT_VALIDITY, EPOCH

NAN = float("nan")


def cam(
    *,
    time: int,
    station: int,
    lat: float,
    lon: float,
    speed: float = NAN,
    heading: float = NAN,
    accel: float = NAN,
    signs: int = 0,
    station_type: int = raw.CAR,
) -> bytes:
    """Of version 2.4.0."""
    control, lights = raw.control(signs), raw.lights(signs)
    high = {
        "heading": {"value": raw.heading(heading), "confidence": 127},
        "speed": {"value": raw.speed(speed), "confidence": 127},
        "longitudinal_acceleration": {"value": raw.accel(accel), "confidence": 102},
        "drive_direction": 0,
        "acceleration_control": {
            "brake_pedal_engaged": bool(control & 0x40),
            "emergency_brake_engaged": bool(control & 0x10),
        },
    }
    message: dict[str, object] = {
        "protocol_version": 1,
        "station_id": station,
        "generation_delta_time": raw.delta(time),
        "basic_container": {"station_type": station_type, "reference_position": _position(lat, lon)},
        "high_frequency_container": {"basic_vehicle_container_high_frequency": high},
    }
    if signs & raw.LOW_FREQUENCY:
        on = {
            "left_turn_signal_on": bool(lights & 0x20),
            "right_turn_signal_on": bool(lights & 0x10),
            "fog_light_on": bool(lights & 0x02),
        }
        low = {"vehicle_role": raw.role(signs), "exterior_lights": on, "path_history": []}
        message["low_frequency_container"] = {"basic_vehicle_container_low_frequency": low}
    return _json("cam", "2.4.0", time, message)


def denm(
    *,
    detected: int,
    referred: int,
    station: int,
    number: int,
    lat: float,
    lon: float,
    cause: int,
    subcause: int = 0,
    heading: float = NAN,
    validity: int = DEFAULT_VALIDITY,
    ended: bool = False,
    station_type: int = raw.CAR,
) -> bytes:
    """Of version 2.3.0, made when it was referred to."""
    management: dict[str, object] = {
        "action_id": {"originating_station_id": station, "sequence_number": number},
        "detection_time": detected - EPOCH,
        "reference_time": referred - EPOCH,
        "event_position": _position(lat, lon),
        "validity_duration": validity,
        "station_type": station_type,
    }
    message: dict[str, object] = {"protocol_version": 1, "station_id": station, "management": management}
    if ended:
        management["termination"] = 0
    else:
        message["situation"] = {"information_quality": 0, "event_type": {"cause": cause, "subcause": subcause}}
        message["location"] = {"event_position_heading": {"value": raw.heading(heading), "confidence": 127}}
    return _json("denm", "2.3.0", referred, message)


def _json(kind: str, version: str, time: int, message: dict[str, object]) -> bytes:
    around = {"message_type": kind, "source_uuid": "roadwatch", "timestamp": time, "version": version, "message": message}
    return orjson.dumps(around)


def _position(lat: float, lon: float) -> dict[str, object]:
    ellipse = {"semi_major": 4095, "semi_minor": 4095, "semi_major_orientation": 3601}
    altitude = {"value": 800_001, "confidence": 15}
    return {"latitude": raw.lat(lat), "longitude": raw.lon(lon), "position_confidence_ellipse": ellipse, "altitude": altitude}
