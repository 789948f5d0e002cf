"""GB/T 32960: frames made from what a car measures give it back, frames made by hand keep the rest of the standard."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode
from dataflows.formats.base import Reason
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
        probes = struct.pack(">BBHBB", 1, 1, 2, byte, byte)
        units = b"\x01" + vehicle + b"\x02" + motor + b"\x05" + place + b"\x06" + extremes + b"\x07" + alarms
        row = report(units + b"\x08" + cells + b"\x09" + probes)
        names = row.dtype.names or ()
        missing = {name for name in names if row[name].dtype.kind == "f" and np.isnan(row[name])}
        assert missing == {name for name in names if row[name].dtype.kind == "f"}
        assert (row["state"], row["charging"], row["alarm_level"], row["alarms"]) == (255, 255, 255, 0)


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
    in_part = report(b"\x08\x01" + pack(1, 3, 1, 3700, 3710))
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


def test_the_edition_of_2025_is_refused_frame_by_frame() -> None:
    newer = b"$$" + a_reading()[2:]
    result = decode("gbt32960", newer + a_reading())
    assert [refusal.reason for refusal in result.refusals] == [Reason.UNSUPPORTED]
    assert len(result.readings) == 1


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
