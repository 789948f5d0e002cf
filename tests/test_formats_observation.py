"""Our own observation JSON: every value to its column, what is missing stays missing, and the schema says the same."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats.base import Reason
from dataflows.formats.plausible import NULL_ISLAND
from detectors.model import Sign
from tests.wire import CONTEXT, TIME, VALID, decode

SCHEMA = json.loads((Path(__file__).parents[1] / "dataflows/schema/observation.schema.json").read_text("utf-8"))
LEAST = {"id": "b3d65c18", "ts": TIME, "lat": 22.5, "lon": 114.1}


def decoded(**changes: object) -> np.void:
    result = decode("observation", json.dumps(LEAST | changes).encode())
    assert result.refusals == []
    return result.observations[0]


def test_every_value_reaches_its_column() -> None:
    row = decoded(rx=TIME + 90, v=5.88, hdg=74.4, ax=-2.72)
    assert (row["time"], row["lat"], row["lon"], row["signs"]) == (TIME, 22.5, 114.1, 0)
    assert row["reporter"] == CONTEXT.pseudonym("b3d65c18")
    assert (row["speed"], row["heading"], row["accel"]) == pytest.approx((5.88, 74.4, -2.72), rel=1e-6)


def test_what_is_missing_is_nan_and_not_zero() -> None:
    for row in (decoded(), decoded(v=None, hdg=None, ax=None, rx=None)):
        assert all(np.isnan(row[name]) for name in ("speed", "heading", "accel"))


@pytest.mark.parametrize(
    ("key", "sign"),
    [
        ("brk", Sign.BRAKE),
        ("ev", Sign.HARD_BRAKE),
        ("abs", Sign.ABS),
        ("tc", Sign.TRACTION),
        ("scs", Sign.STABILITY),
        ("hz", Sign.HAZARD_LIGHTS),
        ("ab", Sign.AIRBAG),
        ("dis", Sign.DISABLED),
        ("wip", Sign.WIPERS),
        ("fog", Sign.FOG_LIGHTS),
    ],
)
def test_flags(key: str, sign: Sign) -> None:
    assert decoded(**{key: 1})["signs"] == sign
    assert decoded(**{key: 0})["signs"] == 0


def test_north_has_one_name() -> None:
    assert decoded(hdg=360.0)["heading"] == 0.0


def test_rx_is_the_arrival_only_where_none_is_known() -> None:
    early = json.dumps(LEAST | {"rx": TIME - 60_000}).encode()
    assert [refusal.reason for refusal in decode("observation", early).refusals] == [Reason.AHEAD_OF_TIME]
    known = decode("observation", early, arrival=TIME)
    assert not known.refusals
    assert decode("observation", early).arrivals == [TIME - 60_000]


def test_one_bad_message_spoils_no_other() -> None:
    good = VALID["observation"][0]
    result = decode("observation", good, b"{", good, b'{"id":"a","ts":1}', b" " * 5000, good)
    assert result.observation_of.tolist() == [0, 2, 5]
    assert [(refusal.message, refusal.reason) for refusal in result.refusals] == [
        (1, Reason.UNREADABLE),
        (3, Reason.NO_POSITION),
        (4, Reason.TOO_LARGE),
    ]
    assert result.records == 6


def test_an_empty_batch_is_empty() -> None:
    assert decode("observation").records == 0


# The schema and the decoder agree, apart from what a schema cannot say: that the null island is no position, that the event
# time may not be far past the arrival, that an integer is written without a fraction (1.0 is one to a schema), and that values
# are stored in 32 bits (a limit may be passed by one part in a million).

numbers = st.integers(-400, 400) | st.floats(-400, 400).map(lambda value: round(value, 2))
junk = st.none() | st.booleans() | st.text(max_size=3) | st.lists(st.integers(), max_size=2) | st.just({})
times = st.sampled_from([TIME, 0, -5, 946_684_800_000, 946_684_799_999, 4_102_444_800_000, 4_102_444_799_999, 2**70])
flags = st.sampled_from([0, 1, 2, -1])
KEYS = {
    "id": st.text(max_size=130) | junk,
    "ts": times | junk,
    "rx": times | junk,
    "lat": numbers | st.sampled_from([90, -90, 90.01]) | junk,
    "lon": numbers | st.sampled_from([180, -180]) | junk,
    "v": numbers | st.sampled_from([163.82, 163.83, 400]) | junk,
    "hdg": numbers | st.sampled_from([360, 361]) | junk,
    "ax": numbers | st.sampled_from([50, -50.01]) | junk,
} | dict.fromkeys(("brk", "ev", "abs", "tc", "scs", "hz", "ab", "dis", "wip", "fog", "other"), flags | junk)


@settings(max_examples=400, derandomize=True, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(KEYS)), st.none(), max_size=3).flatmap(
        lambda some: st.fixed_dictionaries({key: KEYS[key] for key in some})
    )
)
def test_the_schema_accepts_what_the_decoder_accepts(changes: dict[str, object]) -> None:
    message = LEAST | changes
    lat, lon, ts, rx = (message.get(key) for key in ("lat", "lon", "ts", "rx"))
    if isinstance(lat, int | float) and isinstance(lon, int | float) and max(abs(lat), abs(lon)) < NULL_ISLAND:
        return
    if isinstance(rx, int) and isinstance(ts, int) and 0 <= rx < ts - CONTEXT.max_ahead:
        return
    accepted = jsonschema.Draft202012Validator(SCHEMA).is_valid(message)
    assert accepted == (not decode("observation", json.dumps(message).encode()).refusals)


@pytest.mark.parametrize("missing", ["id", "ts", "lat", "lon"])
def test_the_schema_asks_for_what_the_decoder_asks_for(missing: str) -> None:
    message = {key: value for key, value in LEAST.items() if key != missing}
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(message)
    assert decode("observation", json.dumps(message).encode()).refusals
