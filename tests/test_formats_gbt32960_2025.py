"""GB/T 32960.3-2025: what is encoded comes back, frames made by hand keep the rest, and what nobody knows is refused.

The vectors are our own. They were read once by rtm-con 1.0.4, an independent implementation in Python, which found in them what
is expected here; 400 random frames that it built (several packs and motors, fault lists, levels, makers' units, signatures)
were read here to the same values. It does not know units 03, 30, 31 and 32.
"""

from __future__ import annotations

import struct
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode
from dataflows.formats.base import Reason
from dataflows.formats.gcj02 import to_gcj02
from tests.wire import CONTEXT, TIME, VIN, a_reading, a_reading_of_2025, decode

CLOCK = bytes((25, 3, 6, 15, 30, 0))  # TIME in Beijing, to the second
VEHICLE = b"\x01" + struct.pack(">BBBHIHHBBBH", 1, 3, 1, 450, 203456, 7138, 17795, 57, 1, 14, 5000)
MEASURED = ("speed", "mileage", "soc", "voltage", "current", "insulation")


def frame(units: bytes) -> bytes:
    return encode.gbt32960_frame(0x02, VIN, CLOCK + units, edition=2025)


def report(units: bytes) -> np.void:
    result = decode("gbt32960", frame(units))
    assert result.refusals == []
    return result.readings[0]


def test_a_whole_report() -> None:
    said = {"alarms": 1 << 23 | 1 << 11, "alarm_level": 4, "levels": [(11, 2), (23, 4)], "charging": 1}
    row = decode("gbt32960", a_reading_of_2025(system=1, **said)).readings[0]
    assert row["time"] == TIME // 1000 * 1000
    assert row["reporter"] == CONTEXT.pseudonym(VIN)
    assert (row["lat"], row["lon"]) == (22.538165, 114.055396)
    assert [row[name] for name in MEASURED] == pytest.approx([12.5, 20_345.6, 0.57, 713.8, -1220.5, 5e6], rel=1e-6)
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.71, 3.65))
    assert row["cell_voltage_mean"] == pytest.approx((3.7 + 3.65 + 3.71) / 3)
    assert (row["temperature_max"], row["temperature_min"], row["motor_temperature"]) == (31, -10, 55)
    assert (row["alarms"], row["alarm_level"], row["state"], row["charging"], row["reissued"]) == (0x80_0800, 4, 1, 1, 0)


VECTOR = (  # header, time, 01, 02 of two motors, 05 in GCJ-02, 06 with two levels, 07 of two packs, 08, 82, FF, BCC
    "242403fe4c52575445535456454849434c45303031010087"
    "1a0b1c0f1e2d"
    "010203010000000261061be2754a4b010f1999"
    "020201034a7d0000030d404f0202497d0000030d3b45"
    "05000206ca3cf80157f1fc"
    "0603000108000100080002000000020b011003"
    "0702011be2754a00030f750f780f76021be2754a0002fffe0c80"
    "0802010003464f44020001fe"
    "820003aabbcc"
    "ff01000401020304000405060708"
    "cf"
)


