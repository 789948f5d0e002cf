"""What is wrong with a message is told in words that its sender understands, and that repeat nothing of it."""

from __future__ import annotations

import pytest

from dataflows.formats.base import Reason
from dataflows.formats.text import ONLY_AN_ARRIVAL
from tests.cases import CASES, Case
from tests.wire import decode

SHAPE, UNREADABLE = Reason.WRONG_SHAPE, Reason.UNREADABLE
STATES = "surface_state: expected unknown, dry, moist, wet, ice, snow, slush or frost"  # not what came, whatever it looks like
PLACE = '"lat":22.5,"lon":114.1'
DIGITS = "0202b3d65c18c3d00058628c1955e890711ffffffc23b7743e40"
DAMAGED = DIGITS.replace("c3d", "c?d")


@pytest.mark.parametrize(
    ("format", "message", "reason", "sentence"),
    [
        ("observation", '{"id":"a","ts":"x"}', SHAPE, "ts: expected a whole number, got a text"),
        ("observation", f'{{"id":"a","ts":1,{PLACE},"v":"4"}}', SHAPE, "v: expected a number or null, got a text"),
        ("observation", '{"id":"a","ts":1.5}', SHAPE, "ts: expected a whole number, got a number with a point or an exponent"),
        ("observation", '{"id":"","ts":1}', SHAPE, "id: expected a text of length >= 1"),
        ("observation", '{"id":"a","ts":9999999999999999999}', SHAPE, "ts: expected a whole number <= 9007199254740992"),
        ("observation", f'{{"id":"a","ts":1,{PLACE},"brk":7}}', SHAPE, "brk: expected 0 or 1"),
        ("observation", f'{{"id":"a","ts":1,{PLACE},"brk":true}}', SHAPE, "brk: expected 0 or 1, got true or false"),
        ("sensor", f'{{"id":"a","ts":1,{PLACE},"surface_state":7}}', SHAPE, f"{STATES}, got a whole number"),
        ("observation", f'{{"id":"a","ts":1,{PLACE},"v":1e400}}', SHAPE, "v: expected a smaller number"),
        ("observation", '["a"]', SHAPE, "the message: expected an object, got a list"),
        ("observation", f'{{"ts":1,{PLACE}}}', SHAPE, 'the message has no "id"'),
        ("observation", f'{{"id":"a",{PLACE}}}', Reason.NO_TIME, 'the message has no "ts"'),
        ("ode-json", '{"metadata":3}', SHAPE, "metadata: expected an object, got a whole number"),
        ("ode-json", '{"metadata":{},"payload":{"data":{"coreData":{}}}}', SHAPE, 'payload.data.coreData has no "id"'),
        ("sensor", '{"lat":true}', SHAPE, "lat: expected a number, got true or false"),
        ("sensor", f'{{"id":"a","ts":1,{PLACE},"surface_state":"x - at `$.id` - at x"}}', SHAPE, STATES),
        ("observation", "x", UNREADABLE, "the message is not JSON: invalid character (byte 0)"),
        ("observation", '{"id":"a"', UNREADABLE, "the message is not JSON: it ends in the middle"),
        ("gbt32960", "hello, vehicle", UNREADABLE, "this is text and no hexadecimal"),
        ("gbt32960", "2323fe0", UNREADABLE, "this is hexadecimal with a digit too few or too many"),
        ("gbt32960", "2323fe01", UNREADABLE, "these are hexadecimal digits, and a message has the bytes themselves"),
        ("gbt32960", "\x00\x01\x02", UNREADABLE, "no frame starts at byte 0: neither 2323 nor 2424 stands there"),
        ("j2735", "hello, vehicle", UNREADABLE, "this is text and no hexadecimal"),
        ("j2735", "some\nlines\n", UNREADABLE, "this is text and no hexadecimal"),
        ("j2735", DAMAGED, UNREADABLE, "this is text and no hexadecimal"),
        ("etsi", DAMAGED, UNREADABLE, "this is text and no hexadecimal"),
        ("ydt3709", DAMAGED, UNREADABLE, "this is text and no hexadecimal"),
        ("etsi", f"2025-03-04T07:30:00Z {DIGITS}", UNREADABLE, f"this is text and no hexadecimal; {ONLY_AN_ARRIVAL}"),
        ("etsi", f"1741073400080,{DIGITS}", UNREADABLE, f"this is text and no hexadecimal; {ONLY_AN_ARRIVAL}"),
        ("gbt32960", f"1741073400080;{DIGITS}", UNREADABLE, f"this is text and no hexadecimal; {ONLY_AN_ARRIVAL}"),
    ],
)
def test_the_sentence(format: str, message: str, reason: Reason, sentence: str) -> None:
    (refusal,) = decode(format, message.encode()).refusals
    assert (refusal.reason, refusal.detail) == (reason, sentence)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}: {case.name}")
def test_no_sentence_is_the_parsers_own(case: Case) -> None:
    for refusal in decode(case.format, case.message, arrival=case.arrival).refusals:
        assert not {"`", "$", "\n"} & set(refusal.detail), refusal.detail
