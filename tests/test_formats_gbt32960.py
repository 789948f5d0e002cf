"""GB/T 32960.3-2016: frames made from what a car measures give it back, frames made by hand keep the rest of the standard."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode
from dataflows.formats.base import Reason
from dataflows.formats.plausible import EARLIEST, LATEST
from tests.wire import CONTEXT, TIME, VIN, a_reading, decode, vectors

CLOCK = bytes((25, 3, 6, 15, 30, 0))  # TIME in Beijing, to the second
VEHICLE = struct.pack(">BBBHIHHBBBHBB", 1, 3, 1, 450, 203456, 3555, 9795, 57, 1, 14, 5000, 10, 101)
MEASURED = ("speed", "mileage", "soc", "voltage", "current", "insulation")


def report(units: bytes) -> np.void:
    result = decode("gbt32960", encode.gbt32960_frame(0x02, VIN, CLOCK + units))
    assert result.refusals == []
    return result.readings[0]


def test_a_whole_report() -> None:
    row = decode("gbt32960", a_reading(alarms=0b101, alarm_level=2, charging=1)).readings[0]
    assert row["time"] == TIME // 1000 * 1000
    assert row["reporter"] == CONTEXT.pseudonym(VIN)
    assert (row["lat"], row["lon"]) == (22.540897, 114.050292)
    assert [row[name] for name in MEASURED] == pytest.approx([12.5, 20_345.6, 0.57, 355.5, -20.5, 5e6], rel=1e-6)
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.71, 3.65))
    assert row["cell_voltage_mean"] == pytest.approx((3.7 + 3.65 + 3.71) / 3)
    assert (row["temperature_max"], row["temperature_min"], row["motor_temperature"]) == (31, -10, 55)
    assert (row["alarms"], row["alarm_level"], row["state"], row["charging"], row["reissued"]) == (0b101, 2, 1, 1, 0)


def test_invalid_and_abnormal_values_are_missing() -> None:
    for codes in ((0xFE, 0xFFFE, 0xFFFF_FFFE), (0xFF, 0xFFFF, 0xFFFF_FFFF)):
        byte, word, long = codes
        vehicle = struct.pack(">BBBHIHHBBBHBB", byte, byte, byte, word, long, word, word, byte, byte, 0, word, byte, byte)
        motor = struct.pack(">BBBBHHBHH", 1, 1, byte, byte, word, word, byte, word, word)
        extremes = struct.pack(">BBHBBHBBBBBB", *(byte, byte, word) * 2, *(byte, byte, byte) * 2)
        place = struct.pack(">BII", 0, long, long)
        alarms = struct.pack(">BI", byte, long) + bytes([byte]) * 4
        cells = struct.pack(">BBHHHHBHH", 1, 1, word, word, 2, 1, 2, word, word)
        probes = (
            struct.pack(">BBHBBBH", 2, 1, 2, byte, byte, 2, word) + b"\x03" + bytes(6) + struct.pack(">H", word) + bytes(10)
        )
        units = b"\x01" + vehicle + b"\x02" + motor + b"\x05" + place + b"\x06" + extremes + b"\x07" + alarms
        row = report(units + b"\x08" + cells + b"\x09" + probes)
        names = row.dtype.names or ()
        missing = {name for name in names if row[name].dtype.kind == "f" and np.isnan(row[name])}
        assert missing == {name for name in names if row[name].dtype.kind == "f"}
        assert (row["state"], row["charging"], row["alarm_level"], row["alarms"]) == (255, 255, 255, 0)


def test_what_lies_beyond_the_standards_ranges_is_no_value() -> None:
    """And hides nothing of what is: a probe at 90 C among others of which one says 251."""
    vehicle = VEHICLE[:13] + bytes((101,)) + VEHICLE[14:]
    motor = struct.pack(">BBBBHHBHH", 1, 1, 1, 252, 20_000, 20_000, 70, 3000, 10_000)
    cells = struct.pack(">BBHHHHBHHH", 1, 1, 3555, 9795, 3, 1, 3, 65_533, 3700, 60_001)
    probes = struct.pack(">BBHBBBBB", 1, 1, 5, 65, 130, 251, 252, 253)
    row = report(b"\x01" + vehicle + b"\x02" + motor + b"\x08" + cells + b"\x09" + probes)
    assert (row["temperature_max"], row["temperature_min"], row["motor_temperature"]) == (90, 25, 30)
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.7, 3.7))
    assert np.isnan(row["soc"])


def test_a_report_needs_no_place() -> None:
    for place in (struct.pack(">BII", 1, 114_000_000, 22_000_000), struct.pack(">BII", 0, 0, 0)):
        row = report(b"\x01" + VEHICLE + b"\x05" + place)
        assert np.isnan(row["lat"])
        assert np.isnan(row["lon"])
        assert row["soc"] == pytest.approx(0.57)


def test_south_and_west() -> None:
    row = report(b"\x05" + struct.pack(">BII", 0b110, 70_600_000, 33_800_000))
    assert (row["lat"], row["lon"]) == (-33.8, -70.6)


def test_the_extremes_of_all_packs_and_the_hottest_of_all_motors() -> None:
    def pack(number: int, total: int, first: int, *cells: int) -> bytes:
        return struct.pack(f">BHHHHB{len(cells)}H", number, 3555, 10000, total, first, len(cells), *cells)

    motors = b"\x02\x03" + b"".join(
        struct.pack(">BBBHHBHH", n, 1, 60, 0, 0, t, 0, 0) for n, t in ((1, 95), (2, 0xFE), (3, 120))
    )
    probes = b"\x09\x02" + struct.pack(">BHBB", 1, 2, 50, 61) + struct.pack(">BHBBB", 2, 3, 39, 0xFF, 45)
    whole = b"\x08\x03" + pack(1, 3, 1, 3700, 3710) + pack(1, 3, 3, 3690) + pack(2, 2, 1, 3500, 0xFFFF)
    row = report(motors + whole + probes)
    assert row["motor_temperature"] == 80
    assert (row["temperature_max"], row["temperature_min"]) == (21, -1)
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.71, 3.5))
    assert row["cell_voltage_mean"] == pytest.approx((3.7 + 3.71 + 3.69 + 3.5) / 4)
    for cells in (b"\x01" + pack(1, 3, 1, 3700, 3710), b"\x02" + pack(2, 3, 1, 3700, 3710) + pack(1, 1, 1, 3700)):
        in_part = report(b"\x08" + cells)
        assert np.isnan(in_part["cell_voltage_mean"])
        assert np.isnan(in_part["cell_voltage_max"])


def test_other_units_are_passed_over() -> None:
    fuel_cell = b"\x03" + bytes(6) + b"\x00\x05" + bytes(5) + bytes(10)
    engine = b"\x04" + bytes(5)
    custom = b"\x80\x00\x03abc" + b"\xfe\x00\x00" + b"\x2f\x00\x01a"
    assert report(fuel_cell + engine + custom + b"\x01" + VEHICLE)["soc"] == pytest.approx(0.57)


def test_a_makers_unit_without_a_length_spoils_nothing_before_it() -> None:
    row = report(b"\x01" + VEHICLE + b"\x81\x7f\xff" + b"what only its maker can read")
    assert row["soc"] == pytest.approx(0.57)


UNITS = {  # one of each kind, and what its parts are for
    "vehicle": b"\x01" + VEHICLE,
    "motors": b"\x02\x02" + struct.pack(">BBBHHBHH", 1, 1, 60, 0, 0, 95, 0, 0) * 2,
    "fuel cell": b"\x03" + bytes(6) + b"\x00\x05" + bytes(5) + bytes(10),
    "engine": b"\x04" + bytes(5),
    "position": b"\x05" + struct.pack(">BII", 0, 114_000_000, 22_000_000),
    "extremes": b"\x06" + struct.pack(">BBHBBHBBBBBB", 1, 1, 3800, 1, 2, 3600, 1, 1, 70, 1, 2, 60),
    "alarms": b"\x07" + struct.pack(">BI", 1, 5) + b"\x01" + bytes(4) + b"\x02" + bytes(8) + b"\xfe" + b"\x01" + bytes(4),
    "cells": b"\x08\x02" + struct.pack(">BHHHHBHHBHHHHBH", 2, 0, 0, 2, 1, 2, 3700, 3710, 1, 0, 0, 1, 1, 1, 3690),
    "probes": b"\x09\x02" + struct.pack(">BHBBBHB", 1, 2, 50, 61, 2, 1, 55),
    "maker's": b"\x80\x00\x03abc",
}
KNOWN = [what for what in UNITS if what != "maker's"]


@pytest.mark.parametrize("what", KNOWN)
def test_a_unit_that_is_cut_anywhere_is_refused(what: str) -> None:
    unit = UNITS[what]
    assert report(UNITS["engine"] + unit)["time"] == TIME // 1000 * 1000
    cut = [UNITS["engine"] + unit[:length] for length in range(1, len(unit))]
    result = decode("gbt32960", *(encode.gbt32960_frame(0x02, VIN, CLOCK + units) for units in cut))
    assert [refusal.message for refusal in result.refusals] == list(range(len(cut)))
    assert {(refusal.reason, refusal.detail) for refusal in result.refusals} == {
        (Reason.BAD_LENGTH, f"information unit {unit[0]:02x} ends past the end of its frame")
    }


@pytest.mark.parametrize("what", UNITS)
def test_what_was_said_before_a_makers_unit_stands_however_it_is_cut(what: str) -> None:
    """And nothing of what comes after it, for that may be no unit at all; it counts if all can be read to the end."""
    before, unit = UNITS["vehicle"] + UNITS["cells"] + UNITS["probes"], UNITS[what]
    for first, known, second in ((b"\x00\x00\x00", b"", b""), (b"\x0a\x00\x01x", UNITS["motors"], b"\x80\x00\x00")):
        makers = first + known + second
        for length in range(1, len(unit)):
            assert report(before + makers + unit[:length]).tobytes() == report(before).tobytes()
        assert report(before + makers + unit).tobytes() == report(before + known + unit).tobytes()


def test_no_report_knows_of_the_one_before() -> None:
    """They lie in one message, in all orders of two."""
    bodies = [UNITS["engine"] + unit for unit in UNITS.values()] + [b"\x08\x01" + struct.pack(">BHHHHB", 7, 0, 0, 3, 1, 0)]
    for first, second in product(bodies, bodies):
        both = b"".join(encode.gbt32960_frame(0x02, VIN, CLOCK + units) for units in (first, second))
        assert decode("gbt32960", both).readings.tobytes() == report(first).tobytes() + report(second).tobytes()


def test_codes_beyond_the_standard_are_not_given() -> None:
    for code in range(256):
        said = struct.pack(">BB", code, code) + VEHICLE[2:]
        row = report(b"\x01" + said + b"\x07" + struct.pack(">BI", code, 5) + bytes(4))
        assert row["state"] == (code if code in (1, 2, 3) else 255)
        assert row["charging"] == (code if code in (1, 2, 3, 4) else 255)
        assert row["alarm_level"] == (code if code <= 3 else 255)
    for flags, known in ((0xFFFF_FFFD, 0x7FFFD), (1 << 23, 0), (0xFFFF_FFFE, 0), (0xFFFF_FFFF, 0)):  # 19 to 31 are reserved
        assert report(b"\x07" + struct.pack(">BI", 0, flags) + bytes(4))["alarms"] == known


def test_places_on_the_equator_and_the_meridian_and_half_of_none() -> None:
    for lon, lat, known in (
        (0, 5_000_000, (5.0, 0.0)),
        (5_000_000, 0, (0.0, 5.0)),
        (0xFFFF_FFFE, 22_000_000, None),
        (114_000_000, 0xFFFF_FFFF, None),
    ):
        row = report(b"\x05" + struct.pack(">BII", 0, lon, lat))
        assert (None if np.isnan(row["lat"]) else (row["lat"], row["lon"])) == known


@pytest.mark.parametrize("order", [("extremes", "cells", "probes"), ("probes", "cells", "extremes")])
def test_the_vehicles_own_word_comes_before_its_single_values(order: tuple[str, ...]) -> None:
    row = report(b"".join(UNITS[what] for what in order))
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.8, 3.6))
    assert row["cell_voltage_mean"] == pytest.approx(3.7)
    assert (row["temperature_max"], row["temperature_min"]) == (30, 20)


def test_frames_without_a_row_are_recognised() -> None:
    frames = [encode.gbt32960_frame(command, VIN, CLOCK) for command in (4, 5, 6, 8, 0x80, 0x81, 0x82)]
    reply = bytearray(encode.gbt32960_frame(2, VIN, CLOCK))
    reply[3], reply[-1] = 0x01, reply[-1] ^ 0xFE ^ 0x01
    login, heartbeat = encode.gbt32960_login(time=TIME, vin=VIN), encode.gbt32960_frame(7, VIN, b"")
    result = decode("gbt32960", login, *frames, heartbeat, bytes(reply), encode.gbt32960_logout(time=TIME, vin=VIN))
    assert result.refusals == []
    assert result.recognised == {
        "login": 1,
        "logout": 2,
        "platform_login": 1,
        "platform_logout": 1,
        "time": 1,
        "control": 3,
        "heartbeat": 1,
        "reply": 1,
    }


def test_each_frame_of_a_message_counts() -> None:
    broken = bytearray(a_reading())
    broken[40] ^= 1
    result = decode("gbt32960", a_reading() + bytes(broken) + a_reading(reissued=True) + encode.gbt32960_frame(7, VIN, b""))
    assert result.readings["reissued"].tolist() == [0, 1]
    assert [refusal.reason for refusal in result.refusals] == [Reason.BAD_CHECKSUM]
    assert result.recognised == {"heartbeat": 1}
    assert result.records == 4


def test_a_time_is_one_of_the_calendar_in_beijing() -> None:
    """Against Python's: every end of a month and of a day that six bytes can say, and many that are none."""
    days = product(range(256), range(14), (0, 1, 28, 29, 30, 31, 32), ((0, 0, 0), (23, 59, 59)))
    clocks = [(year, month, day, *time) for year, month, day, time in days]
    clocks += [(24, 2, 29, *time) for time in ((24, 0, 0), (0, 60, 0), (0, 0, 60), (255, 255, 255))]
    result = decode("gbt32960", *(encode.gbt32960_frame(0x02, VIN, bytes(clock) + b"\x01" + VEHICLE) for clock in clocks))
    read, refused = {}, {refusal.message: refusal.detail for refusal in result.refusals}
    for number, (year, *rest) in enumerate(clocks):
        try:
            moment = datetime(2000 + year, *rest, tzinfo=timezone(timedelta(hours=8))).timestamp() * 1000
        except ValueError:
            assert refused.pop(number) == f"the report's time {bytes(clocks[number]).hex()} is no time of any day"
            continue
        if EARLIEST <= moment < LATEST:
            read[number] = int(moment)
        else:
            assert refused.pop(number).startswith("the event time")
    assert dict(zip(result.reading_of.tolist(), result.readings["time"].tolist(), strict=True)) == read
    assert refused == {}


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.integers(946_684_800, 4_000_000_000),
    st.floats(-1000, 1000),
    st.floats(0, 1),
    st.lists(st.floats(0, 15), max_size=450),
    st.lists(st.floats(-40, 210), max_size=30),
    st.booleans(),
)
def test_what_is_encoded_comes_back(
    seconds: int, current: float, soc: float, cells: list[float], temperatures: list[float], reissued: bool
) -> None:
    message = a_reading(
        time=seconds * 1000, current=current, soc=soc, cells=cells, temperatures=temperatures, reissued=reissued
    )
    result = decode("gbt32960", message)
    assert result.refusals == []
    row = result.readings[0]
    nan = float("nan")
    assert (row["time"], row["reissued"]) == (seconds * 1000, reissued)
    assert row["current"] == pytest.approx(current, abs=0.0501)
    assert row["soc"] == pytest.approx(soc, abs=0.0051)
    assert row["cell_voltage_max"] == pytest.approx(max(cells, default=nan), abs=6e-4, nan_ok=True)
    assert row["cell_voltage_mean"] == pytest.approx(sum(cells) / len(cells) if cells else nan, abs=6e-4, nan_ok=True)
    assert row["temperature_min"] == pytest.approx(min(temperatures, default=nan), abs=0.501, nan_ok=True)