def test_a_vector() -> None:
    result = decode("gbt32960", bytes.fromhex(VECTOR))
    assert result.refusals == []
    row = result.readings[0]
    assert row["time"] == 1_795_851_045_000  # 2026-11-28T15:30:45+08:00
    assert (row["lat"], row["lon"]) == pytest.approx((22.543847, 113.912316), abs=2e-6)
    assert [row[name] for name in MEASURED] == pytest.approx([0.0, 15_591.0, 0.75, 713.8, 2.6, 6_553_000.0], rel=1e-6)
    assert (row["cell_voltage_max"], row["cell_voltage_min"]) == pytest.approx((3.96, 3.2))
    assert row["cell_voltage_mean"] == pytest.approx((3.957 + 3.96 + 3.958 + 3.2) / 4)
    assert (row["temperature_max"], row["temperature_min"], row["motor_temperature"]) == (39, 28, 39)
    assert (row["alarms"], row["alarm_level"], row["state"], row["charging"], row["reissued"]) == (0x1_0800, 3, 2, 3, 1)


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    st.integers(946_684_800, 4_000_000_000),
    st.tuples(st.floats(-3000, 3000), st.floats(0, 1500), st.floats(0, 1), st.floats(0, 138.8), st.floats(0, 60e6)),
    st.lists(st.floats(0, 15), max_size=450),
    st.lists(st.floats(-40, 210), max_size=300),
    st.tuples(st.integers(0, 2**28 - 1), st.integers(0, 4), st.integers(1, 3), st.integers(1, 4), st.booleans()),
    st.binary(max_size=600),
)
def test_what_is_encoded_comes_back(
    seconds: int,
    measured: tuple[float, ...],
    cells: list[float],
    temperatures: list[float],
    said: tuple[int, int, int, int, bool],
    signature: bytes,
) -> None:
    current, voltage, soc, speed, insulation = measured
    coded = dict(zip(("alarms", "alarm_level", "state", "charging", "reissued"), said, strict=True))
    result = decode(
        "gbt32960",
        a_reading_of_2025(
            **coded,
            time=seconds * 1000,
            current=current,
            voltage=voltage,
            soc=soc,
            speed=speed,
            insulation=insulation,
            cells=cells,
            temperatures=temperatures,
            signature=signature,
        ),
    )
    assert result.refusals == []
    row = result.readings[0]
    nan = float("nan")
    assert {name: row[name] for name in coded} == coded
    assert row["time"] == seconds * 1000
    assert (row["current"], row["voltage"]) == pytest.approx((current, voltage), abs=0.0502)
    assert (row["soc"], row["speed"]) == pytest.approx((soc, speed), abs=0.0139)
    assert row["insulation"] == pytest.approx(insulation, abs=502)
    mean = sum(cells) / len(cells) if cells else nan
    voltages = (max(cells, default=nan), min(cells, default=nan), mean)
    assert [row[f"cell_voltage_{what}"] for what in ("max", "min", "mean")] == pytest.approx(voltages, abs=6e-4, nan_ok=True)
    hottest, coldest = max(temperatures, default=nan), min(temperatures, default=nan)
    assert (row["temperature_max"], row["temperature_min"]) == pytest.approx((hottest, coldest), abs=0.501, nan_ok=True)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.floats(18.2, 53.5), st.floats(73.5, 134.8))
def test_a_place_comes_out_in_wgs_84(lat: float, lon: float) -> None:
    moved = to_gcj02(lat, lon)
    for system, (north, east) in ((1, (lat, lon)), (2, moved), (3, (lat, lon))):
        row = decode("gbt32960", a_reading_of_2025(system=system, lat=north, lon=east)).readings[0]
        assert (row["lat"], row["lon"]) == pytest.approx((lat, lon), abs=1.5e-6)


def test_a_second_place_without_a_fix_moves_the_first_no_more() -> None:
    lat, lon = 31.2304, 121.4737
    north, east = to_gcj02(lat, lon)
    fixed = struct.pack(">BBBII", 5, 0, 2, round(east * 1e6), round(north * 1e6))
    row = report(fixed + struct.pack(">BBBII", 5, 1, 2, 0, 0))
    assert (row["lat"], row["lon"]) == pytest.approx((lat, lon), abs=1.5e-6)


def test_a_place_whose_coordinates_are_nobody_knows_what_is_not_known() -> None:
    for system in range(256):
        row = decode("gbt32960", a_reading_of_2025(system=system)).readings[0]
        assert np.isnan(row["lat"]) == np.isnan(row["lon"]) == (system not in (1, 2, 3))
    south = decode("gbt32960", a_reading_of_2025(lat=-33.8, lon=-70.6)).readings[0]
    assert (south["lat"], south["lon"]) == (-33.8, -70.6)
    assert np.isnan(decode("gbt32960", a_reading_of_2025(lat=float("nan"))).readings[0]["lat"])


