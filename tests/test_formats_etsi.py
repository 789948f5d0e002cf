"""CAMs and DENMs in UPER: every shape that the standard's ASN.1 allows as another program writes it, and bytes by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataflows.formats import FORMATS, encode_etsi, etsi_pdu
from dataflows.formats.base import Context, Reason
from dataflows.formats.etsi_rows import EPOCH, LEAP, PERIOD, VEHICLES, cam_time
from detectors.model import Sign
from tests.etsi_oracle import CAM, DENM, drawn, octets
from tests.wire import CAM as CAR
from tests.wire import CONTEXT, LIT, STATION, TIME, decode
from tests.wire import DENM as WARNING

QUICK = settings(max_examples=120, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def expected(parameters: dict[str, Any]) -> dict[str, float]:
    """What a CAM's row must say."""
    _, high = parameters["highFrequencyContainer"]
    control = high.get("accelerationControl", (0, 7))[0]
    signs = (Sign.BRAKE if control & 0x40 else 0) | (Sign.HARD_BRAKE if control & 0x10 else 0)
    kind, low = parameters.get("lowFrequencyContainer", ("", {}))
    if kind == "basicVehicleContainerLowFrequency":
        lights = low["exteriorLights"][0]
        signs |= (Sign.HAZARD_LIGHTS if lights & 0x30 == 0x30 else 0) | (Sign.FOG_LIGHTS if lights & 0x02 else 0)
        signs |= Sign.HAZARDOUS_GOODS if low["vehicleRole"] == "dangerousGoods" else 0
    if parameters.get("specialVehicleContainer", ("",))[0] == "dangerousGoodsContainer":
        signs |= Sign.HAZARDOUS_GOODS
    speed, heading = high["speed"]["speedValue"], high["heading"]["headingValue"]
    accel = high["longitudinalAcceleration"]["longitudinalAccelerationValue"]
    return {
        "speed": np.nan if speed == 16_383 else speed / 100,
        "heading": np.nan if heading == 3_601 else heading % 3_600 / 10,
        "accel": np.nan if accel == 161 else accel / 10,
        "signs": int(signs),
    }