@pytest.mark.parametrize(("name", "frames"), [("car-a.2016.hex", 246), ("mixed.2016.hex", 30)])
def test_real_frames(name: str, frames: int) -> None:
    messages = [bytes.fromhex(line) for line in (vectors("gb32960") / name).read_text("ascii").split()]
    assert len(messages) == frames
    result = decode("gbt32960", *messages)
    assert result.records == frames
    spoilt = [number for number, message in enumerate(messages) if np.bitwise_xor.reduce(np.frombuffer(message[2:], np.uint8))]
    assert [(refusal.message, refusal.reason) for refusal in result.refusals] == [(at, Reason.BAD_CHECKSUM) for at in spoilt]
    reports = [n for n, message in enumerate(messages) if message[2] in (2, 3) and message[3] == 0xFE and n not in spoilt]
    assert result.reading_of.tolist() == reports


def test_a_real_report_in_full() -> None:
    messages = [bytes.fromhex(line) for line in (vectors("gb32960") / "car-a.2016.hex").read_text("ascii").split()]
    row = decode("gbt32960", messages[1]).readings[0]
    assert row["time"] == 1_577_502_078_000  # 2019-12-28T11:01:18+08:00
    assert (row["lat"], row["lon"]) == (32.16454, 119.551656)
    assert [row[name] for name in MEASURED] == pytest.approx([22 / 3.6, 286.0, 0.28, 518.1, 2.7, 15.572e6], rel=1e-6)
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.62, 3.56))
    assert (row["temperature_max"], row["temperature_min"], row["motor_temperature"]) == (7, 6, 10)
    assert (row["state"], row["charging"], row["reissued"]) == (1, 3, 1)
