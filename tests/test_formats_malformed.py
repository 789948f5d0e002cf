"""Malformed messages, as data (tests/malformed): each is refused, alone, for the reason that its case gives."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from dataflows.formats import FORMATS
from dataflows.formats.base import Reason
from tests.wire import decode


class Case(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    format: str
    reason: Reason
    text: str | None = None
    hex: str | None = None
    padding: int = 0  # spaces after the message
    arrival: int = -1  # ms; -1: unknown
    rows: int = 0  # that the good part of the message makes

    @property
    def message(self) -> bytes:
        assert (self.text is None) != (self.hex is None), f"{self.name}: give either text or hex"
        return (bytes.fromhex(self.hex) if self.hex is not None else str(self.text).encode()) + b" " * self.padding


FILES = sorted(Path(__file__).with_name("malformed").glob("*.json"))
CASES = [case for file in FILES for case in msgspec.json.decode(file.read_bytes(), type=list[Case])]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.format}: {case.name}")
def test_it_is_refused_for_its_reason(case: Case) -> None:
    result = decode(case.format, case.message, arrival=case.arrival)
    assert [refusal.reason for refusal in result.refusals] == [case.reason]
    assert result.refusals[0].detail
    assert len(result.observations) + len(result.sensors) + len(result.readings) == case.rows


def test_there_are_enough_and_none_is_there_twice() -> None:
    assert {case.format for case in CASES} == set(FORMATS)
    assert len({(case.format, case.message, case.arrival) for case in CASES}) == len(CASES) >= 40
    assert len({(case.format, case.name) for case in CASES}) == len(CASES)


def test_every_reason_is_shown_by_a_case() -> None:
    assert {case.reason for case in CASES} == set(Reason)


def test_a_misspelt_key_is_a_failure() -> None:
    with pytest.raises(msgspec.ValidationError, match="reasn"):
        msgspec.json.decode(b'{"name":"x","format":"observation","reason":"unreadable","reasn":"unreadable"}', type=Case)