@QUICK
@given(drawn(CAM), st.sampled_from([1, 2]), st.sampled_from(sorted(VEHICLES)))
def test_every_cam_of_a_vehicle_comes_back(said: dict[str, Any], version: int, station_type: int) -> None:
    said["header"] |= {"protocolVersion": version, "messageID": 2}
    parameters = said["cam"]["camParameters"]
    parameters["basicContainer"]["stationType"] = station_type
    place = parameters["basicContainer"]["referencePosition"]
    place["latitude"] = 1_000_000 + place["latitude"] % 899_000_000  # a place that is one
    place["longitude"] %= 1_800_000_000
    result = decode("etsi", octets(CAM, said), arrival=TIME)
    kind = parameters["highFrequencyContainer"][0]
    if kind == "rsuContainerHighFrequency":
        assert dict(result.recognised) == {"roadside_cam": 1}
        return
    if kind != "basicVehicleContainerHighFrequency":
        assert [refusal.reason for refusal in result.refusals] == [Reason.UNSUPPORTED]
        return
    assert result.refusals == []
    (row,) = result.observations
    assert row["reporter"] == CONTEXT.pseudonym(f"its-{said['header']['stationID']}")
    assert (row["lat"], row["lon"]) == (place["latitude"] / 1e7, place["longitude"] / 1e7)
    assert (row["time"] - EPOCH - said["cam"]["generationDeltaTime"]) % PERIOD in (0, PERIOD - LEAP)
    for name, value in expected(parameters).items():
        assert row[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name


@QUICK
@given(drawn(DENM), st.sampled_from([1, 2]), st.integers(0, 14), st.integers(0, 100_000))
def test_every_denm_comes_back(said: dict[str, Any], version: int, station_type: int, ago: int) -> None:
    said["header"] |= {"protocolVersion": version, "messageID": 1}
    management, situation = said["denm"]["management"], said["denm"].get("situation")
    management |= {"stationType": station_type, "detectionTime": TIME - EPOCH - ago}
    management["eventPosition"] |= {"latitude": 447_758_076, "longitude": -6_528_173}
    result = decode("etsi", octets(DENM, said), arrival=TIME)
    if situation is None and "termination" not in management:
        assert [refusal.reason for refusal in result.refusals] == [Reason.WRONG_SHAPE]
        return
    assert result.refusals == []
    (row,) = result.notices
    assert row["reporter"] == CONTEXT.pseudonym(f"its-{management['actionID']['originatingStationID']}")
    assert row["number"] == management["actionID"]["sequenceNumber"]
    assert (row["lat"], row["lon"]) == (44.7758076, -0.6528173)
    assert (row["time"], row["onset"]) == (TIME, TIME - ago)
    assert row["until"] == TIME - ago + 1000 * management.get("validityDuration", 600)
    cause = situation["eventType"] if situation else {"causeCode": 0, "subCauseCode": 0}
    assert (row["cause"], row["subcause"]) == (cause["causeCode"], cause["subCauseCode"])
    assert row["ended"] == ("termination" in management)
    heading = said["denm"].get("location", {}).get("eventPositionHeading", {}).get("headingValue", 3_601)
    assert row["heading"] == pytest.approx(np.nan if heading == 3_601 else heading % 3_600 / 10, rel=1e-6, nan_ok=True)


def test_what_our_encoder_writes_another_program_reads() -> None:
    CAM.from_uper(encode_etsi.cam(**CAR | LIT))
    said = CAM.get_val()
    assert said["header"] == {"protocolVersion": 1, "messageID": 2, "stationID": STATION}
    assert said["cam"]["generationDeltaTime"] == (TIME - EPOCH) % PERIOD
    parameters = said["cam"]["camParameters"]
    assert expected(parameters) == {"speed": 5.88, "heading": 74.4, "accel": -2.7, "signs": LIT["signs"]}
    assert octets(CAM, said) == encode_etsi.cam(**CAR | LIT)
    for ended, validity in ((False, 600), (True, 600), (False, 30)):
        written = encode_etsi.denm(**WARNING, ended=ended, validity=validity)
        DENM.from_uper(written)
        said = DENM.get_val()
        assert octets(DENM, said) == written
        assert ("situation" in said["denm"]) != ended
        assert said["denm"]["management"].get("validityDuration", 600) == validity


# Release 2 and what a later edition may add, written with asn1tools: from ETSI's ASN.1 of TS 103 900 and TS 103 831, and
# from one of our own that puts unknown additions behind every extension bit.
RELEASE_2 = {
    "a linked cause and an event zone": (
        "02010009fbf1c7800013880003938067c52444e019f16854f9c83df6c29d79600a03200119898f4801e00c7056cbc040201060000800058cf800"
        "1338af0256b49806ffe6c008ac67002560",
        (94, 2),
    ),
    "linked DENMs and the end of the event": (
        "02010009fbf1c7800013880003938067c52444e019f16854f9c83df6c29d79600a03200119898f4801e00c7058cc6020213800000000800141f0"
        "0e2bc095ad2601bff9b0022b19c00958",
        (99, 1),
    ),
    "additions everywhere": (
        "010100000009d1000013880003938067c52444e019f16854f9c83df6c29d796ffffffe11dbba1f003c0281c0c09c5c4100dc9c9cb1af01008201b"
        "6b6b680804040c09b9bad6b401000404100dbdbdbc0",
        (94, 2),
    ),
}


@pytest.mark.parametrize(("pdu", "cause"), RELEASE_2.values(), ids=list(RELEASE_2))
def test_a_denm_of_release_2(pdu: str, cause: tuple[int, int]) -> None:
    said = etsi_pdu.read(bytes.fromhex(pdu))
    assert isinstance(said, etsi_pdu.Denm)
    assert said[:5] == (10_000, 7, 670_069_303_586, 670_069_304_586, 120)
    assert said[5:] == (435_657_439, 14_681_494, 1_453, *cause, 0)


CAMS_2 = {
    "a tolling zone and lights": (
        "02020000109203094059f3907bed853af2c01406400233131e434d21245704027899df3404ea00062815ad27480b5a4e9010000003019037ff36"
        "00456338012b",
        Sign.BRAKE | Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS,
    ),
    "extension containers": (
        "0202000010920309c059f3907bed853af2c01406400233131e434d21245704027899df3404ea00062815ad27480b5a4e9010000003019037ff36"
        "00456338012b0106018180810180",
        Sign.BRAKE | Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS,
    ),
    "additions everywhere": (
        "0102000010920309d059f3907bed853af2dffffffc23b7743e07040378787803023039002697e22bbf1ff4f4ef99fff8000000800403616263010"
        "3027a7a",
        Sign(0),
    ),
    "additions everywhere, and a low frequency container that is known": (
        "0102000010920309d059f3907bed853af2dffffffc23b7743e07040378787803023039002697e22bbf1ff4f4ef99fff40000033200040c09e9e8",
        Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS | Sign.HAZARDOUS_GOODS,
    ),
}


@pytest.mark.parametrize(("pdu", "signs"), CAMS_2.values(), ids=list(CAMS_2))
def test_a_cam_of_release_2(pdu: str, signs: Sign) -> None:
    said = etsi_pdu.read(bytes.fromhex(pdu))
    assert said == (4_242, 777, 435_657_439, 14_681_494, 2_222, 1_234, -41, signs)


@pytest.mark.parametrize("pdu", [bytes.fromhex(pdu) for pdu, _ in (*RELEASE_2.values(), *CAMS_2.values())])
def test_no_beginning_of_a_message_is_one(pdu: bytes) -> None:
    for size in range(len(pdu)):
        result = decode("etsi", pdu[:size], arrival=TIME)
        assert [refusal.reason for refusal in result.refusals] == [Reason.TRUNCATED if size else Reason.UNREADABLE], size
    assert decode("etsi", pdu + b"\0", arrival=TIME).refusals[0].reason == Reason.BAD_LENGTH


def test_unavailable_is_nan() -> None:
    nan = float("nan")
    row = decode("etsi", encode_etsi.cam(time=TIME, station=1, lat=45.0, lon=1.0), arrival=TIME).observations[0]
    assert all(np.isnan(row[name]) for name in ("speed", "heading", "accel"))
    assert np.isnan(decode("etsi", encode_etsi.denm(**WARNING), arrival=TIME).notices[0]["heading"])
    for nowhere in (encode_etsi.cam(**CAR | {"lat": nan}), encode_etsi.denm(**WARNING | {"lon": nan})):
        assert decode("etsi", nowhere, arrival=TIME).refusals[0].reason == Reason.NO_POSITION


def test_the_standards_own_words_for_unavailable_and_for_lights() -> None:
    """By their numbers, as another program writes them."""
    CAM.from_uper(encode_etsi.cam(**CAR | LIT))
    said = CAM.get_val()
    high, low = (said["cam"]["camParameters"][f"{name}FrequencyContainer"][1] for name in ("high", "low"))
    high["speed"]["speedValue"], high["heading"]["headingValue"] = 16_383, 3_601
    high["longitudinalAcceleration"]["longitudinalAccelerationValue"] = 161
    high["accelerationControl"], low["vehicleRole"] = (0b0101111, 7), "rescue"
    for lights, signs in ((0b11101101, 0), (0b11011101, 0), (0b00110000, Sign.HAZARD_LIGHTS), (0b00000010, Sign.FOG_LIGHTS)):
        low["exteriorLights"] = (lights, 8)
        (row,) = decode("etsi", octets(CAM, said), arrival=TIME).observations
        assert all(np.isnan(row[name]) for name in ("speed", "heading", "accel"))
        assert row["signs"] == signs


@pytest.mark.parametrize("station_type", [0, 3, 4, 5, 6, 7, 8, 9, 10, 14])
def test_who_drives_is_a_vehicle(station_type: int) -> None:
    assert len(decode("etsi", encode_etsi.cam(**CAR, station_type=station_type), arrival=TIME).observations) == 1


@pytest.mark.parametrize(
    ("station_type", "name"),
    [(1, "pedestrian"), (2, "cyclist"), (11, "tram"), (12, "light_vru"), (13, "animal"), (15, "roadside"), (200, "other")],
)
def test_who_is_no_vehicle_is_counted(station_type: int, name: str) -> None:
    result = decode("etsi", encode_etsi.cam(**CAR, station_type=station_type), arrival=TIME)
    assert (len(result.observations), result.refusals, dict(result.recognised)) == (0, [], {f"{name}_cam": 1})


def test_the_infrastructure_warns_in_vain() -> None:
    """It may be our own alert that comes back."""
    result = decode("etsi", encode_etsi.denm(**WARNING, station_type=15), encode_etsi.denm(**WARNING), arrival=TIME)
    assert (len(result.notices), result.notice_of.tolist(), dict(result.recognised)) == (1, [1], {"roadside_denm": 1})


def test_a_station_is_the_same_in_both() -> None:
    result = decode("etsi", encode_etsi.cam(**CAR), encode_etsi.denm(**WARNING), arrival=TIME)
    name = CONTEXT.pseudonym(f"its-{STATION}")  # and not that of a sensor with such a number
    assert result.observations["reporter"].tolist() == result.notices["reporter"].tolist() == [name]


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.integers(EPOCH, 2**42), st.integers(-1_000, 40_000), st.sampled_from([0, LEAP]), st.sampled_from([10_000, 1_000, 10**9])
)
def test_the_time_of_a_cam(made: int, way: int, leap: int, ahead: int) -> None:
    """Whether its clock counts leap seconds or not, and also if it is 1 s fast; of old ones those that do not."""
    if leap and way >= 4_000:
        way %= 4_000
    if ahead == 10**9 and way > 30_000:
        way = 30_000
    assert cam_time(made + way, (made + leap - EPOCH) % PERIOD, ahead) == made


