"""LTE-V2X messages in unaligned PER: made up and written by the layout as tests have it, and told by the decoder as rows."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import encode, ydt3709
from dataflows.formats.base import Reason, RefusedError
from dataflows.formats.bsm import EVENT_FLAGS
from detectors.model import Sign
from tests.wire import CONTEXT, TIME, decode
from tests.ydt3709_wire import BSM, BSM_FRAME, CRUMB, RSM, RSM_FRAME, bsm, framed, participant, rsm

MINUTE = 60_000
ANY = settings(max_examples=150, derandomize=True, deadline=None)
seeds = st.integers(0, 2**32 - 1)
INITIAL = "0" * 83  # bits of an initial position, of whatever edition


def known(raw: int, unavailable: int, scale: float) -> float:
    return float("nan") if raw == unavailable else raw * scale


def approximately(*values: float) -> Any:
    return pytest.approx(values, rel=1e-9, abs=1e-9, nan_ok=True)


def expected_signs(said: dict[str, Any]) -> int:
    brakes, safety = said["brakes"], said.get("safetyExt", {})
    wheels = brakes.get("wheelBrakes", "10000")
    pressed = brakes.get("brakePadel") == 2 or (wheels[0] == "0" and "1" in wheels)
    signs = Sign.BRAKE if pressed else Sign(0)
    for name, sign in (("traction", Sign.TRACTION), ("abs", Sign.ABS), ("scs", Sign.STABILITY)):
        signs |= sign if brakes.get(name) == 3 else Sign(0)
    for bit, sign in zip(safety.get("events", ""), EVENT_FLAGS, strict=False):
        signs |= sign if bit == "1" else Sign(0)
    lights = safety.get("lights", "0" * 9)
    signs |= Sign.HAZARD_LIGHTS if lights[4] == "1" else Sign(0)
    return int(signs | (Sign.FOG_LIGHTS if lights[7] == "1" else Sign(0)))


@ANY
@given(seeds)
def test_whatever_a_vehicle_says_comes_back(seed: int) -> None:
    said = BSM.some(random.Random(seed))
    said.get("safetyExt", {}).get("pathHistory", {}).pop("initialPosition", None)
    (one,) = ydt3709.read(framed(BSM_FRAME, BSM.write(said)))
    assert not isinstance(one, str)
    assert (one.id, one.sec_mark) == (said["id"].hex().upper(), said["secMark"])
    place = said["pos"]
    assert (one.lat, one.lon, one.speed, one.heading, one.accel) == approximately(
        known(place["lat"], 900_000_001, 1e-7),
        known(place["long"], 1_800_000_001, 1e-7),
        known(said["speed"], 8191, 0.02),
        known(said["heading"], 28_800, 0.0125),
        known(said["accelSet"]["long"], 2001, 0.01),
    )
    assert one.signs == expected_signs(said)


@ANY
@given(seeds)
def test_whatever_a_roadside_unit_sees_comes_back(seed: int) -> None:
    said = RSM.some(random.Random(seed))
    cars = [one for one in said["participants"] if one["ptcType"] == 1]
    read = ydt3709.read(framed(RSM_FRAME, RSM.write(said)))
    found = [] if isinstance(read, str) else read
    assert len(found) == len(cars)
    for one, car in zip(found, cars, strict=True):
        unit = said["id"].hex().upper()
        assert one.id == (car["id"].hex().upper() if "id" in car else f"{unit}-{car['ptcId']}")
        origin, (way, offset) = said["refPos"], car["pos"]["offsetLL"]
        lat, lon = offset["lat"], offset["lon"]
        if way < 6:
            nowhere = origin["lat"] == 900_000_001 or origin["long"] == 1_800_000_001
            lat, lon = origin["lat"] + lat * (not nowhere), origin["long"] + lon * (not nowhere)
        assert (one.lat, one.lon, one.speed, one.heading, one.accel) == approximately(
            known(lat, 900_000_001, 1e-7),
            known(lon, 1_800_000_001, 1e-7),
            known(car["speed"], 8191, 0.02),
            known(car["heading"], 28_800, 0.0125),
            known(car["accelSet"]["long"], 2001, 0.01) if "accelSet" in car else float("nan"),
        )
        assert (one.sec_mark, one.signs) == (car["secMark"], 0)


# Our own values; asn1tools 0.169 reads both as they are meant, and writes them again byte for byte.
BRAKING = "0026eb5fc0001bd5b81bc06208628c1955e89070fc24c5d01b03e8401fffe042d07800a4a0400900"
SEEN = "207726f616473696465431460caaf448387000200026062010017d0b0fa03201683c00"


def test_a_vector_of_each_kind() -> None:
    result = decode("ydt3709", bytes.fromhex(BRAKING), bytes.fromhex(SEEN), arrival=TIME)
    assert result.refusals == []
    braking, seen = result.observations
    assert braking["reporter"] == CONTEXT.pseudonym("5AFE0000DEADC0DE")
    assert (braking["lat"], braking["lon"]) == (22.540897, 114.050292)
    assert (braking["speed"], braking["heading"], braking["accel"]) == approximately(*np.float32([5.88, 74.4, -2.72]))
    assert braking["signs"] == Sign.BRAKE | Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS
    assert seen["reporter"] == CONTEXT.pseudonym(f"{b'roadside'.hex().upper()}-1")
    assert (seen["lat"], seen["lon"], seen["speed"], seen["heading"]) == (22.540997, 114.050292, 10.0, 10.0)
    assert (seen["signs"], np.isnan(seen["accel"])) == (0, True)
    assert list(result.observations["time"]) == [TIME, TIME]


def test_the_encoder_says_the_vector() -> None:
    signs = Sign.BRAKE | Sign.HARD_BRAKE | Sign.HAZARD_LIGHTS | Sign.FOG_LIGHTS
    motion = {"speed": 5.88, "heading": 74.4, "accel": -2.72, "signs": signs}
    made = encode.ydt3709_bsm(time=TIME, id="5AFE0000DEADC0DE", lat=22.540897, lon=114.050292, **motion)
    assert made.hex() == BRAKING
    (row,) = decode("ydt3709", encode.ydt3709_bsm(time=TIME, id="0" * 16, lat=22.5, lon=114.0), arrival=TIME + 900).observations
    assert (row["time"], row["signs"]) == (TIME, 0)
    assert all(np.isnan(row[name]) for name in ("speed", "heading", "accel"))


def test_the_time_is_the_second_of_the_minute_and_the_arrival() -> None:
    for mark, time in ((784, TIME), (11_000, TIME - 49_784), (65_535, TIME), (61_000, TIME)):
        assert decode("ydt3709", bsm(secMark=mark), arrival=TIME).observations["time"] == [time]
    result = decode("ydt3709", bsm(), rsm(participant(), participant()))
    assert [(refusal.message, refusal.reason) for refusal in result.refusals] == [(0, Reason.NO_TIME), (1, Reason.NO_TIME)]


def test_event_flags_and_lamps() -> None:
    def signs(**safety: Any) -> Sign:
        (row,) = decode("ydt3709", bsm(safetyExt=safety), arrival=TIME).observations
        return Sign(int(row["signs"]))

    for place, sign in enumerate(EVENT_FLAGS[:13]):
        assert signs(events=f"{1 << 12 - place:013b}") == sign
    assert signs(events="0" * 13 + "1") == Sign.JACKKNIFE
    assert signs(events="1" * 16_000) == signs(events="1" * 14)
    lamps = {4: Sign.HAZARD_LIGHTS, 7: Sign.FOG_LIGHTS}
    for place in range(9):
        for more in ("", "0", "111"):
            assert signs(lights=f"{1 << 8 - place:09b}" + more) == lamps.get(place, Sign(0))
    assert signs(lights="111") == signs(lights="") == Sign(0)


def test_brakes() -> None:
    def signs(**brakes: Any) -> int:
        return int(decode("ydt3709", bsm(brakes=brakes), arrival=TIME).observations[0]["signs"])

    assert signs(brakePadel=2) == signs(wheelBrakes="01000") == signs(wheelBrakes="00001") == Sign.BRAKE
    assert signs() == signs(brakePadel=1) == signs(wheelBrakes="00000") == signs(wheelBrakes="11111") == 0
    assert signs(traction=3, abs=3, scs=3, brakeBoost=2, auxBrakes=3) == Sign.TRACTION | Sign.ABS | Sign.STABILITY
    assert signs(traction=2, abs=1, scs=2, auxBrakes=2) == 0  # switched on, but not at work


def test_what_a_later_edition_adds_is_passed_over() -> None:
    added = [b"", b"new", bytes(200)]
    crumb = CRUMB.some(random.Random(1)) | {"...": added}
    history = {"crumbData": [crumb, crumb], "...": added}
    prediction = {"radiusOfCurve": 0, "confidence": 0, "...": added}
    later = bsm(
        vehicleClass={"classification": 10, "...": added},
        safetyExt={"pathHistory": history, "pathPrediction": prediction, "lights": "000010000", "...": added},
        emergencyExt={"responseType": 9, "sirenUse": 2, "...": added},
        **{"...": added},
    )
    of_a_unit = rsm(participant(source=9, **{"...": added}), participant(ptcType=7), participant(ptcId=2), **{"...": added})
    result = decode("ydt3709", later, of_a_unit, arrival=TIME)
    assert result.refusals == []
    assert list(result.observation_of) == [0, 1, 1]
    assert list(result.observations["signs"]) == [Sign.HAZARD_LIGHTS, 0, 0]


def test_behind_an_initial_position_nothing_is_told() -> None:
    """The sources of the standard do not agree on its fields, so that nobody knows where the lamps are."""
    history = {"initialPosition": INITIAL, "crumbData": [CRUMB.some(random.Random(1))]}
    message = bsm(safetyExt={"events": f"{1 << 5:013b}", "pathHistory": history, "lights": "1" * 9}, emergencyExt={})
    for cut in (message, message[:-3], message + b"\xff"):
        (row,) = decode("ydt3709", cut, arrival=TIME).observations
        assert row["signs"] == Sign.HARD_BRAKE


def test_who_is_no_vehicle_has_no_row() -> None:
    messages = [bsm(vehicleClass={"classification": number}) for number in (0, 10, 79, 80, 82, 85, 90, 92, 93, 255)]
    messages.append(rsm(participant(ptcType=2), participant(ptcType=3), participant(ptcType=0)))
    result = decode("ydt3709", *messages, arrival=TIME)
    assert list(result.observation_of) == [0, 1, 2, 8, 9]
    assert result.recognised == {"not_a_vehicle": 5, "rsm_without_a_vehicle": 1}


def test_a_vehicle_that_a_unit_has_heard_is_no_second_witness() -> None:
    same = bytes.fromhex("5AFE0000DEADC0DE")
    result = decode("ydt3709", bsm(id=same), rsm(participant(id=same), participant(), participant(ptcId=2)), arrival=TIME)
    assert list(result.observation_of) == [0, 1, 1, 1]
    first, second, third, fourth = result.observations["reporter"]
    assert first == second
    assert len({first, third, fourth}) == 3


def test_one_impossible_participant_costs_that_one() -> None:
    off = participant(ptcId=2, pos={"offsetLL": (6, {"lon": 1_800_000_001, "lat": 0})})
    result = decode("ydt3709", rsm(participant(), off, participant(ptcId=3, heading=28_800)), arrival=TIME)
    assert [refusal.reason for refusal in result.refusals] == [Reason.NO_POSITION]
    assert len(result.observations) == 2


def test_frames_without_a_row_are_recognised() -> None:
    long, short = b"\x80\x81\x00" + bytes(256), b"\x80\x02\x0c\x00"
    frames = [bytes.fromhex("16" + "00" * 9), bytes.fromhex("3a" + "00" * 9), bytes.fromhex("4f" + "00" * 9), short, long]
    result = decode("ydt3709", *frames)
    assert result.refusals == []
    assert result.recognised == {"map": 1, "spat": 1, "rsi": 1, "later_edition": 2}


@pytest.mark.parametrize("text", ["3a00ff", "4f00", "1100", "not hexadecimal", "00eb5f"])
def test_text_is_no_frame_though_it_looks_like_one(text: str) -> None:
    (refusal,) = decode("ydt3709", text.encode(), arrival=TIME).refusals
    assert refusal.detail.startswith(("these are hexadecimal digits", "this is text and no hexadecimal"))


@ANY
@given(seeds, st.booleans(), st.data())
def test_no_message_can_be_cut_or_go_on(seed: int, roadside: bool, draw: st.DataObject) -> None:
    said = (RSM if roadside else BSM).some(random.Random(seed))
    said.get("safetyExt", {}).pop("pathHistory", None)
    message = framed(RSM_FRAME, RSM.write(said)) if roadside else framed(BSM_FRAME, BSM.write(said))
    ydt3709.read(message)
    with pytest.raises(RefusedError) as cut:
        ydt3709.read(message[: draw.draw(st.integers(1, len(message) - 1))])
    assert cut.value.reason == Reason.TRUNCATED
    with pytest.raises(RefusedError) as longer:
        ydt3709.read(message + draw.draw(st.binary(min_size=1, max_size=9)))
    assert longer.value.reason == Reason.BAD_LENGTH
