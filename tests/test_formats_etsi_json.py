"""CAMs and DENMs in JSON, of both generations of the its-client project, and of third parties where they are at hand."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode_etsi, encode_etsi_json
from dataflows.formats.base import Decoded, Reason
from dataflows.formats.etsi_rows import EPOCH, PERIOD
from detectors.model import Sign
from tests.wire import CAM, CONTEXT, DENM, LIT, TIME, VALID, decode, vectors

NEWER = json.loads(encode_etsi_json.cam(**CAM | LIT))
WARNING = json.loads(encode_etsi_json.denm(**DENM, heading=74.4))
OLDER, OLDER_WARNING = (json.loads(message) for message in VALID["etsi-json"][2:])


def changed(document: Any, value: object, *way: str) -> bytes:
    """The document with a value at the end of a way, or without what is there."""
    document = json.loads(json.dumps(document))
    inside = document
    for step in way[:-1]:
        inside = inside[step]
    if value is None:
        del inside[way[-1]]
    else:
        inside[way[-1]] = value
    return json.dumps(document).encode()


def reasons(result: Decoded) -> list[Reason]:
    return [refusal.reason for refusal in result.refusals]


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "time": st.integers(TIME, TIME + 2 * PERIOD),
            "station": st.integers(0, 2**32 - 1),
            "lat": st.floats(1.0, 89.0),
            "lon": st.floats(-179.0, 179.0),
            "speed": st.floats(0.0, 163.8) | st.just(float("nan")),
            "heading": st.floats(0.0, 360.0) | st.just(float("nan")),
            "accel": st.floats(-16.0, 16.0) | st.just(float("nan")),
            "signs": st.sampled_from([0, *LIT.values(), Sign.BRAKE, Sign.FOG_LIGHTS]),
            "station_type": st.sampled_from([0, 3, 5, 10, 14, 15]),
        }
    )
)
def test_a_cam_says_the_same_in_both_forms(said: dict[str, Any]) -> None:
    binary = decode("etsi", encode_etsi.cam(**said), arrival=said["time"])
    text = decode("etsi-json", encode_etsi_json.cam(**said))
    assert text.observations.tobytes() == binary.observations.tobytes()
    assert text.recognised == binary.recognised
    assert text.refusals == binary.refusals == []


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("station_type", [1, 5, 15])
def test_a_denm_says_the_same_in_both_forms(ended: bool, station_type: int) -> None:
    said = DENM | {"ended": ended, "station_type": station_type, "heading": 12.3, "validity": 33}
    binary, text = decode("etsi", encode_etsi.denm(**said)), decode("etsi-json", encode_etsi_json.denm(**said))
    assert text.notices.tobytes() == binary.notices.tobytes()
    assert text.recognised == binary.recognised
    assert text.refusals == binary.refusals == []
    assert len(text.notices) == (station_type != 15)


def test_the_older_generation() -> None:
    result = decode("etsi-json", *VALID["etsi-json"][2:])
    assert result.refusals == []
    (row,), (notice,) = result.observations, result.notices
    assert row["signs"] == Sign.BRAKE | Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS
    assert (row["speed"], row["heading"]) == (np.float32(5.88), np.float32(74.4))
    assert np.isnan(row["accel"])
    assert (row["time"] - EPOCH) % PERIOD == 1_234
    assert (notice["cause"], notice["subcause"], notice["number"], notice["ended"]) == (94, 0, 7, 0)
    assert (notice["until"] - notice["onset"], notice["heading"]) == (600_000, np.float32(74.4))


def test_the_time_is_that_of_the_envelope() -> None:
    """Then the arrival's, and a DENM has a time of its own."""
    waited = decode("etsi-json", json.dumps(NEWER).encode(), json.dumps(WARNING).encode(), arrival=TIME + 600_000)
    assert (waited.observations["time"].tolist(), waited.notices["time"].tolist()) == ([TIME], [TIME])
    bare = changed(NEWER, None, "timestamp"), changed(WARNING, None, "timestamp")
    heard = decode("etsi-json", *bare, arrival=TIME + 30_000)
    assert (heard.observations["time"].tolist(), heard.notices["time"].tolist()) == ([TIME], [TIME + 30_000])
    unheard = decode("etsi-json", *bare)
    assert (reasons(unheard), unheard.notices["time"].tolist()) == ([Reason.NO_TIME], [TIME])
    at_once = decode("etsi-json", changed(NEWER, None, "message", "generation_delta_time"))
    assert at_once.observations["time"].tolist() == [TIME]


