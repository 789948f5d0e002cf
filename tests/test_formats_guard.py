"""A decoder that raises costs the message that makes it raise, and changes nothing for the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dataflows.formats import FORMATS
from dataflows.formats.base import Context, Decoded, Pseudonym, Reason
from dataflows.formats.guard import _one_by_one, decode_safely
from dataflows.recorded import messages
from tests import traffic

CONTEXT = Context(Pseudonym(b"key"))


def mixed(folder: Path) -> list[tuple[str, list[bytes]]]:
    """Messages of three formats, every fifth of them cut in half."""
    made = []
    for path, form in traffic.files(folder, seconds=40, vehicles=9):
        whole = list(messages(Path(path), FORMATS[form]))[:200]
        made.append((form, [m[: len(m) // 2] if not n % 5 else m for n, m in enumerate(whole)]))
    return made


def same(one: Decoded, other: Decoded, arrivals: Any) -> None:
    for table in ("observations", "observation_of", "sensors", "sensor_of", "readings", "reading_of"):
        left, right = getattr(one, table), getattr(other, table)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes(), table
    assert one.refusals == other.refusals
    assert one.recognised == other.recognised
    known = [arrivals if each.arrivals is None else each.arrivals for each in (one, other)]
    assert known[0].tolist() == known[1].tolist()


def test_one_by_one_is_the_same(tmp_path: Path) -> None:
    for form, given in mixed(tmp_path):
        arrivals = np.full(len(given), -1, np.int64)
        whole = FORMATS[form].decode(given, arrivals, CONTEXT)
        assert whole.refusals
        same(_one_by_one(FORMATS[form].decode, given, arrivals, CONTEXT), whole, arrivals)


@pytest.mark.parametrize("poisoned", [0, 7, 30])
def test_the_others_are_read(poisoned: int, tmp_path: Path) -> None:
    form, given = next(each for each in mixed(tmp_path) if each[0] == "observation")
    honest, arrivals = FORMATS[form].decode, np.full(len(given), -1, np.int64)
    given[poisoned] = b"poison"

    def decode(batch: Sequence[bytes], *rest: Any) -> Decoded:
        if b"poison" in batch:
            raise KeyError("a secret")
        return honest(batch, *rest)

    decoded = decode_safely(decode, given, arrivals, CONTEXT)
    refused = {refusal.message: refusal for refusal in decoded.refusals}
    assert refused.pop(poisoned).reason == Reason.DECODER_FAILED
    assert "secret" not in str(decoded.refusals)
    clean = honest([b"{}" if m == b"poison" else m for m in given], arrivals, CONTEXT)
    assert decoded.observations.tobytes() == clean.observations.tobytes()
    assert decoded.observation_of.tolist() == clean.observation_of.tolist()
    assert set(refused) == {refusal.message for refusal in clean.refusals} - {poisoned}


def test_when_all_are_poisoned_nothing_is_lost() -> None:
    def decode(*_: Any) -> Decoded:
        raise ZeroDivisionError

    decoded = decode_safely(decode, [b"a", b"b"], np.full(2, -1, np.int64), CONTEXT)
    assert [refusal.message for refusal in decoded.refusals] == [0, 1]
    assert decoded.records == 2
