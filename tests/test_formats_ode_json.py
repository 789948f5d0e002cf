"""ODE JSON in its three styles: one vehicle written three ways is one row, and the real records where they are at hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode, moment
from dataflows.formats.base import Reason
from detectors.model import Sign
from tests.wire import CONTEXT, TIME, bsm, decode, frame, safety, vectors

CORE: dict[str, Any] = {
    "id": "b3d65c18",
    "secMark": TIME % 60_000,
    "position": {"latitude": 22.540897, "longitude": 114.0502923},
    "accelSet": {"accelLong": -4.12},
    "speed": 5.88,
    "heading": 74.4,
    "brakes": {"wheelBrakes": {"leftFront": True, "unavailable": False}, "traction": "on", "abs": "engaged", "scs": "off"},
}
PARTS = [
    {"id": "VehicleSafetyExtensions", "value": {"events": {"eventHardBraking": True, "eventFlatTire": False}}},
    {"id": "SupplementalVehicleExtensions", "value": {}},
]
SIGNS = Sign.BRAKE | Sign.ABS | Sign.HARD_BRAKE


def record(data: dict[str, Any], **metadata: Any) -> bytes:
    return json.dumps({"metadata": {"recordGeneratedAt": moment.write(TIME)} | metadata, "payload": {"data": data}}).encode()


def named(core: dict[str, Any] | None = None, **metadata: Any) -> bytes:
    return record({"coreData": CORE | (core or {}), "partII": PARTS}, schemaVersion=6, **metadata)


def test_one_vehicle_in_three_styles_is_one_row() -> None:
    raw = encode.ode_json(
        time=TIME, id="b3d65c18", lat=22.540897, lon=114.0502923, speed=5.88, heading=74.4, accel=-4.12, signs=SIGNS
    )
    packed = frame(
        bsm(
            id=0xB3D65C18,
            secMark=TIME % 60_000,
            lat=225_408_970,
            long=1_140_502_923,
            speed=294,
            heading=5952,
            accelLong=-412,
            wheelBrakes=0b01000,
            abs=3,
            parts=(safety("0000000100000"),),
        )
    ).hex()
    messages = [named(), raw, record({"bytes": packed}), record({}, asn1=packed.upper())]
    result = decode("ode-json", *messages)
    assert result.refusals == []
    assert result.observation_of.tolist() == [0, 1, 2, 3]
    assert (result.observations == result.observations[0]).all()
    row = result.observations[0]
    assert (row["time"], row["lat"], row["lon"], row["signs"]) == (TIME, 22.540897, 114.0502923, SIGNS)
    assert row["reporter"] == CONTEXT.pseudonym("B3D65C18")
    assert (row["speed"], row["heading"], row["accel"]) == pytest.approx((5.88, 74.4, -4.12), rel=1e-6)


def test_what_is_missing_is_nan() -> None:
    least = {"id": "b3d65c18", "position": CORE["position"]}
    nulls = CORE | {"speed": None, "heading": None, "accelSet": None, "secMark": None, "brakes": None}
    bare = encode.ode_json(time=TIME, id="b3d65c18", lat=22.5, lon=114.1)
    result = decode("ode-json", record({"coreData": least}), record({"coreData": nulls}), bare)
    assert result.refusals == []
    for row in result.observations:
        assert all(np.isnan(row[name]) for name in ("speed", "heading", "accel"))
        assert row["time"] == TIME
        assert row["signs"] == 0


def test_a_record_without_a_place_is_refused() -> None:
    no_place = encode.ode_json(time=TIME, id="b3d65c18", lat=float("nan"), lon=float("nan"))
    result = decode("ode-json", no_place, named({"position": {"latitude": None, "longitude": 1.0}}), named({"position": None}))
    assert [refusal.reason for refusal in result.refusals] == [Reason.NO_POSITION] * 3


@pytest.mark.parametrize(
    ("generated", "received", "mark", "time"),
    [
        ("2025-03-06T07:30:00.784Z", "2026-01-01T00:00:00Z", 784, "2025-03-06T07:30:00.784Z"),
        ("", "2025-03-06T07:30:00.784Z", 59_900, "2025-03-06T07:29:59.900Z"),
        (None, "2025-03-06T07:30:58.000Z", 1_000, "2025-03-06T07:31:01.000Z"),
        (None, "2025-03-06T07:31:37.000Z", 57_000, "2025-03-06T07:30:57.000Z"),
        ("2025-03-06T07:30:00.784Z[UTC]", None, 65_535, "2025-03-06T07:30:00.784Z"),
        ("2025-03-06T15:30:00.784123456+08:00", None, 65_535, "2025-03-06T07:30:00.784Z"),
        ("2025-03-06T07:30:00", None, None, "2025-03-06T07:30:00.000Z"),
    ],
)
def test_event_time(generated: str | None, received: str | None, mark: int | None, time: str) -> None:
    result = decode("ode-json", named({"secMark": mark}, recordGeneratedAt=generated, odeReceivedAt=received))
    assert [moment.write(int(row["time"])) for row in result.observations] == [time]


def test_wheels_of_which_nothing_is_known_do_not_brake() -> None:
    wheels = {"brakes": {"wheelBrakes": {"leftFront": True, "unavailable": True}}}
    assert decode("ode-json", named(wheels)).observations["signs"] == [Sign.HARD_BRAKE]


@pytest.mark.parametrize("said", ["2025-03-06", "20250306", "2025-W10-4"])
def test_a_day_is_no_time(said: str) -> None:
    (refusal,) = decode("ode-json", named(recordGeneratedAt=said)).refusals
    assert refusal.detail == "the time is a day without a time"


def test_a_leap_second_is_the_one_after() -> None:
    assert moment.read("2016-12-31T23:59:60.250Z") == moment.read("2017-01-01T00:00:00.250Z")
    for none in ("2016-12-31T23:60:00Z", "2016-12-31T23:59:61Z"):
        (refusal,) = decode("ode-json", named(recordGeneratedAt=none)).refusals
        assert refusal.reason == Reason.WRONG_SHAPE


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.integers(1_500_000_000_000, 2_000_000_000_000),
    st.integers(0, 2**32 - 1),
    st.floats(-90, 90),
    st.floats(1, 180),
    st.floats(0, 160) | st.just(float("nan")),
    st.floats(0, 359.9) | st.just(float("nan")),
    st.floats(-20, 20) | st.just(float("nan")),
    st.integers(0, 2**13 - 1).filter(lambda signs: not signs & (Sign.FOG_LIGHTS | Sign.JACKKNIFE)),
)
def test_what_is_encoded_comes_back(
    time: int, number: int, lat: float, lon: float, speed: float, heading: float, accel: float, signs: int
) -> None:
    message = encode.ode_json(
        time=time, id=f"{number:08x}", lat=lat, lon=lon, speed=speed, heading=heading, accel=accel, signs=signs
    )
    result = decode("ode-json", message)
    assert result.refusals == []
    row = result.observations[0]
    assert (row["time"], row["signs"]) == (time, signs)
    assert (row["lat"], row["lon"]) == pytest.approx((lat, lon), abs=6e-8)
    assert row["speed"] == pytest.approx(speed, abs=0.0101, nan_ok=True)
    assert row["heading"] == pytest.approx(heading, abs=0.0064, nan_ok=True)
    assert row["accel"] == pytest.approx(accel, abs=0.0051, nan_ok=True)


def test_real_records() -> None:
    folder = vectors("ode-json")
    lines = [line for name in ("bsmTx.v6.jsonl", "bsmLogDuringEvent-first100.v6.jsonl") for line in (folder / name).open("rb")]
    assert len(lines) == 116
    result = decode("ode-json", *lines)
    assert result.refusals == []
    for line, row in zip(lines, result.observations, strict=True):
        said = json.loads(line)
        core = said["payload"]["data"]["coreData"]
        near = moment.read(said["metadata"]["recordGeneratedAt"])
        assert row["time"] % 60_000 == core["secMark"]
        assert abs(row["time"] - near) <= 30_000
        assert row["reporter"] == CONTEXT.pseudonym(core["id"])
        assert (row["lat"], row["lon"]) == (core["position"]["latitude"], core["position"]["longitude"])
        assert row["speed"] == np.float32(core["speed"])
        assert row["heading"] == np.float32(core["heading"])
        assert row["accel"] == np.float32(core["accelSet"]["accelLong"])
        events = [part["value"].get("events", {}) for part in said["payload"]["data"]["partII"]]
        assert row["signs"] == (Sign.HARD_BRAKE if any(one.get("eventHardBraking") for one in events) else 0)
    assert (result.observations["signs"] > 0).sum() == 1


def test_real_records_of_version_9() -> None:
    folder = vectors("ode-json")
    raw, packed = ((folder / name).read_bytes() for name in ("bsm.v9.json", "raw-encoded-bsm.v9.json"))
    result = decode("ode-json", raw, packed)
    assert result.refusals == []
    assert [moment.write(int(row["time"])) for row in result.observations] == [
        "2025-06-13T20:39:25.399Z",
        "2024-11-26T23:53:25.399Z",
    ]
    for row in result.observations:
        assert (row["lat"], row["lon"], row["signs"]) == (40.5659938, -105.0317754, 0)
        assert (row["speed"], row["heading"], row["accel"]) == pytest.approx((0.28, 313.25, 0.27), rel=1e-6)