def test_signs_of_the_newer_generation() -> None:
    high = ("message", "high_frequency_container", "basic_vehicle_container_high_frequency", "acceleration_control")
    low = ("message", "low_frequency_container", "basic_vehicle_container_low_frequency")
    one = {"left_turn_signal_on": True, "right_turn_signal_on": False, "fog_light_on": False}
    message = json.loads(changed(json.loads(changed(NEWER, one, *low, "exterior_lights")), 0, *low, "vehicle_role"))
    brakes = changed(message, {"brake_pedal_engaged": True}, *high)
    assert decode("etsi-json", brakes).observations["signs"].tolist() == [Sign.BRAKE]
    goods = {"dangerous_goods_container": {"dangerous_goods_basic": 9}}
    special = changed(json.loads(brakes), goods, "message", "special_vehicle_container")
    assert decode("etsi-json", special).observations["signs"].tolist() == [Sign.BRAKE | Sign.HAZARDOUS_GOODS]


def test_who_is_no_vehicle_is_counted() -> None:
    high = ("message", "high_frequency_container")
    roadside = changed(NEWER, {"rsu_container_high_frequency": {}}, *high)
    tram = changed(OLDER, 11, "message", "basic_container", "station_type")
    warns = changed(OLDER_WARNING, 15, "message", "management_container", "station_type")
    result = decode("etsi-json", roadside, tram, warns)
    assert dict(result.recognised) == {"roadside_cam": 1, "tram_cam": 1, "roadside_denm": 1}


def test_a_pdu_in_base64() -> None:
    around = {"message_type": "cam", "message_format": "asn1/uper", "timestamp": TIME}
    around["message"] = {"version": "2.2.1", "payload": base64.b64encode(encode_etsi.cam(**CAM)).decode()}
    result = decode("etsi-json", json.dumps(around).encode())
    assert result.observations.tobytes() == decode("etsi", encode_etsi.cam(**CAM), arrival=TIME).observations.tobytes()
    broken = decode(
        "etsi-json", changed(around, "no base64", "message", "payload"), changed(around, "AQ==", "message", "payload")
    )
    assert reasons(broken) == [Reason.UNREADABLE, Reason.TRUNCATED]


def test_other_messages_are_named_if_they_have_a_name() -> None:
    named, unnamed, without = (changed(NEWER, kind, "message_type") for kind in ("cpm", "my car", None))
    result = decode("etsi-json", named, unnamed, without)
    assert reasons(result) == [Reason.UNSUPPORTED] * 3
    assert result.refusals[0].detail == "this is a CPM; only cam and denm are read"
    assert {refusal.detail for refusal in result.refusals[1:]} == {
        "this is a message of another type; only cam and denm are read"
    }


def test_real_messages() -> None:
    folder = vectors("etsi")
    cam, denm = ((folder / f"{name}.json").read_bytes() for name in ("Cam", "Denm"))
    result = decode("etsi-json", cam, denm)
    assert result.refusals == []
    (row,), (notice,) = result.observations, result.notices
    assert row["time"] == 1_742_890_346_165 - 63  # its generation_delta_time is 63 ms before the envelope's time
    assert row["reporter"] == CONTEXT.pseudonym("its-123456")
    assert (row["lat"], row["lon"]) == (44.7758076, -0.6528173)
    assert (row["speed"], row["heading"]) == (np.float32(0.21), np.float32(303.7))
    assert np.isnan(row["accel"])
    assert notice["reporter"] == CONTEXT.pseudonym("its-10000")
    assert (notice["time"], notice["onset"], notice["until"]) == (1_742_984_503_586, 1_742_984_503_586, 1_742_984_513_586)
    assert (notice["lat"], notice["lon"], notice["heading"]) == (43.5657439, 1.4681494, np.float32(145.3))
    assert (notice["cause"], notice["subcause"], notice["number"], notice["ended"]) == (26, 5, 1, 0)


def test_the_schemas_of_the_newer_generation() -> None:
    """What our encoder writes has the names and the nesting that the schemas ask for, as far as it goes."""
    for name, message in (("cam_schema_2-4-0", NEWER), ("denm_schema_2-3-0", WARNING)):
        schema = json.loads((vectors("etsi") / f"{name}.json").read_text("utf-8"))
        unknown = list(_unknown(schema, schema, message, ""))
        assert unknown == []


def _unknown(schema: Any, root: Any, document: Any, place: str) -> Any:
    """Keys of a document that its schema does not have."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if not isinstance(document, dict):
        return
    known = {key.strip(): part for key, part in schema.get("properties", {}).items()}  # one ends with two spaces there
    for choice in schema.get("oneOf", ()):
        known |= choice.get("properties", {})
    for key, value in document.items():
        if key not in known:
            yield f"{place}.{key}"
        else:
            yield from _unknown(known[key], root, value, f"{place}.{key}")
