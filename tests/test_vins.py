"""A VIN that was heard lately is called what it would be called if it were hashed again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.formats import vins
from dataflows.formats.base import Pseudonym
from dataflows.formats.vins import LENGTH, Vins

CALLED = Pseudonym(b"key")
NAMES = st.binary(min_size=LENGTH, max_size=LENGTH) | st.integers(0, 20).map(lambda n: b"LSVAA4182E2%06d" % n)


def ask(known: Vins, names: list[bytes]) -> list[int]:
    """As they lie in a poll: with other bytes before and after each."""
    starts = np.arange(len(names), dtype=np.int64) * (LENGTH + 2) + 1
    return known(b"".join(b"#" + name + b"#" for name in names), starts).tolist()


@settings(max_examples=60, deadline=None)  # what is compiled for the first time takes a second
@given(st.lists(st.lists(NAMES, max_size=12), max_size=8), st.integers(12, 40))
def test_names_are_hashed_as_ever_however_often_they_come(polls: list[list[bytes]], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vins, "REMEMBERED", most)
        known = Vins(CALLED)
        for names in polls:
            assert ask(known, names) == [CALLED(name.decode("latin-1")) for name in names]


def test_names_that_differ_in_one_bit_are_two() -> None:
    name = b"LSVAA4182E2123456"
    others = [bytes(b ^ (1 << bit) if at == k else b for at, b in enumerate(name)) for k in range(LENGTH) for bit in range(8)]
    known = Vins(CALLED)
    ask(known, [name])
    assert len(set(ask(known, [name, *others]))) == 1 + len(others)
    assert ask(known, [name]) == [CALLED(name.decode())]


def test_a_name_is_hashed_once_while_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def call(name: str) -> int:
        hashed.append(name)
        return len(hashed)

    monkeypatch.setattr(vins, "REMEMBERED", 5)
    known = Vins(call)
    first, second = [b"%017d" % n for n in range(3)], [b"%017d" % n for n in range(3, 6)]
    assert ask(known, first) + ask(known, first) == [1, 2, 3] * 2
    assert ask(known, second) + ask(known, second) == [4, 5, 6] * 2  # no room for all: the first are forgotten
    assert ask(known, first[:1]) == [7]
    assert len(hashed) == 7
