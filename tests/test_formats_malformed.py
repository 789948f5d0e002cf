"""Malformed messages, as data (tests/malformed): each is refused, alone, for the reason that its case gives."""

from __future__ import annotations

import msgspec
import pytest

from dataflows.formats import FORMATS
from dataflows.formats.base import Reason
from tests.cases import CASES, Case
from tests.wire import decode


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}: {case.name}")
def test_it_is_refused_for_its_reason(case: Case) -> None:
    result = decode(case.format, case.message, arrival=case.arrival)
    assert [refusal.reason for refusal in result.refusals] == [case.reason]
    assert result.refusals[0].detail
    rows = (result.observations, result.sensors, result.readings, result.notices)
    assert sum(map(len, rows)) == case.rows


def test_there_are_enough_and_none_is_there_twice() -> None:
    assert {case.format for case in CASES} == set(FORMATS)
    assert len({(case.format, case.message, case.arrival) for case in CASES}) == len(CASES) >= 40
    assert len({(case.format, case.name) for case in CASES}) == len(CASES)


def test_every_reason_is_shown_by_a_case() -> None:
    """All but the one that a message alone cannot make happen: see test_formats_guard.py."""
    assert {case.reason for case in CASES} == set(Reason) - {Reason.DECODER_FAILED}


def test_a_misspelt_key_is_a_failure() -> None:
    with pytest.raises(msgspec.ValidationError, match="reasn"):
        msgspec.json.decode(b'{"name":"x","format":"observation","reason":"unreadable","reasn":"unreadable"}', type=Case)
