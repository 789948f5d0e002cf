"""GB/T 32960.3-2016, the telemetry that every electric vehicle in China sends: frames in, battery readings out.

A frame is `2323 | command | response | VIN 17 | encryption | length 2 | units | BCC`, where the BCC is the exclusive or
of everything from the command on. One message may hold several frames; each counts on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dataflows.formats.base import Context, Decoded, Reason, Refusal, RefusedError
from dataflows.formats.gbt32960_units import Report, read
from dataflows.formats.plausible import admit
from detectors.model import READING

HEADER = 24  # bytes up to the units
LARGEST = HEADER + 0xFFFF + 1  # bytes of one message: a frame of the largest size, or some hundred of usual ones
COMMAND = 0xFE  # the response byte of what a vehicle sends of itself; anything else is a platform's reply
PLAIN = 0x01  # not encrypted
REAL_TIME, REISSUED = 0x02, 0x03
RECOGNISED = {
    0x01: "login",
    0x04: "logout",
    0x05: "platform_login",
    0x06: "platform_logout",
    0x07: "heartbeat",
    0x08: "time",
    0x80: "control",  # query, set and control, from the platform to the vehicle
    0x81: "control",
    0x82: "control",
}
BEIJING = timezone(timedelta(hours=8))  # every time in a frame
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Frame(NamedTuple):
    command: int
    response: int
    vin: str
    encryption: int
    body: bytes


def decode(messages: Sequence[bytes], arrivals: NDArray[np.int64], context: Context) -> Decoded:
    """One reading for each report; whatever else a vehicle or a platform says is recognised and counted."""
    decoded = Decoded()
    rows: list[tuple[float | int, ...]] = []
    of: list[int] = []
    for number, message in enumerate(messages):
        at = 0
        while at < len(message) or not at:
            try:
                frame_end = _end(message, at)
            except RefusedError as refused:  # nothing tells where the next frame would start
                decoded.refusals.append(Refusal(number, refused.reason, refused.detail))
                break
            try:
                row = _row(_frame(message[at:frame_end]), decoded, context)
                if row is not None:
                    rows.append(row)
                    of.append(number)
            except RefusedError as refused:
                decoded.refusals.append(Refusal(number, refused.reason, refused.detail))
            at = frame_end
    decoded.readings = np.array(rows, READING)
    decoded.reading_of = np.array(of, np.int32)
    return admit(decoded, arrivals, context)


def _end(message: bytes, at: int) -> int:
    """Where the frame that starts at byte `at` ends."""
    if len(message) > LARGEST:
        raise RefusedError(Reason.TOO_LARGE, f"the message has {len(message)} bytes; at most {LARGEST} are read")
    start = message[at : at + 2]
    if start not in (b"##", b"$$"):
        if len(start) < 2:
            raise RefusedError(Reason.TRUNCATED, f"there is no whole frame at byte {at}")
        raise RefusedError(Reason.UNREADABLE, f"no frame starts at byte {at}: 2323 is missing")
    if len(message) < at + HEADER:
        raise RefusedError(Reason.TRUNCATED, f"the message ends within the header of the frame at byte {at}")
    end = at + HEADER + int.from_bytes(message[at + 22 : at + 24], "big") + 1
    if len(message) < end:
        missing = end - len(message)
        raise RefusedError(Reason.TRUNCATED, f"the frame at byte {at} is {missing} bytes shorter than its length says")
    return end


def _frame(raw: bytes) -> Frame:
    if raw[:2] == b"$$":
        raise RefusedError(Reason.UNSUPPORTED, "the frame is of the 2025 edition (2424); the 2016 edition (2323) is read")
    if np.bitwise_xor.reduce(np.frombuffer(raw, np.uint8, offset=2)):  # the BCC itself included, it comes to zero
        raise RefusedError(Reason.BAD_CHECKSUM, "the frame's BCC does not fit its bytes")
    return Frame(raw[2], raw[3], raw[4:21].decode("latin-1"), raw[21], raw[HEADER:-1])


def _row(frame: Frame, decoded: Decoded, context: Context) -> tuple[float | int, ...] | None:
    """The reading that a report makes; None for a frame that is only recognised."""
    if frame.response != COMMAND:
        decoded.recognised["reply"] += 1
        return None
    if frame.command not in (REAL_TIME, REISSUED):
        name = RECOGNISED.get(frame.command)
        if name is None:
            raise RefusedError(Reason.UNSUPPORTED, f"command {frame.command:02x} is none of the 2016 edition's")
        decoded.recognised[name] += 1
        return None
    if frame.encryption != PLAIN:
        raise RefusedError(
            Reason.ENCRYPTED, f"the report is encrypted (method {frame.encryption:02x}); it is read in the clear only"
        )
    if len(frame.body) < 6:
        raise RefusedError(Reason.BAD_LENGTH, "the report is too short for its time")
    time = _time(frame.body[:6])
    return _reading(time, context.pseudonym(frame.vin), read(frame.body[6:]), frame.command == REISSUED)


def _time(raw: bytes) -> int:
    year, month, day, hour, minute, second = raw
    try:
        moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=BEIJING)
    except ValueError:
        raise RefusedError(Reason.IMPOSSIBLE_TIME, f"the report's time {raw.hex()} is no time of any day") from None
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _reading(time: int, reporter: int, report: Report, reissued: bool) -> tuple[float | int, ...]:
    """The fields of READING, in its order."""
    return (
        time,
        reporter,
        0,
        report.lat,
        report.lon,
        report.speed,
        report.mileage,
        report.soc,
        report.voltage,
        report.current,
        report.insulation,
        report.cell_voltage_max,
        report.cell_voltage_min,
        report.cell_voltage_mean,
        report.temperature_max,
        report.temperature_min,
        report.motor_temperature,
        report.alarms,
        report.alarm_level,
        report.state,
        report.charging,
        int(reissued),
    )
