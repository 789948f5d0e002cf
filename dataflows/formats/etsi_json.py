"""CAMs and DENMs in JSON as the its-client project writes them: integers of the standard, both generations, one a message."""

from __future__ import annotations

import binascii
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataflows.formats import etsi
from dataflows.formats import etsi_json_shapes as shapes
from dataflows.formats.base import Context, Decoded, Reason, Refusal, RefusedError
from dataflows.formats.etsi_rows import (
    BRAKE,
    DANGEROUS_GOODS,
    FOG_LIGHTS,
    HARD_BRAKE,
    HAZARD_LIGHTS,
    HAZARDOUS_GOODS,
    HEADING_UNAVAILABLE,
    ROADSIDE,
    ROADSIDE_DENM,
    VEHICLES,
    Cam,
    Denm,
    Gathered,
    Said,
    acceleration_signs,
    light_signs,
    other_cam,
)
from dataflows.formats.plausible import admit
from dataflows.formats.text import UNREADABLE, refuse, too_large

LONGEST = 262_144  # bytes: a DENM with seven traces of 40 points, indented, has some 150 000
TYPES = frozenset(("cpm", "ivim", "mapem", "mcm", "poim", "spatem", "srem", "ssem", "vam"))  # that may be named when refused
BINARY = frozenset("01")
ENCODED = "asn1/uper"  # message_format of a message that holds a PDU instead of its fields

_envelope = msgspec.json.Decoder(shapes.Envelope).decode
_read_cam = msgspec.json.Decoder(shapes.Cam).decode
_read_denm = msgspec.json.Decoder(shapes.Denm).decode
_read_encoded = msgspec.json.Decoder(shapes.Encoded).decode


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """An observation for each CAM of a vehicle, a notice for each DENM of anybody but the infrastructure.

    The envelope's own time, when the message was made, comes before that of its arrival: it may have waited on its way.
    """
    gathered = Gathered(context, "so its envelope has to say it as timestamp, in ms since 1970")
    refusals = gathered.decoded.refusals
    for number, (message, arrival) in enumerate(zip(messages, arrivals.tolist(), strict=True)):
        if len(message) > LONGEST:
            refusals.append(too_large(number, len(message), LONGEST))
            continue
        try:
            envelope = _envelope(message)
            gathered.add(number, _said(envelope), arrival if envelope.timestamp is None else envelope.timestamp)
        except UNREADABLE as error:
            refusals.append(refuse(number, error))
        except RefusedError as refused:
            refusals.append(Refusal(number, refused.reason, refused.detail))
    return admit(gathered.rows(), arrivals, context)


def _said(envelope: shapes.Envelope) -> Said:
    kind, message = (envelope.message_type or envelope.type or "").lower(), envelope.message
    if kind not in ("cam", "denm"):
        what = kind.upper() if kind in TYPES else "message of another type"
        raise RefusedError(Reason.UNSUPPORTED, f"this is a {what}; only cam and denm are read")
    if envelope.message_format == ENCODED:
        return _encoded(_read_encoded(message).payload)
    return _cam(_read_cam(message)) if kind == "cam" else _denm(_read_denm(message))


def _encoded(payload: str) -> Said:
    try:
        pdu = binascii.a2b_base64(payload, strict_mode=True)
    except ValueError:  # also of what is not ASCII
        raise RefusedError(Reason.UNREADABLE, "message.payload is not in base64") from None
    return etsi.read(pdu)


def _cam(said: shapes.Cam) -> Said:
    basic, high, low = said.basic_container, said.high_frequency_container, said.low_frequency_container
    if basic.station_type not in VEHICLES:
        return other_cam(basic.station_type)
    if high.roadside is not None:
        return other_cam(ROADSIDE)
    motion = high if high.vehicle is None else high.vehicle
    signs = _acceleration_signs(motion.acceleration_control)
    if low is not None:
        seen = low if low.vehicle is None else low.vehicle
        signs |= _light_signs(seen.exterior_lights)
        if seen.vehicle_role == DANGEROUS_GOODS:
            signs |= HAZARDOUS_GOODS
    special = said.special_vehicle_container
    if special is not None and special.dangerous_goods_container is not None:
        signs |= HAZARDOUS_GOODS
    return Cam(
        said.station_id,
        -1 if said.generation_delta_time is None else said.generation_delta_time,
        basic.reference_position.latitude,
        basic.reference_position.longitude,
        _bare(motion.speed),
        _bare(motion.heading),
        _bare(motion.longitudinal_acceleration),
        signs,
    )


def _denm(said: shapes.Denm) -> Said:
    management = said.management or said.management_container
    if management is None:
        raise RefusedError(Reason.WRONG_SHAPE, "the DENM has no management container")
    if management.station_type == ROADSIDE:
        return ROADSIDE_DENM
    situation = said.situation or said.situation_container
    location = said.location or said.location_container
    return Denm(
        management.action_id.originating_station_id,
        management.action_id.sequence_number,
        management.detection_time,
        management.reference_time,
        management.validity_duration,
        management.event_position.latitude,
        management.event_position.longitude,
        HEADING_UNAVAILABLE if location is None else _bare(location.event_position_heading),
        -1 if situation is None else situation.event_type.cause,
        0 if situation is None else situation.event_type.subcause,
        0 if management.termination is None else 1,
    )


def _bare(value: int | shapes.Value) -> int:
    return value if isinstance(value, int) else value.value


def _acceleration_signs(control: str | shapes.Control | None) -> int:
    if control is None:
        return 0
    if isinstance(control, str):
        return acceleration_signs(_flags(control, 7, "acceleration_control"))
    return BRAKE * control.brake_pedal_engaged | HARD_BRAKE * control.emergency_brake_engaged


def _light_signs(lights: str | shapes.Lights | None) -> int:
    if lights is None:
        return 0
    if isinstance(lights, str):
        return light_signs(_flags(lights, 8, "exterior_lights"))
    hazard = lights.left_turn_signal_on and lights.right_turn_signal_on
    return HAZARD_LIGHTS * hazard | FOG_LIGHTS * lights.fog_light_on


def _flags(text: str, count: int, where: str) -> int:
    """A bit string of so many 0 and 1, the first bit first."""
    if len(text) != count or not BINARY.issuperset(text):
        raise RefusedError(Reason.WRONG_SHAPE, f"{where}: expected a text of {count} digits 0 and 1")
    return int(text, 2)