def test_invalid_and_abnormal_values_are_missing() -> None:
    for codes in ((0xFE, 0xFFFE, 0xFFFF_FFFE), (0xFF, 0xFFFF, 0xFFFF_FFFF)):
        byte, word, long = codes
        vehicle = struct.pack(">BBBBHIHHBBBH", 1, byte, byte, byte, word, long, word, word, byte, byte, 0, word)
        motor = struct.pack(">BBBBBHIB", 2, 1, 1, byte, byte, word, long, byte)
        place = struct.pack(">BBBII", 5, 0, 1, long, long)
        alarms = struct.pack(">BBI", 6, byte, long) + bytes([byte]) * 5
        cells = struct.pack(">BBBHHHHHBHHH", 7, 2, 1, word, word, 2, word, word, 2, word, word, word)
        probes = struct.pack(">BBBHBBBH", 8, 2, 1, 2, byte, byte, 2, word)
        stacks = struct.pack(">BBBHHHHBH", 0x30, 1, byte, word, word, word, word, byte, word)
        capacitors = struct.pack(">BBHHHH", 0x31, byte, word, word, word, word)
        row = report(vehicle + motor + place + alarms + cells + probes + stacks + capacitors)
        names = row.dtype.names or ()
        missing = {name for name in names if row[name].dtype.kind == "f" and np.isnan(row[name])}
        assert missing == {name for name in names if row[name].dtype.kind == "f"}
        assert (row["state"], row["charging"], row["alarm_level"], row["alarms"]) == (255, 255, 255, 0)


def test_packs_of_which_one_is_not_known_have_no_extremes() -> None:
    """Its cells may be the highest and the lowest."""
    known = struct.pack(">BHHHHH", 1, 7138, 30026, 2, 3957, 3960)
    unknown = struct.pack(">BHHH", 2, 7138, 30026, 0xFFFF)
    assert report(b"\x07\x01" + known)["cell_voltage_max"] == pytest.approx(3.96)
    assert np.isnan(report(b"\x07\x02" + known + unknown)["cell_voltage_max"])


def alarms(level: int, flags: int, *levels: tuple[int, int]) -> bytes:
    return struct.pack(">BBI", 6, level, flags) + bytes(4) + bytes([len(levels)]) + b"".join(map(bytes, levels))


@pytest.mark.parametrize(
    ("unit", "level", "flags"),
    [
        (alarms(0, 0), 0, 0),
        (alarms(4, 1 << 23, (23, 4)), 4, 1 << 23),
        (alarms(1, 1 << 23 | 1, (0, 1), (23, 4)), 4, 1 << 23 | 1),  # the worse of both
        (alarms(3, 1 << 16, (16, 1)), 3, 1 << 16),
        (alarms(0xFE, 1, (0, 2)), 2, 1),
        (alarms(0xFF, 1, (0, 0xFF)), 255, 1),
        (alarms(1, 1, (0, 7)), 1, 1),
        (alarms(5, 1), 255, 1),
        (alarms(1, 0, (5, 1)), 1, 0),  # the flags say which
    ],
)
def test_levels_of_alarms(unit: bytes, level: int, flags: int) -> None:
    row = report(unit)
    assert (row["alarm_level"], row["alarms"]) == (level, flags)


UNITS = {  # one of each kind, and what its parts are for
    "vehicle": VEHICLE,
    "motors": b"\x02\x02" + struct.pack(">BBBHIB", 1, 1, 60, 32000, 200_000, 95) * 2,
    "hydrogen": b"\x03" + bytes(12),
    "engine": b"\x04" + bytes(2),
    "position": b"\x05" + struct.pack(">BBII", 0, 2, 114_000_000, 22_000_000),
    "alarms": struct.pack(">BBI", 6, 1, 5)
    + (b"\x01" + bytes(4) + b"\x02" + bytes(8) + b"\xfe" + b"\x01" + bytes(4))
    + b"\x02\x00\x01\x02\x01",
    "cells": b"\x07\x02" + struct.pack(">BHHHHHBHHHH", 2, 0, 0, 2, 3700, 3710, 1, 0, 0, 1, 3690),
    "probes": b"\x08\x02" + struct.pack(">BHBBBHB", 1, 2, 50, 61, 2, 1, 55),
    "stacks": b"\x30\x02" + (bytes(10) + b"\x00\x02ab") + (bytes(10) + b"\x00\x00"),
    "super capacitor": b"\x31" + bytes(5) + b"\x00\x02abcd" + b"\x00\x03efg",
    "extremes": b"\x32" + bytes(18),
    "signature": b"\xff\x01\x00\x03abc\x00\x02de",
    "maker's": b"\x80\x00\x03abc",
}
KNOWN = [what for what in UNITS if what != "maker's"]


