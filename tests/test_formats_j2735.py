"""BSMs in unaligned PER: written bit by bit from the field table here, and the real ones where they are at hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import bsm as bsm_values
from dataflows.formats.base import Reason
from detectors.model import Sign
from tests.wire import CONTEXT, TIME, bsm, decode, frame, safety, vectors

PLACE = {"lat": 225_408_970, "long": 1_140_502_920}
MINUTE = 60_000


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(0, 59_999),
    st.integers(-900_000_000, 900_000_000).filter(lambda raw: abs(raw) > 10_000),
    st.integers(-1_799_999_999, 1_800_000_000),
    st.integers(0, 8190),
    st.integers(0, 28_799),
    st.integers(-2000, 2000),
    st.booleans(),
)
def test_core_data_comes_back(
    number: int, mark: int, lat: int, lon: int, speed: int, heading: int, accel: int, framed: bool
) -> None:
    core = {"id": number, "secMark": mark, "lat": lat, "long": lon, "speed": speed, "heading": heading, "accelLong": accel}
    message = bsm(**core, msgCnt=127, elev=61439, angle=-126, yaw=-32767, width=1023, length=4095)
    result = decode("j2735", frame(message) if framed else message, arrival=TIME)
    assert result.refusals == []
    row = result.observations[0]
    assert row["time"] % MINUTE == mark
    assert TIME + CONTEXT.max_ahead - MINUTE < row["time"] <= TIME + CONTEXT.max_ahead
    assert row["reporter"] == CONTEXT.pseudonym(f"{number:08X}")
    assert (row["lat"], row["lon"]) == (lat / 1e7, lon / 1e7)
    assert row["speed"] == pytest.approx(speed * 0.02, rel=1e-6)
    assert row["heading"] == pytest.approx(heading * 0.0125, rel=1e-6)
    assert row["accel"] == pytest.approx(accel * 0.01, rel=1e-6)


def test_unavailable_is_nan_and_the_arrival_stands_for_an_unknown_second() -> None:
    row = decode("j2735", bsm(**PLACE), arrival=TIME).observations[0]
    assert row["time"] == TIME
    assert all(np.isnan(row[name]) for name in ("speed", "heading", "accel"))
    result = decode("j2735", bsm(), arrival=TIME)
    assert [refusal.reason for refusal in result.refusals] == [Reason.NO_POSITION]


def test_a_bsm_without_an_arrival_has_no_time() -> None:
    assert [refusal.reason for refusal in decode("j2735", bsm(**PLACE)).refusals] == [Reason.NO_TIME]


EVENTS = [
    Sign.HAZARD_LIGHTS,
    Sign.STOP_LINE_VIOLATION,
    Sign.ABS,
    Sign.TRACTION,
    Sign.STABILITY,
    Sign.HAZARDOUS_GOODS,
    Sign(0),
    Sign.HARD_BRAKE,
    Sign.LIGHTS_CHANGED,
    Sign.WIPERS,
    Sign.FLAT_TYRE,
    Sign.DISABLED,
    Sign.AIRBAG,
    Sign.JACKKNIFE,
]


@pytest.mark.parametrize(("place", "sign"), list(enumerate(EVENTS)))
def test_event_flags(place: int, sign: Sign) -> None:
    width = 13 if place < 13 else 14
    flags = f"{1 << (width - 1 - place):0{width}b}"
    alone = bsm(**PLACE, parts=(safety(flags),))
    after_others = bsm(**PLACE, parts=((2, "1" * 77), safety(flags), (9, "")), regional=((3, "10" * 700),))
    for message in (alone, frame(after_others)):
        result = decode("j2735", message, arrival=TIME)
        assert result.refusals == []
        assert result.observations[0]["signs"] == sign


def test_brakes() -> None:
    def signs(**brakes: int) -> int:
        return int(decode("j2735", bsm(**PLACE, **brakes), arrival=TIME).observations[0]["signs"])

    assert signs(wheelBrakes=0b01000) == signs(wheelBrakes=0b00001) == Sign.BRAKE
    assert signs(wheelBrakes=0) == signs(wheelBrakes=0b11111) == 0  # the first bit says that the others mean nothing
    assert signs(traction=3, abs=3, scs=3) == Sign.TRACTION | Sign.ABS | Sign.STABILITY
    assert signs(traction=2, abs=1, scs=2) == 0  # switched on, but not at work


def test_envelopes() -> None:
    inner = frame(bsm(**PLACE, speed=50))
    unsecured = bytes([0x03, 0x80, len(inner)]) + inner
    long_form = bytes([0x03, 0x80, 0x82, 0, len(inner)]) + inner
    signed = bytes([0x03, 0x81, 0x00, 0x40]) + unsecured + b"header, signer and signature"
    for message in (unsecured, long_form, signed):
        assert decode("j2735", message, arrival=TIME).observations["speed"] == [1.0]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.integers(0, 2**41), st.integers(0, 60_999), st.integers(0, MINUTE - 1))
def test_the_minute_is_the_nearest(near: int, mark: int, ahead: int) -> None:
    time = bsm_values.event_time(near, mark, ahead)
    assert (time - mark) % MINUTE == 0
    assert near + ahead - MINUTE < time <= near + ahead
    assert bsm_values.event_time(near, 65_535) == bsm_values.event_time(near, -1) == near


def test_real_messages() -> None:
    """Each with its twin in JSON."""
    folder = vectors("j2735")
    names = sorted(path.stem for path in folder.glob("*.bin"))
    assert len(names) == 12
    for name in names:
        said = json.loads((folder / f"{name}.json").read_text("utf-8"))
        said = said.get("value", {}).get("BasicSafetyMessage", said)
        core = said["coreData"]
        result = decode("j2735", (folder / f"{name}.bin").read_bytes(), arrival=TIME)
        assert result.refusals == [], name
        row = result.observations[0]
        assert row["time"] % MINUTE == core["secMark"], name
        assert row["reporter"] == CONTEXT.pseudonym(core["id"]), name
        assert (row["lat"], row["lon"]) == (core["lat"] / 1e7, core["long"] / 1e7), name
        assert row["speed"] == np.float32(core["speed"] * 0.02), name
        assert row["heading"] == np.float32(core["heading"] * 0.0125), name
        assert row["accel"] == np.float32(core["accelSet"]["long"] * 0.01), name
        signs = Sign(0)
        for part in said.get("partII", []):
            if events := part["partII-Value"].get("VehicleSafetyExtensions", {}).get("events"):
                bits = f"{int(events['value'], 16):016b}"[: events["length"]]
                signs |= sum((sign for sign, bit in zip(EVENTS, bits, strict=False) if bit == "1"), Sign(0))
        brakes = core["brakes"]
        wheels = int(brakes["wheelBrakes"], 16)
        signs |= Sign.BRAKE if wheels & 0x78 and not wheels & 0x80 else Sign(0)
        for key, sign in (("traction", Sign.TRACTION), ("abs", Sign.ABS), ("scs", Sign.STABILITY)):
            signs |= sign if brakes[key] == "engaged" else Sign(0)
        assert row["signs"] == signs, name


def test_a_bare_bsm_is_none_of_a_frame_whatever_its_number_and_its_id() -> None:
    """Its first bytes may look like the type and the length of a frame, and fit."""
    for count in range(128):
        assert len(decode("j2735", bsm(msgCnt=count, id=0x22 << 18, **PLACE), arrival=TIME).observations) == 1