def test_a_clock_that_runs_ahead() -> None:
    """Up to 10 s of it is believed, leap seconds or not; what seems to be further ahead is from the period before."""
    for ahead, time in ((1_000, 1_000), (1_001, -3_999), (15_000, 10_000), (15_001, 15_001 - PERIOD)):
        assert cam_time(TIME, (TIME + ahead - EPOCH) % PERIOD, 10_000) == TIME + time
    result = FORMATS["etsi"].decode([encode_etsi.cam(**CAR)], np.array([TIME - 800]), Context(CONTEXT.pseudonym, 500))
    assert [refusal.reason for refusal in result.refusals] == [Reason.AHEAD_OF_TIME]


def test_a_cam_needs_an_arrival_and_a_denm_does_not() -> None:
    result = decode("etsi", encode_etsi.cam(**CAR), encode_etsi.denm(**WARNING | {"referred": TIME - 50}))
    assert [refusal.reason for refusal in result.refusals] == [Reason.NO_TIME]
    assert result.notices["time"].tolist() == [TIME - 50]


def test_what_was_detected_was_detected_before_it_was_said() -> None:
    leap = {"detected": TIME + LEAP, "referred": TIME + LEAP}
    assert decode("etsi", encode_etsi.denm(**WARNING | leap), arrival=TIME + 20).notices["onset"].tolist() == [TIME + 20]
    year = {"detected": TIME + 365 * 86_400_000}
    assert decode("etsi", encode_etsi.denm(**WARNING | year), arrival=TIME).refusals[0].reason == Reason.AHEAD_OF_TIME


