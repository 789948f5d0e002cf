"""USDOT ODE JSON, in its three styles: SI units (schema version 8 and before), raw J2735 integers (9), and UPER in hex."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from dataflows.formats import bsm, j2735, moment
from dataflows.formats.base import Context, Decoded, Reason, Refusal, RefusedError
from dataflows.formats.bsm import NAN, Bsm
from dataflows.formats.ode_json_shapes import Brakes, Core, Metadata, Part, RawBsm, Record
from dataflows.formats.plausible import admit
from dataflows.formats.text import UNREADABLE, refuse, too_large
from detectors.model import Sign

LONGEST = 262_144  # bytes: a BSM with every extension, indented, has some 30 000


_read = msgspec.json.Decoder(Record).decode


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One observation for each message that carries a BSM."""
    decoded = Decoded()
    seen: list[tuple[int, int, Bsm]] = []
    of: list[int] = []
    for number, message in enumerate(messages):
        if len(message) > LONGEST:
            decoded.refusals.append(too_large(number, len(message), LONGEST))
            continue
        try:
            record = _read(message)
            said = _bsm(record)
            time = _time(record.metadata, said.sec_mark, context.max_ahead)
        except UNREADABLE as error:
            decoded.refusals.append(refuse(number, error))
        except RefusedError as refused:
            decoded.refusals.append(Refusal(number, refused.reason, refused.detail))
        else:
            seen.append((time, context.pseudonym(said.id), said))
            of.append(number)
    decoded.observations, decoded.observation_of = bsm.rows(seen), np.array(of, np.int32)
    return admit(decoded, arrivals, context)


def _bsm(record: Record) -> Bsm:
    content = record.payload.data
    if content is not None:
        if content.core is not None:
            return _named(content.core, content.part_ii or [])
        if content.frame is not None:
            if content.frame.bsm is None:
                raise RefusedError(Reason.UNSUPPORTED, "payload.data.value is not a BasicSafetyMessage")
            return _raw(content.frame.bsm)
        if content.octets:
            return _encoded(content.octets, "payload.data.bytes")
    if record.metadata.asn1:
        return _encoded(record.metadata.asn1, "metadata.asn1")
    raise RefusedError(Reason.UNSUPPORTED, "the record carries no BSM in any of the three styles")


def _named(core: Core, parts: list[Part]) -> Bsm:
    place, acceleration, brakes = core.position, core.accel_set, core.brakes
    signs = 0
    if brakes is not None:
        signs = _brake_states(brakes)
        wheels = brakes.wheel_brakes
        if wheels is not None and not wheels.unavailable:
            braked = wheels.left_front or wheels.right_front or wheels.left_rear or wheels.right_rear
            signs |= bsm.BRAKE if braked else 0
    for part in parts:
        if part.value is not None and part.value.events is not None:
            for name, set_ in part.value.events.items():
                if set_:
                    signs |= NAMED_EVENTS.get(name, 0)
    return Bsm(
        id=core.id.upper(),
        sec_mark=-1 if core.sec_mark is None else core.sec_mark,
        lat=_known(None if place is None else place.latitude),
        lon=_known(None if place is None else place.longitude),
        speed=_known(core.speed),
        heading=_known(core.heading),
        accel=_known(None if acceleration is None else acceleration.accel_long),
        signs=signs,
    )


def _raw(said: RawBsm) -> Bsm:
    core = said.core
    signs = 0
    if core.brakes is not None:
        signs = _brake_states(core.brakes)
        wheels = _bits(core.brakes.wheel_brakes or "80", "coreData.brakes.wheelBrakes")
        if not wheels[0] & 0x80 and wheels[0] & 0x78:  # first bit: unavailable; then the four wheels
            signs |= bsm.BRAKE
    for part in said.part_ii or ():
        safety = None if part.value is None else part.value.safety
        if safety is not None and safety.events is not None:
            flags = _bits(safety.events.value, "VehicleSafetyExtensions.events")
            signs |= bsm.event_signs(int.from_bytes(flags, "big"), 8 * len(flags), max(safety.events.length, 0))
    return Bsm(
        core.id.upper(),
        core.sec_mark,
        bsm.degrees(core.lat, 900_000_001),
        bsm.degrees(core.lon, 1_800_000_001),
        bsm.speed(core.speed),
        bsm.heading(core.heading),
        NAN if core.accel_set is None else bsm.acceleration(core.accel_set.along),
        signs,
    )


def _encoded(text: str, where: str) -> Bsm:
    try:
        message = bytes.fromhex(text)
    except ValueError:
        raise RefusedError(Reason.UNREADABLE, f"{where} is not hexadecimal") from None
    return j2735.read(message)


def _bits(text: str, where: str) -> bytes:
    try:
        bits = bytes.fromhex(text)
    except ValueError:
        bits = b""
    if not bits:
        raise RefusedError(Reason.WRONG_SHAPE, f"{where} is not a bit string in hexadecimal")
    return bits


def _brake_states(brakes: Brakes) -> int:
    signs = 0
    if brakes.traction == "engaged":
        signs |= bsm.TRACTION
    if brakes.abs == "engaged":
        signs |= bsm.ABS
    if brakes.scs == "engaged":
        signs |= bsm.STABILITY
    return signs


def _known(value: float | None) -> float:
    return NAN if value is None else value


def _time(metadata: Metadata, sec_mark: int, ahead: int) -> int:
    """When the BSM was made, in ms since the epoch: near the making of its record, and not past its receipt by the ODE by more
    than `ahead`."""
    if metadata.generated_at:
        return bsm.event_time(moment.read(metadata.generated_at), sec_mark)
    if metadata.received_at:
        return bsm.event_time(moment.read(metadata.received_at), sec_mark, ahead)
    raise RefusedError(Reason.NO_TIME, "metadata has neither recordGeneratedAt nor odeReceivedAt")


NAMED_EVENTS = {
    "eventHazardLights": int(Sign.HAZARD_LIGHTS),
    "eventStopLineViolation": int(Sign.STOP_LINE_VIOLATION),
    "eventABSactivated": bsm.ABS,
    "eventTractionControlLoss": bsm.TRACTION,
    "eventStabilityControlactivated": bsm.STABILITY,
    "eventHazardousMaterials": int(Sign.HAZARDOUS_GOODS),
    "eventHardBraking": int(Sign.HARD_BRAKE),
    "eventLightsChanged": int(Sign.LIGHTS_CHANGED),
    "eventWipersChanged": int(Sign.WIPERS),
    "eventFlatTire": int(Sign.FLAT_TYRE),
    "eventDisabledVehicle": int(Sign.DISABLED),
    "eventAirBagDeployment": int(Sign.AIRBAG),
    "eventJackKnife": int(Sign.JACKKNIFE),
}
