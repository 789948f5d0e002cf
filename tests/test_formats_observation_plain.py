"""What is read by the loop over bytes is what msgspec reads, to the last bit; and nearly everything is read by the loop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.load import RECORDING
from dataflows.formats import FORMATS, observation
from dataflows.formats.base import Reason
from dataflows.formats.observation_plain import KEYS
from dataflows.recorded import messages
from tests.test_formats_fuzz import mutated, tried
from tests.wire import TIME, VALID, decode

LEAST: dict[str, Any] = {"id": "b3d65c18", "ts": TIME, "lat": 22.5, "lon": 114.1}


def nothing_is_plain(octets: object, starts: object, ends: object, rows: object, found: np.ndarray) -> None:
    found["plain"] = False


def told(batch: Sequence[bytes]) -> tuple[object, ...]:
    read = decode("observation", *batch)
    assert read.arrivals is not None
    return read.observations.tobytes(), read.observation_of.tolist(), read.arrivals.tolist(), read.refusals


def told_by_msgspec(batch: Sequence[bytes]) -> tuple[object, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observation, "scan", nothing_is_plain)
        return told(batch)


def plain(batch: Sequence[bytes]) -> list[bool]:
    """Which of them the loop reads."""
    asked: list[bool] = []

    def scan(*given: Any) -> None:
        observation_scan(*given)
        asked.extend(given[-1]["plain"].tolist())

    observation_scan = observation.scan
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observation, "scan", scan)
        decode("observation", *batch)
    return asked


blanks = st.sampled_from(["", "", " ", "\n", "\t\r", "  "])
flags = st.sampled_from(["0", "1"])
places = st.floats(-89, 89).map(lambda number: repr(round(number, 6))) | st.integers(-89, 89).map(str)
numbers = st.floats(0, 49).map(lambda number: repr(round(number, 3))) | st.floats(0, 49).map(repr) | st.just("null")
texts = st.text(min_size=1, max_size=4).map(json.dumps) | st.text("ab~\x7f\xe9", min_size=1, max_size=3).map('"{}"'.format)
times = st.integers(TIME - 100_000, TIME + 100_000).map(str)
usual = {"id": texts, "ts": times, "rx": times, "lat": places, "lon": places} | dict.fromkeys(("v", "hdg", "ax"), numbers)

digits = st.text("0123456789", min_size=1, max_size=17)
parts = st.tuples(st.sampled_from(["", "-", "+"]), digits, st.sampled_from(["", ".", "e3"]), st.just("") | digits)
odd_numbers = parts.map("".join) | st.text("-0123456789.eE+", max_size=8)
odd_texts = st.text("a\\u00", max_size=140).map('"{}"'.format)
odd = odd_numbers | odd_texts | st.sampled_from(["2", "true", "01", "-0", "1.0", "null", "nul", "[]", "{}", "", "nulll"])
odd_keys = st.sampled_from(["x", "", "idx", "rxrx", "\\u0069d", "i\\", "tss", "Ts", *KEYS])


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """An observation as somebody might write it, in any order and oddly spaced; half of them with something odd or broken."""
    order = draw(st.permutations(sorted({*LEAST, *draw(st.sets(st.sampled_from(KEYS)))})))
    pairs = [(key, draw(usual.get(key, flags))) for key in order]
    open_, close, comma = "{", "}", ","
    match draw(st.sampled_from(["", "", "", "", "value", "key", "more", "blank", "end", "open"])):
        case "value":
            at = draw(st.integers(0, len(pairs) - 1))
            pairs[at] = pairs[at][0], draw(odd)
        case "key":
            at = draw(st.integers(0, len(pairs) - 1))
            pairs[at] = draw(odd_keys), pairs[at][1]
        case "more":
            pairs.insert(draw(st.integers(0, len(pairs))), (draw(odd_keys), draw(odd | flags)))
        case "blank":
            comma = draw(st.sampled_from(["\x0b", "\x00", ",,", ";"]))
        case "end":
            close = draw(st.sampled_from(["", "}}", ",}", "} x", "}\0", "]"]))
        case "open":
            open_ = draw(st.sampled_from(["", "[", "{{", "{,", "\0{", "\ufeff{"]))
    body = comma.join(f'{draw(blanks)}"{key}"{draw(blanks)}:{draw(blanks)}{value}{draw(blanks)}' for key, value in pairs)
    return f"{draw(blanks)}{open_}{body}{close}{draw(blanks)}".encode("utf-8", "surrogatepass")


@tried(600)
@given(st.lists(written() | mutated("observation"), max_size=4))
@example([])
@example([b"", b"{", b'{"', b'{"id', b'{"id"', b'{"id":', b'{"id":"', b'{"ts":-', b'{"ts":1', b'{"v":n', b'{"v":nul'])
def test_the_loop_says_what_msgspec_says(batch: list[bytes]) -> None:
    assert told(batch) == told_by_msgspec(batch)


@pytest.mark.parametrize(
    "more",
    [
        '"lat":00',
        '"lat":01.5',
        '"rx":-5',
        '"rx":1741246200784.0',
        '"ts":1741246200784.0',
        '"hz":1,"hz":0',
        '"v":3.5,"v":null',
        '"v":-0',
        '"v":-0.0',
        '"id":"a\x01b"',
        f'"id":"{"a" * 128}"',
        f'"id":"{"a" * 129}"',
        '"\0hz":1',
        '"\0\0hz":1',
        '"hz\0":1',
    ],
)
def test_what_no_sender_should_say(more: str) -> None:
    least = {key: f'"{key}":{json.dumps(value)}' for key, value in LEAST.items() if f'"{key}"' not in more}
    message = f"{{{','.join(least.values())},{more}}}".encode()
    assert told([message]) == told_by_msgspec([message])
    assert plain([message]) == [more in ('"rx":-5', '"v":-0.0', f'"id":"{"a" * 128}"')]


@tried(600)
@given(
    st.sampled_from(["lat", "lon", "v", "hdg", "ax"]),
    st.integers(1, 17).flatmap(lambda length: st.integers(0, 10**length - 1)),
    st.integers(0, 16),
    st.sampled_from(["", "-"]),
)
def test_a_number_is_the_nearest_that_a_float_can_be(key: str, number: int, decimals: int, sign: str) -> None:
    """However many digits it has, and wherever its point is."""
    digits = str(number).rjust(decimals + 1, "0")
    text = f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else sign + digits
    message = json.dumps(LEAST | {key: 0}).replace(f'"{key}": 0', f'"{key}": {text}').encode()
    assert told([message]) == told_by_msgspec([message])
    assert plain([message]) == [len(digits) <= 15 and text != "-0"]


def test_what_is_cut_anywhere_is_msgspecs() -> None:
    whole = VALID["observation"][0]
    cut = [whole[:length] for length in range(len(whole))]
    assert not any(plain(cut))
    assert told(cut) == told_by_msgspec(cut)


def test_nobody_reads_on_into_the_next_message() -> None:
    """Two halves are no whole, and the last is not read past its end."""
    whole = VALID["observation"][0]
    for at in range(1, len(whole)):
        assert not any(plain([whole[:at], whole[at:]]))


def test_what_is_usual_is_plain() -> None:
    """Or all would be read, and no test tell that it is read at half the speed."""
    recorded = list(islice(messages(RECORDING, FORMATS["observation"]), 2000))
    loose = [json.dumps(json.loads(message), indent=1).encode() for message in recorded[:100]]
    backwards = [json.dumps(dict(reversed(json.loads(message).items()))).encode() for message in recorded[:100]]
    spread = [message.replace(b" ", b"\t\r\n") for message in backwards]
    full = json.dumps(LEAST | dict.fromkeys(KEYS[8:], 1) | {"rx": None, "v": None, "hdg": None, "ax": -0.0}).encode()
    assert all(plain([*VALID["observation"], *recorded, *loose, *backwards, *spread, full]))


def test_the_loop_knows_every_field() -> None:
    """Or whoever sends the one that was forgotten is read at a third of the speed."""
    assert set(KEYS) == set(observation.Observation.__struct_fields__)


def test_what_is_too_long_is_refused_however_plain() -> None:
    long = json.dumps(LEAST).encode() + b" " * observation.LONGEST
    assert plain([long]) == [True]
    assert [refusal.reason for refusal in decode("observation", long).refusals] == [Reason.TOO_LARGE]