def test_times_of_another_scale_are_told() -> None:
    """ms since 1970 instead of 2004, and seconds instead of ms; a validity that is beyond the scale."""
    for wrong, reason in ((TIME + EPOCH, Reason.AHEAD_OF_TIME), ((TIME - EPOCH) // 1000 + EPOCH, Reason.IMPOSSIBLE_TIME)):
        (refusal,) = decode("etsi", encode_etsi.denm(**WARNING | {"detected": wrong}), arrival=TIME).refusals
        assert refusal.reason == reason
        assert refusal.detail.endswith("its times count ms since 2004-01-01")
    (refusal,) = decode("etsi", encode_etsi.denm(**WARNING, validity=86_401), arrival=TIME).refusals
    assert refusal.reason == Reason.IMPOSSIBLE_TIME


def test_a_version_is_not_of_the_future() -> None:
    """But for the leap seconds that the sender's clock may count, and for what a clock may be ahead."""
    later = {"detected": TIME - 700, "referred": TIME + 60_000}
    for said, version in ((WARNING, WARNING["referred"]), (WARNING | later, TIME + 20 + 10_000 + LEAP)):
        assert decode("etsi", encode_etsi.denm(**said), arrival=TIME + 20).notices["version"].tolist() == [version]


def test_a_copy_that_comes_late_is_no_newer_whichever_clock_the_sender_has() -> None:
    """A warning, its end two seconds later, and another roadside unit's copy of the first."""
    for leap in (0, LEAP):
        made, ended = ({"detected": TIME + leap, "referred": TIME + leap + after} for after in (0, 2_000))
        heard = ((WARNING | made, 50), (WARNING | ended | {"ended": True}, 2_050), (WARNING | made, 2_300))
        rows = [decode("etsi", encode_etsi.denm(**said), arrival=TIME + way).notices for said, way in heard]
        versions = [int(row["version"][0]) for row in rows]
        assert versions[0] == versions[2] < versions[1]


def test_other_messages_are_named() -> None:
    for number, name in ((4, "SPATEM"), (6, "IVIM"), (14, "CPM"), (16, "VAM"), (99, "message of another type")):
        (refusal,) = decode("etsi", bytes((2, number)) + bytes(60), arrival=TIME).refusals
        assert refusal.reason == Reason.UNSUPPORTED
        assert refusal.detail == f"this is a {name} (messageID {number}); only CAM, 2, and DENM, 1, are read"