@pytest.mark.parametrize("what", KNOWN)
def test_a_unit_that_is_cut_anywhere_is_refused(what: str) -> None:
    unit = UNITS[what]
    assert report(UNITS["engine"] + unit)["time"] == TIME // 1000 * 1000
    assert report(unit + VEHICLE)["soc"] == pytest.approx(0.57)
    cut = [UNITS["engine"] + unit[:length] for length in range(1, len(unit))]
    result = decode("gbt32960", *map(frame, cut))
    assert [refusal.message for refusal in result.refusals] == list(range(len(cut)))
    assert {(refusal.reason, refusal.detail) for refusal in result.refusals} == {
        (Reason.BAD_LENGTH, f"information unit {unit[0]:02x} ends past the end of its frame")
    }


@pytest.mark.parametrize("what", UNITS)
def test_what_was_said_before_a_makers_unit_stands_however_it_is_cut(what: str) -> None:
    before, unit = UNITS["vehicle"] + UNITS["cells"] + UNITS["probes"], UNITS[what]
    for first in (b"\x81\x00\x00", b"\xfe\x00\x01x"):
        for length in range(1, len(unit)):
            assert report(before + first + unit[:length]).tobytes() == report(before).tobytes()
        assert report(before + first + unit).tobytes() == report(before + unit).tobytes()


def test_a_unit_that_no_table_knows_refuses_the_report() -> None:
    """Unless it stands behind a maker's, which may have no length and anything in it."""
    unknown = [0, *range(0x09, 0x30), *range(0x33, 0x80)]
    result = decode("gbt32960", *(frame(VEHICLE + bytes((unit, 0, 0))) for unit in unknown))
    assert [refusal.detail for refusal in result.refusals] == [
        f"information unit {unit:02x} is none of the 2025 edition's, so nothing tells where it ends" for unit in unknown
    ]
    assert {refusal.reason for refusal in result.refusals} == {Reason.UNSUPPORTED}
    assert report(VEHICLE + b"\x81\x00\x00" + b"\x0a\x00\x00")["soc"] == pytest.approx(0.57)


def test_no_report_knows_of_the_one_before_whatever_their_editions() -> None:
    bodies = [UNITS["engine"] + unit for unit in UNITS.values()]
    older = a_reading()
    for first, second in product(bodies, bodies):
        both = decode("gbt32960", frame(first) + older + frame(second))
        alone = [decode("gbt32960", one).readings for one in (frame(first), older, frame(second))]
        assert both.readings.tobytes() == np.concatenate(alone).tobytes()


def test_frames_without_a_row_are_recognised() -> None:
    commands = (1, 4, 5, 6, 7, 8, 9, 0x0A, 0x0B, 0x80, 0x81, 0x82)
    frames = [encode.gbt32960_frame(command, VIN, CLOCK, edition=2025) for command in commands]
    answer = bytearray(encode.gbt32960_frame(0x0A, VIN, b"\x01\x01", edition=2025))
    answer[3], answer[-1] = 0x01, answer[-1] ^ 0xFE ^ 0x01
    result = decode("gbt32960", *frames, bytes(answer))
    assert result.refusals == []
    assert result.recognised == {
        "login": 1,
        "logout": 1,
        "platform_login": 1,
        "platform_logout": 1,
        "heartbeat": 1,
        "time": 1,
        "activation": 2,
        "key_exchange": 1,
        "control": 3,
        "reply": 1,
    }


def test_each_edition_has_its_own_commands() -> None:
    for command, edition in ((0x09, 2016), (0x0A, 2016), (0x0B, 2016), (0x0C, 2025)):
        newer = edition == 2025
        message = encode.gbt32960_frame(command, VIN, CLOCK, edition=2025 if newer else 2016)
        (refusal,) = decode("gbt32960", message).refusals
        assert refusal.reason == Reason.UNSUPPORTED
        assert refusal.detail == f"command {command:02x} is none of the {edition} edition's"


@pytest.mark.parametrize("method", [0x02, 0x03, 0x04, 0x05, 0xFE, 0xFF])
def test_what_is_encrypted_is_refused_as_that(method: int) -> None:
    message = bytearray(a_reading_of_2025())
    message[21], message[-1] = method, message[-1] ^ 0x01 ^ method
    (refusal,) = decode("gbt32960", bytes(message)).refusals
    assert refusal.reason == Reason.ENCRYPTED
    assert f"{method:02x}" in refusal.detail
