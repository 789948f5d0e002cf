"""Who was heard lately is called what it would be called if hashed again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import identities
from dataflows.formats.base import Pseudonym
from dataflows.formats.identities import Identities

CALLED = Pseudonym(b"key")
VIN = b"LSVAA4182E2123456"
NAMES = st.binary(min_size=1, max_size=20) | st.integers(0, 20).map(lambda n: b"LSVAA4182E2%06d" % n)


def ask(known: Identities, names: list[bytes]) -> list[int]:
    """As they lie in a poll: with other bytes before and after each."""
    lengths = np.array([len(name) for name in names], np.int64)
    ends = np.cumsum(lengths + 2) - 1
    return known(b"".join(b"#" + name + b"#" for name in names), ends - lengths, ends).tolist()


@settings(max_examples=60, deadline=None)  # what is compiled for the first time takes a second
@given(st.lists(st.lists(NAMES, max_size=12), max_size=8), st.integers(12, 40))
def test_names_are_hashed_as_ever_however_often_they_come(polls: list[list[bytes]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identities, "REMEMBERED", most)
        known = Identities(CALLED)
        for names in polls:
            assert ask(known, names) == [CALLED(name.decode("latin-1")) for name in names]


def test_names_that_differ_in_one_bit_are_two() -> None:
    others = [bytes(b ^ (1 << bit) if at == k else b for at, b in enumerate(VIN)) for k in range(len(VIN)) for bit in range(8)]
    known = Identities(CALLED)
    ask(known, [VIN])
    assert len(set(ask(known, [VIN, *others]))) == 1 + len(others)
    assert ask(known, [VIN]) == [CALLED(VIN.decode())]


def test_names_that_differ_in_length_are_two() -> None:
    names = [b"7" * length for length in range(1, 129)] + [b"\0" * length for length in range(1, 129)]
    known = Identities(CALLED)
    assert ask(known, names) == ask(known, names) == [CALLED(name.decode()) for name in names]


def test_a_name_is_hashed_once_while_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def call(name: str) -> int:
        hashed.append(name)
        return len(hashed)

    monkeypatch.setattr(identities, "REMEMBERED", 5)
    known = Identities(call)
    first, second = [b"%017d" % n for n in range(3)], [b"%017d" % n for n in range(3, 6)]
    assert ask(known, first) + ask(known, first) == [1, 2, 3] * 2
    assert ask(known, second) + ask(known, second) == [4, 5, 6] * 2  # no room for all: the first are forgotten
    assert ask(known, first[:1]) == [7]
    assert len(hashed) == 7
