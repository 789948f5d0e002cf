"""Whatever the bytes are: no decoder raises, every message counts at least once, and no refusal repeats an identity."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import FORMATS, encode
from dataflows.formats.base import Decoded
from tests.wire import TIME, VALID, VIN, a_reading, bsm, decode, frame

LONG = 53  # times as many examples in the long profile: 100,000 in all


def tried(examples: int) -> settings:
    """The same examples every time; with `--hypothesis-profile=long` many more, from `--hypothesis-seed`."""
    long = settings.get_current_profile_name() == "long"
    return settings(max_examples=examples * (LONG if long else 1), derandomize=not long, deadline=None)


QUICK = tried(150)
every_format = pytest.mark.parametrize("name", sorted(FORMATS))


def counted(result: Decoded, messages: int) -> None:
    """Everything that a batch must keep, whatever was in it."""
    for rows, of in (
        (result.observations, result.observation_of),
        (result.sensors, result.sensor_of),
        (result.readings, result.reading_of),
        (result.notices, result.notice_of),
    ):
        assert len(rows) == len(of)
        assert all(0 <= message < messages for message in of)
        assert not len(rows) or rows["time"].min() > 0
    assert all(0 <= refusal.message < messages and refusal.detail for refusal in result.refusals)
    assert [refusal.message for refusal in result.refusals] == sorted(refusal.message for refusal in result.refusals)
    assert result.records >= messages


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """A valid message with some bytes changed, taken out or put in."""
    message = bytearray(draw(st.sampled_from(VALID[name])))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(message)))
        match draw(st.sampled_from(["flip", "set", "cut", "insert", "repeat"])):
            case "flip":
                message[at : at + 1] = bytes(octet ^ 1 << draw(st.integers(0, 7)) for octet in message[at : at + 1])
            case "set":
                message[at : at + 1] = bytes([draw(st.sampled_from([0, 0x22, 0x30, 0x39, 0x5B, 0x7B, 0x7D, 0xFE, 0xFF]))])
            case "cut":
                del message[at : at + draw(st.integers(1, 40))]
            case "insert":
                message[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                message[at:at] = message[at : at + draw(st.integers(1, 20))]
    return bytes(message)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_valid_messages_are_valid(name: str) -> None:
    result = decode(name, *VALID[name], arrival=TIME)
    assert result.refusals == []
    counted(result, len(VALID[name]))


@every_format
@QUICK
@given(messages=st.lists(st.binary(max_size=80), max_size=3), arrival=st.sampled_from([-1, 0, TIME, 2**62]))
def test_arbitrary_bytes(name: str, messages: list[bytes], arrival: int) -> None:
    counted(decode(name, *messages, arrival=arrival), len(messages))


@every_format
@QUICK
@given(draw=st.data(), arrival=st.sampled_from([-1, TIME]))
def test_mutated_messages(name: str, draw: st.DataObject, arrival: int) -> None:
    counted(decode(name, draw.draw(mutated(name)), arrival=arrival), 1)


@every_format
@tried(40)
@given(draw=st.data())
def test_a_batch_is_its_messages_one_by_one(name: str, draw: st.DataObject) -> None:
    messages = draw.draw(st.lists(mutated(name) | st.sampled_from(VALID[name]), max_size=5))
    whole = decode(name, *messages, arrival=TIME)
    alone = [decode(name, message, arrival=TIME) for message in messages]
    for column in ("observations", "sensors", "readings", "notices"):
        together = np.concatenate([getattr(one, column) for one in alone]) if alone else getattr(whole, column)
        assert getattr(whole, column).tobytes() == together.tobytes()
    refused = [refusal._replace(message=at) for at, one in enumerate(alone) for refusal in one.refusals]
    assert whole.refusals == refused


TEMPLATES: list[tuple[str, Any]] = [
    ("observation", json.loads(VALID["observation"][0])),
    *(("ode-json", json.loads(message)) for message in VALID["ode-json"]),
    *(("etsi-json", json.loads(message)) for message in VALID["etsi-json"]),
    *(("sensor", json.loads(message)) for message in VALID["sensor"]),
]


def paths(document: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where something could be put in a JSON document: every value of it, and every key."""
    found = [here] if here else []
    if isinstance(document, dict):
        return found + [path for key, value in document.items() for path in paths(value, (*here, key))]
    if isinstance(document, list):
        return found + [path for place, value in enumerate(document) for path in paths(value, (*here, place))]
    return found


@tried(300)
@given(st.data())
def test_no_identity_in_a_refusal_of_json(draw: st.DataObject) -> None:
    """Not even where it stands in the wrong place."""
    name, template = draw.draw(st.sampled_from(TEMPLATES))
    document = json.loads(json.dumps(template))
    identity = draw.draw(st.sampled_from([VIN, "B3D65C18", 987_654_321_012]))
    *way, last = draw.draw(st.sampled_from(paths(document)))
    inside = document
    for step in way:
        inside = inside[step]
    if isinstance(last, str) and draw.draw(st.booleans()):
        inside[str(identity)] = inside.pop(last)
    else:
        inside[last] = draw.draw(st.sampled_from([identity, [identity], {str(identity): identity}]))
    result = decode(name, json.dumps(document).encode(), arrival=TIME)
    counted(result, 1)
    assert not any(str(identity).lower() in refusal.detail.lower() for refusal in result.refusals)


@tried(200)
@given(st.integers(0, 400), st.integers(1, 255), st.booleans(), st.integers(0, 3))
def test_no_identity_in_a_refusal_of_binary(place: int, change: int, cut: bool, mend: int) -> None:
    message = bytearray(a_reading())
    place %= len(message) - 1
    message[place] ^= change
    if cut:
        del message[place:]
    elif mend:
        message[-1] ^= change  # so that the BCC fits, and what it covers is read
    for identity in (VIN, VIN.encode().hex()):
        result = decode("gbt32960", bytes(message), arrival=TIME)
        counted(result, 1)
        assert not any(identity.lower() in refusal.detail.lower() for refusal in result.refusals)
    broadcast = frame(bsm(id=0xB3D65C18, lat=225_408_970, long=1_140_502_920))[: place % 41]
    result = decode("j2735", broadcast, arrival=TIME)
    assert not any("b3d65c18" in refusal.detail.lower() for refusal in result.refusals)
    over_lte = bytearray(VALID["ydt3709"][0])
    over_lte[place % len(over_lte)] ^= change
    result = decode("ydt3709", bytes(over_lte[: 1 + place] if cut else over_lte), arrival=TIME)
    assert not any("b3d65c18" in refusal.detail.lower() for refusal in result.refusals)


def test_the_reporter_depends_on_the_key() -> None:
    """And nothing of an identity is left in a row."""
    rows = decode("gbt32960", encode.gbt32960_realtime(time=TIME, vin=VIN, soc=0.5)).readings
    assert VIN.encode() not in rows.tobytes()
